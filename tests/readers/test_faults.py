"""The faults of readers at a running gateway: every tap that a reader handed over is one record, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.pn532 import Faults, FieldCard
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

TAPS = ("attendance.tap", "card.refused")
A, B = FieldCard(bytes.fromhex("DEADBEEF")), FieldCard(bytes.fromhex("04A1B2C3D4E580"))


def card(number: int) -> FieldCard:
    return FieldCard(bytes((4, 0x77)) + number.to_bytes(5, "big"))


class Gate:
    """A gateway process with a PN532, another for cards at its field's edge, a 125 kHz module; nobody hears it."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.folder, self.bench = folder, bench
        self.chip, self.edge = bench.add(folder / "chip", seed=3), bench.add(folder / "edge", seed=4)
        self.module = Printer(folder / "module")
        road = Road(folder, with_city=False)
        stations = {
            "cong": ("gate", f"pn532://{folder / 'chip'}"),
            "ria": ("gate", f"pn532://{folder / 'edge'}"),
            "phu": ("gate", f"lines://{folder / 'module'}?format=rdm6300"),
        }
        self.part = road.add_gateway("g", stations, repeat_window_s=0)
        self.road = road
        self.part.start()
        until(lambda: self.chip.looks > 3, "the gateway looks at the field")

    def records(self, station: str = "cong") -> list[tuple[str, str | None]]:
        """Decision and reason of each tap."""
        found = [data_of(event) for event in events(self.folder / "g") if event.name in TAPS]
        return [(data["decision"], data["reason"]) for data in found if data["point"] == station]

    def signals(self) -> list[str]:
        return self.road.signals_of("g").read_text(encoding="utf-8").splitlines()

    def await_records(self, count: int, station: str = "cong") -> None:
        until(lambda: len(self.records(station)) >= count, f"{count} records, not {self.records(station)}")

    def end(self) -> None:
        self.part.stop()
        self.module.unplug()


@pytest.fixture
def gate(tmp_path: Path, bench: Bench) -> Iterator[Gate]:
    made = Gate(tmp_path, bench)
    yield made
    made.end()


def test_a_card_held_for_ten_seconds_is_one_tap_also_with_flaky_coupling(gate: Gate) -> None:
    gate.edge.faults = Faults(flaky=0.4)
    for chip in (gate.chip, gate.edge):
        chip.place(A)
    gate.await_records(1)
    gate.await_records(1, "ria")
    looks = gate.edge.looks
    time.sleep(10)
    assert gate.edge.looks - looks > 100
    assert len(gate.records()) == len(gate.records("ria")) == 1


def test_a_telephone_with_another_number_at_each_look_is_one_refusal_and_no_acceptance(gate: Gate) -> None:
    for number in range(60):
        gate.chip.place(FieldCard(b"\x08" + number.to_bytes(3, "big")))
        looks = gate.chip.looks
        until(lambda looks=looks: gate.chip.looks > looks, "it was looked at")
    gate.await_records(1)
    assert gate.records() == [("refused", "random")]


def test_two_cards_at_once_are_two_taps(gate: Gate) -> None:
    gate.chip.place(A, B)
    gate.await_records(2)
    time.sleep(1)
    assert len(gate.records()) == 2


def test_noise_short_frames_errors_and_missing_answers_mixed_lose_and_double_nothing(gate: Gate) -> None:
    gate.chip.faults = Faults(noise=0.02, short=0.02, nack=0.02, silent=0.02, error=0.02)
    for number in range(1, 41):
        looks = gate.chip.looks
        gate.chip.place(card(number))
        # A short tap: the chip listed the card some times, whether its answers came through or not.
        until(lambda looks=looks: gate.chip.looks > looks + 4, "it was looked at")
        gate.chip.remove()
    gate.await_records(40)
    time.sleep(0.6)
    assert len(gate.records()) == 40


def test_a_module_s_ghost_is_no_tap_and_gets_no_signal(gate: Gate) -> None:
    gate.module.await_listener()
    time.sleep(0.1)
    shown = len(gate.signals()) if gate.road.signals_of("g").exists() else 0
    for number in range(30):
        octets = bytes((0x0A, 0x01, 0x02, number, 0x33))
        check = octets[0] ^ octets[1] ^ octets[2] ^ octets[3] ^ octets[4]
        gate.module.frame((octets + bytes((check,))).hex().upper())
        time.sleep(0.01)
    gate.module.frame("000000000000")
    gate.module.frame("000000000000")
    gate.await_records(1, "phu")
    assert gate.records("phu") == [("refused", "misread")], "all zeros, said twice, is refused and recorded"
    assert len(gate.signals()) == shown + 1 and '"refused"' in gate.signals()[-1]
