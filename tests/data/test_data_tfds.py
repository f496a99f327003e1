"""A set of TFDS is written here by hand, in the form TFDS prepares, so neither TensorFlow nor a download is needed."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import load_quietly, refusal
from PIL import Image

from jaxopt_study.data import Dataset, pictures

COUNT = 27  # of which 80% are 21.6


def _picture(i: int, height: int = 5, width: int = 7, channels: int = 1) -> np.ndarray:
    picture = np.full((height, width, channels), 9 * i, np.uint8)
    return picture[:, :, 0] if channels == 1 else picture


def _feature(kind: str, **content: Any) -> dict[str, Any]:
    module = {"Image": "image_feature", "ClassLabel": "class_label_feature", "Text": "text_feature"}[kind]
    return {"pythonClassName": f"tensorflow_datasets.core.features.{module}.{kind}", **content}


def _image_feature(shape: Sequence[int], dtype: str = "uint8") -> dict[str, Any]:
    dimensions = {"dimensions": [str(size) for size in shape]}
    return _feature("Image", image={"dtype": dtype, "shape": dimensions, "encodingFormat": "png"})


def _write_set(
    data_dir: Path,
    *,
    version: str = "1.0.0",
    config: str = "",
    classes: Sequence[str] = ("ant", "bee", "cow"),
    features: dict[str, Any] | None = None,
    split: str = "train",
    file_format: str = "array_record",
    first: int = 0,
    broken: Collection[int] = (),
) -> Path:
    """A prepared set "tiny" of grey 5 x 7 pictures, picture i being 9 * i everywhere and of class i modulo 3."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2

    folder = data_dir / "tiny" / config / version
    folder.mkdir(parents=True)
    features = features or {
        "image": _image_feature((5, 7, 1)),
        "label": _feature("ClassLabel", classLabel={"numClasses": str(len(classes))}),
    }
    whole = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    (folder / "features.json").write_text(json.dumps(whole))
    (folder / "label.labels.txt").write_text("\n".join(classes) + "\n")
    lengths = (COUNT - 10, 10)
    for shard, length in enumerate(lengths):
        writer = ArrayRecordWriter(
            str(folder / f"tiny-{split}.{file_format}-{shard:05d}-of-00002"), "group_size:1,uncompressed"
        )
        for i in range(shard * lengths[0], shard * lengths[0] + length):
            example = tf_example_pb2.Example()
            encoded = io.BytesIO()
            Image.fromarray(_picture(first + i)).save(encoded, "PNG")
            content = f"no picture {i}".encode() if i in broken else encoded.getvalue()
            example.features.feature["image"].bytes_list.value.append(content)
            example.features.feature["label"].int64_list.value.append(i % 3)
            writer.write(example.SerializeToString())
        writer.close()
    info = {
        "name": "tiny",
        "version": version,
        "fileFormat": file_format,
        "moduleName": "nowhere.tiny",
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(length) for length in lengths],
                "numBytes": "1",
            }
        ],
    }
    (folder / "dataset_info.json").write_text(json.dumps({**info, **({"configName": config} if config else {})}))
    return folder


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "tfds"
    folder.mkdir()
    return folder


def _load(data_dir: Path, name: str = "tiny", **options: Any) -> Dataset:
    return load_quietly(f"tfds:{name}", data_dir.parent / "cache", **{"data_dir": str(data_dir), **options})


def _refusal(data_dir: Path, name: str = "tiny", **options: Any) -> str:
    return refusal(f"tfds:{name}", data_dir.parent / "cache", data_dir=str(data_dir), **options)


def test_pictures_come_in_stored_order_cut_at_eighty_percent(data_dir: Path) -> None:
    _write_set(data_dir)
    data = _load(data_dir)
    assert data.name == "tfds:tiny"
    assert data.classes == ("ant", "bee", "cow")
    assert data.train_images.shape == (22, 5, 7, 1)  # 21.6, to the nearest
    assert data.val_images.shape == (5, 5, 7, 1)
    together = np.concatenate([data.train_images, data.val_images])
    assert np.array_equal(together[:, :, :, 0], np.stack([_picture(i) for i in range(COUNT)]))
    assert np.concatenate([data.train_labels, data.val_labels]).tolist() == [i % 3 for i in range(COUNT)]


def test_size_and_classes_can_be_chosen(data_dir: Path) -> None:
    _write_set(data_dir)
    data = _load(data_dir, image_size=3, classes=("cow", "ant"), train_examples=4)
    assert data.train_images.shape == (4, 3, 3, 1)
    assert data.train_images[:, 0, 0, 0].tolist() == [0, 18, 27, 45]
    assert data.train_labels.tolist() == [1, 0, 1, 0]


def test_pictures_of_varying_size_are_resized_to_the_articles(data_dir: Path) -> None:
    features = {
        "image": _image_feature((-1, -1, 3)),
        "label": _feature("ClassLabel", classLabel={"numClasses": "3"}),
    }
    _write_set(data_dir, features=features)
    assert _load(data_dir).train_images.shape == (22, 128, 128, 3)


