"""The gateway's parts put together, without thread, lock or reader: `app` runs them, and so may a simulation."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Final

from edge.bookreader import BookReader
from edge.delivery import Delivery
from edge.devicekeys import DeviceKeys
from edge.health import Health
from edge.lane import Lane
from edge.ports import CardRead, CardSeen, Recorded, Signals, Warning_
from edge.rescue import Rescue
from edge.rosterstore import RosterStore
from edge.salvage import mark_damaged, open_journal, salvage, set_suspect_aside
from edge.station import Station
from edge.upkeep import Upkeep
from edge.uplink import Uplink
from edge.watermark import Sight
from edge.watermarking import Watermarking
from protocol.cards import CardKey
from protocol.envelope import decode_event
from protocol.errors import BadMessage, K12EdgeError
from protocol.rawread import RawRead, encode_raw
from protocol.roster import Release
from protocol.signing import seal
from protocol.status import ReaderCounters
from protocol.time import Anchor
from protocol.topics import device_source

if TYPE_CHECKING:
    from edge.canteen.counter import GatewayCounter
    from edge.clock import SystemClock
    from edge.config import GatewayConfig, StationPlan

log = logging.getLogger("k12edge.gateway")

VERSION: Final = "0.1.0"
REMEMBERED_RECORDS: Final = 1_000
"""Records read back at the start for the repeat windows, at least; and at most:"""
REMEMBERED_RECORDS_MAX: Final = 20_000
TAPS_A_SECOND: Final = 5
"""What one station takes at most, for how far back a long repeat window reaches."""
ANEW_AGAIN_NS: Final = 600 * 10**9
DISK_LOW_BYTES: Final = 64 * 1024 * 1024


class Assembly:
    """See the room. The data directory is the caller's: made, and locked."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: SystemClock,
        signals: Signals,
        again: Callable[[], None],
    ) -> None:
        """Open everything that a tap needs; raises NeedsHands, OSError.

        `again` is called when the journal's file must be opened anew: this assembly is to be closed, and another made.
        """
        self.config, self.clock, self.signals = config, clock, signals
        self._again = again
        self._closed = False
        self.busy = threading.Event()
        self.readers: Callable[[], dict[str, str]] = dict
        self.counters: Callable[[], dict[str, ReaderCounters]] = dict
        self.sights: Callable[[], list[Sight]] = list
        self.partials: list[str] = []
        self.health = Health()
        self.keys = DeviceKeys(config.data_dir, config.hub_key)
        self.rosters = RosterStore(config.data_dir, config.school)
        damaged = set_suspect_aside(config.data_dir)
        self.journal, broken = open_journal(
            config.data_dir,
            journal=secrets.token_hex(8),
            source=device_source(config.school, config.gateway_id),
            identity=self.keys.identity,
            clock=self.clock,
            version=VERSION,
        )
        damaged += broken
        self.rescue = Rescue(self.journal, lambda detail: self.alarm("journal-gone", detail), again)
        try:
            self._assemble(damaged)
        except BaseException:
            self.rescue.close()
            raise

    def _assemble(self, damaged: list[str]) -> None:
        self.last_tap_ms = 0
        self.counter = self._counter() if any(plan.kind == "canteen" for plan in self.config.stations) else None
        self.lanes = [self._lane(plan) for plan in self.config.stations]
        self._was_damaged, self._began_ns = bool(damaged), self.clock.mono_ns()
        parts = self.journal, self.keys.identity, self.clock
        kinds = {plan.name: plan.kind for plan in self.config.stations}
        self.watermarking = Watermarking(
            self.journal, self.clock, kinds, self.config.watermark_ms, lambda: self.sights(), self._waiting_ns
        )
        self.upkeep = Upkeep(
            *parts,
            lambda: self.last_tap_ms,
            self._backup_interval_s,
            self.rescue,
            self.alarm,
            self.watermarking.look,
        )
        self.delivery = self._delivery()
        if self.counter is not None:
            self.counter.open(self.lanes, self.delivery.backlog)
        self._remember()
        sheets = [] if self.counter is None else self.counter.store.damaged
        for name in (*damaged, *self.rosters.damaged, *self.keys.damaged, *sheets):
            self.alarm("journal-damaged" if name in damaged else "file-damaged", f"set aside: {name}")

    def close(self) -> None:
        """Close the journal, not without its records where the file went, and a last word about them."""
        try:
            self.watermarking.end()
            if self.counter is not None:
                self.counter.close()
            self.rescue.close()
        finally:
            self._closed = True

    def _waiting_ns(self) -> list[int]:
        oldest_ns = [lane.oldest_ns() for lane in self.lanes]
        return [seen_ns for seen_ns in oldest_ns if seen_ns is not None]

    def _lane(self, plan: StationPlan) -> Lane:
        station = Station(
            plan,
            clock=self.clock,
            journal=self.journal,
            signals=self,
            card_key=self._card_key,
            roster=self.rosters.current,
            seal_raw=self._seal_raw,
            meals=self.counter.hatch if self.counter is not None and plan.kind == "canteen" else None,
        )
        return Lane(station, self, self.clock.mono_ns, self.busy)

    def _counter(self) -> GatewayCounter:
        """The canteen's part; gates never load it."""
        from edge.canteen.opening import open_counter

        return open_counter(
            self.config,
            self.keys,
            self.journal,
            self.clock,
            roster=lambda: self.rosters.current("canteen"),
            readers=lambda: self.readers(),
            urgent=lambda: self.delivery.tapped(),
        )

    def _delivery(self) -> Delivery:
        config = self.config
        return Delivery(
            school=config.school,
            device=config.gateway_id,
            version=VERSION,
            journal=self.journal,
            uplink=Uplink(Random(secrets.randbits(64))),
            link=None,
            keys=self.keys,
            rosters=self.rosters,
            clock=self.clock,
            vitals=self._vitals,
            alarm=self.alarm,
            anchored=self._anchored,
            prepare=self._salvage,
            broken=self._begin_anew_once,
            upkeep=self.upkeep,
            hears=None if self.counter is None else {"sheet": self.counter.hear_sheet},
        )

    def _card_key(self, release: Release | None) -> CardKey:
        return self.keys.card_key() if release is None else self.keys.card_key_for(release.keys)

    def _seal_raw(self, seen: CardSeen) -> str:
        read = seen.read or CardRead(seen.card)
        return seal(self.keys.raw_box(), encode_raw(RawRead(seen.card.canonical, read.text, read.plan, read.proof)))

    def _remember(self, *, late: bool = False) -> None:
        """Bring back the repeat windows, so that a restart makes no second tap of a card still in the hand."""
        reading = self.clock.read()
        reader = BookReader(self.journal.path)
        try:
            windows_ms = sum(plan.repeat_window_ms for plan in self.config.stations)
            count = max(REMEMBERED_RECORDS, min(REMEMBERED_RECORDS_MAX, windows_ms * TAPS_A_SECOND // 1000))
            if self.counter is not None:
                from edge.canteen.recalling import recall

                recall(self.counter, reader, count, [lane.station for lane in self.lanes], reading, late=late)
                return
            for raw in reader.newest(count):
                try:
                    event = decode_event(raw)
                except BadMessage:
                    continue
                for lane in self.lanes:
                    lane.station.remember(event, reading.mono_ms, reading.best_ms, reading.boot)
        finally:
            reader.close()

    # --- Signals, on their way to the sinks ---------------------------------------------------------------------

    def show(self, recorded: Recorded) -> None:
        """See Signals.show; the delivery is told afterwards."""
        self.signals.show(recorded)
        self.last_tap_ms = self.clock.mono_ns() // 1_000_000
        self.delivery.tapped()

    def warn(self, warning: Warning_) -> None:
        """See Signals.warn; an alarm also stands in the gateway's state."""
        self.signals.warn(warning)
        if self.counter is not None:
            self.counter.warned(warning)
        if warning.caution == "alarm":
            self.health.raised(warning.code, self.clock.mono_ns() // 1_000_000)
            if warning.code == "journal-damaged":
                self._begin_anew()

    # --- what the delivery asks and tells -----------------------------------------------------------------------

    def alarm(self, code: str, detail: str) -> None:
        """Tell a person: the log, the signals and a record, once in a while for each code."""
        if not self.health.raised(code, self.clock.mono_ns() // 1_000_000):
            return
        log.warning("%s: %s", code, detail)
        self.signals.warn(Warning_("alarm", None, None, code))
        self.delivery.news()
        try:
            self.journal.note("device.alarm", {"code": code, "detail": detail[:500]})
        except K12EdgeError as problem:
            # The alarm may be about this very journal; the signal and the log have told it.
            log.warning("the alarm could not be recorded: %s", problem)

    def _begin_anew(self) -> None:
        """The file broke under a tap: the next opening of it sets it aside and begins a fresh one."""
        if self._closed:
            # A thread that outlived us; the file under this name is the next assembly's by now.
            return
        with suppress(OSError):
            mark_damaged(self.config.data_dir)
        self._again()

    def _begin_anew_once(self) -> None:
        """The file broke under a reader: as above, but not soon again, since taps have to wait for it."""
        if not self._was_damaged or self.clock.mono_ns() - self._began_ns > ANEW_AGAIN_NS:
            self._begin_anew()

    def _anchored(self, anchor: Anchor) -> None:
        self.upkeep.anchor(anchor)

    def _salvage(self) -> None:
        if self.rescue.look():
            return
        rows = salvage(self.config.data_dir, self.journal, self.delivery.moved)
        if rows and self.counter is not None:
            self._remember(late=True)
        for row in rows:
            log.info("journal %s of a damaged file is offered again, to record %d", row.journal, row.last)

    def _backup_interval_s(self) -> int:
        return self.delivery.backup_interval_s

    def _vitals(self) -> dict[str, object]:
        free_bytes = None
        with suppress(OSError):
            found = os.statvfs(self.config.data_dir)
            free_bytes = found.f_bavail * found.f_frsize
        if free_bytes is not None and free_bytes < DISK_LOW_BYTES:
            self.alarm("disk-low", f"{free_bytes} bytes are free")
        return {
            "disk_free_bytes": free_bytes,
            "alarms": self.health.standing(self.clock.mono_ns() // 1_000_000),
            "readers": self.readers(),
            "counters": self.counters(),
            "partials": self.partials,
            "sheet": None if self.counter is None else self.counter.store.version,
        }
