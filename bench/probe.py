"""A gateway with a probe: the shipped gateway, noting when each append was called and when its signal was written.

Two looks at the monotonic clock a tap are all that it adds; what it noted is written when the gateway ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.app import run_gateway
from edge.config import load_config
from edge.journal import SqliteJournal
from edge.ports import Recorded, Signal
from k12edge.ending import Ending
from protocol.taps import Draft

Show = Callable[[Recorded], None]
Noted = list[tuple[float, float]]
"""Seconds on the monotonic clock: append called, signal written."""


def run_probed(output: Path, config: Path) -> int:
    """Run the gateway; the exit code."""
    noted: Noted = []
    append = SqliteJournal.append

    def timed_append(
        journal: SqliteJournal, draft: Draft, station: str, card: str, signal: Signal, show: Show | None = None
    ) -> Recorded:
        began_s = time.monotonic()

        def timed_show(recorded: Recorded) -> None:
            assert show is not None
            show(recorded)
            noted.append((began_s, time.monotonic()))

        return append(journal, draft, station, card, signal, None if show is None else timed_show)

    SqliteJournal.append = timed_append  # type: ignore[method-assign]
    try:
        return run_gateway(load_config(config), Ending())
    finally:
        output.write_bytes(msgspec.json.encode(noted))


def read_noted(output: Path) -> Noted:
    """What a probe wrote."""
    return msgspec.json.decode(output.read_bytes(), type=Noted)


if __name__ == "__main__":
    sys.exit(run_probed(Path(sys.argv[1]), Path(sys.argv[2])))
