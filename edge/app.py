"""The gateway put together: the only room that chooses real parts and starts threads."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Final

from edge.bookreader import BookReader
from edge.clock import SystemClock
from edge.config import GatewayConfig, StationPlan, parse_url
from edge.delivery import Delivery
from edge.devicekeys import DeviceKeys
from edge.health import Health
from edge.journalfile import sync_folder
from edge.lane import Lane
from edge.lock import InstanceLock
from edge.ports import Ending, Recorded, Warning_
from edge.readers.opening import make_reader
from edge.readers.supervisor import ReaderSupervisor
from edge.rescue import Rescue
from edge.rosterstore import RosterStore
from edge.salvage import mark_damaged, open_journal, salvage, set_suspect_aside
from edge.signals import LineSignals
from edge.statement import will_message
from edge.station import Station
from edge.upkeep import Upkeep
from edge.uplink import Uplink
from edge.watchdog import Watchdog, notify
from protocol.cards import CardKey, CardUid
from protocol.envelope import decode_event
from protocol.errors import BadMessage, ConfigError, JournalFailed, JournalFull, K12EdgeError, ReaderRefused
from protocol.roster import Release
from protocol.settings import is_loopback
from protocol.signing import seal
from protocol.time import Anchor
from protocol.topics import device_source

log = logging.getLogger("k12edge.gateway")

VERSION: Final = "0.1.0"
REMEMBERED_RECORDS: Final = 1_000
"""Records read back at the start for the repeat windows, at least; and at most:"""
REMEMBERED_RECORDS_MAX: Final = 20_000
TAPS_A_SECOND: Final = 5
"""What one station takes at most, for how far back a long repeat window reaches."""
FULL_PAUSE_S: Final = 2.0
"""Between two attempts to begin on a full disk."""
ANEW_AGAIN_NS: Final = 600 * 10**9
DISK_LOW_BYTES: Final = 64 * 1024 * 1024
PATIENCE_LOOK_S: Final = 0.04
END_S: Final = 2.0
READER_PATIENCE_S: Final = 30
DELIVERY_PATIENCE_S: Final = 120
LANE_PATIENCE_S: Final = 120
"""Longer than any wait that a thread may meet by design (fsyncs of 5 s, reopening with backoff)."""


class Gateway:
    """All parts of one running gateway. `run` returns when an end is asked for, or the file must be opened anew."""

    def __init__(self, config: GatewayConfig, ending: Ending) -> None:
        """Open everything that a tap needs; raises NeedsHands."""
        self.config, self.ending = config, ending
        self.stop = threading.Event()
        self.again = False
        self._parts = ExitStack()
        try:
            self._open()
        except OSError as problem:
            self._parts.close()
            raise JournalFailed(f"{config.data_dir} can't be used: {problem}") from problem
        except BaseException:
            self._parts.close()
            raise

    def _open(self) -> None:
        config = self.config
        make_data_dir(config.data_dir)
        self._parts.enter_context(InstanceLock(config.data_dir))
        self.clock = SystemClock(config.time_source, config.declared_error_ms)
        self.signals = LineSignals(config.sinks, self.clock.mono_ns)
        self._parts.callback(self.signals.close)
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
        self.rescue = Rescue(self.journal, lambda detail: self.alarm("journal-gone", detail), self._open_again)
        self._parts.callback(self.rescue.close)
        self.last_tap_ms = 0
        self._busy = threading.Event()
        self.lanes: list[Lane] = []
        self.supervisors: list[ReaderSupervisor] = []
        for plan, reader in zip(config.stations, config.readers, strict=True):
            self._add_station(plan, reader)
        self._remember()
        self._was_damaged, self._began_ns = bool(damaged), self.clock.mono_ns()
        parts = self.journal, self.keys.identity, self.clock
        self.upkeep = Upkeep(*parts, lambda: self.last_tap_ms, self._backup_interval_s, self.rescue)
        self.delivery = self._delivery()
        for name in (*damaged, *self.rosters.damaged, *([self.keys.damaged] if self.keys.damaged else [])):
            self.alarm("journal-damaged" if name in damaged else "file-damaged", f"set aside: {name}")

    def _add_station(self, plan: StationPlan, reader: str) -> None:
        station = Station(
            plan,
            clock=self.clock,
            journal=self.journal,
            signals=self,
            card_key=self._card_key,
            roster=self.rosters.current,
            seal_raw=self._seal_raw,
        )
        lane = Lane(station, self, self.clock.mono_ns, self._busy)
        rng = Random(secrets.randbits(64))
        self.lanes.append(lane)
        try:
            driver = make_reader(reader)
        except ReaderRefused as problem:
            raise ConfigError(
                f"{self.config.file}: [[station]] {plan.name}: reader = {reader!r}: {problem}"
            ) from problem
        self.supervisors.append(ReaderSupervisor(plan.name, driver, lane.put, self.clock.mono_ns, rng))

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
        )

    def _card_key(self, release: Release | None) -> CardKey:
        return self.keys.card_key() if release is None else self.keys.card_key_for(release.keys)

    def _seal_raw(self, card: CardUid) -> str:
        return seal(self.keys.raw_box(), card.canonical.encode("ascii"))

    def _remember(self) -> None:
        """Bring back the repeat windows, so that a restart makes no second tap of a card still in the hand."""
        reading = self.clock.read()
        reader = BookReader(self.journal.path)
        try:
            windows_ms = sum(plan.repeat_window_ms for plan in self.config.stations)
            count = max(REMEMBERED_RECORDS, min(REMEMBERED_RECORDS_MAX, windows_ms * TAPS_A_SECOND // 1000))
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
        try:
            self.journal.note("device.alarm", {"code": code, "detail": detail[:500]})
        except K12EdgeError as problem:
            # The alarm may be about this very journal; the signal and the log have told it.
            log.warning("the alarm could not be recorded: %s", problem)

    def _begin_anew(self) -> None:
        """The file broke under a tap: the next opening of it sets it aside and begins a fresh one."""
        with suppress(OSError):
            mark_damaged(self.config.data_dir)
        self._open_again()

    def _open_again(self) -> None:
        self.again = True
        self.ending.poke()

    def _begin_anew_once(self) -> None:
        """The file broke under a reader: as above, but not soon again, since taps have to wait for it."""
        if not self._was_damaged or self.clock.mono_ns() - self._began_ns > ANEW_AGAIN_NS:
            self._begin_anew()

    def _anchored(self, anchor: Anchor) -> None:
        self.upkeep.anchor(anchor)

    def _salvage(self) -> None:
        if self.rescue.look():
            return
        for row in salvage(self.config.data_dir, self.journal, self.delivery.moved):
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
            "readers": {keeper.name: keeper.counts.error or "ready" for keeper in self.supervisors},
        }

    # --- running ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Read, decide, write down, signal and deliver until the end."""
        if self.ending.asked:
            self._parts.close()
            return
        lanes = [_thread(f"lane-{lane.station.plan.name}", lane.run) for lane in self.lanes]
        readers = [_thread(f"reader-{keeper.name}", keeper.run, self.stop) for keeper in self.supervisors]
        _thread("patience", self._watch_patience)
        watchdog = self._watchdog()
        _thread("watchdog", watchdog.run, self.stop)
        delivery = _thread("delivery", self._deliver)
        notify("READY=1")
        log.info(
            "gateway %s of %s: journal %s, %d stations",
            self.config.gateway_id,
            self.config.school,
            self.journal.journal,
            len(self.lanes),
        )
        while not (self.ending.asked or self.again):
            self.ending.wait()
        self.stop.set()
        if not self.again:
            # Beginning anew is no end: systemd would take the word for it, and kill what goes on.
            notify("STOPPING=1")
        self._end(readers, lanes, delivery)

    def _end(self, readers: list[threading.Thread], lanes: list[threading.Thread], delivery: threading.Thread) -> None:
        deadline = time.monotonic() + END_S
        for thread in readers:
            thread.join(max(0.0, min(1.0, deadline - time.monotonic())))
        for lane in self.lanes:
            lane.end()
        for thread in lanes:
            thread.join(max(0.1, deadline - time.monotonic()))
        self.delivery.stop()
        delivery.join(max(0.1, deadline - time.monotonic()))
        self._busy.set()
        self._parts.close()

    def _deliver(self) -> None:
        """The delivery's thread; the link's library is loaded here, after the first tap can be taken."""
        link = None
        url = self.config.uplink_url
        if url is not None:
            from edge.mqtt import MqttLink

            host, _ = parse_url(url)
            if not is_loopback(host):
                self.health.warn_always("plain-link")
                log.warning("plain-link: the link to %s is not encrypted; anybody on this network can read it", host)
            kinds = {plan.kind for plan in self.config.stations}
            school, device = self.config.school, self.config.gateway_id
            link = MqttLink(
                url,
                f"{school}-{device}",
                Random(secrets.randbits(64)),
                Delivery.subscriptions(school, device, kinds),
                lambda: will_message(school, device, self.keys),
            )
            link.on_room = self.delivery.nudge
            self.delivery.use(link)
            link.start(self.delivery.on_message, self.delivery.on_state)
        try:
            self.delivery.run()
        finally:
            if link is not None:
                link.stop()

    def _watch_patience(self) -> None:
        """Say `wait` where a card waits for its record; asleep while no card is under way."""
        while not self.stop.is_set():
            self._busy.wait()
            self._busy.clear()
            while any([lane.patience() for lane in self.lanes]) and not self.stop.wait(PATIENCE_LOOK_S):
                pass

    def _watchdog(self) -> Watchdog:
        watchdog = Watchdog()
        for keeper in self.supervisors:
            watchdog.watch(f"reader {keeper.name}", _progress(keeper), READER_PATIENCE_S)
        for lane in self.lanes:
            watchdog.watch(f"lane {lane.station.plan.name}", lane.progress, LANE_PATIENCE_S)
        watchdog.watch("delivery", lambda: self.delivery.progress_mono_ns, DELIVERY_PATIENCE_S)
        return watchdog


