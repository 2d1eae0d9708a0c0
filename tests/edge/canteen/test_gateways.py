"""Whole gateways at their counters: a second helping is known at the next one, by the broker and when it is gone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.app import Gateway
from edge.canteen.counter import GatewayCounter
from edge.canteen.ports import Shown
from edge.config import load_config
from edge.devicekeys import DeviceKeys
from hub.broker import EmbeddedBroker
from k12edge.ending import Ending
from protocol.countersheet import CounterSheet, MealPlan, SealedSheet, Shift, pack_sheet
from protocol.signing import seal, sign_message
from protocol.topics import device_topic
from sim.parts import free_ports
from tests.edge.canteen.canteen import HUB, SCHOOL, sheet
from tests.edge.running import until

NAMES = ("quay-a", "quay-b", "quay-c")
STATION = "quay"


class Box:
    """A gateway with one counter, on its own threads."""

    def __init__(self, folder: Path, name: str, more: str) -> None:
        self.name, self.data = name, folder / name
        self.data.mkdir()
        self.keys = DeviceKeys(self.data, HUB.key)
        self.file = folder / f"{name}.toml"
        (folder / "no-cards.txt").write_text("", encoding="ascii")
        self.file.write_text(
            f'[gateway]\nid = "{name}"\nschool = "{SCHOOL}"\ndata_dir = "{self.data}"\nhub_key = "{HUB.key}"\n'
            f'[signals]\nsinks = ["jsonl:{folder / name}.jsonl"]\n[time]\nsource = "declared"\n'
            f'[[station]]\nname = "{STATION}"\nkind = "canteen"\nreader = "replay:{folder}/no-cards.txt"\n{more}',
            encoding="utf-8",
        )
        self.gateway: Gateway | None = None
        self.running: set[str] = set()

    def lay(self, made: CounterSheet) -> None:
        """What its hub sent it yesterday evening."""
        body = SealedSheet(made.version, seal(self.keys.identity.box, pack_sheet(made)))
        signed = sign_message(HUB, device_topic(SCHOOL, self.name, "sheet"), msgspec.json.encode(body))
        (self.data / "countersheet.sealed").write_bytes(signed)

    def told(self, made: CounterSheet) -> None:
        """What its hub sends it now, or has sent it when it starts."""
        self.lay(made)
        if self.gateway is not None:
            signed = (self.data / "countersheet.sealed").read_bytes()
            (self.data / "countersheet.sealed").unlink()
            assert self.counter.hear_sheet(signed)

    def start(self) -> None:
        self.ending = Ending()
        self.gateway = Gateway(load_config(self.file), self.ending)
        self.thread = threading.Thread(target=self.gateway.run, name=self.name)
        self.thread.start()

    def stop(self) -> None:
        if self.gateway is not None:
            self.ending.asked = True
            self.ending.poke()
            self.thread.join(20)
            assert not self.thread.is_alive()
            self.gateway = None

    @property
    def counter(self) -> GatewayCounter:
        assert self.gateway is not None and self.gateway.assembly.counter is not None
        return self.gateway.assembly.counter

    def unheard(self) -> tuple[str, ...]:
        assert self.gateway is not None and self.gateway._exchange is not None
        return self.gateway._exchange.unheard()

    def served(self) -> tuple[int, int]:
        """First trays and seconds of the meal, over all counters that it knows of."""
        tally = self.counter.view(STATION).tally
        return tally.served, tally.seconds

    def serve(self, student: str) -> Shown:
        """Serve by name, once all that run are heard; what the counter showed."""
        until(lambda: not set(self.unheard()) & self.running, "the others are heard")
        before = self.counter.view(STATION).shown.number
        assert self.counter.serve_name(STATION, student, "-").code is None
        until(lambda: self.counter.view(STATION).shown.number > before, "it is shown")
        return self.counter.view(STATION).shown


Start = Callable[[int, Callable[[int, list[int]], str]], list[Box]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Box] = []

    def start(count: int, more: Callable[[int, list[int]], str]) -> list[Box]:
        ports = free_ports(count)
        made.extend(Box(tmp_path, NAMES[at], more(at, list(ports))) for at in range(count))
        day = sheet(counters={one.name: one.keys.identity.key for one in made})
        for one in made:
            one.running = {other.name for other in made}
            one.lay(day)
            one.start()
        return made

    yield start
    for one in made:
        one.stop()


def test_a_second_helping_is_known_at_the_next_counter_also_when_the_broker_is_gone(
    start: Start, tmp_path: Path
) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", "127.0.0.1", 0)
    broker.start(lambda: False)
    try:
        host, port = broker.address
        boxes = start(
            3,
            lambda at, ports: (
                f'[uplink]\nurl = "mqtt://{host}:{port}"\n[counters]\nlisten = "127.0.0.1:{ports[at]}"\n'
                f"peers = {[f'127.0.0.1:{other}' for other in ports if other != ports[at]]}\n"
            ),
        )
        until(lambda: not any(one.unheard() for one in boxes), "they hear each other")
        first, second, third = boxes
        assert (first.serve("st-an").nth, first.counter.view(STATION).shown.alone) == (1, False)
        until(lambda: second.served() == third.served() == (1, 0), "they know it")
        assert (second.serve("st-an").nth, second.counter.view(STATION).shown.alone) == (2, False)
    finally:
        broker.stop()
    shown = third.serve("st-binh")
    assert (shown.nth, shown.alone) == (1, False)
    until(lambda: first.served() == second.served() == third.served() == (2, 1), "they know without a broker")
    assert second.counter.undo(str(second.counter.view(STATION).recent[0].tap), "-").code is None
    until(lambda: first.served() == third.served() == (2, 0), "what was taken back counts nowhere")
    third.stop()
    first.running.discard("quay-c")
    until(lambda: first.unheard() == ("quay-c",), "one is gone")
    assert first.serve("st-chi").alone
    third.start()
    until(lambda: third.served() == first.served() == second.served() == (3, 0), "it is told the day again")
    assert third.serve("st-chi").nth == 2


def test_by_the_broker_alone_it_is_known_as_well(start: Start, tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker", "127.0.0.1", 0)
    broker.start(lambda: False)
    try:
        host, port = broker.address
        first, second = start(2, lambda *_: f'[uplink]\nurl = "mqtt://{host}:{port}"\n')
        until(lambda: not (first.unheard() or second.unheard()), "they hear each other")
        assert first.serve("st-an").nth == 1
        until(lambda: second.served() == (1, 0), "it knows it")
        assert second.serve("st-an").nth == 2
    finally:
        broker.stop()
    until(lambda: first.unheard() == ("quay-b",), "nobody carries words any more")
    first.running.clear()
    assert first.serve("st-binh").alone


def test_a_gateways_restart_and_a_late_word_show_each_shifts_counts_right(start: Start) -> None:
    first, second = start(
        2,
        lambda at, ports: (
            f'[counters]\nlisten = "127.0.0.1:{ports[at]}"\n'
            f"peers = {[f'127.0.0.1:{other}' for other in ports if other != ports[at]]}\n"
        ),
    )
    keys, versions = {one.name: one.keys.identity.key for one in (first, second)}, itertools.count(2)
    cards = (f"0b6f5c9e7d2a4f18.{number}" for number in itertools.count(1))

    def open_shift(number: int) -> None:
        """From now on this one is served at our counters, and the other one is over, or not yet."""
        hours = [Shift(at, "00:00", "23:59", stations=[STATION if at == number else "-"]) for at in (1, 2)]
        made = sheet(next(versions), counters=keys, meals=[MealPlan("lunch", hours)])
        for one in (first, second):
            one.told(made)

    def serve(one: Box) -> None:
        """A card that nobody knows, each time another."""
        assert one.counter.serve_stranger(STATION, next(cards), "-").code is None

    def strangers(one: Box, count: int) -> None:
        until(lambda: one.counter.view(STATION).tally.strangers == count, f"{one.name} counts {count}")

    open_shift(1)
    for _ in range(2):
        serve(first)
    strangers(second, 2)
    second.stop()
    open_shift(2)
    serve(first)
    second.start()
    until(lambda: not second.unheard(), "it hears the other")
    serve(second)
    strangers(first, 2)
    strangers(second, 2)
    first.stop()
    first.start()
    until(lambda: not first.unheard(), "it hears the other")
    # Once each knows this, it knows all that was told before, in order.
    serve(first)
    serve(second)
    for one in (first, second):
        strangers(one, 4)
    open_shift(1)
    for one in (first, second):
        assert one.counter.view(STATION).tally.strangers == 2, "of the first shift, however late they were heard"
