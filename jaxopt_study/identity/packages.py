"""Which code is the user's own, and which came with Python or a package that has a version."""

import contextlib
import functools
import importlib.util
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
_STDLIB = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})


def version(module: str) -> str | None:
    """Of the package that a module belongs to, "" where it says none; None where the code is the user's own."""
    return _of_package(module.partition(".")[0])


@functools.cache
def _of_package(root: str) -> str | None:
    if root in ("", "__main__", "__mp_main__"):
        return None
    if root == "jaxopt_study":  # its settings.RESULTS_VERSION speaks for it
        return ""
    place = _place(root)
    if root in sys.stdlib_module_names and (not place.endswith(".py") or place.startswith(_STDLIB)):
        return ""
    if not place or not _is_installed(root, place):
        return None
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(root)
    said = getattr(sys.modules.get(root), "__version__", None)
    names = metadata.packages_distributions().get(root, ()) if said is None else ()
    return str(said) if said is not None else " ".join(sorted(f"{name} {metadata.version(name)}" for name in names))


def _place(root: str) -> str:
    """The file or folder of a module or package; empty where there is none."""
    module = sys.modules.get(root)
    if module is not None:
        return str(getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), ""))
    with contextlib.suppress(ImportError, ValueError):
        if spec := importlib.util.find_spec(root):
            return spec.origin or next(iter(spec.submodule_search_locations or ()), "")
    return ""


def _is_installed(root: str, place: str) -> bool:
    """Whether pip or the like put it there; not a checkout, installed in place or not, which its user may edit."""
    path = Path(place)
    if {"site-packages", "dist-packages"} & set(path.parts) or place.startswith(_INSTALLED):
        return True
    folder = next((above.parent for above in path.parents if above.name == root), path.parent)
    listed = (found.read_text("RECORD") or "" for found in metadata.distributions(path=[str(folder)]))
    return any(line.startswith((f"{root}/", f"{root}.")) for text in listed for line in text.splitlines())
