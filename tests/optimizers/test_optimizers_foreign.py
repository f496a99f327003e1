"""Rules of Optax and of a user's own: what they are called, what tells them apart, what of theirs may vary."""

import functools
import math
from pathlib import Path

import identities
import jax
import jax.numpy as jnp
import numpy as np
import optax
import own_studies
import pytest
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.models.own import functions
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.foreign import rule, scheduled

MASK = {"Dense_0": {"kernel": True, "bias": False}}


def mine(learning_rate, pull=0.5, clip=math.inf):
    return optax.chain(optax.clip(clip), optax.sgd(learning_rate * pull))


def study(grid, folder, model=None):
    return js.make_study(
        model=model or own_studies.Net(), data=own_studies.data(), grid=grid, workdir=folder, max_epochs=1, batch_size=8
    )


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (optax.adamw, "optax.adamw"),
        (optax.nadamw, "optax.nadamw"),
        (optax.nadam, "optax.nadam"),
        (optax.contrib.muon, "optax.contrib.muon"),
        (functools.partial(optax.adam, b1=0.5), "optax.adam(b1=0.5)"),
        (functools.partial(optax.adam, 0.1), "optax.adam(learning_rate=0.1)"),
        (functools.partial(functools.partial(mine, pull=np.float32(0.5)), clip=1.0), "mine(pull=0.5, clip=1.0)"),
        (functools.partial(optax.adamw, mask=MASK), "optax.adamw(mask=dict)"),
        (mine, "mine"),
    ],
)
def test_a_rule_is_named_after_its_function_and_what_was_given_to_it(factory, name):
    assert rule(factory).name == name
    assert rule(factory) is registry.family(name)


def test_lambdas_have_names_of_their_own_that_another_process_gives_as_well():
    sources = ["thing = lambda learning_rate: optax.sgd(§ * learning_rate)"] * 2
    names = [rule(identities.made(source, number)).name for source, number in zip(sources, (1, 2), strict=True)]
    assert len(set(names)) == 2
    assert all(name.startswith("lambda-") for name in names)
    assert rule(identities.made(sources[0], 1)).name == names[0]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 240, 3])
def test_a_name_that_files_cannot_have_is_refused(name):
    with pytest.raises(InputError, match=r"allowed is text of up to 100 letters"):
        rule(mine, name=name)


def test_a_name_that_is_made_is_not_too_long():
    made = rule(identities.made(f"def {'x' * 240}(learning_rate): return optax.sgd(§)\nthing = {'x' * 240}"))
    assert len(made.name) == 100


@pytest.mark.parametrize("name", [None, "own"])
def test_two_rules_of_one_name_are_never_one_and_the_error_says_what_differs(name):
    def made(rate, b1=0.9):
        static = {"learning_rate": optax.cosine_decay_schedule(rate, 100), "b1": b1}
        return rule(optax.adam, name=name, static=static)

    assert made(0.1) is made(0.1)
    with pytest.raises(InputError, match="another rule of this name, which differs in static learning_rate;") as told:
        made(0.9)
    assert 'js.rule(.., name="..")' in str(told.value)
    with pytest.raises(InputError, match="differs in all, for it is one of this project's"):
        rule(mine, name="sgd")
    other = rule(optax.adam, name="other", static={"learning_rate": optax.cosine_decay_schedule(0.9, 100)})
    assert js.make_grid(other).optimizer == "other"  # what the error says


def test_an_edited_function_takes_the_place_of_the_one_before_and_what_was_made_of_that_is_refused(tmp_path):
    source = "def thing(learning_rate): return optax.sgd(§ * learning_rate)"
    grids = [js.make_grid(identities.made(source, 1), learning_rate=0.1)]
    before = study(grids[0], tmp_path)
    grids.append(js.make_grid(identities.made(source, 2), learning_rate=0.1))
    updates, _ = registry.family("thing").make({"learning_rate": 1.0}, 1).update(1.0, (optax.EmptyState(),) * 2)
    assert float(updates) == -2.0
    assert study(grids[1], tmp_path).fingerprints != before.fingerprints
    with pytest.raises(InputError, match=r"grid=thing: its rule was edited since"):
        study(grids, tmp_path)
    with pytest.raises(InputError, match=r"optimizer=thing: it was edited since the study was made"):
        before.run()
    assert not list((tmp_path).rglob("*.parquet"))


