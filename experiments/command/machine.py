"""What a command says to a program: with --json one line on stdout, and all else on stderr.

The line is an object with ``command``, ``status`` (the exit status) and, where it failed, ``error``. A command that
came to its tables adds ``workdir``, ``runs`` and how many are ``finished``, ``endings`` (how they ended), ``seconds``,
``best`` (the best configuration of each rule), ``verdicts`` (of the claims that apply), ``notes`` and ``files``;
--dry_run adds ``plan``, a benchmark ``tables``, the list of commands ``commands``. What is not a finite number is null.
"""

import contextlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from absl import flags

from jaxopt_study.analysis.guessing import status
from jaxopt_study.history import History
from jaxopt_study.report.tables import Table, best_configurations

if TYPE_CHECKING:
    from jaxopt_study.api import Study

BEST = ("optimizer", "hyperparameters", "val_loss", "val_low", "val_high", "val_accuracy", "epoch", "seeds", "note")
VERDICT = ("id", "verdict", "effect", "low", "high", "meaning", "reason", "p", "q")
_facts: dict[str, Any] = {}


def define() -> None:
    """Defines --json; of every command."""
    if "json" not in flags.FLAGS:
        flags.DEFINE_bool("json", False, "Print one line of JSON on stdout; all else goes to stderr.")


def tell(**facts: Any) -> None:
    """What the line is to say, besides what was told before."""
    _facts.update(facts)


def tell_study(study: "Study") -> None:
    """Tells what came of a study."""
    from jaxopt_study.report.outcome import monitor_of  # takes its time to import

    best = best_configurations(study.histories, study.guessing, monitor_of(study.describe()))
    tell(runs=len(study.runs))
    tell_of(study.histories, study.guessing, best, None, study.folder)


def tell_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
    """Tells what a table shows, among the line's ``tables``."""
    table = {"title": title, "columns": list(columns), "rows": list(rows)}
    _facts.setdefault("tables", []).append(table)


def tell_of(histories: Sequence[History], chance: float, best: Table, verdicts: Table | None, folder: Path) -> None:
    """Tells what came of runs: how they ended, the best configurations, verdicts, and the files of a folder."""
    counts = Counter(status(history, chance) for history in histories)
    tell(
        workdir=str(folder),
        finished=len(histories),
        endings=dict(counts),
        best=best.select([name for name in BEST if name in best.columns]).records(),
        verdicts=[] if verdicts is None else verdicts.select(VERDICT).records(),
        files=files_of(folder),
    )


def files_of(folder: Path) -> list[str]:
    """The files that are made of runs, those of a folder."""
    parts = ("*.html", "*.csv", "*.json", "*.md", "tables/*", "figures/*.png", "paper/*")
    return [str(path) for part in parts for path in sorted(folder.glob(part)) if path.is_file()]


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Within it stdout is stderr, and at its end the line is on stdout, however it ends; nothing without --json."""
    _facts.clear()
    if "json" not in flags.FLAGS or flags.FLAGS.json is not True:
        yield
        return
    tell(command=Path(sys.argv[0]).stem, status=0)
    out = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except SystemExit as ended:
        tell(status=ended.code or 0)
        raise
    except BaseException as error:
        tell(status=1, error=f"{type(error).__name__}: {error}")
        raise
    finally:
        with contextlib.suppress(OSError):  # its reader is gone
            say(out)


def say(out: TextIO) -> None:
    """Writes the line."""
    print(json.dumps(_finite(_facts), allow_nan=False, default=str), file=out, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) or (hasattr(value, "item") and not isinstance(value, str)):
        number = value.item() if hasattr(value, "item") else value
        return None if isinstance(number, float) and not math.isfinite(number) else number
    return value
