"""The gateway put together: the only room that chooses real parts and starts threads."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING, Final

from edge.assembly import Assembly
from edge.clock import SystemClock
from edge.config import GatewayConfig, parse_url
from edge.delivery import Delivery
from edge.lane import Lane
from edge.player import GRACE_S
from edge.ports import Ending, Feedback, Warning_
from edge.readers.opening import make_reader
from edge.readers.supervisor import ReaderSupervisor
from edge.signals import LineSignals
from edge.statement import will_message
from host.lock import InstanceLock
from host.watchdog import Watchdog, notify, waits
from protocol.errors import ConfigError, JournalFailed, JournalFull, ReaderRefused
from protocol.settings import is_loopback

if TYPE_CHECKING:
    from edge.canteen.counter import GatewayCounter
    from edge.canteen.exchange import Exchange
    from edge.kiosk.keeper import Kiosk
    from edge.kiosk.standby import StandbyKiosk
    from edge.mqtt import MqttLink

log = logging.getLogger("k12edge.gateway")

FULL_PAUSE_S: Final = 2.0
"""Between two attempts to begin on a disk that is full, or can't be used."""
PATIENCE_LOOK_S: Final = 0.04
LOOK_S: Final = 2.0
"""How often the main thread looks after those that can't see to themselves: a stuck reader, the link's thread."""
END_S: Final = 2.0
READER_PATIENCE_S: Final = 300
"""A driver that hangs costs the neighbours a new start, which may not help it; people were told long before."""
DELIVERY_PATIENCE_S: Final = 120
LANE_PATIENCE_S: Final = 120
"""Longer than any wait that a thread may meet by design (fsyncs of 5 s, reopening with backoff)."""


READER_ALARMS: Final = ("reader-insecure", "reader-key-wrong", "reader-refused")
"""What a reader says that somebody must look at: it won't mend by itself, or somebody is at it."""


