import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxopt_study.data import load
from jaxopt_study.errors import EnvironmentFault, InputError


def test_digits_are_all_there_with_the_right_values() -> None:
    from sklearn.datasets import load_digits

    data = load("digits", classes=("all",))
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int32
    assert data.train_images.shape == (1438, 8, 8, 1)
    assert data.val_images.shape == (359, 8, 8, 1)
    values, digits = load_digits(return_X_y=True)
    ours = np.concatenate([data.train_images, data.val_images]).reshape(1797, 64)
    labels = np.concatenate([data.train_labels, data.val_labels])
    ours_rows = sorted((row.tobytes(), int(label)) for row, label in zip(ours, labels, strict=True))
    scaled = np.rint(values * 255 / 16).astype(np.uint8)
    assert ours_rows == sorted((row.tobytes(), int(label)) for row, label in zip(scaled, digits, strict=True))


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
        ({"name": "digit"}, "--dataset=digit: one of digits, tfds:NAME, folder:PATH"),
        ({"name": "tfds:"}, "--dataset=tfds:: one of digits, tfds:NAME, folder:PATH"),
        ({"image_size": 0}, "--image_size=0: a whole number of pixels, at least 1"),
        ({"classes": ("3",)}, "--classes=3: at least two classes of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"classes": ("even",)}, "--classes=even: at least two classes of even, odd"),
        ({"classes": ()}, "--classes=: at least two classes of even, odd"),
        ({"classes": ("3", "cat")}, "--classes=3,cat: no class 'cat'; there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"classes": ("3", "8", "3")}, "--classes=3,8,3: each class may be named once"),
        ({"train_examples": 0}, "--train_examples=0: a whole number from 1 to 1438"),
        ({"train_examples": 1439}, "--train_examples=1439: a whole number from 1 to 1438"),
        ({"train_examples": 1}, "--train_examples=1: must leave at least two classes in the training part"),
        ({"val_examples": 360}, "--val_examples=360: a whole number from 1 to 359"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(InputError) as raised:
        load(**{"name": "digits", **arguments})
    assert str(raised.value) == message


def test_digits_load_without_importing_the_slow_packages() -> None:
    program = (
        "import sys; from jaxopt_study.data import load; load('digits');"
        "print(sorted({'sklearn', 'tensorflow_datasets', 'PIL', 'jax', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_digits_are_found_where_scikit_learn_keeps_them_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn import datasets  # noqa: F401  (before find_spec is replaced)

    usual = load("digits")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    assert load("digits").fingerprint == usual.fingerprint


def test_digits_without_scikit_learn_are_a_fault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EnvironmentFault, match="run pip install scikit-learn"):
        load("digits")
