import numpy as np

from jaxopt_study.data.split import stratified_split


def test_every_example_is_in_one_part_and_every_class_in_both() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), [50, 10, 2])
    train, val = stratified_split(labels, 0)
    assert sorted([*train, *val]) == list(range(62))
    assert np.bincount(labels[train]).tolist() == [40, 8, 1]
    assert np.bincount(labels[val]).tolist() == [10, 2, 1]


def test_the_training_part_mixes_the_classes() -> None:
    labels = np.repeat(np.arange(2, dtype=np.int32), 100)
    train, _ = stratified_split(labels, 0)
    assert 20 < labels[train[:80]].sum() < 60


def test_the_seed_decides() -> None:
    labels = np.repeat(np.arange(2, dtype=np.int32), 100)
    first, again, other = (stratified_split(labels, seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert set(first[1]) != set(other[1])
