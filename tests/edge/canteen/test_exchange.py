"""The exchange on real sockets and threads: four counters on loopback, a lossy wire between them, and strangers."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest

from edge.canteen.addresses import Address
from edge.canteen.exchange import NEWCOMER_MS, WAITING_MAX, Exchange
from edge.canteen.lan import Lan
from edge.canteen.neighbours import HEARD_MS
from edge.canteen.sifting import SIGNED_BYTES_MAX
from edge.canteen.talk import Talk
from protocol.served import Told
from tests.edge.canteen.circle import IDENTITIES, NAMES, SCHOOL, boottime_ms, keys_but, told
from tests.patience import within

A, B, C, D = NAMES
LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0


class Quay:
    """One counter's exchange on its own thread, and what it handed on."""

    def __init__(
        self,
        name: str,
        peers: Sequence[Address],
        *,
        listen: Address | None = (LOOPBACK, 0),
        publish: Callable[[str, bytes], bool] | None = None,
        run: str | None = None,
        now_ms: Callable[[], int] = boottime_ms,
    ) -> None:
        self.name = name
        self.known = keys_but(name)
        self.came: dict[str, list[Told]] = {}
        self.news = threading.Condition()
        self.fail = False
        talk = Talk(SCHOOL, name, run or os.urandom(8).hex(), IDENTITIES[name], peers)
        self.exchange = Exchange(talk, self, now_ms, listen=listen, publish=publish)
        self.thread = threading.Thread(target=self.exchange.run, name=name)

    def heard(self, device: str, told: Sequence[Told]) -> None:
        with self.news:
            self.came.setdefault(device, []).extend(told)
            self.news.notify_all()
        if self.fail:
            raise RuntimeError("a fault of the counter's")

    def keys(self) -> dict[str, str]:
        return self.known

    def start(self) -> Quay:
        self.thread.start()
        return self

    def stop(self) -> None:
        self.exchange.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def wait(self, until: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(until, PATIENCE_S), (self.name, self.came)

    def has(self, device: str, taps: list[str]) -> Callable[[], bool]:
        return lambda: [one.tap for one in self.came.get(device, [])] == taps


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never came to be"
        threading.Event().wait(0.005)


class Wire:
    """Between each two counters a pair of ports of its own: what comes in at one goes out at the other, or is lost."""

    def __init__(self, names: Sequence[str], loss: float) -> None:
        self.loss, self._rng = loss, Random(1)
        self.lost = self.passed = 0
        self._ends: dict[int, tuple[socket.socket, socket.socket, str]] = {}
        self.addresses: dict[str, dict[str, Address]] = {name: {} for name in names}
        self.homes: dict[str, Address] = {}
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
                for end, towards, back, to in ((near, one, far, other), (far, other, near, one)):
                    end.bind((LOOPBACK, 0))
                    self.addresses[towards][to] = end.getsockname()
                    self._ends[end.fileno()] = (end, back, to)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        poll = select.poll()
        for descriptor in self._ends:
            poll.register(descriptor, select.POLLIN)
        while not self._ended.is_set():
            for descriptor, _ in poll.poll(50):
                end, back, to = self._ends[descriptor]
                octets = end.recv(65_536)
                if self._rng.random() < self.loss:
                    self.lost += 1
                else:
                    self.passed += 1
                    back.sendto(octets, self.homes[to])

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S)
        for end, _, _ in self._ends.values():
            end.close()


@pytest.fixture
def quays() -> Iterator[list[Quay]]:
    made: list[Quay] = []
    yield made
    for one in made:
        one.stop()


def address(one: Quay) -> Address:
    until(lambda: one.exchange.address() is not None)
    found = one.exchange.address()
    assert found is not None
    return found


def test_four_counters_over_a_lossy_wire_know_all_once_and_in_order(quays: list[Quay]) -> None:
    wire = Wire(NAMES, 0.0)
    try:
        for name in NAMES:
            quays.append(Quay(name, list(wire.addresses[name].values())).start())
            wire.homes[name] = address(quays[-1])
        wire.start()
        until(lambda: not any(one.exchange.unheard() for one in quays))
        wire.loss = 0.3
        said: dict[str, list[str]] = {name: [] for name in NAMES}
        for number in range(60):
            one = quays[number % 4]
            said[one.name].append(f"tap.{number}")
            one.exchange.said(told(f"tap.{number}"))
            if number % 7 == 0:
                time.sleep(0.02)  # Pupils don't come all at once; what is said together travels together.
        for one in quays:
            for name in set(NAMES) - {one.name}:
                one.wait(one.has(name, said[name]))
        assert wire.lost > 10
        assert all(one.exchange.alarms() == {} for one in quays)
    finally:
        wire.stop()