class Gateway:
    """A running gateway: its parts, their threads, its readers. `run` returns at the end, or to be opened anew."""

    def __init__(self, config: GatewayConfig, ending: Ending) -> None:
        """Open everything that a tap needs; raises NeedsHands."""
        self.config, self.ending = config, ending
        self.stop = threading.Event()
        self.again = False
        self._link: MqttLink | None = None
        self._stuck: set[str] = set()
        self._states: dict[str, str] = {}
        self._exchange: Exchange | None = None
        self._kiosk: Kiosk | None = None
        self._parts = ExitStack()
        try:
            self._open()
        except OSError as problem:
            self._parts.close()
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (JournalFull if full else JournalFailed)(f"{config.data_dir} can't be used: {problem}") from problem
        except BaseException:
            self._parts.close()
            raise

    def _open(self) -> None:
        config = self.config
        self._parts.enter_context(InstanceLock(config.data_dir))
        clock = SystemClock(config.time_source, config.declared_error_ms)
        self.signals = signals = LineSignals(config.sinks, clock.mono_ns)
        self._parts.callback(signals.close)
        self.assembly = Assembly(config, clock, signals, self._open_again)
        self._parts.callback(self.assembly.close)
        self.delivery, self.lanes = self.assembly.delivery, self.assembly.lanes
        self.supervisors = [self._reader(lane, url) for lane, url in zip(self.lanes, config.readers, strict=True)]
        self.assembly.partials = sorted({str(part) for keeper in self.supervisors for part in keeper.partials})
        self.assembly.readers = lambda: {keeper.name: keeper.state for keeper in self.supervisors}
        self.assembly.sights = lambda: [keeper.sight() for keeper in self.supervisors]
        self.assembly.counters = lambda: {keeper.name: keeper.counters() for keeper in self.supervisors}
        if self.assembly.counter is not None:
            self._open_counter(self.assembly.counter)

    def _open_counter(self, counter: GatewayCounter) -> None:
        """A canteen's screens and its exchange with other counters; other gateways load nothing of them."""
        config = self.config
        if config.uplink_url is not None or config.counters_listen is not None:
            from edge.canteen.exchange import Exchange
            from edge.canteen.talk import Talk

            journal, identity = self.assembly.journal.journal, self.assembly.keys.identity
            talk = Talk(config.school, config.gateway_id, journal, identity, config.counters_peers)
            self._exchange = Exchange(talk, counter, self._mono_ms, listen=config.counters_listen)
            self._parts.callback(self._exchange.stop)
            counter.join(self._exchange)
        if config.kiosk_listen is not None:
            from edge.kiosk.keeper import Kiosk

            self._kiosk = Kiosk(counter, config.kiosk_listen, self._mono_ms, config.kiosk_pupil)

    def _mono_ms(self) -> int:
        return self.assembly.clock.mono_ns() // 1_000_000

    def _reader(self, lane: Lane, url: str) -> ReaderSupervisor:
        name = lane.station.plan.name
        try:
            driver = make_reader(url)
        except ReaderRefused as problem:
            raise ConfigError(f"{self.config.file}: [[station]] {name}: reader = {url!r}: {problem}") from problem
        if isinstance(driver, Feedback):
            self.signals.add_reader(name, driver)

        def on_error(code: str, problem: str) -> None:
            if code in READER_ALARMS:
                self.assembly.alarm(code, f"station {name}: {problem}")

        rng = Random(secrets.randbits(64))
        return ReaderSupervisor(name, driver, lane.put, self.assembly.clock.mono_ns, rng, on_error)

    def _open_again(self) -> None:
        self.again = True
        self.ending.poke()

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
        beside = [_thread(name, part.run) for name, part in self._beside()]
        notify("READY=1")
        log.info(
            "gateway %s of %s: journal %s, %d stations",
            self.config.gateway_id,
            self.config.school,
            self.assembly.journal.journal,
            len(self.lanes),
        )
        while not (self.ending.asked or self.again):
            self.ending.wait(LOOK_S)
            if self._link is not None:
                self._link.tend()
            try:
                self._look_at_readers()
                self._look_at_counter()
            except Exception:
                # Nobody's tap depends on this look; the others' threads go on, and so does the next look.
                log.exception("the look after the readers failed")
        self.stop.set()
        if not self.again:
            # Beginning anew is no end: systemd would take the word for it, and kill what goes on.
            notify("STOPPING=1")
        for _, part in self._beside():
            part.stop()
        self._end(readers, lanes, [delivery, *beside])

    def _beside(self) -> list[tuple[str, Exchange | Kiosk]]:
        """What runs beside the road of a tap, and may fail or end without it."""
        found: list[tuple[str, Exchange | Kiosk | None]] = [("exchange", self._exchange), ("kiosk", self._kiosk)]
        return [(name, part) for name, part in found if part is not None]

    def _look_at_counter(self) -> None:
        if self.assembly.counter is not None:
            self.assembly.counter.tend()
        if self._exchange is not None:
            for code, detail in self._exchange.alarms().items():
                self.assembly.alarm(code, detail)

    def _look_at_readers(self) -> None:
        states = self.assembly.readers()
        if states != self._states:
            self._states = states
            self.delivery.news()
        # At two looks: a process that was stopped, or a machine that slept, finds everybody late at the first one.
        stuck = {keeper.name for keeper in self.supervisors if keeper.is_stuck}
        for name in sorted(stuck & self._stuck):
            self.assembly.alarm("reader-stuck", f"station {name}: its driver has not returned for some seconds")
        self._stuck = stuck

    def _end(
        self, readers: list[threading.Thread], lanes: list[threading.Thread], others: list[threading.Thread]
    ) -> None:
        deadline = time.monotonic() + END_S
        for thread in readers:
            thread.join(max(0.0, min(1.0, deadline - time.monotonic())))
        for lane in self.lanes:
            lane.end()
        for thread in lanes:
            thread.join(max(0.1, deadline - time.monotonic()))
        # Before the storage, which may hold up the end until it is forced: a lamp mustn't stay lit then.
        self.signals.darken(max(0.0, min(GRACE_S, deadline - time.monotonic())))
        self.delivery.stop()
        for thread in others:
            thread.join(max(0.1, deadline - time.monotonic()))
        self.assembly.busy.set()
        self._parts.close()

    def _deliver(self) -> None:
        """The delivery's thread; the link's library is loaded here, after the first tap can be taken."""
        link = None
        url = self.config.uplink_url
        if url is not None:
            from edge.mqtt import MqttLink

            host, _ = parse_url(url)
            if not is_loopback(host):
                self.assembly.health.warn_always("plain-link")
                log.warning("plain-link: the link to %s is not encrypted; anybody on this network can read it", host)
            kinds = {plan.kind for plan in self.config.stations}
            school, device = self.config.school, self.config.gateway_id
            link = MqttLink(
                url,
                f"{school}-{device}",
                Random(secrets.randbits(64)),
                Delivery.subscriptions(school, device, kinds),
                lambda: will_message(school, device, self.assembly.keys),
            )
            link.on_room = self.delivery.nudge
            self._link = link
            self.delivery.use(link)
            if self._exchange is not None:
                self._exchange.publish = link.publish
            link.start(self._on_message, self.delivery.on_state)
        try:
            self.delivery.run()
        finally:
            if link is not None:
                link.stop()

    def _on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        """A counter's word is the exchange's, all else the delivery's."""
        if self._exchange is None or not self._exchange.by_broker(topic, payload):
            self.delivery.on_message(topic, payload, retained)

    def _watch_patience(self) -> None:
        """Say `wait` where a card waits for its record; asleep while no card is under way."""
        while not self.stop.is_set():
            self.assembly.busy.wait()
            self.assembly.busy.clear()
            try:
                while any([lane.patience() for lane in self.lanes]) and not self.stop.wait(PATIENCE_LOOK_S):
                    pass
            except Exception:
                # Without this thread nobody would be asked to wait any more.
                log.exception("the look for those who wait failed")

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


