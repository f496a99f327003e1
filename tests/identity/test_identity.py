"""The identity of code and data: another value is another one, another process is not."""

import collections
import os
import subprocess
import sys
import threading
from pathlib import Path

import identities
import numpy as np
import pytest
from flax.core import FrozenDict
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_study.data import load
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.errors import InputError
from jaxopt_study.grids import run as grid
from jaxopt_study.identity import identity, walk
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Settings


@pytest.mark.parametrize("name", identities.CHANGES)
def test_another_number_is_another_identity_and_the_same_is_the_same(name):
    source = identities.CHANGES[name]
    thing = identities.made(source)
    first = identity(thing)
    assert identity(thing) == first == identity(identities.made(source))
    assert identity(identities.made(source, 2)) != first


def test_another_process_has_the_same_identities():
    here, environment = identities.all_of_them(), {**os.environ, "JAX_NUM_CPU_DEVICES": "4"}
    for seed in ("1", "2"):
        command, settings = [sys.executable, identities.__file__], {**environment, "PYTHONHASHSEED": seed}
        there = subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout
        assert dict(map(eval, there.splitlines())) == here


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.binary(max_size=3)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3), st.tuples(inner)
    ),
    max_leaves=6,
)


def put(value, place):
    """Something that computes with a value, which it has in one of many places."""

    class Slotted:
        __slots__ = ("held",)

    class Holder:
        def __call__(self, x):
            return x, self.held

    def default(x, held=value): ...
    def keyword(x, *, held=value): ...

    slotted, holder, of_class = Slotted(), Holder(), type("Made", (), {"held": value})
    slotted.held = holder.held = value
    optax_s = identities.made("thing = lambda value: optax.stateless(lambda u, p: value)")
    return (default, keyword, slotted, holder, of_class, (lambda x: (x, value)), np.array([value, 0], object),
            optax_s(value), {0: value}, [value])[place]  # fmt: skip


@given(st.integers(0, 9), VALUES, VALUES)
def test_two_values_have_one_identity_exactly_if_they_are_the_same_wherever_they_are(place, one, other):
    same = ordered(one) == ordered(other)
    assert (identity(put(one, place)) == identity(put(other, place))) == same


def ordered(value):
    """Text that differs for different values, types, orders and signs of zero included."""
    if isinstance(value, dict):
        return repr([(key, ordered(item)) for key, item in value.items()])
    return f"{type(value)}{[ordered(item) for item in value]}" if isinstance(value, list | tuple) else repr(value)


def test_comments_and_layout_are_no_part_of_it():
    sources = "def thing(x): return x + 1", "def thing(x):\n\n    # a comment\n    return (x +\n  1)"
    assert len({identity(identities.made(source)) for source in sources}) == 1


def test_what_was_computed_and_kept_is_no_part_of_it():
    thing = identities.made("class C:\n @functools.cached_property\n def f(self): return 3\nthing = C()")
    before = identity(thing)
    assert thing.f == 3
    assert identity(thing) == before


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("G = (x for x in [1])\ndef thing(): return next(G)", "model=thing > G: it is a generator, which is another"),
        ("class A: pass\nthing = A()\nthing.m = memoryview(b'a')", "model=m: it is a memoryview"),
        ("class A:\n def __repr__(self): 1 / 0\n def __reduce__(self): 1 / 0\nthing = A()", "ZeroDivisionError"),
        ("thing = []\nfor _ in range(5000): thing = [thing]", "nested too deeply"),
    ],
)
def test_what_another_process_would_not_know_is_refused_by_its_name(source, told):
    with pytest.raises(InputError) as caught:
        identity(identities.made(source), of="model")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_than_can_be_walked_through_is_refused(monkeypatch):
    monkeypatch.setattr(walk, "MOST_VALUES", 1000)
    assert identity(list(range(100_000)))
    with pytest.raises(InputError, match=r"model=list: more than 1000 values hang on it"):
        identity([[n] for n in range(2000)], of="model")


