"""The wires and the broker: messages take time, connections end, a broker loses, doubles or shuffles what it has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from sim.world.loop import MS, SECOND, Loop, Timer

LATENCY_NS: Final = (1 * MS, 12 * MS)
"""Of one hop in a school's network, either way."""
GATEWAY_WINDOW: Final = 32
"""As edge.mqtt.IN_FLIGHT_MAX."""
BROKER_WINDOW: Final = 20
"""What a stock mosquitto sends a client before it waits for acknowledgements (max_inflight_messages)."""
BROKER_QUEUE: Final = 1_000
"""What it keeps for a slow client; then it drops (max_queued_messages)."""
KEEPALIVE_S: Final = 15
RECONNECT_S: Final = (1, 20)


@dataclass(slots=True)
class Rough:
    """How a broker treats messages just now: shares of 1."""

    lose: float = 0.0
    double: float = 0.0
    shuffle: float = 0.0


@dataclass(slots=True)
class Packet:
    """A message on its way to a client."""

    topic: str
    payload: bytes
    kept: bool
    mark: int


class Session:
    """One connection of a client with the broker; a new one at each connect (clean sessions)."""

    def __init__(self, line: Line) -> None:
        """Just connected."""
        self.line = line
        self.open = True
        self.dead = False
        self.queue: deque[Packet] = deque()
        self.unacknowledged = 0
        self.marks = 0
        self.free_ns = 0