def test_a_number_that_is_infinite_by_default_is_off_unless_it_is_given(tmp_path):
    assert js.make_grid(mine, learning_rate=0.1).points == ({"learning_rate": 0.1},)
    grid = js.make_grid(mine, learning_rate=[0.1], clip=[0.5, 2])
    assert [point["clip"] for point in grid.points] == [0.5, 2.0]
    assert all("clip" in dict(run.hyperparameters) for run in study(grid, tmp_path).runs)


def labelled(learning_rate):
    rules = {"fast": optax.sgd(learning_rate), "still": optax.set_to_zero()}
    return optax.multi_transform(rules, {"Dense_0": {"kernel": "fast", "bias": "still"}})


def by_name(learning_rate):
    return optax.masked(optax.sgd(learning_rate), lambda params: {"Dense_0": jax.tree.map(jnp.any, params["Dense_0"])})


def test_masks_and_labels_of_a_network_s_own_weights_are_tried_with_them(tmp_path):
    masked = rule(optax.adamw, static={"mask": MASK})
    assert {"b1", "b2", "weight_decay"} < masked.known().keys()
    grids = [js.make_grid(masked, learning_rate=[0.01, 0.1]), js.make_grid(labelled, learning_rate=0.1)]
    made = study(grids, tmp_path)
    assert len(made.run()["epoch"]) == 3
    for each in (*grids, js.make_grid(by_name, learning_rate=0.1)):
        with pytest.raises(InputError, match=r"^optimizer=.*: it cannot be used with this network: (Type|Value)Error"):
            study(each, tmp_path, functions(lambda key, x: jnp.ones((4, 3)), lambda p, x: x @ p, "other"))


class Half(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, param_dtype=jnp.bfloat16)(x)


def test_weights_of_few_bits_are_refused_where_a_rule_cannot_keep_their_type(tmp_path):
    with pytest.raises(InputError, match=r"optimizer=optax.adam: .* weights of bfloat16 want float32 here"):
        study(js.make_grid(optax.adam, learning_rate=0.1), tmp_path, Half())
    assert study(js.make_grid("sgd", learning_rate=0.1), tmp_path, Half()).runs


@pytest.mark.parametrize("value", [np.array(0.1), jnp.float32(0.1), np.float64(0.1)])
def test_a_number_of_numpy_or_jax_is_a_number(value):
    assert registry.check(registry.family("sgd"), {"learning_rate": value})["learning_rate"] == pytest.approx(0.1)


def test_the_peak_of_a_schedule_is_a_learning_rate_that_varies():
    lengths = {"init_value": 0.1, "warmup_steps": 1, "decay_steps": 4, "end_value": 0.5}
    schedule, epochs = optax.warmup_cosine_decay_schedule, ["warmup_steps", "decay_steps"]
    family = scheduled(optax.sgd, schedule, static=lengths, in_epochs=epochs, peak="peak_value")
    assert [number.name for number in family.hyperparameters] == ["exponent", "learning_rate"]
    made = family.make({"exponent": 1.0, "learning_rate": 0.2}, 3)
    expected, state = schedule(0.02, 0.2, 3, 12, 0.1), made.init(jnp.float32(0))
    for step in range(13):
        update, state = made.update(jnp.float32(-1), state)
        np.testing.assert_allclose(float(update), float(expected(step)), rtol=1e-6)
    with pytest.raises(InputError, match=r'js.scheduled\(.., peak="peak_value"\) or in a function of your own'):
        scheduled(optax.sgd, schedule, static=lengths, in_epochs=epochs)
    with pytest.raises(InputError, match=r"peak=peek_value: did you mean peak_value\?"):
        scheduled(optax.sgd, schedule, static=lengths, peak="peek_value")


def test_the_example_of_the_documents_makes_grids_that_warm_up():
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    names = {}
    exec(text.partition("```python\n")[2].partition("```")[0], names)
    assert [len(names[grid].points) for grid in ("own", "cosine")] == [6, 4]
    adam = names["warmed_adam"](jnp.float32(0.1), 4.0, 8.0)
    state, sizes = adam.init(jnp.float32(0)), []
    for _ in range(9):
        update, state = adam.update(jnp.float32(-1), state)
        sizes.append(round(float(update), 3))
    np.testing.assert_allclose(sizes, [0, 0.025, 0.05, 0.075, 0.1, 0.085, 0.05, 0.015, 0], atol=1e-3)