INSTALLED = """
import importlib, sys
from jaxopt_study.identity import identity, walk
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Settings
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    package, checkout = importlib.import_module("pkg_" + folder[-4:]), importlib.import_module("out_" + folder[-4:])
    before = identity(package.f), identity(checkout.f)
    package.K = checkout.K = 2
    after = identity(package.f), identity(checkout.f)
    print(*[a == b for a, b in zip(before, after)], identity(package.g(1)) == identity(package.g(2)))
"""


def test_a_package_counts_by_its_version_wherever_it_is_installed_and_a_checkout_by_its_code(tmp_path):
    folders = [tmp_path / "a" / "site-packages", tmp_path / "dist-packages", tmp_path / "target"]
    for folder in folders:
        package, checkout = (f"{kind}_{folder.name[-4:]}" for kind in ("pkg", "out"))
        (folder / package).mkdir(parents=True)
        code = "K = 1\ndef f(x): return x * K\ndef g(k): return lambda x: x * k\n"
        (folder / f"{checkout}.py").write_text(code)
        (folder / package / "__init__.py").write_text(code)
        (folder / f"{package}-1.0.dist-info").mkdir()
        about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        (folder / f"{package}-1.0.dist-info" / "METADATA").write_text(about)
        (folder / f"{package}-1.0.dist-info" / "RECORD").write_text(f"{package}/__init__.py,,\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(walk.__file__).parents[2])}
    command = [sys.executable, "-c", INSTALLED, *map(str, folders)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["True True False", "True True False", "True False False"]


def test_a_lock_that_is_held_is_the_same_one():
    lock = threading.Lock()
    before = identity(lock)
    with lock:
        assert identity(lock) == before


@pytest.mark.parametrize(
    ("notebook", "rule", "numbers", "fingerprint"),
    [
        (False, "sgd", {}, "12b09636173948c07122"),
        (False, "nesterov", {}, "6679d1c8e8d098a1ff08"),
        (False, "adam", {"b1": 0.5, "b2": 0.99}, "cdcc26be1afe6e7e0582"),
        (False, "cyclical", {}, "e4f3d1c4d7f5bc43a9fd"),
        (
            False,
            "sgd",
            {"learning_rate": 0.1, "weight_decay": 0.01, "max_norm": 1.0, "batch_size": 16},
            "b158beed398bbf0de51e",
        ),
        (True, "momentum", {}, "6c1cff4a726e61103d8f"),
    ],
)
def test_the_article_s_runs_are_known_in_the_stores_of_earlier_versions(notebook, rule, numbers, fingerprint, tmp_path):
    run = grid.make_run(rule, numbers, 0)
    trainer = Trainer(Settings(), load("digits"), [run], tmp_path, model=article_model(notebook=notebook))
    assert trainer.fingerprints[run] == fingerprint


class Slotted(dict):
    __slots__ = ("scale",)


class Scaled(np.ndarray):
    pass


def with_scale(value, scale):
    value.scale = scale
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda scale: collections.defaultdict((lambda: 0.1) if scale == 1 else (lambda: 0.2)),
        lambda scale: with_scale(Slotted(a=1), scale),
        lambda scale: with_scale(np.zeros(2).view(Scaled), scale),
    ],
)
def test_what_a_container_or_an_array_holds_beside_its_items_counts(make):
    assert identity(make(1)) == identity(make(1)) != identity(make(2))


def test_what_a_package_keeps_in_its_own_containers_and_arrays_does_not(tmp_path):
    frozen = FrozenDict(a=1)
    before = identity(frozen)
    hash(frozen)  # which it remembers
    assert identity(frozen) == before
    np.save(tmp_path / "a.npy", np.ones(3))
    np.save(tmp_path / "b.npy", np.ones(3))
    first, second = (np.load(tmp_path / name, mmap_mode="r") for name in ("a.npy", "b.npy"))
    assert identity(first) == identity(second)
