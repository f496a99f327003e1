"""Data that are no pictures: what labels and columns are taken for, how they are split, and what is refused."""

import numpy as np
import pytest

import jaxopt_study as js
from jaxopt_study.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = np.arange(40) % 4
FIRST = np.arange(40) == 0
TOKENS = RNG.integers(0, 6, (40, 9))


def test_a_split_is_of_every_class_alike_and_told(capsys):
    data, again, other = (js.arrays(X, Y, split_seed=seed) for seed in (0, 0, 1))
    assert np.bincount(data.val_labels).tolist() == [2, 2, 2, 2]
    assert np.bincount(data.train_labels).tolist() == [8, 8, 8, 8]
    whole = np.concatenate([data.train_images, data.val_images])
    assert sorted(map(tuple, whole.tolist())) == sorted(map(tuple, X.tolist()))
    assert data.fingerprint == again.fingerprint != other.fingerprint
    line = "arrays: split into 32 training and 8 validation examples, of every class alike, by split_seed 0; "
    assert capsys.readouterr().err.startswith(f"{line}labels are 4 classes, 0 to 3\n")


def test_data_with_a_validation_part_are_what_they_always_were(capsys):
    data = js.arrays(
        np.arange(24, dtype=np.uint8).reshape(6, 4), [0, 1, 2, 0, 1, 2], np.ones((3, 4), np.uint8), [0, 1, 2]
    )
    assert data.fingerprint == "f752f1277f81bdc78118c172ea3d5009d2e6055fece956338c3260f94fcc7c16"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("labels", "task", "classes", "told"),
    [
        (np.array(["b", "a", "d", "c"])[Y], "", ("a", "b", "c", "d"), "labels are 4 classes, a to d"),
        (np.eye(4, dtype=int)[Y], "", ("0", "1", "2", "3"), "labels are 4 classes, 0 to 3"),
        ((X > 0).astype(int), "multi_label", ("0", "1", "2"), "labels are rows of 3, each 0 or 1 by itself: 0 to 2"),
        (Y[:, None], "", ("0", "1", "2", "3"), "labels are 4 classes, 0 to 3"),
        (X[:, 0], "", (), "labels are numbers to predict, 1 an example"),
        (X.astype(np.float64), "", (), "labels are numbers to predict, 3 an example"),
        ({"a": X[:, 0], "b": Y}, "", (), "labels ['a'], ['b'], for a loss of your own"),
    ],
)
def test_labels_are_taken_for_what_their_type_tells_and_it_is_said(labels, task, classes, told, capsys):
    data = js.arrays(X, labels)
    assert (data.task, data.classes) == (task, classes)
    assert told in capsys.readouterr().err


def test_text_and_one_hot_labels_are_the_classes_of_the_whole_numbers():
    plain = js.arrays(X, Y)
    for labels in (np.array(["a", "b", "c", "d"])[Y], np.eye(4, dtype=bool)[Y]):
        np.testing.assert_array_equal(js.arrays(X, labels).train_labels, plain.train_labels)
    text = np.array(["a", "b", "c", "d"])[Y]
    np.testing.assert_array_equal(js.arrays(X, text, X, text, classes=["d", "c", "b", "a"]).train_labels, 3 - Y)


def test_whole_numbers_of_tokens_are_sequences_and_what_is_no_pixel_stays_whole():
    data = js.arrays(TOKENS[:, :-1], TOKENS[:, 1:])
    assert (data.task, len(data.classes), data.train_images.dtype) == ("sequences", 6, np.int32)
    assert js.arrays(TOKENS[:, :-1], TOKENS[:, 1:] % 2).task == "sequences"
    assert js.arrays(X[:, None], Y).train_images.dtype == np.float32
    assert js.arrays(TOKENS.astype(np.uint8), Y).train_images.dtype == np.uint8


def test_classes_as_floats_are_numbers_with_a_warning_and_classes_where_it_is_said():
    with pytest.warns(UserWarning, match=r"labels are floats, taken as numbers to predict; .*astype\(int\)"):
        assert js.arrays(X, (Y % 2).astype(float)).classes == ()
    with pytest.warns(UserWarning, match="one-hot rows of floats, taken as numbers"):
        js.arrays(X, np.eye(4)[Y])
    assert js.arrays(X, (Y % 2).astype(float), task="classes").classes == ("0", "1")
    assert js.arrays(X, Y, task="numbers").classes == ()
    with pytest.warns(
        UserWarning, match="labels are from 1 to 4, and classes from 0: labels - 1 would be; no training"
    ):
        js.arrays(X, Y + 1)


