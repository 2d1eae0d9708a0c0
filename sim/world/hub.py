"""A simulated hub box: the production rooms on a simulated machine, disk and lines to the broker and the city."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from hub.assembly import Assembly
from hub.city.k12records import CityClient
from hub.config import HubConfig, hub_config_from
from hub.parts import Store
from hub.ports import Message
from hub.store.database import LedgerFull
from hub.worker import RowsWorker
from protocol.errors import K12EdgeError
from protocol.status import HubState
from protocol.topics import parse_device_topic
from sim.world.city import CityBox
from sim.world.gateway import told
from sim.world.loop import MS, SECOND, Loop, Turn
from sim.world.machine import SimMachine
from sim.world.truth import Truth
from sim.world.underneath import Crash, Storage
from sim.world.wires import Broker, Line, Packet

AGAIN_S: Final = 2.0
REFUSED_MAX: Final = 1_000
"""Starts in a row that may fail while a disk does."""
FORWARD_IDLE_S: Final = 5.0
"""As hub.forwarding.forwarder.IDLE_MS."""
ANNOUNCE_S: Final = 10.0
"""As hub.road.announcer.READY_EVERY_S."""
ANNOUNCE_IDLE_S: Final = 300.0
"""How often it announces itself here when no connection has changed for MOVED_S: nothing would follow from more."""
MOVED_S: Final = 300.0
REGAIN_S: Final = 120.0
"""How often a hub looks here whether something is to be brought back; a real one is woken."""
READ_S: Final = 10
"""How long after a message the daybook reads on here; a real one gathers for a tenth of a second."""
READ_IDLE_S: Final = 60.0
READ_LOOK_MS: Final = 5_000
"""As hub.days.daybook.IDLE_MS: it has read all that there is, and what comes wakes it."""
COOK_IDLE_S: Final = 60.0
"""How often the kitchen looks here while nothing was entered; a real one looks every 20 s."""
COOK_LOOK_MS: Final = 20_000
TELL_LOOK_MS: Final = 2_000
"""As hub.days.kitchen.LOOK_MS and hub.road.counters.LOOK_MS."""
TELL_S: Final = 3.0
TELL_IDLE_S: Final = 1800.0
"""How often the counters' sheet is looked at here; whatever may change it or ask for it wakes it sooner."""
LOOK_S: Final = 30.0
"""How often an idle hub's mailroom is asked whether a head is due."""
WAITING_MAX: Final = 48
"""Messages handed to the mailroom at most, fewer than it takes without blocking."""


class HubAssembly(Assembly):
    """The production assembly; its forwarder's thread is the box."""

    def __init__(self, *parts: Any, audit: CityClient, woken: Callable[[], None]) -> None:
        """`woken` is called where the forwarder's thread would be."""
        self._woken = woken
        config, store, city, again = parts
        super().__init__(config, store, city, again, audit=audit)

    def wake_forwarder(self) -> None:
        """See Assembly."""
        self._woken()


