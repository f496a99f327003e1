"""What an installation brings along: the library with its data files, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel, but for what describes it, as a clean checkout gives it."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        copy = folder / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "checkout", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if ".dist-info/" not in name}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_only_the_library_is_installed(installed: set[str]) -> None:
    assert {name.split("/")[0] for name in installed} == {"jaxopt_study"}


def test_every_file_of_the_library_is_installed(installed: set[str]) -> None:
    """Templates, kernels in C++, the digits and whose they are, too."""
    assert installed == {name for name in tracked() if name.startswith("jaxopt_study/")}
    assert {Path(name).suffix for name in installed} >= {".py", ".gz", ".cc", ".h", ".j2", ".css", ".js"}