def test_the_second_time_tfds_is_not_even_imported(data_dir: Path) -> None:
    _write_set(data_dir)
    first = _load(data_dir)
    program = (
        "import sys; from jaxopt_study.data import load;"
        f"data = load('tfds:tiny', data_dir={str(data_dir)!r}, cache_dir={str(data_dir.parent / 'cache')!r});"
        "print(data.fingerprint, 'tensorflow_datasets' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [first.fingerprint, "False"]


def test_a_set_prepared_anew_is_never_served_from_the_cache(data_dir: Path) -> None:
    folder = _write_set(data_dir)
    before = _load(data_dir)
    shutil.rmtree(folder)
    _write_set(data_dir, first=1)
    after = _load(data_dir)
    assert before.train_images[0, 0, 0, 0] == 0
    assert after.train_images[0, 0, 0, 0] == 9
    assert before.fingerprint != after.fingerprint


def test_the_newest_version_is_read_unless_one_is_named(data_dir: Path) -> None:
    for first, version in enumerate(("9.0.0", "10.0.0", "2.0.0")):
        _write_set(data_dir, version=version, first=first)
    shutil.copytree(data_dir / "tiny" / "9.0.0", data_dir / "tiny" / "11.0.0.incompleteABC")
    assert _load(data_dir).train_images[0, 0, 0, 0] == 9
    assert _load(data_dir, "tiny:2.0.0").train_images[0, 0, 0, 0] == 18


def test_configs_are_found_and_must_be_named_where_there_are_several(data_dir: Path) -> None:
    _write_set(data_dir, config="plain")
    assert _load(data_dir).train_images[0, 0, 0, 0] == 0
    _write_set(data_dir, config="noisy", first=1)
    assert _load(data_dir, "tiny/noisy").train_images[0, 0, 0, 0] == 9
    assert _refusal(data_dir) == ("dataset=tfds:tiny: must name one of the prepared configs: tiny/noisy, tiny/plain")


def test_tfds_own_folder_is_the_default(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_set(data_dir)
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    assert len(load_quietly("tfds:tiny", data_dir.parent / "cache").train_labels) == 22


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"label": _feature("ClassLabel", classLabel={"numClasses": "3"})}, "0 Image features"),
        ({"image": _image_feature((5, 7, 1))}, "0 ClassLabel features"),
        (
            {name: _image_feature((5, 7, 1)) for name in ("image", "mask")}
            | {"label": _feature("ClassLabel", classLabel={"numClasses": "3"})},
            "2 Image features",
        ),
        (
            {
                "image": _image_feature((5, 7, 1), "uint16"),
                "label": _feature("ClassLabel", classLabel={"numClasses": "3"}),
            },
            "pictures of 1 channels of uint16",
        ),
    ],
)
def test_sets_that_are_not_for_image_classification_are_refused(
    data_dir: Path, features: dict[str, Any], reason: str
) -> None:
    _write_set(data_dir, features=features)
    assert _refusal(data_dir) == f"dataset=tfds:tiny: must be a set for image classification: it has {reason}"


def test_a_set_without_a_train_split_is_refused(data_dir: Path) -> None:
    _write_set(data_dir, split="test")
    assert _refusal(data_dir).endswith("it has no train split")


def test_an_unknown_class_is_refused_before_anything_is_decoded(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_set(data_dir)
    monkeypatch.setattr(pictures, "in_threads", lambda *_, **__: pytest.fail("decoded"))
    assert _refusal(data_dir, classes=("ant", "elk")) == "classes=ant,elk: no class 'elk'; there are ant, bee, cow"


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "tiny-train.array_record-00001-of-00002"])
@pytest.mark.parametrize("damage", ["cut", "garbled", "gone"])
def test_damaged_files_are_refused_in_one_line(data_dir: Path, name: str, damage: str) -> None:
    file = _write_set(data_dir) / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else bytes(len(content)))
    message = _refusal(data_dir)
    if name == "dataset_info.json" and damage == "gone":
        assert "no such set in TFDS and none prepared" in message
    else:
        assert re.match(rf"data_dir={file.parent}: holds damaged data, delete it and prepare it again \(", message)
    cache = data_dir.parent / "cache"
    assert not cache.exists() or list(cache.iterdir()) == []


BROKEN = (2, 3, 20, 25)


@pytest.fixture
def broken_set(data_dir: Path) -> Path:
    """Four records are no pictures, and one of them is not even a record: its bytes are not what was written."""
    folder = _write_set(data_dir, broken=BROKEN)
    shard = folder / "tiny-train.array_record-00001-of-00002"
    content = shard.read_bytes()
    at = content.index(b"no picture 25")
    shard.write_bytes(content[:at] + b"NO" + content[at + 2 :])
    return data_dir


