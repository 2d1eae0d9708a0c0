"""The real command line with some limits lowered, so that a short recording meets checkpoints, heads and pruning.

`python -m sim.powercut.small '{"edge.upkeep.QUIET_MS": 300}' gateway --config FILE`. Nothing else is changed. Three
words are no constants: `remove` ([data directory, signals, N]) unlinks the journal's file and log once N taps were
signalled, as a person would under a running gateway, but from inside, so that the recording has it in its place;
`later_schema` gives the journal one schema step more than this version has; `keep_ms` is how old a record must be to be
pruned.
"""

from __future__ import annotations

import importlib
import runpy
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import journalfile, upkeep
from sim.reckoning import answers_in

LATER_SCHEMA: Final = """
ALTER TABLE journal ADD COLUMN later TEXT;
CREATE TABLE later (position INTEGER PRIMARY KEY, size INTEGER NOT NULL) STRICT;
INSERT INTO later SELECT position, length(raw) FROM event;
"""
"""What a later version might do: a column, a table, and rows for all that is there."""


@contextmanager
def later_schema() -> Iterator[None]:
    """Within, this process is that later version."""
    known = journalfile.schema_steps
    journalfile.schema_steps = lambda: [*known(), LATER_SCHEMA]
    try:
        yield
    finally:
        journalfile.schema_steps = known


def main() -> None:
    """Lower the limits and run."""
    limits: dict[str, Any] = msgspec.json.decode(sys.argv[1])
    removed, later = limits.pop("remove", None), limits.pop("later_schema", None)
    if (kept_ms := limits.pop("keep_ms", None)) is not None:
        setattr(upkeep, "keep_ms", lambda _: kept_ms)  # noqa: B010  # It is imported there.
    for name, value in limits.items():
        room, _, constant = name.rpartition(".")
        module = importlib.import_module(room)
        assert hasattr(module, constant), f"{name} is no limit"
        setattr(module, constant, value)
    if removed is not None:
        folder, signals, after = removed
        threading.Thread(target=_remove, args=(Path(folder), Path(signals), after), daemon=True).start()
    sys.argv = ["k12edge", *sys.argv[2:]]
    with later_schema() if later else nullcontext():
        runpy.run_module("k12edge", run_name="__main__", alter_sys=True)


def _remove(folder: Path, signals: Path, after: int) -> None:
    while answers_in(signals) < after:
        time.sleep(0.005)
    for name in ("journal.db", "journal.db-wal"):
        (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