def test_one_that_starts_later_and_is_in_nobodys_list_is_answered_and_learns_the_day(quays: list[Quay]) -> None:
    quays.append(Quay(A, []).start())
    here = address(quays[0])
    for number in range(300):
        quays[0].exchange.said(told(f"tap.{number}"))
    assert quays[0].exchange.unheard() == (B, C, D)
    quays.append(Quay(B, [here]).start())
    quays[1].wait(quays[1].has(A, [f"tap.{number}" for number in range(300)]))
    until(lambda: quays[0].exchange.unheard() == (C, D) == tuple(x for x in quays[1].exchange.unheard() if x != A))
    quays[1].exchange.said(told("tap.b"))
    quays[0].wait(quays[0].has(B, ["tap.b"]))
    # It goes, and comes back as another process: it is unheard in between, and told the day again.
    quays.pop().stop()
    until(lambda: B in quays[0].exchange.unheard())
    quays.append(Quay(B, [here]).start())
    quays[1].wait(quays[1].has(A, [f"tap.{number}" for number in range(300)]))


def test_hostile_bytes_and_a_flood_stop_nobody(quays: list[Quay]) -> None:
    quays.append(Quay(A, []).start())
    here = address(quays[0])
    quays.append(Quay(B, [here]).start())
    until(lambda: B not in quays[0].exchange.unheard() and A not in quays[1].exchange.unheard())
    rng, ended = Random(2), threading.Event()
    topic = b"k12/1/79000701/dev/quay-b/served\n"
    kinds = (b"", b"\n", b"\xff" * 1_400, b'{"sig":"x"}\n' + topic + b"{}", b"\x00" * 40_000)

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            while not ended.is_set():
                stranger.sendto(rng.choice(kinds) + b"%d" % rng.randrange(10**6), here)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        until(lambda: "word-flood" in quays[0].exchange.alarms())
        for number in range(30):
            quays[0].exchange.said(told(f"tap.a{number}"))
            quays[1].exchange.said(told(f"tap.b{number}"))
        quays[0].wait(quays[0].has(B, [f"tap.b{number}" for number in range(30)]))
        quays[1].wait(quays[1].has(A, [f"tap.a{number}" for number in range(30)]))
        # They still answer each other, long after the words from before the flood have grown old.
        end_ms = boottime_ms() + HEARD_MS
        until(lambda: boottime_ms() > end_ms and quays[0].exchange.unheard() == (C, D))
    finally:
        ended.set()
        flooding.join(PATIENCE_S)
    assert set(quays[0].exchange.alarms()) <= {"word-flood", "word-refused"}


def test_by_the_broker_alone_the_same_bytes_do(quays: list[Quay]) -> None:
    """The link is a call here; that a real one carries the topic is the gateway's test."""

    def link(name: str) -> Callable[[str, bytes], bool]:
        def publish(topic: str, payload: bytes) -> bool:
            assert topic == f"k12/1/{SCHOOL}/dev/{name}/served"
            return all([one.exchange.by_broker(topic, payload) for one in quays])

        return publish

    for name in (A, B):
        quays.append(Quay(name, [], listen=None, publish=link(name)))
    for one in quays:
        one.start()
    until(lambda: B not in quays[0].exchange.unheard() and A not in quays[1].exchange.unheard())
    quays[0].exchange.said(told("tap.1"))
    quays[1].wait(quays[1].has(A, ["tap.1"]))
    assert not quays[0].exchange.by_broker(f"k12/1/{SCHOOL}/dev/{B}/receipt", b"")
    for _ in range(2 * WAITING_MAX):
        quays[0].exchange.by_broker(f"k12/1/{SCHOOL}/dev/{B}/served", b"x")
    until(lambda: "word-refused" in quays[0].exchange.alarms())
    quays[1].exchange.said(told("tap.2"))
    quays[0].wait(quays[0].has(B, ["tap.2"]))


