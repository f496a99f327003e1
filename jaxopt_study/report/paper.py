"""The figures for a paper: paper/NAME.pdf as wide as its column or its text, and figures.tex with all of them."""

from collections.abc import Iterable
from pathlib import Path

from jaxopt_study.files import write_text
from jaxopt_study.plots import paper, picture
from jaxopt_study.report.tables import latex

FOLDER = "paper"
_HEAD = r"% Needs \usepackage{graphicx} and \graphicspath{{paper/}}, where that folder is."


def write(pictures: Iterable[picture.Picture], folder: Path, widths: paper.Paper) -> list[Path]:
    """Writes figures with ``plots.paper.save`` and figures.tex, which has them in this order with their captions.

    PDFs of the folder that are none of them are removed. The figures are changed.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    written, parts = list[Path](), [_HEAD]
    for one in pictures:
        written.append(paper.save(one.figure, folder, one.name, widths))
        parts.append(_environment(one, wide=one.figure.get_figwidth() > widths.column))
    write_text(folder / "figures.tex", "\n\n".join(parts) + "\n")
    for path in folder.glob("*.pdf"):
        if path not in written:
            path.unlink(missing_ok=True)
    return written


def _environment(one: picture.Picture, *, wide: bool) -> str:
    star = "*" if wide else ""
    lines = [
        r"\centering", rf"\includegraphics{{{one.name}.pdf}}", rf"\caption{{{latex(one.caption)}}}",
        rf"\label{{fig:{one.name}}}",
    ]  # fmt: skip
    return "\n".join([rf"\begin{{figure{star}}}", *lines, rf"\end{{figure{star}}}"])
