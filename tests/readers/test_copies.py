"""Cards and their copies at a real gateway's PN532: what the hub finds out of each, as real processes."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from edge.readers.presence import GONE_NS
from protocol.cards import CardUid
from protocol.envelope import decode_event
from sim.emulators.bench import Bench
from sim.emulators.pn532 import FieldCard
from sim.emulators.sun import ATS, SENS_RES, SunApplication, sun_card
from sim.parts import audit
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

META, KEY = bytes(range(16)), bytes(range(16, 32))
UID = bytes.fromhex("04DE5F1EACC040")
CARD = CardUid.from_bytes("a", UID)
TAPS = ("attendance.tap", "card.refused")
TRIES = 12
"""Placements until a card's proof came with its tap: on a busy machine a card may leave before it was asked."""


class Recorded(SunApplication):
    """A copy that says again what it heard the card say."""

    def __init__(self, query: str) -> None:
        super().__init__(UID, META, bytes(16))
        self._heard = query

    def query(self) -> str:
        return self._heard


class Listener(SunApplication):
    """The card itself, with somebody beside it who writes down what it says."""

    heard = ""

    def query(self) -> str:
        self.heard = super().query()
        return self.heard


def speaking(application: SunApplication) -> FieldCard:
    return FieldCard(UID, SENS_RES, 0x20, ATS, application)