def test_a_newcomer_is_a_stranger_only_where_the_sheet_does_not_come_to_name_it() -> None:
    now_ms = 1_000_000
    alone = Quay(A, [], listen=None, now_ms=lambda: now_ms)
    alone.known = {}
    newcomer = Talk(SCHOOL, B, "b" * 16, IDENTITIES[B], [])
    newcomer.know(keys_but(B))

    def alarms_of_a_word() -> dict[str, str]:
        theirs_ms = newcomer.due_ms(0)
        assert theirs_ms is not None
        (saying, *_) = newcomer.say(theirs_ms)
        assert alone.exchange.by_broker(f"k12/1/{SCHOOL}/dev/{B}/served", saying.octets)
        alone.exchange.turn()
        return alone.exchange.alarms()

    assert alarms_of_a_word() == {}
    now_ms += NEWCOMER_MS - 1
    assert alarms_of_a_word() == {}
    alone.known = keys_but(A) | {B: IDENTITIES[C].key}
    assert alarms_of_a_word() == {"word-refused": "forged: from the broker"}
    alone.known = {C: IDENTITIES[C].key}
    assert alarms_of_a_word() == {}, "a sheet came, so another may be on its way"
    now_ms += NEWCOMER_MS
    assert alarms_of_a_word() == {"word-refused": "stranger: from the broker"}
    alone.exchange.stop()


def test_a_port_that_is_taken_is_told_and_opened_once_it_is_free(
    quays: list[Quay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.canteen.exchange.OPEN_AGAIN_MS", 50)
    other = Lan((LOOPBACK, 0))
    quays.append(Quay(A, [], listen=other.address).start())
    until(lambda: "counters-port" in quays[0].exchange.alarms())
    other.close()
    assert address(quays[0]) == other.address


def test_a_fault_of_the_counters_own_ends_no_thread(quays: list[Quay], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.canteen.exchange.FAILED_PAUSE_MS", 20)
    quays.append(Quay(A, []).start())
    quays[0].fail = True
    quays.append(Quay(B, [address(quays[0])]).start())
    quays[1].exchange.said(told("tap.1"))
    quays[0].wait(quays[0].has(B, ["tap.1"]))
    until(lambda: "internal-fault" in quays[0].exchange.alarms())
    quays[0].fail = False
    quays[1].exchange.said(told("tap.2"))
    quays[0].wait(quays[0].has(B, ["tap.1", "tap.2"]))


def test_saying_never_waits_and_an_ended_exchange_takes_it_too() -> None:
    one = Quay(A, []).start()
    one.stop()
    one.exchange.said(told("tap.1"))
    assert one.exchange.unheard() == (B, C, D)


def test_a_counter_that_answered_has_a_socket_that_no_flood_of_others_fills() -> None:
    here, there, stranger = Lan((LOOPBACK, 0)), Lan((LOOPBACK, 0)), Lan((LOOPBACK, 0))
    try:
        here.keep_near([there.address])
        here.keep_near([there.address])
        assert len(here.descriptors()) == 2
        for _ in range(3_000):
            stranger.send(b"x" * 1_000, [here.address])
        assert there.send(b"from there", [here.address]) == 1
        came, more = here.read(2)
        assert (b"from there", there.address) in came and more
        here.keep_near([])
        while here.read(100)[0]:
            pass
        there.send(b"again", [here.address])
        assert here.read(2) == ([(b"again", there.address)], False)
    finally:
        for one in (here, there, stranger):
            one.close()


def test_a_closed_port_at_the_other_end_and_an_address_that_there_is_not_cost_nothing() -> None:
    here, there = Lan((LOOPBACK, 0)), Lan((LOOPBACK, 0))
    gone = there.address
    try:
        here.keep_near([gone])
        there.close()
        for _ in range(3):
            here.send(b"word", [gone, ("240.0.0.1", 9)])
            here.read(4)
        there = Lan(gone)
        there.send(b"back", [here.address])
        select.select(here.descriptors(), [], [], within(2))
        assert here.read(4)[0] == [(b"back", gone)]
        there.send(b"x" * (SIGNED_BYTES_MAX + 5_000), [here.address])
        select.select(here.descriptors(), [], [], within(2))
        assert len(here.read(4)[0][0][0]) == SIGNED_BYTES_MAX + 1
    finally:
        here.close()
        there.close()


def test_a_port_serves_one_gateway_and_only_whoever_listens_everywhere_calls_everybody() -> None:
    here = Lan((LOOPBACK, 0))
    everywhere = Lan(("0.0.0.0", 0))
    try:
        with pytest.raises(OSError, match="in use"):
            Lan(here.address)
        assert here.send(b"x", []) == 0
        networks = everywhere._broadcasts()
        assert all(port == everywhere.address[1] and not host.startswith("127.") for host, port in networks)
        sent = everywhere.send(b"x", [])
        assert sent <= len(networks)
    finally:
        here.close()
        everywhere.close()
