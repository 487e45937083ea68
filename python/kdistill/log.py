"""Where the numbers of a run go: a file, TensorBoard, MLflow.

Each class has `scalars(step, numbers)`, `report(report)` and `close`, and is a context manager:

    with kd.log.TensorBoard("runs/first") as log:
        kd.distill(student, teacher, x, y, log=log)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._need import missing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from ._convert import StrPath
    from .report import Report

__all__ = ["Lines", "MLflow", "TensorBoard", "Together"]


class _Log:
    """What all have in common."""

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keeps the numbers of a step."""
        raise NotImplementedError

    def report(self, report: Report) -> None:
        """Keeps a report."""
        raise NotImplementedError

    def close(self) -> None:
        """Writes what was not written yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Lines(_Log):
    """A file of JSON lines: {"step": 1, "loss": 0.5}; a report is a line {"report": ...}.

    Parameters
    ----------
    path : path
        Lines are appended.
    """

    def __init__(self, path: StrPath) -> None:
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def _line(self, value: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keeps the numbers of a step."""
        self._line({"step": step, **{name: float(value) for name, value in numbers.items()}})

    def report(self, report: Report) -> None:
        """Keeps a report."""
        self._line({"report": json.loads(report.json())})

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard(_Log):
    """Event files, by the package tensorboard.

    Parameters
    ----------
    folder : path
        Of the run.
    """

    def __init__(self, folder: StrPath) -> None:
        try:
            from tensorboard.summary import Writer
        except ModuleNotFoundError as error:
            raise missing(error, "kdistill.log.TensorBoard", "tensorboard") from None

        self._writer = Writer(str(folder))

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keeps the numbers of a step."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, float(value), step)

    def report(self, report: Report) -> None:
        """Keeps the numbers of a report, at step 0."""
        self.scalars(0, _flat(json.loads(report.json())))

    def close(self) -> None:
        """Writes the file to its end."""
        self._writer.close()


class MLflow(_Log):
    """A run of MLflow, by the package mlflow.

    Parameters
    ----------
    experiment : str
    run : str, optional
        Its name.
    tracking_uri : str, optional
        None: mlflow's own choice.
    """

    def __init__(
        self, experiment: str = "kdistill", run: str | None = None, tracking_uri: str | None = None
    ) -> None:
        try:
            import mlflow
        except ModuleNotFoundError as error:
            raise missing(error, "kdistill.log.MLflow", "mlflow") from None

        self._mlflow = mlflow
        if tracking_uri is not None:
            mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_experiment(experiment)
        self.run = mlflow.start_run(run_name=run)

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keeps the numbers of a step."""
        values = {name: float(value) for name, value in numbers.items()}
        self._mlflow.log_metrics(values, step=step)

    def report(self, report: Report) -> None:
        """Keeps a report as report.json, and its numbers as metrics."""
        found = json.loads(report.json())
        self._mlflow.log_dict(found, "report.json")
        self._mlflow.log_metrics(_flat(found))

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()


class Together(_Log):
    """Several at once: `Together(Lines("log.jsonl"), TensorBoard("runs"))`."""

    def __init__(self, *logs: _Log) -> None:
        self.logs = logs

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keeps the numbers of a step in all of them."""
        for log in self.logs:
            log.scalars(step, numbers)

    def report(self, report: Report) -> None:
        """Keeps a report in all of them."""
        for log in self.logs:
            log.report(report)

    def close(self) -> None:
        """Closes all of them."""
        for log in self.logs:
            log.close()


def _flat(value: Any, name: str = "") -> dict[str, float]:
    """The numbers of a tree, with dots between its levels."""
    found: dict[str, float] = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found.update(_flat(inner, f"{name}.{key}" if name else key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found[name] = float(value)
    return found
