"""trackio: a run each, numbers in its config, curves and the best values as its metrics."""

from collections.abc import Mapping
from typing import Any

from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.watch.callbacks import best_of, config_of, measured, missing_package, run_name


class Trackio:
    """Writes runs to trackio's database on this machine (``TRACKIO_DIR``); ``trackio show`` shows them.

    trackio has one run open at a time, so that a run is written when it has ended.

    Args:
        project: its name there.

    Raises:
        EnvironmentFault: trackio is not installed.
    """

    def __init__(self, project: str) -> None:
        try:
            import trackio
        except ImportError as error:
            raise missing_package("trackio", "trackio") from error
        self._trackio: Any = trackio
        self._project = project

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Nothing: see above."""

    def on_run_end(self, run: Run, history: History) -> None:
        """Writes the run; see Callback."""
        self._trackio.init(project=self._project, name=run_name(run), config=config_of(run))
        for at in range(history.epochs):
            values = measured({name: float(curve[at]) for name, curve in history.curves.items()})
            self._trackio.log(values | (best_of(history) if at + 1 == history.epochs else {}), step=at + 1)
        self._trackio.finish()