def run_gateway(config: GatewayConfig, ending: Ending) -> int:
    """Run until an end is asked for; the exit code. Raises NeedsHands where it can't start.

    A disk that is full, fails or can't be written is waited for: a person sees to it, nobody has to think of the
    gateway, and until then those who come get an alarm; a counter's screens say why, and that food goes on.
    """
    # A tap mustn't wait for the delivery's turn at the interpreter, which is 5 ms by default.
    sys.setswitchinterval(0.0005)
    screens = _standby(config)
    while not ending.asked:
        try:
            gateway = Gateway(config, ending)
        except (JournalFull, JournalFailed) as problem:
            if screens is not None:
                screens.say(problem.code)
            _say(config, problem, ending)
            continue
        if screens is not None:
            screens.end()
        gateway.run()
        if gateway.again and not ending.asked:
            continue
    _leave()
    return 0


def _standby(config: GatewayConfig) -> StandbyKiosk | None:
    """The screens of a gateway that has some, for as long as it can't begin."""
    if config.kiosk_listen is None:
        return None
    from edge.kiosk.standby import StandbyKiosk

    clock = SystemClock(config.time_source, config.declared_error_ms)
    stations = [plan.name for plan in config.stations if plan.kind == "canteen"]
    return StandbyKiosk(stations, config.kiosk_listen, lambda: clock.mono_ns() // 1_000_000, config.kiosk_pupil)


def _say(config: GatewayConfig, problem: JournalFull | JournalFailed, ending: Ending) -> None:
    """Tell why the gateway can't begin, and wait a while; lamps play their pattern meanwhile."""
    log.error("%s: %s; %s", problem.code, problem, problem.hint)
    signals = LineSignals(config.sinks, SystemClock().mono_ns)
    signals.warn(Warning_("alarm", None, None, problem.code))
    waits(FULL_PAUSE_S)
    ending.wait(FULL_PAUSE_S)
    signals.close()


def _leave() -> None:
    """A thread that is stuck in a driver or a connection must not meet an interpreter that is being taken down."""
    logging.shutdown()
    if any(thread.daemon and thread.name != "ending" for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(0)
