"""What the demonstration says while it runs: one line an event, a bar while pupils tap, the time of each phase."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY_S: Final = 2.0
"""Between two lines of progress where there is no terminal."""


class Teller:
    """Speaks on standard error; keeps quiet for programs."""

    def __init__(self, *, quiet: bool) -> None:
        """Begin."""
        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, soft_wrap=True)
        self.phases: dict[str, float] = {}

    def say(self, text: str) -> None:
        """One line, above the bar if there is one."""
        self._console.print(text)

    @contextlib.contextmanager
    def phase(self, name: str, text: str) -> Iterator[None]:
        """Say what begins and how long it took."""
        self.say(f"── {text}")
        began_s = time.monotonic()
        yield
        self.phases[name] = round(time.monotonic() - began_s, 1)
        self.say(f"   {self.phases[name]:.1f} s")

    @contextlib.contextmanager
    def bar(self, text: str, total: int) -> Iterator[Bar]:
        """A bar while the block runs; a line now and then where there is no terminal."""
        if self._console.is_terminal and not self._console.quiet:
            columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn())
            with Progress(*columns, console=self._console, transient=True) as progress:
                yield Bar(self, text, total, progress)
        else:
            yield Bar(self, text, total, None)


class Bar:
    """See Teller.bar."""

    def __init__(self, teller: Teller, text: str, total: int, progress: Progress | None) -> None:
        """Begin at 0."""
        self._teller, self._text, self._total, self._progress = teller, text, total, progress
        self._task = progress.add_task(text, total=total) if progress else None
        self._told_s = time.monotonic()

    def show(self, done: int) -> None:
        """So many are done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)
        elif time.monotonic() - self._told_s >= EVERY_S:
            self._told_s = time.monotonic()
            self._teller.say(f"   {done}/{self._total} {self._text}")
