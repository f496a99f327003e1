"""A grid in a TOML file: for what lists of values cannot say. See :func:`read` for its tables."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxopt_study.errors import InputError, one_line
from jaxopt_study.grids import points as space
from jaxopt_study.grids import run as grid
from jaxopt_study.grids.run import Run
from jaxopt_study.optimizers import registry

KINDS: Mapping[str, tuple[type, ...]] = {
    "optimizer": (str, list),
    "axes": (dict,),
    "paired": (list,),
    "when": (dict,),
    "where": (str,),
    "points": (list,),
    "samples": (int,),
    "sampler": (str,),
    "seed": (int,),
}
"""What a table may hold; TOML's types as Python has them."""

MOST_BYTES = 1 << 20
_DEEPEST = 32  # what tomllib takes to read a key goes with the square of its parts
_DEEP = re.compile(
    rb"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]{0,99}+"|'[^'\n]{0,99}+')[ \t]*+\.[ \t]*+){%d}""" % _DEEPEST,
)
_IN_WORDS = {str: "text", list: "a list", dict: "a table", int: "a whole number"}


def read(path: Path, seeds: int, *, name: str = "--grid") -> list[Run]:
    """The runs of a file's tables, one after the other, each with every seed; the seed varies fastest.

    .. code-block:: toml

        [[grid]]
        optimizer = ["momentum", "nesterov", "sgd"]      # one or several
        axes.learning_rate = "1e-3:1e-1:half_decade"
        axes.momentum = [0.5, 0.9, 0.99]
        when.momentum = "optimizer != 'sgd'"             # this axis is only there where that holds
        where = "learning_rate / (1 - momentum) <= 1"    # other points are left out
        points = [{learning_rate = 0.5, momentum = 0.0}] # besides

        [[grid]]
        optimizer = "adam"
        axes.learning_rate = "1e-4:1e-1:log"             # ranges without a step are sampled
        axes.b1 = [0.5, 0.9]
        axes.b2 = [0.9, 0.999]
        paired = ["b1", "b2"]                            # these two go together
        samples = 16
        sampler = "sobol"
        seed = 0                                         # of the samples

    Args:
        path: the file.
        seeds: of every configuration, from 0 to this less 1.
        name: what errors call the file.

    Raises:
        InputError: the file cannot be read, or a table in it is not a grid; with the number of the table.
    """
    runs: list[Run] = []
    for number, table in enumerate(_tables(path, name), 1):
        try:
            for part in _runs(table, seeds):
                space.check_size((len(runs) + len(part)) // seeds, seeds)
                runs += part
        except InputError as error:
            raise InputError(name, path, f"[[grid]] number {number}: {error}") from None
    return list(dict.fromkeys(runs))


def _tables(path: Path, name: str) -> list[dict[str, Any]]:
    allowed = "allowed is a TOML file with one or several [[grid]] tables"
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES or _DEEP.search(text):
            raise ValueError(f"it has more than {MOST_BYTES} bytes, or keys of more than {_DEEPEST} parts")
        content = tomllib.loads(text.decode("utf-8-sig").replace("\r\n", "\n"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(name, path, f"{allowed}; {getattr(error, 'strerror', None) or one_line(error)}") from None
    for key in content:
        registry.check_name(f"{name}={path}: key", key, {"grid": None})
    tables = content.get("grid", [])
    tables = [tables] if isinstance(tables, dict) else tables
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(name, path, allowed)
    return tables


def _runs(table: Mapping[str, Any], seeds: int) -> Iterator[list[Run]]:
    """Those of each optimizer of a table."""
    for key, value in table.items():
        registry.check_name("key", key, KINDS)
        if not isinstance(value, KINDS[key]) or isinstance(value, bool):
            raise InputError(key, value, f"allowed is {' or '.join(_IN_WORDS[kind] for kind in KINDS[key])}")
    if "optimizer" not in table:
        raise InputError("optimizer", "none", "every table names one or several")
    rest = {key: value for key, value in table.items() if key not in ("optimizer", "axes", "points")}
    names = table["optimizer"] if isinstance(table["optimizer"], list) else [table["optimizer"]]
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError("optimizer", names, "allowed is a name or a list of names")
    unmet: list[space.NoneLeft] = []
    optimizers = dict.fromkeys(names)
    for optimizer in optimizers:
        try:
            points = space.points(
                table.get("axes", {}),
                listed=table.get("points", ()),
                hyperparameters=registry.family(optimizer).known(),
                context={"optimizer": optimizer},
                **rest,
            )
        except space.NoneLeft as none:
            unmet.append(none)
            if len(unmet) < len(optimizers):  # for one of several that may be what is meant
                continue
            raise
        space.check_size(len(points), seeds)
        yield grid.with_seeds(optimizer, points, seeds)