class Broker:
    """See the room. Retained messages live in memory: what a broker keeps proves nothing to us."""

    def __init__(self, loop: Loop, rng: Random, count: Callable[[str], None]) -> None:
        """Up, empty, well behaved."""
        self._loop, self._rng, self._count = loop, rng, count
        self.up = True
        self.retained: dict[str, bytes] = {}
        self.sessions: list[Session] = []
        self.rough = Rough()
        self.heard: Callable[[str, bytes], None] = lambda *_: None
        self.moved: Callable[[], None] = lambda: None
        self.tamper: Callable[[str, bytes], bytes | None] | None = None

    def latency_ns(self) -> int:
        """Of one hop."""
        return LATENCY_NS[0] + int(self._rng.random() * (LATENCY_NS[1] - LATENCY_NS[0]))

    def stop(self, *, forget: bool) -> None:
        """It dies: all connections end; it may have `forgotten` what it kept."""
        self.up = False
        for session in list(self.sessions):
            session.line.lost()
        if forget:
            self.retained.clear()

    def start(self) -> None:
        """It is back."""
        self.up = True

    def connect(self, line: Line) -> Session:
        """A client is there and subscribes: it gets what is kept."""
        session = Session(line)
        self.sessions.append(session)
        for topic, payload in self.retained.items():
            if line.wants(topic):
                self._deliver(session, topic, payload, kept=True)
        return session

    def disconnected(self, session: Session, will: tuple[str, bytes] | None) -> None:
        """A connection ended without a word: its will is published."""
        if session.open:
            session.open = False
            self.sessions.remove(session)
            if will is not None and self.up:
                self.publish(*will, retain=True)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Take a message from a client that is connected, and pass it on."""
        self.heard(topic, payload)
        if self.rough.lose and self._rng.random() < self.rough.lose:
            self._count("message lost by the broker")
            return
        if self.tamper is not None:
            changed = self.tamper(topic, payload)
            if changed is not None:
                payload = changed
        if retain:
            self.retained[topic] = payload
        times = 1
        if self.rough.double and self._rng.random() < self.rough.double:
            self._count("message doubled")
            times = 2
        for session in list(self.sessions):
            if session.line.wants(topic):
                for _ in range(times):
                    self._deliver(session, topic, payload, kept=False)

    def _deliver(self, session: Session, topic: str, payload: bytes, *, kept: bool) -> None:
        if len(session.queue) >= BROKER_QUEUE:
            self._count("message dropped by a full queue")
            return
        session.marks += 1
        packet = Packet(topic, payload, kept, session.marks)
        if self.rough.shuffle and self._rng.random() < self.rough.shuffle:
            # Held back, so that later ones overtake it.
            self._count("message shuffled")
            self._loop.after(self._rng.randrange(5 * MS, 2 * SECOND), lambda: self._queue(session, packet))
        else:
            self._queue(session, packet)

    def _queue(self, session: Session, packet: Packet) -> None:
        session.queue.append(packet)
        self._pump(session)

    def _pump(self, session: Session) -> None:
        while session.open and session.queue and session.unacknowledged < BROKER_WINDOW:
            packet = session.queue.popleft()
            session.unacknowledged += 1
            # One connection keeps its order.
            session.free_ns = max(session.free_ns + 1, self._loop.now_ns + self.latency_ns())
            self._loop.at(session.free_ns, lambda packet=packet: session.line.arrive(session, packet))  # type: ignore[misc]

    def acknowledged(self, session: Session) -> None:
        """The client took one; the next may come."""
        session.unacknowledged -= 1
        self._pump(session)


@dataclass(slots=True)
class Weather:
    """What befalls one line: `cut` ends it and lets none be made; `dead` swallows everything and says nothing."""

    cut: bool = False
    dead: bool = False


class Line:
    """A client's line to the broker, kept up by itself; it is what a paho client is to the product.

    `on_state(connected)`, `on_packet(packet, connection)`; `acknowledge` by hand where `by_hand`.
    """

    def __init__(
        self,
        loop: Loop,
        rng: Random,
        broker: Broker,
        wanted: Callable[[str], bool],
        count: Callable[[str], None],
        *,
        by_hand: bool = False,
    ) -> None:
        """Nothing is connected yet."""
        self._loop, self._rng, self._broker, self.wants, self._count = loop, rng, broker, wanted, count
        self._by_hand = by_hand
        self.weather = Weather()
        self.connected = False
        self.connection = 0
        self.will: tuple[str, bytes] | None = None
        self.on_state: Callable[[bool], None] = lambda _: None
        self.on_packet: Callable[[Packet, int], None] = lambda *_: None
        self.on_room: Callable[[], None] = lambda: None
        self._session: Session | None = None
        self._in_flight = 0
        self._full = False
        self._attempt: Timer | None = None
        self._backoff_s = RECONNECT_S[0]
        self._running = False
        self._free_ns = 0

    def start(self) -> None:
        """Connect, and stay connected."""
        self._running = True
        self._again(0.2)

    def stop(self, *, clean: bool) -> None:
        """The client is gone: cleanly, or with its process (the broker then notices, and speaks its will)."""
        self._running = False
        if self._attempt is not None:
            self._attempt.cancel()
        session, self._session = self._session, None
        was, self.connected = self.connected, False
        if session is not None and was:
            will = None if clean else self.will
            self._loop.after(self._broker.latency_ns(), lambda: self._broker.disconnected(session, will))

    def _again(self, after_s: float) -> None:
        self._attempt = self._loop.after(int(after_s * SECOND), self._connect)

    def _connect(self) -> None:
        if not self._running or self.connected:
            return
        if not self._broker.up or self.weather.cut or self.weather.dead:
            self._again(self._backoff_s * (0.75 + self._rng.random() / 2))
            self._backoff_s = min(RECONNECT_S[1], self._backoff_s * 2)
            return
        self._backoff_s = RECONNECT_S[0]
        self.connected = True
        self.connection += 1
        self._broker.moved()
        self._in_flight, self._full = 0, False
        self.on_state(True)
        self._session = self._broker.connect(self)

    def lost(self) -> None:
        """The connection ended: this end notices now, the broker speaks the will."""
        session, self._session = self._session, None
        if session is not None:
            self._broker.disconnected(session, self.will)
        if self.connected:
            self.connected = False
            self.on_state(False)
            if self._running:
                self._again(self._backoff_s * (0.75 + self._rng.random() / 2))

    def cut(self) -> None:
        """No way through: the connection ends, and none can be made until `mend`."""
        self.weather.cut = True
        if self.connected:
            self._count("connection cut")
            self.lost()

    def die(self) -> None:
        """Half-open: nothing gets through and nobody is told; each end notices after its keepalive."""
        self.weather.dead = True
        session = self._session
        if session is not None:
            session.dead = True
            self._count("connection half-open")
            wait_ns = int(KEEPALIVE_S * SECOND * self._rng.uniform(1.0, 2.0))
            self._loop.after(wait_ns, lambda: self._broker.disconnected(session, self.will))
            mine_ns = int(KEEPALIVE_S * SECOND * self._rng.uniform(1.0, 2.0))
            self._loop.after(mine_ns, lambda: self.lost() if self._session is session else None)

    def mend(self) -> None:
        """The way is free again."""
        self.weather = Weather()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand over one message; False when there is no connection or the window is full."""
        session = self._session
        if not self.connected or session is None:
            return False
        if not self._by_hand and self._in_flight >= GATEWAY_WINDOW:
            self._full = True
            return False
        self._in_flight += 1
        self._free_ns = max(self._free_ns + 1, self._loop.now_ns + self._broker.latency_ns())
        self._loop.at(self._free_ns, lambda: self._at_broker(session, topic, payload, retain))
        return True

    def _at_broker(self, session: Session, topic: str, payload: bytes, retain: bool) -> None:
        if not session.open or session.dead:
            self._count("message lost on the wire")
            return
        self._broker.publish(topic, payload, retain=retain)
        self._loop.after(self._broker.latency_ns(), lambda: self._taken(session))

    def _taken(self, session: Session) -> None:
        if self._session is session and not session.dead:
            self._in_flight -= 1
            if self._full:
                self._full = False
                self.on_room()

    def arrive(self, session: Session, packet: Packet) -> None:
        """A packet has come as far as this end."""
        if not session.open or self._session is not session or session.dead:
            self._count("message lost on the wire")
            return
        self.on_packet(packet, self.connection)
        if not self._by_hand:
            self._broker.acknowledged(session)

    def acknowledge(self, connection: int) -> None:
        """The client took a packet of this connection."""
        session = self._session
        if session is not None and connection == self.connection and not session.dead:
            self._broker.acknowledged(session)
