"""What a piece of a user's code is, as a hash: an edited network or rule must not be taken for the one in the store."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import re
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from types import CodeType, EllipsisType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import jax
import numpy as np
from flax import linen

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.identity import named
from jaxopt_study.identity.packages import version

MOST_VALUES = 200_000
"""That may hang on a rule or a network, numbers and text apart: more is a slip, and would take seconds."""

_PLAIN = frozenset({NoneType, bool, int, float, complex, str, bytes, EllipsisType})
_ARRAYS = (np.ndarray, np.generic, jax.Array)
_CONTAINERS = (Mapping, list, tuple, set, frozenset)
_OF_ARRAYS = frozenset({*vars(np.ma.array([0])), *("_mmap", "filename", "offset", "mode")})  # NumPy's own attributes
# What differs between processes and is no part of what is computed: these count by their kind.
_BY_KIND = (
    type(threading.Lock()), type(threading.RLock()), threading.local,
    weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet,
)  # fmt: skip
_OF_A_CLASS = re.compile(  # what Python and pickle put into a class
    r"__(module|dict|weakref|doc|annot\w+|dataclass_\w+|firstlineno|static_attributes|slotnames)__"
    r"|_abc_impl|_value2member_map_|_(un)?hashable_values_\w*"
)


def identity(*values: object, of: str = "identity") -> str:
    """20 hex digits that differ where the code or the data of the values differs, and not from process to process.

    Functions and classes count by their bytecode, and with them whatever functions, classes and data they name, hold in
    a closure or have as defaults or attributes. The code of what comes with Python or from an installed package counts
    by its name and the package's version; what its closures and objects hold counts as anybody's. Objects count by
    what pickle would take of them; files by name and mode, locks and weak containers by their kind. A dict counts with
    its order, since a loop over it may say which layer comes first; one made of a set that is not sorted has another in
    every process.

    Args:
        *values: anything.
        of: what they are, for errors.

    Raises:
        InputError: something among them cannot be known again in another process, or more than ``MOST_VALUES`` hang on
            it; the message names it.
    """
    walk = _Walk()
    try:
        for value in values:
            walk.value(value)
    except Exception as error:  # a user's objects raise what they like
        why = f"it fails with {type(error).__name__}: {one_line(error)}"
        why = str(error) if isinstance(error, _Unknown) else why
        why = "it is nested too deeply" if isinstance(error, RecursionError) else why
        where = " > ".join(walk.path[:8])
        allowed = "allowed is what another process finds again: functions, numbers, text, arrays and objects of them"
        raise InputError(of, where or type(values[-1]).__name__, f"{why}; {allowed}") from error
    return walk.hash.hexdigest()[:20]


class _Unknown(Exception):
    """Something has no stable identity; says what."""


class _Walk:
    """One way through all that hangs on a value; objects are numbered as they are met, so that circles end."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.seen: dict[int, tuple[int, object]] = {}  # with the objects, or an address might be given to another
        self.path: list[str] = []
        self.left = MOST_VALUES

    def say(self, *texts: object) -> None:
        self.hash.update("".join(f"{text}\0" for text in texts).encode("utf-8", "surrogatepass"))

    def part(self, name: str, value: object) -> None:
        self.path.append(name)  # left there by an error, which it is to tell where it was
        self.say(name)
        self.value(value)
        self.path.pop()

    def value(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self.say(kind.__name__, hex(value) if kind is int else repr(value))
            return
        self.left -= 1
        if self.left < 0:
            raise _Unknown(f"more than {MOST_VALUES} values hang on it")
        if kind in (tuple, frozenset, MethodType):  # whether two equal ones are one object is chance
            self.compound(value)
        elif id(value) in self.seen:
            self.say("again", self.seen[id(value)][0])
        else:
            self.seen[id(value)] = len(self.seen), value
            self.compound(value)

    def compound(self, value: Any) -> None:
        if isinstance(value, type):
            self.class_(value)
        elif isinstance(value, FunctionType):
            self.function(value)
        elif isinstance(value, CodeType):
            self.code(value)
        elif isinstance(value, ModuleType):
            self.module(value, {name for name in vars(value) if not name.startswith("__")})
        elif isinstance(value, _ARRAYS):
            self.array(value)
        elif isinstance(value, _CONTAINERS) and not isinstance(value, _BY_KIND):
            self.value(type(value))
            if isinstance(value, Mapping):
                self.mapping(value)
            else:
                self.items(sorted(value, key=self.order) if isinstance(value, set | frozenset) else value)
            self.attributes(named.held(value))
        elif isinstance(value, MethodType):
            self.items((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self.items((type(value), value.func, value.args))
            self.attributes(vars(value))
            self.attributes(value.keywords)
        elif isinstance(value, property):
            self.items((value.fget, value.fset))
        elif isinstance(value, classmethod | staticmethod):
            self.items((type(value), value.__func__))
        elif isinstance(value, linen.Module):
            self.value(type(value))
            self.attributes({name: part for name, part in vars(value).items() if name[0] != "_" and name != "parent"})
        elif isinstance(value, weakref.ref):
            self.value(value())
        else:
            self.instance(value)

    def items(self, values: Iterable[object]) -> None:
        values = list(values)
        self.say(len(values))
        for value in values:
            self.value(value)

    def mapping(self, value: Mapping[Any, Any]) -> None:
        self.say(len(value))
        for key in value:
            self.value(key)
            self.part(str(key) if type(key) in _PLAIN else type(key).__name__, value[key])

    def order(self, value: object) -> str:
        """What a member of a set is, to sort by."""
        if type(value) in _PLAIN:
            return repr(value)
        whole, seen, self.hash, self.seen = self.hash, self.seen, hashlib.sha256(), dict(self.seen)
        self.value(value)
        found, self.hash, self.seen = self.hash.hexdigest(), whole, seen
        return found

    def attributes(self, values: Mapping[str, object]) -> None:
        self.say(len(values))
        for name in sorted(values):
            self.part(name, values[name])

    def array(self, value: Any) -> None:
        if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            self.say(value.dtype)
            value = jax.random.key_data(value)
        array = np.asarray(value)
        if not isinstance(value, jax.Array):
            self.value(type(value))
        self.say(array.dtype, array.shape, getattr(value, "weak_type", False), getattr(value, "fill_value", ""))
        if array.dtype.hasobject:
            self.value(array.tolist())
        else:
            self.hash.update(hashlib.sha256(array.tobytes()).digest())
        if version(type(value).__module__) is None and (more := named.held(value)):
            self.attributes({name: part for name, part in more.items() if name not in _OF_ARRAYS})
        if isinstance(value, np.ma.MaskedArray):
            self.array(np.ma.getmaskarray(value))

    def class_(self, value: type) -> None:
        if self.named(getattr(value, "__module__", None) or "", value.__qualname__, value) or not value.__flags__ & (
            1 << 9
        ):
            return  # the flag is that of a type that is not built in
        self.path.append(value.__qualname__)
        self.items((type(value), *value.__bases__))
        self.attributes({n: part for n, part in vars(value).items() if not _OF_A_CLASS.fullmatch(n)})
        if dataclasses.is_dataclass(value):
            self.attributes({f.name: f.default_factory for f in dataclasses.fields(value)})
        self.path.pop()

    def function(self, value: FunctionType) -> None:
        # Not value.__module__: functools.wraps gives a wrapper the name of what it wraps.
        name = value.__code__.co_qualname
        if self.named(value.__globals__.get("__name__", ""), name, value):
            return
        self.path.append(name)
        self.items((value.__defaults__,))
        self.attributes(value.__kwdefaults__ or {})
        self.attributes(vars(value))
        names = set(named.names(value.__code__))
        for variable, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not filled yet: a function that names itself
                self.member(variable, cell.cell_contents, names)
        if version(value.__globals__.get("__name__", "")) is None:
            self.code(value.__code__)
            for variable, alone in named.variables(value.__code__).items():
                if variable in value.__globals__:
                    self.member(variable, value.__globals__[variable], None if alone else names)
            for imported in named.imports(value.__code__, value.__globals__):
                self.member(imported.__name__, imported, names)
        self.path.pop()

    def code(self, code: CodeType) -> None:
        self.say(code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        self.say(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_exceptiontable.hex())
        self.items(code.co_consts)

    def member(self, name: str, value: object, names: set[str] | None) -> None:
        """Something by its name: a module by those of its members that the code names, if ``names`` are given."""
        if isinstance(value, ModuleType) and names is not None:
            self.module(value, names)
        else:
            self.part(name, value)

    def module(self, module: ModuleType, names: set[str], *above: ModuleType) -> None:
        of_package = version(module.__name__)
        self.say(module.__name__ if of_package is not None else "module", of_package)
        if of_package is None and module not in above:
            for name in sorted(names & vars(module).keys()):
                inner = vars(module)[name]
                if isinstance(inner, ModuleType):
                    self.module(inner, names, module, *above)
                else:
                    self.part(name, inner)

    def named(self, module: str, name: str, value: object) -> bool:
        """Says its name; whether that is all there is to say, since a package has it under this name."""
        of_package = version(module)
        self.say(name if of_package is None else f"{module}.{name} {of_package}")
        found: Any = None if of_package is None else sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, "__dict__", {}).get(part)
        return found is value

    def instance(self, value: Any) -> None:
        kind = type(value)
        name = getattr(value, "__qualname__", None)
        if isinstance(name, str) and self.named(getattr(value, "__module__", None) or "", name, value):
            return
        self.value(kind)
        attributes = getattr(value, "__dict__", {})
        if isinstance(value, _BY_KIND):
            return
        if isinstance(value, io.IOBase) and not isinstance(value, io.BytesIO | io.StringIO):
            self.say(getattr(value, "name", ""), getattr(value, "mode", ""))
        elif "__wrapped__" in attributes:  # jit, lru_cache, custom_vjp
            self.attributes({n: x for n, x in attributes.items() if n == "__wrapped__" or not n.startswith("__")})
        else:
            self.pickled(value, attributes)

    def pickled(self, value: Any, attributes: Mapping[str, object]) -> None:
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            if re.search(r"\b0x[0-9a-fA-F]+", text := repr(value)):
                if not attributes:
                    raise _Unknown(f"it is a {type(value).__name__}, which is another one in every process") from error
                text = ""
            self.say(text)
            self.attributes(attributes)
            return
        if isinstance(reduced, str):
            self.say(reduced)
            return
        function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        self.items((function, arguments, list(items or ()), list(pairs or ())))
        for part in state if isinstance(state, tuple) else (state or {},):
            if isinstance(part, dict) and all(isinstance(key, str) for key in part):
                kept = {n: x for n, x in part.items() if not _is_cached(type(value), n)}
                self.attributes(kept)
            else:
                self.value(part)


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), functools.cached_property)
