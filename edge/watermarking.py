"""The watermarking: the gateway's own word, in its journal, of until when everything is written. See edge/watermark.py.

It goes behind the taps that wait, in a commit of its own: it names the record before it, and a tap that shared its
commit would have to wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge.watermark import HELD_MS, Said, Sight, claimed_ms, slot_ms, unseeing, worth_saying
from protocol.envelope import clock_data, rfc3339
from protocol.errors import K12EdgeError
from protocol.records import DeviceWatermark, Unseeing
from protocol.time import DRIFT_PPM

if TYPE_CHECKING:
    from edge.journal import SqliteJournal
    from edge.ports import Clock
    from protocol.taps import ClockReading, StationKind

log = logging.getLogger("k12edge.watermarking")


class Watermarking:
    """Looked after by whoever keeps the journal; all on one thread at a time."""

    def __init__(
        self,
        journal: SqliteJournal,
        clock: Clock,
        stations: Mapping[str, StationKind],
        every_ms: int,
        sights: Callable[[], list[Sight]],
        waiting_ns: Callable[[], list[int]],
    ) -> None:
        """`stations`: name -> kind; `sights` and `waiting_ns`: see watermark.claimed_ms."""
        self._journal, self._clock, self._stations, self._every_ms = journal, clock, dict(stations), every_ms
        self._sights, self._waiting_ns = sights, waiting_ns
        self._began_ns = clock.mono_ns()
        self._said: Said | None = None
        self._looked_at = 0
        self._due: int | None = None
        """The first slot that has come and isn't said: a claim that always ends before the newest one reaches it."""

    def look(self) -> None:
        """Say it where it is due. Not before something vouches for the clock. Raises like Journal.append."""
        reading = self._clock.read()
        if reading.err_ms is None or self._journal.failing:
            return
        now_ms = reading.best_ms - reading.err_ms
        slot = slot_ms(now_ms, self._every_ms)
        if self._said is None:
            self._said = Said(slot, 0, (), self._began_ns)
        elif slot > self._looked_at:
            self._due = slot if self._due is None else min(self._due, slot)
            self._at(reading, slot, now_ms, self._said, self._due)
            return
        self._due = None
        # Also where the clock was set back: else nothing would be said until that hour comes again.
        self._looked_at = slot

    def _at(self, reading: ClockReading, slot: int, now_ms: int, said: Said, due: int) -> None:
        sights, claimed = self._claim()
        if self._best_ms(reading, claimed) - (reading.best_ms - now_ms) < due and now_ms - due < HELD_MS:
            # What waits is written in a moment, and then the claim reaches the bell.
            return
        # A slot that is missed, for a full disk as well, isn't made up for: the next one says all that it would have.
        self._looked_at, self._due = slot, None
        records = self._journal.plain
        blind = self._blind(reading, sights, said)
        still = [missed.station for missed in blind if missed.until is None]
        if len(still) < len(blind) or worth_saying(said, slot, self._every_ms, records, still):
            self._write(reading, claimed, sights, blind)
            self._said = Said(slot, records, still, reading.mono_ms * 1_000_000)

    def _claim(self) -> tuple[list[Sight], int]:
        """The readers as they are, and the claim; the order matters."""
        now_ns = self._clock.mono_ns()
        sights = self._sights()
        return sights, claimed_ms(now_ns, sights, self._waiting_ns())

    @staticmethod
    def _best_ms(reading: ClockReading, mono_ms: int) -> int:
        """The Unix time at another moment of the reading's boot."""
        return reading.best_ms - (reading.mono_ms - mono_ms)

    def _blind(self, reading: ClockReading, sights: list[Sight], said: Said | None) -> list[Unseeing]:
        since_ns = self._began_ns if said is None else said.mono_ns

        def told(at_ns: int) -> str:
            return rfc3339(self._best_ms(reading, at_ns // 1_000_000))

        found = unseeing(self._clock.mono_ns(), sights, since_ns)
        return [Unseeing(name, told(from_ns), None if to_ns is None else told(to_ns)) for name, from_ns, to_ns in found]

    def _write(self, reading: ClockReading, claimed: int, sights: list[Sight], blind: list[Unseeing]) -> None:
        # Of a moment long ago the clock says less than of now, by as much as the crystal may run wrong.
        drift_ms = -(-(reading.mono_ms - claimed) * DRIFT_PPM // 1_000_000)
        complete_to = rfc3339(self._best_ms(reading, claimed) - drift_ms)
        readers = {sight.station: sight.state for sight in sights}
        self._journal.conclude(
            "device.watermark",
            lambda last, _: DeviceWatermark(last, complete_to, self._stations, readers, blind, clock_data(reading)),
            reading.best_ms,
        )

    def end(self) -> None:
        """The last word of a clean end, where the storage takes it; what still waits is not in its claim."""
        reading = self._clock.read()
        if reading.err_ms is None or self._journal.failing:
            return
        sights, claimed = self._claim()
        try:
            self._write(reading, claimed, sights, self._blind(reading, sights, self._said))
        except K12EdgeError as problem:
            log.info("no watermark at the end: %s", problem)