class Place:
    """A hub that has the cards' keys, and a gateway with a PN532 at each of two gates; `phu` needs proofs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        bench = stack.enter_context(Bench())
        self.chips = {name: bench.add(folder / name) for name in ("cong", "phu")}
        self.road = Road(folder, with_city=True)
        for name, key in (("meta", META), ("file", KEY)):
            file = folder / f"{name}.key"
            file.write_text(f"{key.hex()}\n", encoding="ascii")
            file.chmod(0o600)
        with self.road.hub_config.open("a", encoding="utf-8") as config:
            config.write(
                f'[sun]\nmeta_key_file = "{folder / "meta.key"}"\nfile_key_file = "{folder / "file.key"}"\n'
                'proof_at = ["g1/phu"]\n'
            )
        self.gateway = self.road.add_gateway(
            "g1", {name: ("gate", f"pn532://{folder / name}") for name in self.chips}, repeat_window_s=0
        )
        roster = folder / "roster.csv"
        roster.write_text(f"pupil_key,display_name,class,card_uid\nst-1,An,6A1,{CARD.canonical}\n", encoding="utf-8")
        self.road.command("roster", "import", str(roster))
        self.road.accept()
        stack.callback(self.road.stop)
        self.road.city.start()
        self.road.hub.start()
        self.gateway.start()
        until(self._ready, "the gateway has the release in force")

    def _ready(self) -> bool:
        state = self.road.status()
        device = next((found for found in state["devices"] if found["device"] == "g1"), None) if state else None
        return device is not None and set(device["rosters"].values()) == {state["roster"]} and bool(device["readers"])

    def taps(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event.id, data_of(event)) for event in events(self.folder / "g1") if event.name in TAPS]

    def tap(self, card: FieldCard, station: str = "cong") -> str:
        """Hold a card to a reader until its tap is recorded, and take it away; the tap's id."""
        before, chip = len(self.taps()), self.chips[station]
        chip.place(card)
        until(lambda: len(self.taps()) > before, "the tap is recorded")
        chip.remove()
        time.sleep(GONE_NS / 1e9 + 0.2)  # The time after which a card that is unseen has left.
        (found,) = self.taps()[before:]
        assert found[1]["decision"] == "accepted", found
        return found[0]

    def judged(self, card: Callable[[], FieldCard], verdict: str, station: str = "cong") -> tuple[str, int | None]:
        """Tap until the proof came with it and was found so; that tap and its counter."""
        for _ in range(TRIES):
            tap = self.tap(card(), station)
            if "raw" not in dict(self.taps())[tap]:
                continue
            until(lambda tap=tap: tap in self.verdicts(), "the hub has judged it")  # type: ignore[misc]
            found, counter = self.verdicts()[tap]
            assert found == verdict, found
            return tap, counter
        pytest.fail("no proof came through")

    def verdicts(self) -> dict[str, tuple[str, int | None]]:
        with closing(sqlite3.connect(f"file:{self.folder / 'hub' / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            rows = ledger.execute(
                "SELECT j.journal || '.' || v.sequence, verdict, counter FROM card_verdicts AS v"
                " JOIN journals AS j ON j.number = v.journal"
            )
            return {name: (verdict, counter) for name, verdict, counter in rows}

    def findings(self) -> list[tuple[str, str]]:
        found = json.loads(self.road.command("cards", "findings", "--json"))
        return [(one["code"], one["id"]) for one in found]

    def alarms(self) -> dict[str, str]:
        """Those about cards, and the detail of each."""
        return {alarm["code"]: alarm["detail"] for alarm in self._told()}

    def told(self) -> int:
        """How often any was raised."""
        return sum(alarm["count"] for alarm in self._told())

    def _told(self) -> list[Any]:
        return [alarm for alarm in self.road.status()["alarms"] if alarm["code"].startswith(("proof-", "card-"))]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def test_a_card_is_known_from_its_copies_and_every_tap_counts_all_the_same(place: Place) -> None:
    owner = Listener(UID, META, KEY, counter=60)
    tap, counter = place.judged(lambda: speaking(owner), "proved")
    assert counter == owner.counter and place.findings() == [] and place.alarms() == {}
    heard = owner.heard

    blank, _ = place.judged(lambda: sun_card(UID, META, bytes(16), counter=400), "refused")
    assert place.findings() == [("proof-refused", blank)]

    echo, _ = place.judged(lambda: speaking(Recorded(heard)), "replayed")
    assert place.findings() == [("proof-refused", blank), ("proof-replayed", echo)]
    assert tap in place.alarms()["proof-replayed"], "both taps are named"

    # Beside it somebody had a card say its next address, and kept that until the card was shown again.
    kept = SunApplication(UID, META, KEY, counter=owner.counter + 1).query()
    owner.counter += 1
    place.judged(lambda: speaking(owner), "proved")
    old, _ = place.judged(lambda: speaking(Recorded(kept)), "late")
    assert place.findings()[-1] == ("proof-late", old)

    assert set(place.alarms()) == {"proof-refused", "proof-replayed", "proof-late"}
    text = place.road.command("cards", "findings")
    assert text.count("g1/cong\tst-1\tproof-") == 3
    for told in (text, json.dumps(place.road.status()), _log(place)):
        assert UID.hex().upper() not in told.upper()
    until(place.road.drained, "everything is at the city")
    at_the_city = [decode_event(raw).id for _, raw in audit(f"{place.road.city_url}/k12edge/v1/events")]
    assert {name for name, _ in place.taps()} <= set(at_the_city), "found out or not, every tap is recorded there"


def test_where_a_proof_is_needed_a_copy_by_number_alone_is_told_and_so_is_its_chip(place: Place) -> None:
    true = sun_card(UID, META, KEY)
    place.judged(lambda: true, "proved", "phu")
    plain = place.tap(FieldCard(UID), "phu")
    until(lambda: plain in place.verdicts(), "the hub has judged it")
    assert place.verdicts()[plain] == ("missing", None)
    assert {(code, tap) for code, tap in place.findings() if tap == plain} == {
        ("proof-missing", plain),
        ("card-type-changed", plain),
    }
    assert "sak is 08, known is 20" in place.alarms()["card-type-changed"]
    elsewhere = place.tap(FieldCard(UID), "cong")
    until(lambda: ("card-type-changed", elsewhere) in place.findings(), "the hub has judged it")
    assert elsewhere not in place.verdicts(), "no proof is asked for there"


def test_a_hub_that_is_killed_judges_what_is_left_after_its_next_start(place: Place) -> None:
    true = sun_card(UID, META, KEY)
    place.judged(lambda: true, "proved")
    for _ in range(2):
        place.judged(lambda: sun_card(UID, META, bytes(16)), "refused")
        place.road.hub.kill()
        place.tap(true)
        place.road.hub.start()
    until(place.road.drained, "everything is at the city")
    proofs = {name for name, data in place.taps() if "raw" in data}
    until(lambda: proofs <= set(place.verdicts()), "all are judged")
    assert sorted(verdict for verdict, _ in place.verdicts().values() if verdict != "proved") == ["refused"] * 2
    assert place.told() == 2 and set(place.alarms()) == {"proof-refused"}


def _log(place: Place) -> str:
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in place.folder.glob("*.log"))
