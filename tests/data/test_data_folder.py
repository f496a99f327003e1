import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from loading import load_quietly, refusal
from PIL import Image

from jaxopt_study.data import Dataset

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten red squares and five blue ones."""
    root = tmp_path / "photos"
    for name, colour, count in (("red", RED, 10), ("blue", BLUE, 5)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (20 + i, 10), colour).save(root / name / f"{i}.png")
    return root


def _load(root: Path, **options: object) -> Dataset:
    return load_quietly(f"folder:{root}", root.parent / "cache", **{"image_size": 4, **options})


def _refusal(root: Path, **options: object) -> str:
    return refusal(f"folder:{root}", root.parent / "cache", **{"image_size": 4, **options})


def test_labels_belong_to_their_pictures(photos: Path) -> None:
    data = _load(photos)
    assert data.classes == ("blue", "red")
    assert data.train_images.shape == (12, 4, 4, 3)
    assert np.bincount(data.train_labels).tolist() == [4, 8]
    assert np.bincount(data.val_labels).tolist() == [1, 2]
    for images, labels in ((data.train_images, data.train_labels), (data.val_images, data.val_labels)):
        for image, label in zip(images, labels, strict=True):
            assert (image == (BLUE, RED)[label]).all()


def test_without_a_size_the_articles_is_taken(photos: Path) -> None:
    assert _load(photos, image_size=None).train_images.shape[1:] == (128, 128, 3)


def test_suffixes_in_any_case_count_and_other_files_do_not(photos: Path) -> None:
    picture = Image.new("RGB", (9, 9), GREEN)
    (photos / "green").mkdir()
    picture.save(photos / "green" / "a.JPG", "JPEG")
    picture.save(photos / "green" / "b.jpeg", "JPEG")
    picture.save(photos / "green" / "c.Png", "PNG")
    picture.save(photos / "green" / ".hidden.png")
    (photos / "green" / "notes.txt").write_text("no picture")
    (photos / ".git").mkdir()
    (photos / "green" / "README").write_text("no picture")
    picture.save(photos / "beside.png")
    with pytest.warns(UserWarning, match=r"photos: 3 files are left out: \.png 1, \.txt 1, no suffix 1$"):
        data = _load(photos)
    assert data.classes == ("blue", "green", "red")
    assert len(data.train_labels) + len(data.val_labels) == 18


def test_every_kind_of_picture_becomes_eight_bit_rgb(photos: Path) -> None:
    (photos / "grey").mkdir()
    Image.new("L", (9, 9), 128).save(photos / "grey" / "l.png")
    Image.new("RGBA", (9, 9), (128, 128, 128, 3)).save(photos / "grey" / "rgba.png")
    Image.new("RGB", (9, 9), (128, 128, 128)).quantize(2).save(photos / "grey" / "p.png")
    Image.new("CMYK", (9, 9), (0, 0, 0, 127)).save(photos / "grey" / "cmyk.jpg")
    Image.fromarray(np.full((9, 9), 128 * 256 + 77, np.uint16)).save(photos / "grey" / "sixteen.png")
    data = _load(photos, classes=("grey", "red"))
    greys = np.concatenate([data.train_images[data.train_labels == 0], data.val_images[data.val_labels == 0]])
    assert greys.shape == (5, 4, 4, 3)
    assert np.abs(greys.astype(int) - 128).max() <= 5


WRITABLE = [".webp", ".bmp", ".gif", ".tiff", ".jfif", ".ppm", *({".avif"} & Image.registered_extensions().keys())]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_what_pillow_reads_is_read_and_subfolders_of_a_class_too(photos: Path, suffix: str) -> None:
    deep = photos / "red" / "dark" / "wine"
    deep.mkdir(parents=True)
    (deep / "again").symlink_to(photos / "red")  # a circle
    linked = photos.parent / "linked"
    linked.mkdir()
    (deep / "linked").symlink_to(linked)
    for i in range(5):
        Image.new("RGB", (9, 9), RED).save((deep, linked)[i % 2] / f"{i}{suffix}")
    data = _load(photos)
    reds = np.concatenate([data.train_images[data.train_labels == 1], data.val_images[data.val_labels == 1]])
    assert len(reds) == 15
    assert np.abs(reds.astype(int) - RED).max() <= 5


def test_pictures_that_would_fill_the_memory_are_refused_by_name_before_they_are_decoded(photos: Path) -> None:
    for name, side in (("a", 13_300), ("b", 9_460), ("c", 20_000)):
        head = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 1, 0, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\3\0IDAT" + b"\0" * 999
        (photos / "red" / f"{name}.png").write_bytes(png)
    refused = _refusal(photos)
    assert "cannot read 3 of 18 pictures" in refused
    assert all(f"{name}.png (more than" in refused for name in "abc")
    assert "pixels" in refused


def test_all_that_is_broken_is_named_at_once(photos: Path) -> None:
    for i in range(12):
        (photos / "blue" / f"broken{i:02}.gif").write_bytes(b"no picture")
    refused = _refusal(photos)
    assert "cannot read 12 of 27 pictures" in refused
    assert "broken09.gif (not an image) and 2 more" in refused


def test_what_is_broken_is_left_out_where_that_is_asked_for(photos: Path) -> None:
    whole = _load(photos, leave_out_broken=True)
    assert whole.left_out == ()
    assert whole.fingerprint == _load(photos).fingerprint
    (photos / "blue" / "a.gif").write_bytes(b"no picture")
    (photos / "red" / "4.png").write_bytes((photos / "red" / "4.png").read_bytes()[:45])
    for _ in range(2):  # decoded, and from the cache
        with pytest.warns(
            UserWarning, match=r"2 of 16 pictures cannot be read and are left out: blue/a\.gif, red/4\.png$"
        ):
            data = _load(photos, leave_out_broken=True)
        assert data.left_out == ("blue/a.gif", "red/4.png")
        images, labels = (
            np.concatenate(parts)
            for parts in ((data.train_images, data.val_images), (data.train_labels, data.val_labels))
        )
        assert np.bincount(labels).tolist() == [5, 9]
        assert (np.abs(images[labels == 1].astype(int) - RED) <= 5).all()
    assert "cannot read 2 of 16 pictures" in _refusal(photos)  # still, without being asked
    (photos / "blue" / "a.gif").unlink()
    (photos / "red" / "4.png").unlink()
    assert _load(photos).fingerprint != data.fingerprint


def test_a_class_of_which_too_little_is_left_is_refused(photos: Path) -> None:
    for file in sorted((photos / "blue").iterdir())[1:]:
        file.write_bytes(b"no picture")
    refused = _refusal(photos, leave_out_broken=True)
    assert "class 'blue' has one picture, at least two are needed to split it; cannot read 4 of 15 pictures" in refused


@pytest.mark.parametrize(("first", "second"), [("train", "val"), ("Training", "TEST"), ("train", "validation")])
def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path: Path, first: str, second: str) -> None:
    for part in (first, second):
        for colour in ("red", "blue"):
            (tmp_path / "set" / part / colour).mkdir(parents=True)
    for asked in ({}, {"classes": ("red", "blue")}):
        assert f"{first} and {second} are parts of a data set and no classes" in _refusal(tmp_path / "set", **asked)
        assert f"such as folder:{tmp_path / 'set' / first}" in _refusal(tmp_path / "set", **asked)


def test_a_class_whose_name_is_not_utf_8_is_refused_and_such_a_file_is_read(photos: Path) -> None:
    (photos / "red" / "0.png").rename(photos / "red" / "caf\udce9.png")
    assert len(_load(photos).train_labels) == 12
    (photos / "red").rename(photos / "roug\udce9")
    assert "class 'roug\\udce9' has a name that is not UTF-8" in _refusal(photos)


def test_the_orientation_mark_of_a_camera_is_obeyed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "turned" / name).mkdir(parents=True)
        lying = np.zeros((8, 8), np.uint8)
        lying[:, :4] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise by a quarter
        for i in range(2):
            Image.fromarray(lying).save(tmp_path / "turned" / name / f"{i}.png", exif=exif)
    upright = _load(tmp_path / "turned", image_size=8).train_images[0, :, :, 0]
    assert (upright[:4] == 255).all()
    assert (upright[4:] == 0).all()


def test_only_the_chosen_classes_are_read(photos: Path) -> None:
    (photos / "broken").mkdir()
    (photos / "broken" / "x.png").write_bytes(b"no picture")
    data = _load(photos, classes=("red", "blue"))
    assert data.classes == ("red", "blue")
    assert np.bincount(data.train_labels).tolist() == [8, 4]


def test_the_fingerprint_does_not_depend_on_where_the_folder_lies_or_when_it_was_written(photos: Path) -> None:
    before = _load(photos).fingerprint
    moved = photos.rename(photos.with_name("moved"))
    os.utime(moved / "red" / "0.png", ns=(1, 1))
    assert _load(moved).fingerprint == before


def test_a_changed_picture_is_never_served_from_the_cache(photos: Path) -> None:
    file = photos / "red" / "3.png"
    Image.new("RGB", (23, 10), RED).save(file, compress_level=0)
    before, size = _load(photos), file.stat().st_size
    Image.new("RGB", (23, 10), GREEN).save(file, compress_level=0)
    os.utime(file, ns=(2, 2))  # however coarse the clock of the file system
    assert file.stat().st_size == size, "the picture must not be told apart by its size"
    after = _load(photos)
    assert not (before.train_images == GREEN).all(axis=(1, 2, 3)).any()
    everything = np.concatenate([after.train_images, after.val_images])
    assert (everything == GREEN).all(axis=(1, 2, 3)).sum() == 1
    assert after.fingerprint != before.fingerprint


def test_a_new_picture_is_seen(photos: Path) -> None:
    _load(photos)
    Image.new("RGB", (5, 5), RED).save(photos / "red" / "new.png")
    data = _load(photos)
    assert len(data.train_labels) + len(data.val_labels) == 16


def test_missing_folder(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "none") == (
        f"dataset=folder:{tmp_path / 'none'}: must be an existing folder with one subfolder a class"
    )


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "must hold at least two subfolders, one a class; found none" in _refusal(tmp_path / "empty")


def test_one_class_only(tmp_path: Path) -> None:
    (tmp_path / "single" / "cat").mkdir(parents=True)
    assert "at least two subfolders, one a class; found one only, 'cat'" in _refusal(tmp_path / "single")


def test_class_without_pictures(photos: Path) -> None:
    (photos / "void").mkdir()
    assert "class 'void' has no picture" in _refusal(photos)


def test_class_too_small_to_split(photos: Path) -> None:
    (photos / "lonely").mkdir()
    Image.new("RGB", (5, 5), RED).save(photos / "lonely" / "1.png")
    assert "class 'lonely' has one picture, at least two are needed to split it" in _refusal(photos)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\nbut no more", b"cut"])
def test_unreadable_picture_is_named_and_nothing_is_left(photos: Path, content: bytes) -> None:
    file = photos / "red" / "7.png"
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:1500] if content == b"cut" else content)
    refused = rf"folder:{photos}: cannot read 1 of 15 pictures \(leave_out_broken leaves them out\): {file} \(.+\)$"
    assert re.search(refused, _refusal(photos))
    assert list((photos.parent / "cache").iterdir()) == []


def test_unknown_class(photos: Path) -> None:
    assert _refusal(photos, classes=("red", "pink")) == "classes=red,pink: no class 'pink'; there are blue, red"


def test_the_bar_goes_to_stderr_and_only_when_asked_for(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _load(photos)
    assert capfd.readouterr() == ("", "")
    _load(photos, image_size=5, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Decoding photos" in err