def test_several_inputs_are_a_tree_with_examples_of_one_number():
    data = js.arrays({"x": X, "kind": Y, "more": (X, TOKENS)}, Y)
    assert {name: data.train_images[name].shape for name in ("x", "kind")} == {"x": (32, 3), "kind": (32,)}
    assert [each.shape for each in data.val_images["more"]] == [(8, 3), (8, 9)]
    order = [np.flatnonzero((row == X).all(1))[0] for row in data.train_images["x"]]
    np.testing.assert_array_equal(data.train_images["kind"], Y[order])
    np.testing.assert_array_equal(data.train_images["more"][1], TOKENS[order])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((X, Y, X), "val_labels=None: allowed are val_inputs and val_labels together, or neither"),
        ((X, Y[:-1]), "labels=shape (39,): allowed are 40 labels: ints or text [40], or floats"),
        ((X[:, 0], Y), "inputs=shape (40,): allowed are examples [N, ..]"),
        (
            ({"a": X, "b": Y[:-1]}, Y),
            "inputs['b']=shape (39,): allowed are arrays of as many examples as inputs['a'], [40]",
        ),
        (({"a": X}, Y, {"b": X}, Y), "val_inputs=['b']: allowed are arrays as in inputs: ['a']"),
        (([["a", "b"]] * 40, Y), "inputs=an array of <U1: allowed is an array of numbers; of text js.frame"),
        (
            (X, TOKENS),
            "labels=int64 [N, 9] of 0 to 5: whole numbers [N, O] are classes at every place of inputs [N, T, ..]",
        ),
        (
            (X, np.arange(40)),
            "labels=40 examples, each of a class of its own: allowed are two or more of a class, or a validation "
            'part, or task="numbers"',
        ),
        ((X[:1], X[:1, 0]), "labels=1 example: allowed are two or more, or a validation part"),
        ((X, ["a"] * 40), "labels=one class: allowed are labels of at least two classes"),
        ((X, Y, X, list("abcd") * 10), "labels=int64 [40]: allowed is text [N] in both parts"),
        (([[1], [1, 2]], Y), "inputs=list: allowed is an array of numbers"),
    ],
)
def test_what_cannot_be_taken_is_one_line_that_says_what_can(arguments, told):
    with pytest.raises(InputError) as refused:
        js.arrays(*arguments)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weights": X}, "weights=[40, 3] of"),
        ({"weights": -np.ones(40)}, "weights=[40] of -1 to -1: allowed are numbers from 0, some above, [40]"),
        ({"weights": FIRST}, "weights=all 0 in the validation part of split_seed 0: allowed are some above"),
        ({"weights": FIRST, "split_seed": 2}, "weights=all 0 in the training part of split_seed 2: allowed are some"),
        ({"task": "class"}, "task=class: allowed are classes, multi_label, sequences, numbers"),
        ({"task": "sequences"}, "labels=int64 [40]: allowed for the task sequences is [N, T]"),
        ({"val_share": 1}, "val_share=1: allowed is a number above 0 and below 1"),
        ({"split_seed": "a"}, "split_seed='a': allowed is a whole number from 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, told):
    with pytest.raises(InputError) as refused:
        js.arrays(X, Y, **options)
    assert str(refused.value).startswith(told)


def frames():
    columns = {"size": X[:, 0], "color": np.array(["red", "blue"])[Y % 2], "rooms": Y, "price": X[:, 1]}
    return [(name, pytest.importorskip(name).DataFrame(columns)) for name in ("pandas", "polars")]


def test_a_frame_gives_its_numbers_as_one_input_and_each_column_of_text_as_codes(capsys):
    made = [js.frame(table, "price") for _, table in frames()]
    assert made[0].fingerprint == made[1].fingerprint
    assert made[0].train_images["numbers"].shape == (32, 2)
    np.testing.assert_array_equal(made[0].train_images["color"], 1 - made[0].train_images["numbers"][:, 1] % 2)
    assert "frame: columns of categories, as their codes: color (2)" in capsys.readouterr().err
    for _, table in frames():
        assert js.frame(table, "color", inputs=["size", "rooms"]).classes == ("blue", "red")
        assert js.frame(table, ["price", "size"], val=table).train_labels.shape == (40, 2)


def test_columns_of_pandas_own_types_and_names_are_taken_for_what_they_hold(capsys):
    pandas = pytest.importorskip("pandas")
    plain = pandas.DataFrame({"size": X[:, 0], "rooms": Y + 3, "price": X[:, 1]})
    nullable = plain.astype({"size": "Float32", "rooms": "Int64"})
    assert js.frame(nullable, "price").fingerprint == js.frame(plain, "price").fingerprint
    assert js.frame(plain.set_axis([0, 1, 2], axis=1), 2).fingerprint == js.frame(plain, "price").fingerprint
    assert js.frame(plain, "price", inputs=plain.columns[:1]).train_images.shape == (32, 1)
    capsys.readouterr()
    made = js.frame(plain.astype({"rooms": "category"}), "price")
    assert f"columns of categories, as their codes: rooms ({len(set(Y))})" in capsys.readouterr().err
    assert set(made.train_images["rooms"].tolist()) == set(range(len(set(Y))))
    twice = pandas.concat([plain, plain[["size"]]], axis=1)
    for table, told in (
        (twice, "column='size': allowed are names that differ"),
        (plain.assign(rooms=[3, "three"] * 20), "column 'rooms'=values of object: allowed are numbers and text"),
        (plain.assign(rooms=pandas.Timestamp(0)), "column 'rooms'=values of datetime64"),
    ):
        with pytest.raises(InputError) as refused:
            js.frame(table, "price")
        assert str(refused.value).startswith(told)


def test_a_frame_that_cannot_be_taken_is_refused_in_a_line():
    for name, table in frames():
        for call, told in (
            (lambda table=table: js.frame(table, "prize"), "column='prize': allowed are size, color, rooms, price"),
            (lambda table=table: js.frame(table, "price", inputs=[]), "inputs=[]: allowed is at least one column"),
            (lambda: js.frame(X, "price"), "table=ndarray: allowed is a frame of pandas or polars"),
        ):
            with pytest.raises(InputError) as refused:
                call()
            assert str(refused.value).startswith(told)
        gone = pytest.importorskip(name).DataFrame({"a": [1.0, None, 2.0, 3.0], "y": [1.0, 2.0, 3.5, 4.0]})
        with pytest.raises(InputError, match="column 'a'=1 of 4 values missing: allowed are columns without"):
            js.frame(gone, "y")


class Split:
    """A split as ``datasets`` has them."""

    def __init__(self, names=None, **columns):
        self.columns, self.column_names = columns, list(columns)
        self.features = {name: type("Feature", (), {"names": names if name == "label" else None})() for name in columns}

    def __getitem__(self, name):
        return self.columns[name]


def test_a_data_set_is_shown_in_a_line():
    made = js.arrays({"age": X[:, 0], "rows": X}, Y, name="mine")
    assert repr(made) == f"<mine: 32 + 8 examples of ['age'] {X.dtype}, ['rows'] {X.shape[1]} {X.dtype}; 4 classes>"
    assert repr(js.load("digits")) == "<digits: 1,438 + 359 examples of 8 x 8 x 1 uint8; 2 classes>"


def test_a_set_of_hugging_face_has_its_splits_and_names_of_classes():
    part = Split(["w", "x", "y", "z"], rows=X.tolist(), label=Y.tolist(), tokens=[[1], [1, 2]] * 20)
    data = js.hf({"train": part, "test": part}, inputs="rows", labels="label")
    assert (len(data.train_labels), len(data.val_labels), data.classes) == (40, 40, ("w", "x", "y", "z"))
    assert len(js.hf(part, inputs=["rows"], labels="label").val_images["rows"]) == 8
    for call, told in (
        (
            lambda: js.hf(part, inputs="tokens", labels="label"),
            "column 'tokens'=values of shapes (1,), (2,): allowed are",
        ),
        (lambda: js.hf(part, inputs="row", labels="label"), "column='row': allowed are rows, label, tokens"),
        (lambda: js.hf({"test": part}, inputs="rows", labels="label"), "data=splits test: allowed is one split, or"),
        (lambda: js.hf(X, inputs="rows", labels="label"), "data=ndarray: allowed is a datasets.Dataset"),
    ):
        with pytest.raises(InputError) as refused:
            call()
        assert str(refused.value).startswith(told)
