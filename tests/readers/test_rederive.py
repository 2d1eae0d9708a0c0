"""A reader whose byte order was declared wrongly: its taps of a week are read again at the hub, as corrections."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.readers.lines import QUIET_S
from protocol.envelope import decode_event
from sim.emulators.lines import Printer
from sim.parts import audit
from sim.road import Road
from tests.edge.room import data_of, events, records
from tests.hub.running import until

ROSTER = "pupil_key,display_name,class,card_uid\n"


class Place:
    """A hub, and a gateway with Wiegand converters at a gate and at a counter, both declared the wrong way round."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.road = Road(folder, with_city=True)
        self.printers = {name: Printer(folder / name) for name in ("cong", "bep")}
        for printer in self.printers.values():
            stack.callback(printer.unplug)
        self.gateway = self.road.add_gateway(
            "g1",
            {
                "cong": ("gate", f"lines://{folder / 'cong'}?format=w26"),
                "bep": ("canteen", f"lines://{folder / 'bep'}?format=w26"),
            },
        )
        # What the third and the fourth card share of their numbers may be either pupil's.
        shared = "st-3,Chi,6A1,a:77777711\nst-4,Em,6A1,a:77777722\n"
        self.import_roster("st-1,An,6A1,a:DEADBEEF\nst-2,Bé,6A1,a:04A1B2C3D4E580\n" + shared)
        self.road.accept()
        stack.callback(self.road.stop)
        self.road.city.start()
        self.road.hub.start()
        self.gateway.start()

    def import_roster(self, rows: str) -> None:
        file = self.folder / "roster.csv"
        file.write_text(ROSTER + rows, encoding="utf-8")
        # Most who were there leave with the next one, and that is meant.
        self.road.command("roster", "import", str(file), "--confirm", "many-gone", "--confirm", "cards-passed")

    def await_release(self) -> None:
        def known() -> bool:
            state = self.road.status()
            device = next((found for found in state["devices"] if found["device"] == "g1"), None) if state else None
            return (
                device is not None and set(device["rosters"].values()) == {state["roster"]} and bool(device["readers"])
            )

        until(known, "the gateway has the release in force")

    def say(self, station: str, *texts: str) -> None:
        self.printers[station].await_listener()
        time.sleep(2 * QUIET_S)
        for text in texts:
            self.printers[station].say(text + "\r\n")

    def rederive(self, *words: str) -> str:
        return self.road.command("cards", "rederive", *words)

    def corrections(self) -> list[Any]:
        return [
            (event.name, event.subject, msgspec.json.decode(event.data))
            for _, raw in audit(f"{self.road.hub_url}/v1/ledger/events", self.road.reader())
            if (event := decode_event(raw)).name.endswith(".correction")
        ]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def test_taps_of_a_reader_declared_wrongly_are_corrected_at_hub_and_city_and_no_journal_is_touched(
    place: Place,
) -> None:
    place.await_release()
    place.say("cong", "BEADDE", "B2A104", "777777")
    place.say("bep", "BEADDE")
    until(lambda: _taps(place) == 4, "four refusals")
    until(place.road.drained, "everything is at the city")
    before = records(place.folder / "g1")
    told = place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed", "--dry-run")
    assert "2 sẽ sửa / would be corrected" in told and "3 lượt chạm" in told
    assert place.corrections() == []
    told = place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed")
    assert "2 đã sửa / corrected" in told and not any(text in told for text in ("BEADDE", "DEADBEEF"))
    ids = {data_of(event)["card"]: event.id for event in events(place.folder / "g1") if event.name == "card.refused"}
    found = place.corrections()
    assert {(name, subject, data["was"], data["student"]) for name, subject, data in found} == {
        ("attendance.correction", "student/st-1", None, "st-1"),
        ("attendance.correction", "student/st-2", None, "st-2"),
    }
    for _, _, data in found:
        assert data["tap"] in ids.values() and data["source"] == "urn:k12edge:dev:79000701-g1"
        assert (data["why"], data["detail"]) == ("rederived", "format=w26&order=reversed") and data["by"]
    assert "0 đã sửa" in place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed")
    assert "1 đã sửa" in place.rederive("--reader", "g1/bep", "--format", "w26", "--order", "reversed")
    assert place.corrections()[-1][0] == "meal.correction"
    assert before == [raw for raw in records(place.folder / "g1") if raw in before], "no journal was touched"

    def at_the_city() -> bool:
        names = [decode_event(raw).name for _, raw in audit(f"{place.road.city_url}/k12edge/v1/events")]
        return names.count("attendance.correction") == 2 and names.count("meal.correction") == 1

    until(at_the_city, "the corrections are at the city")


