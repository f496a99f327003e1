"""Lists the experiments with their questions: python -m experiments."""

import ast
from pathlib import Path

from experiments.command import flags, machine
from experiments.command.experiment import NAMES


def questions() -> dict[str, str]:
    """The first line of each command's file, by its name: the chapters in the article's order, then the others."""
    here = Path(__file__).parent
    paths = {path.stem: path for path in sorted(here.glob("*.py"))}
    paths |= {path.parent.name: path for path in sorted(here.glob("*/__main__.py"))}
    docs = {name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for name, path in paths.items()}
    return {
        name: docs[name].partition("\n")[0]
        for name in dict.fromkeys((*NAMES, *docs))
        if f"python -m experiments.{name}" in docs[name]
    }


def main() -> None:
    """Prints the list."""
    listed = questions()
    width = max(map(len, listed))
    for name, question in listed.items():
        print(f"python -m experiments.{name:{width}}  {question}")
    machine.tell(command="experiments", commands=listed)


if __name__ == "__main__":
    flags.start(main)
