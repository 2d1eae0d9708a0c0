"""One card, many numbers: whatever a gateway's readers print, it is one pupil; a part of two cards goes to staff."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge.readers.lines import QUIET_S
from protocol.cardforms import NumberPlan, plans, printed
from protocol.cards import parse_card
from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.osdppd import OsdpPd
from sim.emulators.pcsccard import uid_card
from sim.emulators.pcscdaemon import Pcscd
from sim.emulators.pn532 import FieldCard
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

OSDP_KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
PUPILS = {
    "st-1": parse_card("a:DEADBEEF"),
    "st-2": parse_card("a:04A1B2C3D4E580"),
    "st-3": parse_card("em:0A00B6ED77"),
    "st-4": parse_card("a:0A1B2C3D"),
    # Two cards with the same last three bytes.
    "st-5": parse_card("a:21554433"),
    "st-6": parse_card("a:99554433"),
}


class Place:
    """A hub and a gateway with a station for each plan, and one PN532."""

    def __init__(self, folder: Path, chosen: list[NumberPlan], bench: Bench, stack: ExitStack) -> None:
        self.road = Road(folder, with_city=False)
        self.printers = {}
        stations: dict[str, tuple[str, str]] = {}
        for number, plan in enumerate(chosen):
            name = f"may-{number}"
            self.printers[name] = (Printer(folder / name), plan)
            stack.callback(self.printers[name][0].unplug)
            stations[name] = ("gate", f"lines://{folder / name}?{plan}")
        self.chip = bench.add(folder / "chip")
        stations["chip"] = ("gate", f"pn532://{folder / 'chip'}")
        (folder / "pcscd").mkdir()
        self.pcscd = stack.enter_context(Pcscd(folder / "pcscd"))
        stations["pcsc"] = ("gate", "pcsc:K12%20Gate%2000%2000")
        key_file = folder / "gate.key"
        key_file.write_text(f"{OSDP_KEY.hex()}\n", encoding="ascii")
        key_file.chmod(0o600)
        self.osdp = OsdpPd(folder / "cua", OSDP_KEY, address=0)
        stack.callback(self.osdp.close)
        stations["osdp"] = ("gate", f"osdp://{folder / 'cua'}?address=0&key-file={key_file}&baud=115200&order=reversed")
        self.folder, self.chosen = folder, chosen
        self.gateway = self.road.add_gateway("cong", stations)
        roster = folder / "roster.csv"
        rows = [f"{key},Trò,6A1,{card.canonical}" for key, card in PUPILS.items()]
        roster.write_text("\n".join(["pupil_key,display_name,class,card_uid", *rows]) + "\n", encoding="utf-8")
        self._imported = self.road.command("roster", "import", str(roster)).partition(":")[0]
        self.road.accept()
        stack.callback(self.road.stop)
        self.road.hub.start()
        self.gateway.start()
        until(self._knows_the_parts, "the gateway has a release that tells whose its readers' parts are")
        for printer, _ in self.printers.values():
            printer.await_listener()
        time.sleep(2 * QUIET_S)

    def _knows_the_parts(self) -> bool:
        # The first release is of the import; the hub makes another when it hears which parts these readers hand over.
        state = self.road.status()
        device = next((found for found in state["devices"] if found["device"] == "cong"), None) if state else None
        return (
            device is not None and device["rosters"] == {"gate": state["roster"]} and state["roster"] != self._imported
        )

    def taps(self) -> list[Any]:
        return [data_of(event) for event in events(self.folder / "cong") if event.name in TAPS]


TAPS = ("attendance.tap", "card.refused")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_a_card_is_one_pupil_however_its_number_is_printed(tmp_path: Path, stack: ExitStack) -> None:
    chosen = [plan for plan in plans() if plan.part is None]
    bench = stack.enter_context(Bench())
    place = Place(tmp_path, chosen, bench, stack)
    expected: list[tuple[str, str]] = []
    for key in ("st-1", "st-2", "st-3", "st-4"):
        texts = {form.plan: form.text for form in printed(PUPILS[key])}
        for name, (printer, plan) in place.printers.items():
            if plan in texts:
                for _ in range(2 if plan.form.name == "rdm6300" else 1):
                    printer.say(
                        f"\x02{texts[plan]}\r\n\x03" if plan.form.name in ("rdm6300", "id12") else texts[plan] + "\r"
                    )
                expected.append((name, key))
    for key in ("st-1", "st-2", "st-4"):
        place.chip.place(FieldCard(bytes.fromhex(PUPILS[key].hex)))
        until(lambda key=key: ("chip", key) in _students(place), f"{key} at the PN532")
        expected.append(("chip", key))
    for key in ("st-1", "st-2", "st-4"):
        slot = place.pcscd.slots[0]
        slot.show(uid_card(bytes.fromhex(PUPILS[key].hex)))
        until(lambda key=key: ("pcsc", key) in _students(place), f"{key} at the PC/SC reader")
        slot.remove()
        expected.append(("pcsc", key))
    for key in ("st-1", "st-2", "st-3"):
        # This one sends the last byte first, and of three bytes what a Wiegand controller would.
        uid = bytes.fromhex(PUPILS[key].hex)[::-1]
        place.osdp.show(8 * len(uid), uid)
        until(lambda key=key: ("osdp", key) in _students(place), f"{key} at the OSDP reader")
        expected.append(("osdp", key))
    until(lambda: len(place.taps()) >= len(expected), "every printed number is a record")
    assert sorted(_students(place)) == sorted(expected)
    assert {found["decision"] for found in place.taps()} == {"accepted"}
    assert len(expected) > 60


def _students(place: Place) -> list[tuple[str, str | None]]:
    return [(found["point"], found["student"]) for found in place.taps()]


def test_a_part_that_two_pupils_cards_share_goes_to_staff_and_a_whole_number_never_does(
    tmp_path: Path, stack: ExitStack
) -> None:
    by_name = {str(plan): plan for plan in plans()}
    chosen = [by_name[name] for name in ("format=w26", "format=3d5d&order=reversed", "format=8h10d", "format=hex")]
    place = Place(tmp_path, chosen, stack.enter_context(Bench()), stack)
    for number, text in enumerate(("554433", "068,21793", "0559236147", "99554433")):
        printer, _ = place.printers[f"may-{number}"]
        printer.say(text + "\r\n")
    found = until(lambda: len(place.taps()) >= 4 and place.taps(), "four records")
    told = {row["point"]: (row["student"], row["decision"], row["reason"]) for row in found}
    assert told == {
        "may-0": (None, "refused", "ambiguous"),
        "may-1": ("st-5", "accepted", None),
        "may-2": ("st-5", "accepted", None),
        "may-3": ("st-6", "accepted", None),
    }