def test_all_that_is_broken_is_named_at_once(broken_set: Path) -> None:
    refused = _refusal(broken_set)
    assert "holds damaged data, delete it and prepare it again (cannot read 4 of 27 pictures (leave_out" in refused
    assert re.search(r"records 2 to 3 \(not an image\), record 20 \(not an image\), record 25 \(.+\)", refused)


def test_what_is_broken_is_left_out_where_that_is_asked_for(broken_set: Path) -> None:
    for _ in range(2):  # decoded, and from the cache
        with pytest.warns(
            UserWarning, match=r"4 of 27 pictures cannot be .*: record 2, record 3, record 20, record 25$"
        ):
            data = _load(broken_set, leave_out_broken=True)
        assert data.left_out == tuple(f"record {i}" for i in BROKEN)
        whole = [i for i in range(COUNT) if i not in BROKEN]
        train, val = [i for i in whole if i < 22], [i for i in whole if i >= 22]
        assert (data.train_images[:, 0, 0, 0] // 9).tolist() == train
        assert data.train_labels.tolist() == [i % 3 for i in train]
        assert (data.val_images[:, 0, 0, 0] // 9).tolist() == val
        assert data.val_labels.tolist() == [i % 3 for i in val]


def test_a_set_of_which_nothing_is_left_is_refused(data_dir: Path) -> None:
    _write_set(data_dir, broken=range(COUNT))
    assert "cannot read 27 of 27 pictures" in _refusal(data_dir, leave_out_broken=True)


def test_a_set_in_another_format_is_refused(data_dir: Path) -> None:
    folder = _write_set(data_dir, file_format="tfrecord")
    assert _refusal(data_dir) == (
        f"data_dir={folder}: is prepared as tfrecord, array_record is needed: prepare tiny in another folder"
    )


def test_unprepared_without_tensorflow_names_the_two_commands(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_tensorflow(monkeypatch)
    assert _refusal(data_dir, "cats_vs_dogs") == (
        f"tfds:cats_vs_dogs is not prepared in {data_dir} and preparing it takes TensorFlow: "
        'run  pip install "jaxopt-study[prepare]"  and then this same command again'
    )
    assert list(data_dir.iterdir()) == []


def test_unknown_name_suggests_close_ones(data_dir: Path) -> None:
    assert _refusal(data_dir, "cats_vs_dogz") == (
        f"dataset=tfds:cats_vs_dogz: no such set in TFDS and none prepared in {data_dir}; did you mean cats_vs_dogs?"
    )
    assert "see tensorflow.org/datasets" in _refusal(data_dir, "qqqqqqqqqqq")
    assert "tfds:NAME, tfds:NAME/CONFIG" in _refusal(data_dir, "../tiny")


def test_data_dir_that_is_a_file_is_refused(data_dir: Path) -> None:
    file = data_dir / "file"
    file.write_text("")
    assert _refusal(file) == f"data_dir={file}: must be a readable folder (it is a file)"


def test_where_tensorflow_is_there_an_unprepared_set_is_prepared(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = _fake_tensorflow(monkeypatch, lambda: _write_set(data_dir))
    assert len(_load(data_dir).train_labels) == 22
    assert builder == [("tiny", data_dir, "array_record")]
    _load(data_dir)
    assert len(builder) == 1


def test_a_failed_download_is_a_fault_of_the_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionError("no route\nto host")

    _fake_tensorflow(monkeypatch, refuse)
    assert _refusal(data_dir) == f"tfds:tiny could not be prepared in {data_dir}: no route to host"


def test_the_photographs_load_with_the_articles_sizes(cats_vs_dogs: Path, tmp_path: Path) -> None:
    data = load_quietly("tfds:cats_vs_dogs", tmp_path, image_size=8, data_dir=str(cats_vs_dogs))
    assert data.classes == ("cat", "dog")
    assert data.train_images.shape == (18610, 8, 8, 3)
    assert data.val_images.shape == (4652, 8, 8, 3)
    assert 0.48 < data.train_labels.mean() < 0.52
    assert 0.48 < data.val_labels.mean() < 0.52


def _hide_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
    )


def _fake_tensorflow(monkeypatch: pytest.MonkeyPatch, write: Any) -> list[tuple[str, Path, str]]:
    """Makes TFDS know the set "tiny" and prepare it by calling `write`; the returned list grows with every call."""
    import importlib.util

    import tensorflow_datasets as tfds

    calls: list[tuple[str, Path, str]] = []

    class Builder:
        def __init__(self, name: str, data_dir: Path, **_: Any) -> None:
            self.asked = (name, Path(data_dir))

        def download_and_prepare(self, *, file_format: str, **_: Any) -> None:
            calls.append((*self.asked, file_format))
            write()

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: object())
    monkeypatch.setattr(tfds, "list_builders", lambda **_: ["tiny"])
    monkeypatch.setattr(tfds, "builder", Builder)
    monkeypatch.setattr(tfds, "disable_progress_bar", lambda: None)
    return calls
