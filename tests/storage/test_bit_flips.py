"""Twenty thousand single bits flipped over all files that are read back: by hand, ``-m slow -s``, some minutes."""

import collections
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import small
from compared import assert_identical

from jaxopt_study.data.cache import Decoded, through_cache
from jaxopt_study.engine import strategy
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import product
from jaxopt_study.storage import workdir
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.store import read_run, run_files
from jaxopt_study.storage.weights import load_model


class Kind(NamedTuple):
    """Files that are read in one way.

    Attributes:
        paths: of the files.
        flips: how many bits are flipped in them.
        read: gives what is read, of a file or of all; it may refuse it, warn, or make it anew.
        same: raises AssertionError where this is not what was written.
    """

    paths: list[Path]
    flips: int
    read: Callable[[Path], Any]
    same: Callable[[Any, Any], object]


def same_arrays(one: Any, other: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def contains(found: dict[str, Any], written: dict[str, Any]) -> None:
    assert found | written == found  # more than that is a digest whose name became another


def finished(folder: Path) -> dict[str, Kind]:
    """Runs, what is said of them and their weights."""
    runs = [*small.grid((0.01,)), *product("adam", {"learning_rate": (0.01,)}, 1)]
    study = small.study(folder, runs, epochs=40, save_best_weights=True)
    study.train()
    weights = folder / "weights" / study.fingerprints[runs[0]]

    def predictions(_: Path) -> Any:
        return load_model(folder, weights.name, model=small.MODEL).variables._asdict()

    return {
        "runs": Kind(run_files(folder), 11_000, read_run, assert_identical),
        "config.json": Kind([folder / "config.json"], 2_000, workdir.read_config, contains),
        "stats.json": Kind([folder / "stats.json"], 1_000, workdir.read_stats, contains),
        "weights": Kind([p for p in weights.rglob("*") if p.is_file()], 1_000, predictions, same_arrays),
    }


def begun(folder: Path) -> Kind:
    """The checkpoints of a study that was interrupted twice."""
    runs = small.grid((0.01,))
    for ticks in (2, 3):
        seen: list[int] = []
        told = Watcher(tick=lambda _, seen=seen: seen.append(1), interrupted=lambda n=ticks, s=seen: len(s) >= n)
        study = small.study(folder, runs, epochs=40)
        with pytest.raises(Interrupted):
            study.train(told)
    templates = study.sweep(study.groups[0], study.batches(16)).own_shapes()

    def load(_: Path) -> Any:
        checkpoints = Checkpoints(folder / "checkpoints", study.identity, study.fingerprint)
        try:
            return {run.seed: parked._asdict() for run, parked in checkpoints.load(runs, templates).items()}
        finally:
            checkpoints.close()

    return Kind([p for p in (folder / "checkpoints").rglob("*") if p.is_file()], 1_000, load, same_arrays)


def caches(folder: Path) -> dict[str, Kind]:
    """Decoded pictures and the choice of a strategy."""

    def decode(allocate: Any) -> Decoded:
        images = allocate((6, 4, 4, 3))
        images[:] = np.arange(3, dtype=np.uint8)
        return Decoded(images, np.arange(6, dtype=np.int32) % 2, ("a", "b"), 5)

    def decoded(_: Path) -> Any:
        found = through_cache(folder / "data", {}, decode)[0]
        return found._replace(images=np.array(found.images))

    def chosen(_: Path) -> str:
        seconds = {"map": 1.0, "vmap": 2.0}
        return strategy.fastest(["vmap", "map"], lambda name: lambda: seconds[name], {}, folder / "choices")

    def equal(one: Any, other: Any) -> None:
        assert one == other

    decoded(folder)
    chosen(folder)
    paths = [[p for p in (folder / name).rglob("*") if p.is_file()] for name in ("data", "choices")]
    return {
        "decoded pictures": Kind(paths[0], 3_000, decoded, same_decoded),
        "choices": Kind(paths[1], 1_000, chosen, equal),
    }


def same_decoded(one: Decoded, other: Decoded) -> None:
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one[2:] == other[2:]


@pytest.mark.slow
def test_twenty_thousand_flipped_bits_are_all_noticed_or_harmless_and_none_is_a_traceback(tmp_path: Path) -> None:
    kinds = {**finished(tmp_path / "finished"), "checkpoints": begun(tmp_path / "begun"), **caches(tmp_path / "caches")}
    assert sum(kind.flips for kind in kinds.values()) == 20_000
    rng, bad = random.Random(0), []
    for name, kind in kinds.items():
        counts: collections.Counter[str] = collections.Counter()
        written = {path: kind.read(path) for path in kind.paths}
        contents = {path: path.read_bytes() for path in kind.paths if path.stat().st_size}
        for _ in range(kind.flips):
            path = rng.choice(list(contents))
            bit, flipped = rng.randrange(8 * len(contents[path])), bytearray(contents[path])
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            outcome = "the same"
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    kind.same(kind.read(path), written[path])
                except EnvironmentFault as error:
                    outcome = "refused in a line" if "\n" not in str(error) else "TRACEBACK"
                except AssertionError:
                    outcome = "warned of" if told else "SILENT"
                except Exception as error:
                    outcome = f"TRACEBACK {type(error).__name__}"
            counts[outcome] += 1
            bad += [(name, path, bit, outcome)] if outcome.isupper() or "TRACE" in outcome else []
            path.write_bytes(contents[path])
        print(f"{name}: {len(contents)} files, {dict(counts)}")
    assert not bad
