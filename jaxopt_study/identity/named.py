"""What a function's code names: variables, members of modules, imports."""

import contextlib
import dis
import importlib
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import CodeType, MemberDescriptorType, ModuleType
from typing import Any

from jaxopt_study.identity.packages import version

_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code and those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def names(code: CodeType) -> Iterator[str]:
    """What may be the name of a module's member: names, and text, for getattr."""
    for each in _codes(code):
        yield from each.co_names
        yield from (constant for constant in each.co_consts if isinstance(constant, str))


def _instructions(code: CodeType) -> list[dis.Instruction]:
    return [each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"]


def variables(code: CodeType) -> dict[str, bool]:
    """The global variables that are read, in order, and whether one is used for itself and not for a member."""
    found: dict[str, bool] = {}
    for each in _codes(code):
        instructions = _instructions(each)
        for this, after in zip(instructions, [*instructions[1:], None], strict=True):
            if this.opname in _GLOBALS and isinstance(this.argval, str):
                member = after and after.opname in ("LOAD_ATTR", "LOAD_METHOD")
                member = member or (after and after.opname == "LOAD_CONST" and isinstance(after.argval, str))  # getattr
                found[this.argval] = found.get(this.argval, False) or not member
        if "globals" in each.co_names:
            found |= {text: False for text in each.co_consts if isinstance(text, str) and text not in found}
    return found


def imports(code: CodeType, around: Mapping[str, Any]) -> Iterator[ModuleType]:
    """The user's own modules that a function imports when it is called."""
    for each in _codes(code):
        instructions = _instructions(each)
        for at, this in enumerate(instructions):
            if this.opname == "IMPORT_NAME":
                level, members = instructions[at - 2].argval or 0, instructions[at - 1].argval or ()
                package = around.get("__package__") or around.get("__name__", "").rpartition(".")[0]
                with contextlib.suppress(ImportError):
                    name = importlib.util.resolve_name("." * level + this.argval, package)
                    if version(name) is None:
                        yield importlib.import_module(name)
                        for member in members:
                            if not hasattr(sys.modules[name], member):
                                yield importlib.import_module(f"{name}.{member}")


def held(value: object) -> dict[str, object]:
    """What a container or an array holds beside its items: attributes, what a user's own class has slots for, and how a
    dictionary makes what it lacks."""
    slots = [
        name
        for kind in type(value).__mro__
        if kind is defaultdict or version(kind.__module__) is None
        for name, member in vars(kind).items()
        if isinstance(member, MemberDescriptorType) and hasattr(value, name)
    ]
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}
