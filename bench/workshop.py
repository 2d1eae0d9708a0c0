"""The workshop: the folder a run works in, what is made once for several figures, and how long to measure."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.taps import Card, fill, make_cards, open_book
from edge.journalfile import FILE_NAME

BACKLOG = 100_000
BACKLOG_QUICK = 60_000


@dataclass(slots=True)
class Workshop:
    """One run. `quick` measures less: the numbers are rougher, the backlog smaller."""

    folder: Path
    quick: bool = False
    cards: list[Card] = field(default_factory=make_cards)
    _began_s: float = field(default_factory=time.monotonic)

    @property
    def backlog(self) -> int:
        """How many taps a prepared gateway owes."""
        return BACKLOG_QUICK if self.quick else BACKLOG

    def rounds(self, usual: int) -> int:
        """How often to alternate."""
        return max(2, usual // 3) if self.quick else usual

    def room(self, name: str) -> Path:
        """A new empty folder of the run, on the same file system as all others."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def say(self, text: str) -> None:
        """What is going on now, on the error stream, with the seconds since the start."""
        print(f"[{time.monotonic() - self._began_s:5.0f} s] {text}", file=sys.stderr, flush=True)

    def owing_gateway(self, folder: Path) -> Path:
        """A gateway's data directory whose journal owes the backlog; made once by the real journal, then copied."""
        made = self.folder / "owing"
        if not (made / FILE_NAME).exists():
            self.say(f"a journal of {self.backlog:,} taps is written")
            journal, _, clock = open_book(made)
            fill(journal, clock, self.backlog, self.cards)
            journal.close()
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return folder
