"""The figures for a paper: paper/NAME.pdf as wide as its column or its text, and figures.tex with all of them."""

from collections.abc import Iterable
from pathlib import Path

from jaxopt_study.files import write_text
from jaxopt_study.plots import paper, picture
from jaxopt_study.report.tables import latex
from jaxopt_study.storage import made

FOLDER = "paper"
_HEAD = r"% Needs \usepackage{graphicx} and \graphicspath{{paper/}}, where that folder is."


def write(pictures: Iterable[picture.Picture], folder: Path, widths: paper.Paper) -> list[Path]:
    """Makes paper/ in a folder anew: figures by ``plots.paper.save``, and figures.tex, which has them in this order
    with their captions. The figures are changed.

    Raises:
        EnvironmentFault: the folder cannot be written, or a file of somebody else is in the way.
    """
    parts, names = [_HEAD], list[str]()
    with made.into(folder, whole=(f"{FOLDER}/*",)) as building:
        for one in pictures:
            names.append(paper.save(one.figure, building / FOLDER, one.name, widths).name)
            parts.append(_environment(one, wide=one.figure.get_figwidth() > widths.column))
        write_text(building / FOLDER / "figures.tex", "\n\n".join(parts) + "\n")
    return [folder / FOLDER / name for name in names]


def _environment(one: picture.Picture, *, wide: bool) -> str:
    star = "*" if wide else ""
    lines = [
        r"\centering", rf"\includegraphics{{{one.name}.pdf}}", rf"\caption{{{latex(one.caption)}}}",
        rf"\label{{fig:{one.name}}}",
    ]  # fmt: skip
    return "\n".join([rf"\begin{{figure{star}}}", *lines, rf"\end{{figure{star}}}"])
