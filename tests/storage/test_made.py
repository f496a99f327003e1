"""What is made takes its place as one, and nothing of somebody else's is replaced or removed."""

from pathlib import Path

import pytest

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.files import write_text
from jaxopt_study.storage import made


def put(folder: Path, *names: str, text: str = "made", whole: tuple[str, ...] = ("figures/*",)) -> None:
    with made.into(folder, whole=whole) as building:
        for name in names:
            write_text(building / name, text)


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != made.NOTE]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_what_is_not_made_any_more_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    put(folder, "a.csv", "figures/fig01_a.png", "figures/fig02_b.png", "figures/fig03_c.png", "figures/deep/d.png")
    (folder / "figures" / "fig01_teaser.png").write_text("mine")
    (folder / "figures" / "fig03_c.png").write_text("mine now")
    put(folder, "b.csv", "figures/fig01_a.png", text="again")
    mine = {"figures/fig01_teaser.png": "mine", "figures/fig03_c.png": "mine now"}
    assert contents(folder) == {"a.csv": "made", "b.csv": "again", "figures/fig01_a.png": "again", **mine}
    assert not (folder / "figures" / "deep").exists()
    assert made.note(folder).keys() == {"a.csv", "b.csv", "figures/fig01_a.png"}


@pytest.mark.parametrize("name", ["README.md", "figures", "figures/fig01_a.png", "a.csv/mine", "made.json"])
def test_a_file_of_somebody_else_in_the_way_is_named_and_nothing_changes(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "mine")
    with pytest.raises(EnvironmentFault, match=rf"{tmp_path}.*{name.split('/')[0]}.*: move it, or choose another"):
        put(tmp_path, "README.md", "a.csv", "figures/fig01_a.png")
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("begun", [True, False])
def test_what_fails_on_the_way_leaves_the_folder_as_it_was(begun: bool, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    if begun:
        put(folder, "a.csv")

    def fail() -> None:
        with made.into(folder) as building:
            write_text(building / "a.csv", "half")
            raise OSError(28, "No space left on device")

    with pytest.raises(EnvironmentFault, match=f"cannot write {folder}: the disk is full"):
        fail()
    assert contents(tmp_path) == ({"new/folder/a.csv": "made"} if begun else {})
    assert (tmp_path / "new").exists() == begun


def test_an_error_names_the_folder_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=f"^cannot write {tmp_path}/a/b:"):
        put(tmp_path, "a", "a/b")


def test_what_an_earlier_version_made_is_known_by_its_page(tmp_path: Path) -> None:
    page, readme = '<a class="skip" href="#answer">Skip to the answer</a>', "by `python -m experiments.results.publish`"
    for name in ("summary.csv", "figures/fig01_teaser.png", "config.json", "paper/figures.tex", "README.md"):
        write_text(tmp_path / name, "old")
    write_text(tmp_path / "report.html", page)
    put(tmp_path, "summary.csv", "report.html", "figures/fig02_b.png")
    assert contents(tmp_path)["summary.csv"] == "made"
    assert contents(tmp_path)["figures/fig01_teaser.png"] == "old"  # whose it is nobody knows
    for name in ("config.json", "paper/figures.tex", "README.md"):
        with pytest.raises(EnvironmentFault, match=name):
            put(tmp_path, name)
    published = tmp_path / "published"
    for name in ("config.json", "runs/a.parquet", "weights/a/d/b"):
        write_text(published / name, "old")
    write_text(published / "README.md", readme)
    put(published, "README.md", "config.json", "runs/a.parquet", "weights/a/d/b")
    assert set(contents(published).values()) == {"made"}


def test_the_notes_of_a_kill_know_what_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(made.shutil, "move", killed)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "a.csv")
    monkeypatch.undo()
    write_text(tmp_path / "a.csv", "moved before the kill")
    put(tmp_path, "a.csv", "b.csv")
    assert contents(tmp_path) == {"a.csv": "made", "b.csv": "made"}
