"""Arrays of the user's own: labels are the classes that they name, or are refused, and never others."""

import numpy as np
import pytest

from jaxopt_study.data.arrays import arrays
from jaxopt_study.data.labels import MOST_CLASSES
from jaxopt_study.data.trees import leaves
from jaxopt_study.errors import InputError

IMAGES = np.zeros((4, 2, 2, 1), np.uint8)


def of(labels, **options):
    return arrays(IMAGES, labels, IMAGES, [0, 1, 0, 1], **options)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.uint64])
def test_whole_numbers_of_every_type_are_classes(dtype):
    data = of(np.array([0, 1, 1, 0], dtype))
    assert data.train_labels.dtype == np.int32
    assert data.train_labels.tolist() == [0, 1, 1, 0]
    assert data.classes == ("0", "1")


@pytest.mark.parametrize("largest", [MOST_CLASSES, 10**9, 2**31 - 1, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64, -1])
@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_labels_that_do_not_fit_are_refused_and_never_wrapped(largest, names):
    with pytest.raises(InputError) as refused:
        of([0, 1, 1, largest], classes=names)
    assert len(str(refused.value)) < 250
    assert str(refused.value).startswith(("labels=", "classes="))


def test_floats_are_no_classes():
    with pytest.raises(InputError, match=r"labels that are floats have none; .* labels.astype\(int\)"):
        arrays(IMAGES, [0.0, 1.0, 1.0, 0.5], IMAGES, [0.0, 1.0, 1.0, 0.5], classes=["a", "b"])
    with pytest.warns(UserWarning, match="taken as numbers to predict"):
        arrays(IMAGES, [0.0, 1.0, 1.0, 0.0], IMAGES, [0.0, 1.0, 1.0, 0.0])


def test_labels_from_one_are_said_to_leave_a_class_without_an_example():
    with pytest.warns(UserWarning, match="no training example of 1 of the 4 classes 0 to 3: 0$"):
        assert len(of([1, 2, 3, 1]).classes) == 4


def test_a_validation_part_of_one_class_is_said():
    with pytest.warns(UserWarning, match="all 4 validation examples are of one class, dog: "):
        arrays(IMAGES, [0, 1, 1, 0], IMAGES, [1, 1, 1, 1], classes=["cat", "dog"])


def test_what_was_given_may_be_changed_in_place_and_the_data_set_may_not():
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 3, 1), np.uint8)
    labels = np.arange(8) % 2
    given = [{"a": images.copy(), "b": images[..., 0].copy()}, labels.copy()]
    data = arrays(*given, *given)
    for array in (given[0]["a"], given[0]["b"], given[1]):
        array[:] = 0
    np.testing.assert_array_equal(data.train_images["a"], images)
    np.testing.assert_array_equal(data.train_labels, labels)
    for split in (data, arrays(images, labels, val_share=0.5)):
        for array in (*leaves(split.train_images), *leaves(split.val_images), split.train_labels):
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0


def test_images_that_nobody_can_write_to_are_not_copied(tmp_path):
    np.save(tmp_path / "images.npy", np.ones((4, 3, 3, 1), np.uint8))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    written = np.ones((4, 3, 3, 1), np.uint8)
    view = written[:]
    view.flags.writeable = False  # another view of the same may be written to
    data = arrays(images, [0, 1, 0, 1], view, [0, 1, 0, 1])
    assert np.shares_memory(data.train_images, images)
    assert not np.shares_memory(data.val_images, written)
