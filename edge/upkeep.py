"""The upkeep of the gateway's file between taps: checkpoints, pruning, waterline, watermarks, times of boots."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edge.pruning import keep_ms, plan, prune
from edge.waterline import Waterline
from protocol.envelope import rfc3339

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.clock import SystemClock
    from edge.journal import SqliteJournal
    from edge.rescue import Rescue
    from edge.uplink import Uplink
    from protocol.signing import Identity
    from protocol.time import Anchor

log = logging.getLogger("k12edge.upkeep")

QUIET_MS: Final = 5_000
"""Nobody has tapped for so long: a checkpoint (two syncs and some writes) stands in nobody's way."""
MOVED_EVERY: Final = 1_000
"""Records after which the log is moved into the database; about as many pages of it."""
LOOK_MS: Final = 1_000
PRUNE_EVERY_MS: Final = 3_600_000
PRUNE_FIRST_MS: Final = 30_000
ANCHORS_MAX: Final = 8
"""Anchors that wait for a disk that takes nothing; the newest have the smallest bounds."""


class Upkeep:
    """Called on the delivery's thread; `last_tap_ms` tells when somebody last tapped, in ms of CLOCK_BOOTTIME."""

    def __init__(
        self,
        journal: SqliteJournal,
        identity: Identity,
        clock: SystemClock,
        last_tap_ms: Callable[[], int],
        backup_interval_s: Callable[[], int],
        rescue: Rescue,
        alarm: Callable[[str, str], None],
        say_watermark: Callable[[], None] = lambda: None,
    ) -> None:
        """Look for the first time soon; `alarm` hears a code and its detail, `say_watermark` is Watermarking.look."""
        now_ms = clock.mono_ns() // 1_000_000
        self._journal, self._identity, self._clock = journal, identity, clock
        self._last_tap_ms, self._backup_interval_s = last_tap_ms, backup_interval_s
        self._rescue, self._say_watermark = rescue, say_watermark
        self._waterline = Waterline(journal, alarm, now_ms)
        self._look_ms = now_ms + LOOK_MS
        self._prune_ms = now_ms + PRUNE_FIRST_MS
        self._moved_through = 0
        self._kernel_anchored = False
        self._anchors: list[Anchor] = []
        self.pruned_records = 0

    def __call__(self, reader: BookReader, uplink: Uplink, now_ms: int) -> None:
        """Do what is due. Raises like Journal.append."""
        if now_ms < self._look_ms:
            return
        self._look_ms = now_ms + LOOK_MS
        if self._rescue.look():
            return
        self._waterline.look(reader)
        if not self._kernel_anchored:
            anchor = self._clock.kernel_anchor() or self._clock.declared_anchor()
            if anchor is not None:
                self.anchor(anchor)
                self._kernel_anchored = True
        while self._anchors:
            self._write(self._anchors[0])
            del self._anchors[0]
        self._say_watermark()
        if now_ms - self._last_tap_ms() < QUIET_MS:
            return
        if self._journal.last - self._moved_through >= MOVED_EVERY and self._journal.checkpoint():
            # The log keeps its size: a sync of a file that grows costs a tap twice as much (bench/README.md).
            self._moved_through = self._journal.last
        if now_ms >= self._prune_ms:
            self._prune_ms = now_ms + PRUNE_EVERY_MS
            self._prune(reader, uplink)
        self._waterline.write(now_ms)

    def _prune(self, reader: BookReader, uplink: Uplink) -> None:
        reading = self._clock.read()
        if reading.err_ms is None:
            return
        cutoff_ms = reading.best_ms - reading.err_ms - keep_ms(self._backup_interval_s())
        cuts = plan(reader, uplink, self._journal.journal, cutoff_ms)
        removed = prune(self._journal, self._identity, uplink, cuts, reader)
        if removed:
            self.pruned_records += removed
            # What was pruned goes from the log as well.
            self._journal.checkpoint(truncate=True)
            log.info("%d records that the city holds were pruned", removed)

    def anchor(self, anchor: Anchor) -> None:
        """What the true time of this boot is, for all of its records, before and after: recorded when it can be."""
        self._anchors = [*self._anchors, anchor][-ANCHORS_MAX:]
        self._look_ms = 0

    def _write(self, anchor: Anchor) -> None:
        wall = rfc3339(anchor.wall_ms)
        self._journal.note(
            "boot.anchored",
            {"boot": anchor.boot, "mono": anchor.mono, "wall": wall, "err": anchor.err, "source": anchor.source},
        )
        offset_ms = anchor.wall_ms - anchor.mono

        def work(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO boot (boot, offset_ms) VALUES (?, ?)", (anchor.boot, offset_ms))

        self._journal.maintain(work)
