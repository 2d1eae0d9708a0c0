"""A simulated gateway box: the production assembly on a simulated machine, disk and line. It crashes and comes back."""

from __future__ import annotations

import sqlite3
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from edge.assembly import Assembly
from edge.clock import SystemClock
from edge.config import GatewayConfig, config_from
from edge.delivery import Delivery
from edge.journalfile import FILE_NAME
from edge.journalrows import SEQUENCE_BITS
from edge.ports import Came, CardSeen, HandSeen, Recorded, Warning_
from edge.statement import will_message
from protocol.cards import CardUid
from protocol.errors import JournalFull, K12EdgeError
from protocol.meals import ByHand
from protocol.topics import device_topic, hub_state_topic
from sim.world.lan import Lan
from sim.world.loop import MS, SECOND, Loop, Timer, Turn
from sim.world.machine import SimMachine
from sim.world.talking import Talking
from sim.world.truth import Held, Truth
from sim.world.underneath import Crash, Storage
from sim.world.wires import Broker, Line, Packet

IDLE_MS: Final = 1_000
REFUSED_MAX: Final = 1_000
"""Starts in a row that may fail while a disk does."""
STRETCH: Final = ((120, 120), (5, 30), (0, 4))
"""(seconds since somebody tapped, times): a gateway that owes nothing is asked so much more rarely than it would ask
itself: it would find nothing, or say how it is to nobody who waits for it."""
FULL_PAUSE_S: Final = 2.0
"""As edge.app.FULL_PAUSE_S."""