class HubBox:
    """See the room."""

    def __init__(
        self,
        config: dict[str, Any],
        loop: Loop,
        rng: Random,
        broker: Broker,
        storage: Storage,
        truth: Truth,
        machine: SimMachine,
        city: CityBox,
    ) -> None:
        """Powered off."""
        self._loop, self._rng, self.truth, self.storage, self.machine = loop, rng, truth, storage, machine
        self._document, self._city = config, city
        self.line = Line(loop, rng, broker, _is_from_a_device, truth.count, by_hand=True)
        self.line.on_state, self.line.on_packet = self._state, self._packet
        self.assembly: HubAssembly | None = None
        self.on_crash: Callable[[], None] = lambda: None
        broker.moved = self._noticed
        self.store: Store | None = None
        self._anew = False
        self._mail = Turn(loop, lambda: self._run(self._take_mail))
        self._forward = Turn(loop, lambda: self._run(self._submit))
        self._announce = Turn(loop, lambda: self._run(self._say))
        self._daybook = Turn(loop, lambda: self._run(self._read))
        self._regain = Turn(loop, lambda: self._run(self._bring_back))
        self._kitchen = Turn(loop, lambda: self._run(self._cook))
        self._counters = Turn(loop, lambda: self._run(self._tell_counters))
        self._waiting = 0
        self._answers_ns = self._moved_ns = 0
        self._refused = 0
        self.stalled_until_ns = 0

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self.assembly is not None

    @property
    def config(self) -> HubConfig:
        """Its configuration, on the disk that it has now."""
        hub = {**self._document["hub"], "data_dir": str(self.storage.folder)}
        return hub_config_from("hub", {**self._document, "hub": hub})

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Power or process on."""
        if not self.up:
            self._run(self._begin)

    def _begin(self) -> None:
        config = self.config
        try:
            store = Store(config, self.machine)  # type: ignore[arg-type]  # The same questions, simulated.
            client, audit = self._client(), self._client()
            self.assembly = HubAssembly(
                config, store, client, self._open_again, audit=audit, woken=self._wake_forwarder
            )
        except K12EdgeError as problem:
            # A full disk it waits for by itself; after anything else its process is started again by systemd.
            waits = isinstance(problem, LedgerFull)
            self.truth.count("hub waits for its disk" if waits else "hub could not start")
            self._refused += not waits
            if self._refused > REFUSED_MAX:
                self.truth.broken("a hub starts without a person", f"{problem.code}: {problem}")
            self.storage.release()
            self._loop.after(int(AGAIN_S * SECOND), self.start)
            return
        self._refused = 0
        self.store = store
        assembly = self.assembly
        assembly.use(self)
        self.line.will = assembly.announcer.state("lost")
        self.line.start()
        self._forward.plan(0)
        self._plan_mail(0)
        self._announce.plan(int(ANNOUNCE_S * SECOND))
        self._daybook.plan(0)
        self._regain.plan(int(REGAIN_S * SECOND))
        self._kitchen.plan(0)
        self._counters.plan(0)

    def _client(self) -> CityClient:
        return CityClient("http://city", transport=self._city, now_s=lambda: self.machine.wall_ns() / 1e9)

    def _open_again(self) -> None:
        self._anew = True

    def kill(self) -> None:
        """The process is gone between two steps."""
        if self.up:
            self.storage.cut()
            self._down()

    def _down(self) -> None:
        self.assembly = None
        self.store = None
        self._anew = False
        self._waiting = 0
        turns = self._mail, self._forward, self._announce, self._daybook, self._regain, self._kitchen, self._counters
        for turn in turns:
            turn.cancel()
        self.line.stop(clean=False)
        self.storage.release()

    def _run(self, work: Callable[[], None]) -> None:
        if self._loop.now_ns < self.stalled_until_ns:
            self._loop.at(self.stalled_until_ns, lambda: self._run(work))
            return
        try:
            work()
        except Crash as crash:
            self.truth.count(f"hub crashed before {crash}")
            self._down()
            self.on_crash()
            return
        except Exception as fault:
            self.truth.broken("no part fails by itself", f"hub: {told(fault)}")
            self.kill()
            self.on_crash()
            return
        if self._anew and self.up:
            self.truth.count("ledger opened anew")
            self.kill()
            self.start()

    def perform(self, work: Callable[[], None]) -> None:
        """Let somebody work at the running hub; it may crash under their hands."""
        self._run(work)
        self._entered()

    def _entered(self) -> None:
        """Somebody entered something: the kitchen and the counters' teller look sooner."""
        if self.up:
            self._kitchen.plan(SECOND)
            self._counters.plan(2 * SECOND)

    def carry(self, action: str, words: dict[str, str | None]) -> bytes | None:
        """A person's command, at the running hub; the paper that it gives. Raises K12EdgeError, as the command does."""
        paper: list[bytes | None] = []
        refused: list[K12EdgeError] = []

        def work() -> None:
            assert self.assembly is not None
            try:
                paper.append(self.assembly.carry(action, words)[1])
            except K12EdgeError as problem:
                refused.append(problem)

        self.stalled_until_ns = 0
        self._run(work)
        self._plan_mail(0)
        self._entered()
        if refused:
            raise refused[0]
        return paper[0] if paper else None

    def crash_before_answer(self) -> None:
        """A place to crash: the city has stored, the hub doesn't know yet."""
        self.storage.point("the city's answer")

    # --- turns --------------------------------------------------------------------------------------------------------

    def _plan_mail(self, after_ns: int) -> None:
        if self.up:
            self._mail.plan(after_ns)

    def _take_mail(self) -> None:
        assembly = self.assembly
        if assembly is None:
            return
        pause_ms = assembly.mailroom.turn()
        self._daybook.plan(READ_S * SECOND)
        if pause_ms:
            self._plan_mail(pause_ms * MS)
            return
        wait_ms = assembly.mailroom.wait_ms()
        busy = wait_ms < 1_000 or self._waiting > 0
        self._plan_mail(max(wait_ms, 1) * MS if busy else int(LOOK_S * SECOND))

    def _read(self) -> None:
        assembly = self.assembly
        if assembly is not None:
            wait_ms = assembly.store.daybook.turn()
            self._daybook.plan(wait_ms * MS if wait_ms < READ_LOOK_MS else int(READ_IDLE_S * SECOND))

    def _cook(self) -> None:
        assembly = self.assembly
        if assembly is not None:
            wait_ms = self._worked("kitchen", assembly.store.kitchen)
            self._kitchen.plan(wait_ms * MS if wait_ms < COOK_LOOK_MS else int(COOK_IDLE_S * SECOND))

    def _tell_counters(self) -> None:
        assembly = self.assembly
        if assembly is not None:
            wait_ms = self._worked("counters", assembly.counters)
            self._counters.plan(wait_ms * MS if wait_ms < TELL_LOOK_MS else int(TELL_IDLE_S * SECOND))

    def _worked(self, name: str, worker: RowsWorker) -> int:
        """A worker's turn. It goes on in spite of a fault of ours, so that must be told."""
        wait_ms = worker.turn()
        if worker.fault is not None and not isinstance(worker.fault, sqlite3.Error):
            self.truth.broken("no part fails by itself", f"hub: {name}: {told(worker.fault)}")
        return wait_ms

    def _bring_back(self) -> None:
        """What a hub that was replaced or restored had entered itself comes back from the city."""
        assembly = self.assembly
        if assembly is not None and assembly.regainer is not None:
            self._regain.plan(int(max(assembly.regainer.turn(), REGAIN_S) * SECOND))

    def _noticed(self) -> None:
        self._moved_ns = self._loop.now_ns
        if self.up:
            self._announce.plan(int(ANNOUNCE_S * SECOND))

    def _wake_forwarder(self) -> None:
        self._forward.plan(max(self._rng.randrange(MS), self._answers_ns - self._loop.now_ns))

    def _submit(self) -> None:
        assembly = self.assembly
        if assembly is None or assembly.forwarder is None:
            return
        requests = self._city.requests
        wait_ns = assembly.forwarder.turn() * MS
        if wait_ns >= FORWARD_IDLE_S * SECOND:
            # Nothing is owed: what comes wakes it.
            wait_ns = int(LOOK_S * SECOND)
        if self._city.requests > requests:
            # The answer is written; it took as long as a request takes, and nothing else is submitted meanwhile.
            self._answers_ns = self._loop.now_ns + self._city.latency_ns()
        self._forward.plan(max(wait_ns, self._answers_ns - self._loop.now_ns))
        self._plan_mail(min(assembly.mailroom.wait_ms() * MS, int(LOOK_S * SECOND)) + 1)

    def _say(self) -> None:
        assembly = self.assembly
        if assembly is not None:
            wait_s = ANNOUNCE_S if self._loop.now_ns - self._moved_ns < MOVED_S * SECOND else ANNOUNCE_IDLE_S
            self._announce.plan(int(wait_s * SECOND))
            assembly.announcer.turn(anew=False)

    # --- the line, as hub.ports.Link ----------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes) -> bool:
        """See hub.ports.Link."""
        self.storage.point("a message")
        return self.line.publish(topic, payload, retain=True)

    def acknowledge(self, message: Message) -> None:
        """See hub.ports.Link."""
        self._waiting -= 1
        self.line.acknowledge(message.connection)

    def _state(self, connected: bool) -> None:
        if self.assembly is None:
            return
        self._moved_ns = self._loop.now_ns
        self._counters.plan(SECOND)
        if not connected:
            self.assembly.on_link(False)
            return
        assembly = self.assembly
        wait_ns = self._rng.randrange(MS, 20 * MS)
        self._loop.after(
            wait_ns,
            lambda: self._run(lambda: assembly.announcer.turn(anew=True) if self.assembly is assembly else None),
        )

    def _packet(self, packet: Packet, connection: int) -> None:
        assembly = self.assembly
        if assembly is None:
            return
        if self._waiting >= WAITING_MAX:
            # The link's thread waits for room.
            self._loop.after(50 * MS, lambda: self._packet(packet, connection) if self.assembly is assembly else None)
            return
        self._waiting += 1
        assembly.mailroom.on_message(Message(packet.topic, packet.payload, packet.mark, connection, packet.kept))
        self._plan_mail(self._rng.randrange(200_000, 2 * MS))
        if packet.topic.endswith("/state") and self._loop.now_ns - self._moved_ns < MOVED_S * SECOND:
            # It may say that it has another sheet, or none.
            self._counters.plan(int(TELL_S * SECOND))


def _is_from_a_device(topic: str) -> bool:
    found = parse_device_topic(topic)
    return found is not None and found.leaf in ("ev", "state")


def hub_state_of(payload: bytes) -> HubState:
    """A hub/state message as the wire carries it."""
    return msgspec.json.decode(payload, type=HubState)
