import hashlib
import subprocess
import sys

import numpy as np
import pytest

from jaxopt_study.data import load
from jaxopt_study.errors import InputError

COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_all_there_with_the_right_values() -> None:
    data = load("digits", classes=("all",))
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int32
    assert data.train_images.shape == (1438, 8, 8, 1)
    assert data.val_images.shape == (359, 8, 8, 1)
    assert np.bincount(np.concatenate([data.train_labels, data.val_labels])).tolist() == COUNTS
    first = np.array([0, 0, 80, 207, 143, 16, 0, 0], np.uint8)  # of the first zero: 0 0 5 13 9 1 0 0 of 16
    assert (np.concatenate([data.train_images, data.val_images])[:, 0, :, 0] == first).all(axis=1).any()


def test_digits_are_those_of_every_earlier_release() -> None:
    """Stores name their data by this fingerprint: with another, all runs would be trained anew."""
    data = load("digits")
    parts = (data.train_images, data.train_labels, data.val_images, data.val_labels)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert digest.startswith("1642fb78d5c068d1d6f4c0474b2d4eb2")
    assert data.fingerprint == "046185ad20612e429b654780d747c16d1d2fab67b3afc4b846a7ead2b5a20a51"


def test_digits_are_even_against_odd_by_default() -> None:
    parity, ten = load("digits"), load("digits", classes=tuple("0123456789"))
    assert parity.classes == ("even", "odd")
    assert np.array_equal(parity.train_images, ten.train_images)
    assert np.array_equal(parity.train_labels, ten.train_labels % 2)
    assert np.array_equal(parity.val_labels, ten.val_labels % 2)


def test_chosen_classes_are_numbered_in_the_order_given() -> None:
    ten = load("digits", classes=("all",))
    two = load("digits", classes=("8", "3"))
    assert two.classes == ("8", "3")
    kept = np.isin(ten.train_labels, (3, 8))
    assert np.array_equal(two.train_images, ten.train_images[kept])
    assert np.array_equal(two.train_labels, np.where(ten.train_labels[kept] == 8, 0, 1))


def test_train_examples_keeps_the_first() -> None:
    whole, part = load("digits"), load("digits", train_examples=100, val_examples=30)
    assert np.array_equal(part.train_images, whole.train_images[:100])
    assert np.array_equal(part.train_labels, whole.train_labels[:100])
    assert np.array_equal(part.val_labels, whole.val_labels[:30])


def test_digits_are_resized_on_request() -> None:
    assert load("digits", image_size=12).train_images.shape == (1438, 12, 12, 1)


def test_fingerprint_tells_data_apart_and_nothing_else() -> None:
    again = load("digits")
    different = [
        load("digits"),
        load("digits", classes=("all",)),
        load("digits", classes=("3", "8")),
        load("digits", classes=("8", "3")),
        load("digits", classes=("odd", "even")),
        load("digits", image_size=9),
        load("digits", split_seed=1),
        load("digits", train_examples=1437),
        load("digits", val_examples=100),
    ]
    assert len({data.fingerprint for data in different}) == len(different)
    assert again.fingerprint == different[0].fingerprint
    assert load("digits", train_examples=1438).fingerprint == again.fingerprint
    int(again.fingerprint, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digit"}, "dataset=digit: did you mean tfds:digit? allowed are digits, tfds:NAME, folder:PATH"),
        ({"name": "tfds:"}, "dataset=tfds:: allowed are digits, tfds:NAME, folder:PATH"),
        ({"image_size": 0}, "image_size=0: allowed is a whole number from 1 to 256"),
        ({"image_size": 100_000}, "image_size=100000: allowed is a whole number from 1 to 256"),
        ({"name": "folder:x", "image_size": 100_000}, "image_size=100000: allowed is a whole number from 1 to 4096"),
        ({"image_size": 8.0}, "image_size=8.0: allowed is a whole number from 1 to 256"),
        (
            {"name": "folder:~no-such-user/x"},
            "dataset=~no-such-user/x: allowed is a path; Could not determine home directory.",
        ),
        ({"name": "folder:a\0b"}, "dataset=a\\x00b: allowed is a path in UTF-8 and without zeros"),
        ({"name": "tfds:x", "data_dir": "\udce9"}, "data_dir=\\udce9: allowed is a path in UTF-8 and without zeros"),
        ({"classes": ("3",)}, "classes=3: at least two classes of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"classes": ("even",)}, "classes=even: at least two classes of even, odd"),
        ({"classes": ()}, "classes=: at least two classes of even, odd"),
        ({"classes": ("3", "cat")}, "classes=3,cat: no class 'cat'; there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"classes": ("3", "8", "3")}, "classes=3,8,3: each class may be named once"),
        ({"train_examples": 0}, "train_examples=0: allowed is a whole number from 1 to 1438"),
        ({"train_examples": 1439}, "train_examples=1439: allowed is a whole number from 1 to 1438"),
        ({"train_examples": 1}, "train_examples=1: must leave at least two classes in the training part"),
        ({"val_examples": 360}, "val_examples=360: allowed is a whole number from 1 to 359"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(InputError) as raised:
        load(**{"name": "digits", **arguments})
    assert str(raised.value) == message


def test_digits_load_without_importing_the_slow_packages() -> None:
    program = (
        "import sys; from jaxopt_study.data import load; load('digits');"
        "print(sorted({'tensorflow_datasets', 'PIL', 'jax', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_validation_part_of_one_class_is_said() -> None:
    with pytest.warns(UserWarning, match="all 1 validation examples are of one class, (odd|even): the validation loss"):
        load("digits", val_examples=1)


def test_a_data_set_says_what_was_asked_of_it():
    asked = {"image_size": 9, "classes": ["3", "8"], "train_examples": 20, "val_examples": 8}
    loaded = load("digits", **asked)
    assert dict(loaded.asked) == asked
    assert load("digits").asked == ()
    assert load("digits", **asked).fingerprint == loaded.fingerprint
