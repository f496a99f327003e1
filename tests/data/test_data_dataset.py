import numpy as np
import pytest
import small

from jaxopt_study.data.dataset import (
    Dataset,
    Source,
    assemble,
    batches_of,
    digest_of,
    held_back,
    stratified_split,
)
from jaxopt_study.errors import InputError

IMAGES = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)


def _source(labels: list[int], images: np.ndarray = IMAGES, classes: tuple[str, ...] = ("a", "b", "c")) -> Source:
    indices = np.arange(10)
    return Source(images, np.array(labels, np.int32), classes, indices[:7], indices[7:], digest_of(images))


def _assemble(source: Source, train_examples: int | None = None, classes: tuple[str, ...] | None = None) -> Dataset:
    return assemble("set", source, classes=classes, train_examples=train_examples, val_examples=None)


def test_one_changed_label_pixel_or_class_name_changes_the_fingerprint() -> None:
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    brighter = IMAGES.copy()
    brighter[9] += 1
    sources = [
        _source(labels),
        _source([1, *labels[1:]]),
        _source([*labels[:-1], 1]),
        _source(labels, images=brighter),
        _source(labels, classes=("a", "b", "d")),
        _source(labels)._replace(train=np.arange(7)[::-1]),
    ]
    assert len({_assemble(source).fingerprint for source in sources}) == len(sources)


def test_a_run_of_examples_is_not_copied() -> None:
    source = _source([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    assert np.shares_memory(_assemble(source).train_images, source.images)
    scattered = _assemble(source, classes=("a", "c"))
    assert scattered.train_images.ravel().tolist() == [0, 2, 3, 5, 6]
    assert scattered.val_images.ravel().tolist() == [8, 9]


def test_two_classes_must_be_left_for_training() -> None:
    source = _source([0, 0, 0, 0, 0, 0, 0, 1, 2, 0])
    with pytest.raises(InputError, match=r"^dataset=set: the training part must hold at least two classes$"):
        _assemble(source)
    with pytest.raises(InputError, match=r"^train_examples=2: must leave at least two classes in the training part$"):
        _assemble(_source([0, 0, 0, 1, 2, 0, 1, 1, 2, 0]), train_examples=2)


def test_something_must_be_left_for_validation() -> None:
    with pytest.raises(InputError, match=r"^dataset=set: no example of the chosen classes is left for validation$"):
        _assemble(_source([0, 1, 0, 1, 0, 1, 0, 2, 2, 2]), classes=("a", "b"))


def test_long_lists_of_classes_are_cut_in_messages() -> None:
    source = _source([0] * 10, classes=tuple(f"c{i}" for i in range(100)))
    with pytest.raises(InputError, match=r"^classes=x,c1: no class 'x'; there are c0, .*, c11 and 88 more$"):
        _assemble(source, classes=("x", "c1"))


def test_every_example_is_in_one_part_and_every_class_in_both() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), [50, 10, 2])
    train, val = stratified_split(labels, 0)
    assert sorted([*train, *val]) == list(range(62))
    assert np.bincount(labels[train]).tolist() == [40, 8, 1]
    assert np.bincount(labels[val]).tolist() == [10, 2, 1]


def test_what_is_held_back_is_a_share_of_every_class_and_fixed_by_the_labels() -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(4, dtype=np.int32), [40, 10, 2, 1]))
    kept, held = held_back(labels, 0.25)
    assert sorted([*kept, *held]) == list(range(53))
    assert np.bincount(labels[held]).tolist() == [10, 2, 1]  # a class of one is left to validate with
    assert all(map(np.array_equal, (kept, held), held_back(labels, 0.25)))
    assert set(held) < set(held_back(labels, 0.5)[1])
    assert np.bincount(labels[held_back(labels, 0.99)[0]]).tolist() == [1, 1, 1, 1]


def test_of_numbers_a_share_of_all_is_held_back() -> None:
    kept, held = held_back(np.linspace(0, 1, 10, dtype=np.float32)[:, None], 0.3)
    assert (len(kept), len(held)) == (7, 3)


@pytest.mark.parametrize("labels", [np.arange(3, dtype=np.int32), np.zeros(1, np.float32)])
def test_nothing_is_held_back_of_which_there_is_one(labels: np.ndarray) -> None:
    with pytest.raises(
        InputError, match=rf"test_share.*0.5.*no class has two of the {len(labels)} validation examples"
    ):
        held_back(labels, 0.5)


def test_what_is_held_back_and_what_is_not_count_for_something() -> None:
    labels = np.repeat(np.arange(2, dtype=np.int32), 4)
    kept, held = held_back(labels, 0.5)
    for part in (kept, held):
        with pytest.raises(InputError, match=r"test_share=0\.5: .*weights are all 0 in one of its two parts"):
            held_back(labels, 0.5, np.isin(np.arange(8), part).astype(np.float32))
    held_back(labels, 0.5, np.ones(8, np.float32))


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


def test_batches_hold_every_example_once_and_pad_with_weight_zero() -> None:
    data = small.dataset(train=70, val=21)
    batches = batches_of(data, batch_size=16, val_batch_size=8, seed=3)
    seen = np.concatenate([batches.train[0].reshape(64, -1), batches.rest[0].reshape(6, -1)])
    assert batches.train[0].shape == (4, 16, 4, 4, 1)
    assert sorted(map(bytes, seen)) == sorted(map(bytes, data.train_images.reshape(70, -1)))
    assert batches.val[2].sum() == 21
    np.testing.assert_array_equal(batches.val[0].reshape(24, -1)[:21], data.val_images.reshape(21, -1))
    again = batches_of(data, batch_size=16, val_batch_size=8, seed=4)
    assert not np.array_equal(batches.train[0], again.train[0])


def test_the_first_steps_hold_the_first_examples_and_the_same_share_of_the_validation_part() -> None:
    data = small.dataset(train=70, val=21)
    batches = batches_of(data, batch_size=16, val_batch_size=8, seed=3, steps=2)
    assert sorted(map(bytes, batches.train[0].reshape(32, -1))) == sorted(
        map(bytes, data.train_images[:32].reshape(32, -1))
    )
    assert len(batches.rest[0]) == 0
    assert batches.val[2].sum() == 10  # of 21, by 32 of 70, rounded up