def _taps(place: Place) -> int:
    return sum(event.name in ("card.refused", "meal.referred") for event in events(place.folder / "g1"))


def test_what_was_corrected_stays_whoever_has_the_card_now_and_another_declaration_corrects_it(place: Place) -> None:
    place.await_release()
    place.say("cong", "BEADDE")
    until(lambda: _taps(place) == 1, "a refusal")
    until(place.road.drained, "everything is at the city")
    place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed")
    # The card went to another child since: that is no reason to rewrite the past.
    place.import_roster("st-9,Chi,6A1,a:DEADBEEF\nst-2,Bé,6A1,a:04A1B2C3D4E580\n")
    told = place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed")
    assert "0 đã sửa" in told and "1 đã sửa trước đây" in told, told
    # A hub needn't run for it; and the first finding was wrong, the reader shows the last bytes of longer numbers.
    place.import_roster("st-7,Dũng,6A1,a:04112233BEADDE\n")
    place.road.hub.stop()
    told = place.rederive("--reader", "g1/cong", "--format", "hex", "--bytes", "3", "--part", "last")
    assert "1 đã sửa" in told and "1 chuyển sang học sinh khác" in told, told
    assert "0 đã sửa" in place.rederive("--reader", "g1/cong", "--format", "hex", "--bytes", "3", "--part", "last")
    place.road.hub.start()
    assert [(data["was"], data["student"]) for _, _, data in place.corrections()] == [(None, "st-1"), ("st-1", "st-7")]


def test_what_was_read_rightly_stays_whatever_the_roster_says_now_and_nobody_loses_a_tap_unasked(place: Place) -> None:
    place.await_release()
    place.say("cong", "ADBEEF", "BEADDE")  # st-1's card as declared, and as a reader of the other kind would show it.
    until(lambda: _taps(place) == 1 and _accepted(place) == 1, "an acceptance and a refusal")
    until(place.road.drained, "everything is at the city")
    # An has left the school, and another child has the card.
    place.import_roster("st-9,Chi,6A1,a:DEADBEEF\nst-2,Bé,6A1,a:04A1B2C3D4E580\n")
    assert "0 đã sửa" in place.rederive("--reader", "g1/cong", "--format", "w26")
    told = place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed")
    assert "1 đã sửa" in told and "1 giữ nguyên" in told, told
    place.road.hub.stop()
    with sqlite3.connect(place.folder / "hub" / "ledger.db") as ledger:
        # The disk damaged a record of no importance to this reader.
        ledger.execute("UPDATE events SET raw = x'00' WHERE position = (SELECT min(position) FROM events)")
    told = place.rederive("--reader", "g1/cong", "--format", "w26", "--order", "reversed", "--unassign")
    assert "1 đã sửa" in told and "1 nay không rõ học sinh" in told, told
    place.road.hub.start()


def _accepted(place: Place) -> int:
    return sum(event.name == "attendance.tap" for event in events(place.folder / "g1"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--reader", "g9/cong", "--format", "w26"), "reader-unknown"),
        (("--reader", "g1/cho", "--format", "w26"), "reader-unknown"),
        (("--reader", "g1", "--format", "w26"), "DEVICE/STATION"),
        (("--reader", "g1/cong", "--format", "w27"), "known are hex"),
        (("--reader", "g1/cong", "--format", "w26", "--bytes", "9"), "not 3, 4, 5, 7 or 8"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    road = Road(tmp_path, with_city=False)
    road.command("devices", "accept", "g1")
    done = subprocess.run(
        [sys.executable, "-m", "k12edge", "hub", "cards", "rederive", *words, "--config", str(road.hub_config)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0 and said in done.stderr, done.stderr