def told(fault: Exception) -> str:
    """An exception that nothing expects, with the place that it came from."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {Path(place.filename).name}:{place.lineno}: {fault}"[:300]


def _matches(pattern: str, topic: str) -> bool:
    """Whether a subscription with a `+` takes a topic (MQTT 3.1.1, 4.7.1.3)."""
    before, _, after = pattern.partition("+")
    found = topic.startswith(before) and topic.endswith(after) and len(topic) > len(before) + len(after)
    return found and "/" not in topic[len(before) : len(topic) - len(after)]


class GatewayBox:
    """See the room. `config` names no folder; the storage does."""

    def __init__(
        self,
        name: str,
        config: dict[str, Any],
        loop: Loop,
        rng: Random,
        broker: Broker,
        storage: Storage,
        truth: Truth,
        machine: SimMachine,
        lan: Lan,
    ) -> None:
        """Powered off."""
        self._lan = lan
        self.talking: Talking | None = None
        self.mealtime_until_ns = 0
        self.on_shown: Callable[[GatewayBox, Held], None] = lambda *_: None
        self.name, self._loop, self._rng, self.truth, self.storage = name, loop, rng, truth, storage
        self.machine = machine
        self.config: GatewayConfig = config_from(name, config)
        school, device = self.config.school, self.config.gateway_id
        topics = Delivery.subscriptions(school, device, {plan.kind for plan in self.config.stations})
        exactly, patterns = {one for one in topics if "+" not in one}, [one for one in topics if "+" in one]

        def wanted(topic: str) -> bool:
            return topic in exactly or any(_matches(one, topic) for one in patterns)

        self.line = Line(loop, rng, broker, wanted, truth.count)
        self.line.on_state, self.line.on_packet, self.line.on_room = self._state, self._packet, lambda: self.poke()
        self.ev_topic, self.hub_topic = device_topic(school, device, "ev"), hub_state_topic(school)
        self.assembly: Assembly | None = None
        self.starts = self._refused = 0
        self.on_crash: Callable[[GatewayBox], None] = lambda _: None
        self._anew = False
        self._turn = Turn(loop, lambda: self._run(self._deliver))
        self._start: Timer | None = None
        self._watching: Held | None = None
        self._waiting: list[deque[Held]] = [deque() for _ in self.config.stations]
        self._reader: sqlite3.Connection | None = None
        self._active_ns = 0
        self.stalled_until_ns = 0

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self.assembly is not None

    @property
    def has_counters(self) -> bool:
        """Whether meals are served here."""
        return self.config.counters_listen is not None

    @property
    def host(self) -> str:
        """Its address in the school's network."""
        return "" if self.config.counters_listen is None else self.config.counters_listen[0]

    @property
    def source(self) -> str:
        """The source of its records."""
        return f"urn:k12edge:dev:{self.config.school}-{self.config.gateway_id}"

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Power or process on; a full disk is waited for, as edge.app does."""
        if self._start is not None:
            self._start.cancel()
            self._start = None
        if self.up:
            return
        self._run(self._begin)

    def _begin(self) -> None:
        clock = SystemClock("auto", 0, self.machine)  # type: ignore[arg-type]  # The same questions, simulated.
        config = replace(self.config, data_dir=self.storage.folder)
        try:
            self.assembly = Assembly(config, clock, self, self._open_again)
        except K12EdgeError as problem:
            # A full disk it waits for by itself; after anything else its process is started again by systemd.
            full = isinstance(problem, JournalFull)
            self.truth.count("gateway waits for its disk" if full else "gateway could not start")
            self._refused += 1
            if self._refused > REFUSED_MAX:
                self.truth.broken("a gateway starts without a person", f"{self.name}: {problem.code}: {problem}")
            self.storage.release()
            self._start = self._loop.after(int(FULL_PAUSE_S * SECOND), self.start)
            return
        self._refused = 0
        self.starts += 1
        assembly = self.assembly
        self._reader = sqlite3.connect(f"file:{assembly.journal.path}?mode=ro", uri=True, isolation_level=None)
        assembly.delivery.use(self.line)  # type: ignore[arg-type]  # Its life is this box's.
        self.line.will = will_message(config.school, config.gateway_id, assembly.keys)
        self.line.start()
        if assembly.counter is not None:
            self.talking = Talking(self._loop, self._lan, assembly, self.line.publish, self._run)
            assembly.counter.join(self.talking.exchange)
            self.talking.talk(self.mealtime_until_ns)
        self.poke()

    def _open_again(self) -> None:
        self._anew = True

    def kill(self) -> None:
        """The process is gone between two steps."""
        if self.up:
            self.storage.cut()
            self._down()

    def _hush(self) -> None:
        """Its exchange with other counters ends with its process."""
        if self.talking is not None:
            self.talking.stop()
            self.talking = None

    def _down(self) -> None:
        self._hush()
        self.assembly = None
        self._anew = False
        self._turn.cancel()
        self.line.stop(clean=False)
        self.storage.release()
        if self._watching is not None:
            self._watching.crashed = True
            self._watching = None
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        """Cards seen and not yet written down go with the process: nothing was shown for them."""
        for lane in self._waiting:
            for held in lane:
                held.crashed = True
            lane.clear()

    def _run(self, work: Callable[[], None]) -> None:
        """Let the part work; where it crashes, it is down until somebody starts it."""
        if self._loop.now_ns < self.stalled_until_ns:
            self._loop.at(self.stalled_until_ns, lambda: self._run(work))
            return
        try:
            work()
        except Crash as crash:
            self.truth.count(f"gateway crashed before {crash}")
            self._down()
            self.on_crash(self)
            return
        except Exception as fault:
            # Of ours: its thread would have died, and the watchdog ended the process.
            self.truth.broken("no part fails by itself", f"{self.name}: {told(fault)}")
            self.kill()
            self.on_crash(self)
            return
        if self._anew and self.up:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.truth.count("journal opened anew")
        assembly, self.assembly, self._anew = self.assembly, None, False
        assert assembly is not None
        self._hush()
        self.line.stop(clean=True)
        self._drop_waiting()
        self._turn.cancel()
        try:
            assembly.close()
        except Crash:
            self._down()
            self.on_crash(self)
            return
        self.storage.release()
        self._run(self._begin)

    # --- the delivery's turns -----------------------------------------------------------------------------------------

    def poke(self, after_ns: int | None = None) -> None:
        """Something came in: the delivery has its turn soon."""
        if not self.up:
            return
        self._turn.plan(self._rng.randrange(100_000, 2 * MS) if after_ns is None else after_ns)

    def _deliver(self) -> None:
        assembly = self.assembly
        if assembly is None:
            return
        last = assembly.journal.last
        wait_ms = assembly.delivery.turn()
        # A record of its own (a signed head, an anchor) is offered at its next turn; what is owed is offered again.
        idle = wait_ms >= IDLE_MS and assembly.journal.last == last
        if idle and not assembly.delivery._uplink.owed():
            quiet_s = (self._loop.now_ns - self._active_ns) / SECOND
            wait_ms *= next(times for after_s, times in STRETCH if quiet_s >= after_s)
        self._turn.plan(wait_ms * MS)

    def _state(self, connected: bool) -> None:
        if self.assembly is not None:
            self.assembly.delivery.on_state(connected)
            self._active_ns = self._loop.now_ns
            self.poke()

    def _packet(self, packet: Packet, _connection: int) -> None:
        if self.assembly is None:
            return
        if self.talking is not None and self.talking.exchange.by_broker(packet.topic, packet.payload):
            return
        self.assembly.delivery.on_message(packet.topic, packet.payload, packet.kept)
        self.poke()

    def mealtime(self, until_ns: int) -> None:
        """Its counters serve until then, and talk with others meanwhile."""
        self.mealtime_until_ns = until_ns
        if self.talking is not None:
            self.talking.talk(until_ns)

    # --- cards --------------------------------------------------------------------------------------------------------

    def hold(self, station: int, card: CardUid) -> Held | None:
        """A card is held to a reader; None while the box is down (the reader is dark, nobody is promised anything)."""
        assembly = self.assembly
        if assembly is None:
            self.truth.seen["dark reader"] += 1
            return None
        mono_ns = self.machine.boottime_ns()
        return self._sight(assembly, station, card.canonical, CardSeen(card, mono_ns))

    def serve(self, station: int, hand: ByHand, whom: str, student: str | None) -> Held | None:
        """Staff serve somebody by hand, as GatewayCounter.serve_name and serve_stranger do, which wait for the lane."""
        assembly = self.assembly
        if assembly is None:
            self.truth.seen["dark screen"] += 1
            return None
        asked: list[Held] = []

        def answered(_code: str | None, tap: str | None, _came: Came) -> None:
            # Pressed twice: the first press's record answers, and no signal is given again.
            if tap is not None and asked and asked[0].shown is None:
                asked[0].shown = f"pressed {tap}"

        seen = HandSeen(hand, whom, student, self.machine.boottime_ns(), answered)
        held = self._sight(assembly, station, f"hand:{whom}", seen)
        if held is not None:
            asked.append(held)
        return held

    def _sight(self, assembly: Assembly, station: int, card: str, seen: CardSeen | HandSeen) -> Held | None:
        lane, mono_ns = assembly.lanes[station], seen.seen_mono_ns
        held = Held(self.name, lane.station.plan.name, card, self._loop.now_ns)
        if (self.machine.boot(), mono_ns // MS, held.station) in self.truth.held:
            return None
        self.truth.sighted(self.machine.boot(), mono_ns, held)
        self._watching = held
        lane.put(seen)
        self._watching = None
        if held.shown is None:
            self._waiting[station].append(held)
            wait_ns = self._rng.randrange(200_000, 4 * MS)
            self._loop.after(wait_ns, lambda: self._run(lambda: self._take(assembly, station)))
        return held

    def perform(self, work: Callable[[], None]) -> None:
        """Let somebody work at its screen; it may crash under their hands."""
        self._run(work)

    def _take(self, seen_by: Assembly, station: int) -> None:
        assembly = self.assembly
        if assembly is not seen_by:
            return
        held = self._watching = self._waiting[station].popleft()
        assembly.lanes[station].turn()
        self._watching = None
        if held.shown is None:
            self.truth.broken("every card seen is answered", f"{held.station}: {held.card} was shown nothing")

    def show(self, recorded: Recorded) -> None:
        """See ports.Signals: the promise is made here, so the record must be on the disk now."""
        held, assembly = self._watching, self.assembly
        assert held is not None and assembly is not None and self._reader is not None
        number = assembly.journal.number << SEQUENCE_BITS | recorded.tap.sequence
        found = self._reader.execute("SELECT 1 FROM event WHERE position = ?", (number,)).fetchone()
        if found is None:
            self.truth.broken("durable before shown", f"{recorded.tap} was shown and is not on the disk")
        self.truth.shown(held, recorded.signal, str(recorded.tap))
        self.on_shown(self, held)
        self._active_ns = self._loop.now_ns
        self.poke()

    def warn(self, warning: Warning_) -> None:
        """See ports.Signals."""
        if warning.code == "internal-fault":
            self.truth.broken("no part fails by itself", f"{self.name} alarms {warning.code}")
        if self._watching is not None and warning.caution == "alarm" and warning.station is not None:
            self.truth.alarmed(self._watching, warning.code)
        else:
            self.truth.seen[f"warning {warning.code}"] += 1

    # --- what checkers ask --------------------------------------------------------------------------------------------

    @property
    def journal_path(self) -> Path:
        """Its file."""
        return self.storage.folder / FILE_NAME
