"""Bars for long calls, by tqdm or rich."""

from __future__ import annotations

import threading
from typing import Any, Callable

from ._need import missing


def _tqdm() -> Callable[[str, int], Any]:
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError as error:
        raise missing(error, "progress='tqdm'", "tqdm") from None

    return lambda stage, total: tqdm(total=total or None, desc=stage)


class _RichBar:
    """A bar of rich as tqdm has it."""

    def __init__(self, stage: str, total: int) -> None:
        try:
            from rich.progress import Progress
        except ModuleNotFoundError as error:
            raise missing(error, "progress='rich'", "rich") from None

        self.n = 0
        self._progress = Progress()
        self._progress.start()
        self._task = self._progress.add_task(stage, total=total or None)

    def update(self, steps: int) -> None:
        self.n += steps
        self._progress.update(self._task, advance=steps)

    def close(self) -> None:
        self._progress.stop()


class Bars:
    """progress(stage, done, total) as a bar for each stage.

    Parameters
    ----------
    package : {"tqdm", "rich"}
    """

    def __init__(self, package: str) -> None:
        if package not in ("tqdm", "rich"):
            raise ValueError(f"progress: expected 'tqdm', 'rich' or a callable, got '{package}'")
        self._make: Callable[[str, int], Any] = _tqdm() if package == "tqdm" else _RichBar
        self._stage, self._lock = "", threading.Lock()
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> bool:
        with self._lock:
            if self._bar is None or stage != self._stage or done < self._bar.n:
                self.close()
                self._stage, self._bar = stage, self._make(stage, total)
            self._bar.update(done - self._bar.n)
            if total and done >= total:
                self.close()
        return False

    def close(self) -> None:
        """Ends the bar that is there."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