def _progress(keeper: ReaderSupervisor) -> Callable[[], object]:
    return lambda: keeper.progress_mono_ns


def _thread(name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def make_data_dir(data_dir: Path) -> None:
    """Make the directory, readable by its owner only, and its name durable; raises ConfigError."""
    try:
        new = not data_dir.exists()
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if new:
            sync_folder(data_dir.parent)
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as problem:
        raise ConfigError(f"[gateway]: data_dir = {data_dir} can't be written: {problem.strerror}") from problem


def run_gateway(config: GatewayConfig, ending: Ending) -> int:
    """Run until an end is asked for; the exit code. Raises NeedsHands where it can't start.

    A full disk is waited for: a person frees space, and nobody has to think of the gateway.
    """
    # A tap mustn't wait for the delivery's turn at the interpreter, which is 5 ms by default.
    sys.setswitchinterval(0.0005)
    while not ending.asked:
        try:
            gateway = Gateway(config, ending)
        except JournalFull as problem:
            _say_full(config, problem)
            ending.wait(FULL_PAUSE_S)
            continue
        gateway.run()
        if gateway.again and not ending.asked:
            continue
    _leave()
    return 0


def _say_full(config: GatewayConfig, problem: JournalFull) -> None:
    log.error("%s: %s; %s", problem.code, problem, problem.hint)
    signals = LineSignals(config.sinks, SystemClock().mono_ns)
    signals.warn(Warning_("alarm", None, None, problem.code))
    signals.close()


def _leave() -> None:
    """A thread that is stuck in a driver or a connection must not meet an interpreter that is being taken down."""
    logging.shutdown()
    if any(thread.daemon and thread.name != "ending" for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(0)
