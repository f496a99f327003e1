"""Draws docs/structure.svg: the modules of jaxopt_study in the order in which they import each other.

python docs/structure.py
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxopt_study.plots.picture import save

PACKAGE = Path(__file__).parents[1] / "jaxopt_study"
LIBRARIES = {"jax", "flax", "optax", "orbax"}


def imports() -> tuple[dict[str, set[str]], set[str]]:
    """What each module or subpackage imports of the others when it is itself imported, and those that need JAX."""
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    found: dict[str, set[str]] = {name: set() for name in names - {"__init__"}}
    with_jax = set()
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for module in _imported(ast.parse(path.read_text())):
            top, _, rest = module.partition(".")
            if top in LIBRARIES:
                with_jax.add(own)
            if top == "jaxopt_study" and rest.split(".")[0] in found:
                found[own].add(rest.split(".")[0])
        found[own].discard(own)
    return found, with_jax


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names of modules, and of what is taken from them, that the file imports at its top level."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def reach(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """All that each module imports, directly or not."""
    found: dict[str, set[str]] = {}

    def of(name: str, above: tuple[str, ...] = ()) -> set[str]:
        if name in above:
            raise ValueError(f"imports in a circle: {' -> '.join([*above, name])}")
        if name not in found:
            found[name] = set(graph[name]).union(*(of(each, (*above, name)) for each in graph[name]))
        return found[name]

    for name in graph:
        of(name)
    return found


def rows(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The modules by the length of the longest chain of imports below them, neighbours near each other."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(each) for each in graph[name]), default=-1)
        return depth[name]

    found: list[list[str]] = [[] for _ in range(1 + max(map(of, graph)))]
    place: dict[str, float] = {}
    for name in sorted(graph, key=lambda each: (depth[each], each)):
        found[depth[name]].append(name)
    for row in found:
        row.sort(key=lambda each: sum(place[one] for one in graph[each]) / max(len(graph[each]), 1))
        place |= {name: i - len(row) / 2 for i, name in enumerate(row)}
    return found


def draw() -> Figure:
    """The picture."""
    graph, with_jax = imports()
    below = reach(graph)
    stages = rows(graph)
    wide = max(map(len, stages))
    figure = Figure(figsize=(1.0 * wide, 0.6 * len(stages)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-wide / 2, wide / 2), ylim=(len(stages) - 0.5, -0.5))
    axes.axis("off")
    places = {name: (x - (len(row) - 1) / 2, y) for y, row in enumerate(stages) for x, name in enumerate(row)}
    for name, others in graph.items():
        for other in others:
            if not any(other in below[between] for between in others):
                _line(axes, places[other], places[name])
    for name, (x, y) in places.items():
        needs = name in with_jax or below[name] & with_jax
        edge = {
            "facecolor": "white",
            "edgecolor": "#1a1a1a" if needs else "#9a9a9a",
            "linewidth": 1.8 if needs else 0.8,
        }
        box = {"boxstyle": "round,pad=0.3", **edge}
        axes.text(x, y, name, ha="center", va="center", fontsize=7.5, bbox=box, zorder=3)
    return figure


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-", "color": "#0072b2", "alpha": 0.45, "connectionstyle": "arc3,rad=0.08", "linewidth": 0.9}
    axes.annotate("", end, start, arrowprops=style, zorder=1)


if __name__ == "__main__":
    png, _ = save(draw(), Path(__file__).parent, "structure")
    png.unlink()
