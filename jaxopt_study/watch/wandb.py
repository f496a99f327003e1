"""Weights & Biases: a run each, numbers in its config, curves in its history, the best values in its summary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.watch.callbacks import best_of, config_of, measured, missing_package, run_name


class WeightsAndBiases:
    """Writes runs as Weights & Biases has them, without a network unless ``mode`` is ``online``.

    ``wandb sync FOLDER/wandb/offline-run-*`` sends them later.

    Args:
        project: its name there.
        folder: of the files; made if it is not there.
        mode: ``offline`` or ``online``.

    Raises:
        EnvironmentFault: wandb is not installed.
    """

    def __init__(self, project: str, folder: str | Path = ".", mode: str = "offline") -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing_package("wandb", "wandb") from error
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._init = wandb.init
        self._settings = {"project": project, "dir": str(folder), "mode": mode, "reinit": "create_new"}
        self._open: dict[Run, Any] = {}

    def on_epoch(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """Logs the epoch; see Callback."""
        if run not in self._open:
            config, name = config_of(run), run_name(run)
            self._open[run] = self._init(name=name, group=run.optimizer, config=config, **self._settings)
        self._open[run].log(measured(metrics), step=epoch)

    def on_run_end(self, run: Run, history: History) -> None:
        """Says the best values and ends the run; see Callback."""
        if run in self._open:
            self._open[run].summary.update(best_of(history))
            self._open.pop(run).finish()
