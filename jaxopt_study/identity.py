"""What a piece of a user's code is, as a hash: an edited network or rule must not be taken for the one in the store."""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import inspect
import re
import sys
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from importlib import metadata
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})


def identity(*values: object) -> str:
    """20 hex digits that differ where the code or the data of the values differs.

    Functions and classes count by their source without comments, and with them whatever functions, classes and
    constants of the user's they name; where there is no source (a lambda, a prompt) by their bytecode. What comes from
    an installed package counts by its name and the package's version. Objects count by their attributes.
    """
    seen: dict[int, object] = {}
    text = "\n".join(part for value in values for part in _parts(value, seen))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _parts(value: object, seen: dict[int, object]) -> Iterator[str]:
    value = inspect.unwrap(value) if isinstance(value, FunctionType) else value
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield repr(value)
    elif id(value) in seen:
        yield f"again {type(value).__name__}"
    else:
        seen[id(value)] = value  # kept, or its address might be given to another
        yield from _compound(value, seen)


def _compound(value: Any, seen: dict[int, object]) -> Iterator[str]:
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"key {key!r}"
            yield from _parts(item, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        yield f"{type(value).__name__} of {len(value)}"
        for item in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            yield from _parts(item, seen)
    elif isinstance(value, functools.partial):
        yield from _parts((value.func, value.args, value.keywords), seen)
    elif isinstance(value, MethodType):
        yield from _parts((value.__func__, value.__self__), seen)
    elif isinstance(value, type | FunctionType) or not hasattr(value, "__dict__"):
        yield from _code(value, seen)
    else:
        yield from _code(type(value), seen)
        yield from _parts(_attributes(value), seen)


def _attributes(value: Any) -> Mapping[str, object]:
    if dataclasses.is_dataclass(value):  # a Linen module's parent and state are no part of what it is
        names = [field.name for field in dataclasses.fields(value) if field.name != "parent"]
        return {name: getattr(value, name, None) for name in names}
    return {name: attribute for name, attribute in vars(value).items() if not name.startswith("__")}


def _code(value: Any, seen: dict[int, object]) -> Iterator[str]:
    module = getattr(value, "__module__", None) or type(value).__module__
    without_address = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    name = f"{module}.{getattr(value, '__qualname__', without_address)}"
    version = _installed_version(module)
    if version is not None:
        yield f"{name} {version}"
        return
    yield name
    if isinstance(value, type):
        yield _source(value) or ""
        for base in value.__bases__:
            yield from _parts(base, seen)
        for attribute in vars(value).values():
            inner = getattr(attribute, "__func__", getattr(attribute, "fget", attribute))
            if isinstance(inner, FunctionType):
                yield from _parts(inner, seen)
    elif isinstance(value, FunctionType):
        yield _source(value) or "\n".join(_bytecode(value.__code__))
        yield from _parts([value.__defaults__, value.__kwdefaults__], seen)
        for named in _named(value):
            yield from _parts(named, seen)


def _source(value: Any) -> str | None:
    """The source, its layout and comments apart; None where there is none of its own."""
    if getattr(value, "__name__", "") == "<lambda>":
        return None
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(value))))
    except (OSError, TypeError, SyntaxError):
        return None


def _bytecode(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bytecode(constant)
        else:
            yield repr(constant)


def _named(function: FunctionType) -> Iterator[object]:
    """What a function's code names: variables around it, globals, and members of the user's own modules."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet: a function that names itself
            yield cell.cell_contents
    names = list(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            if _installed_version(value.__name__) is None:
                yield from (vars(value)[member] for member in names if member in vars(value))
        elif name in function.__globals__:
            yield value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@functools.cache
def _installed_version(module: str) -> str | None:
    """Of the package that a module belongs to, "" where it says none; None where the code is the user's own."""
    root = module.partition(".")[0]
    if root == "jaxopt_study":  # its settings.RESULTS_VERSION speaks for it
        return ""
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    if root not in sys.stdlib_module_names and not file.startswith(_INSTALLED):
        return None
    try:
        return metadata.version(root)
    except metadata.PackageNotFoundError:
        return ""
