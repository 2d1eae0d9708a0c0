"""The inspector on a real ledger: groups, crashes between them, faults passed over, keys that come later."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hub.cards import inspector as rooms
from hub.cards.inspector import BETWEEN_MS, GROUP, IDLE_MS, Inspector
from hub.cards.sun import SunKeys
from hub.papers import wrapped
from hub.store.database import LedgerFull
from protocol.cards import CardKey, CardUid
from protocol.envelope import decode_event
from protocol.rawread import RawRead, encode_raw
from protocol.signing import Identity, seal
from protocol.taps import ClockData, TapData
from sim.emulators.sun import SunApplication
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom
from tests.hub.running import HubProcess, Wire, until

META, KEY = bytes(range(16)), bytes(range(16, 32))
KEYS = SunKeys(META, KEY)
UID = bytes.fromhex("04DE5F1EACC040")
CARD = CardUid.from_bytes("a", UID)


class Place:
    """A hub's room with two accepted gateways, and taps of cards that prove themselves."""

    def __init__(self, folder: Path, **tables: dict[str, Any]) -> None:
        self.folder, self.tables = folder, tables
        self.room = HubRoom(folder, **tables)
        self.gates = [self.room.known(Gateway(name)) for name in ("ga", "gb")]
        self.runs = [gate.run() for gate in self.gates]
        self.inspector = Inspector(self.room.config, self.room.store, KEYS)

    def again(self, keys: SunKeys | None = KEYS, **tables: dict[str, Any]) -> None:
        """The hub after a crash or a stop: another process on the same file."""
        self.room.close()
        self.tables |= tables
        self.room = HubRoom(self.folder, **self.tables)
        self.inspector = Inspector(self.room.config, self.room.store, keys)

    def tap(
        self,
        gate: int,
        counter: int | None,
        *,
        key: bytes = KEY,
        at_s: int | None = None,
        card: CardUid = CARD,
        under: CardKey | None = None,
        err_ms: int | None = 15,
        **more: Any,
    ) -> str:
        """A pupil's tap with the proof of that counter; its id."""
        key_of_ids = under or self.room.store.secrets.card_keys()[-1]
        box = self.room.store.secrets.identity().box

        def data(clock: ClockData) -> TapData:
            proof = None if counter is None else SunApplication(UID, META, key, counter).query()
            sealed = seal(box, encode_raw(RawRead(card.canonical, proof=proof)))
            made = TapData(
                "gate",
                "cong",
                "in",
                key_of_ids.keyed(card),
                "st-1",
                "accepted",
                None,
                "ok",
                "r",
                clock,
                sealed,
                "sak=20",
            )
            return replace(made, **more)

        run = self.runs[gate]
        run.add("attendance.tap", data, err_ms=err_ms, mono_ms=None if at_s is None else at_s * 1000)
        return f"{run.journal}.{len(run.lines)}"

    def deliver(self, gate: int, first: int = 1) -> None:
        run = self.runs[gate]
        self.room.batch(self.gates[gate], self.gates[gate].batch(run, first))

    def judge(self) -> int:
        """Turn until nothing waits; how many groups."""
        groups = 0
        while self.inspector.turn() != IDLE_MS or self.behind():
            groups += 1
            assert groups < 1_000
            # As if the time to gather had passed.
            self.inspector._gather_until_ms = 0
        return groups

    def behind(self) -> int:
        rows = self.room.store.cards
        return rows.newest() - rows.cursor().position

    def verdicts(self) -> dict[str, tuple[str, int | None]]:
        return self.room.store.cards.verdicts()

    def findings(self) -> list[tuple[str, str]]:
        return [(one["code"], one["id"]) for one in self.room.store.cards.findings()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "hub")
    yield made
    made.room.close()


def test_true_taps_raise_nothing_and_copies_and_replays_are_told_without_a_card_number(place: Place) -> None:
    true = [place.tap(0, 1), place.tap(0, 2)]
    copy = place.tap(0, 3, key=bytes(16))
    replayed = place.tap(0, 2)
    place.deliver(0)
    place.judge()
    assert place.verdicts() == {
        true[0]: ("proved", 1),
        true[1]: ("proved", 2),
        copy: ("refused", None),
        replayed: ("replayed", 2),
    }
    assert place.findings() == [("proof-refused", copy), ("proof-replayed", replayed)]
    alarms = place.room.alarms()
    assert set(alarms) == {"proof-refused", "proof-replayed"}
    assert "cong" in alarms["proof-refused"][0] and copy in alarms["proof-refused"][0]
    everything = json.dumps([place.room.status.whole()["alarms"], place.room.store.cards.findings()])
    keyed = place.room.store.secrets.card_keys()[-1].keyed(CARD)
    assert UID.hex().upper() not in everything.upper() and keyed not in everything
    assert place.inspector.turn() == IDLE_MS


def test_two_gates_that_were_offline_may_deliver_in_any_order(place: Place) -> None:
    for counter in range(1, 41):
        place.tap(counter % 2, counter, at_s=100 * counter)
    place.deliver(1)
    place.judge()
    place.deliver(0, 11)
    place.judge()
    place.deliver(0)
    place.judge()
    assert set(place.verdicts().values()) == {("proved", counter) for counter in range(1, 41)}
    assert place.findings() == [] and place.room.alarms() == {}


def test_the_clocks_of_gateways_bound_what_is_told_of_places_and_of_old_proofs(place: Place) -> None:
    place.tap(0, 7, at_s=1_000)
    place.tap(1, 6, at_s=1_002)
    unsure = place.tap(1, 5, at_s=1_003, err_ms=None)
    place.deliver(0)
    place.deliver(1)
    place.judge()
    assert ("card-in-two-places", f"{place.runs[1].journal}.2") in place.findings()
    assert ("proof-late", f"{place.runs[1].journal}.2") in place.findings()
    # The boot has an anchor by the record before, so this one's time is known, too.
    assert ("proof-late", unsure) in place.findings()


def test_a_group_is_bounded_and_what_comes_meanwhile_is_gathered(place: Place) -> None:
    for counter in range(1, 2 * GROUP + 20):
        place.tap(0, counter)
    place.deliver(0)
    assert place.inspector.turn() == BETWEEN_MS and 0 < place.behind() < 2 * GROUP + 40
    place.judge()
    place.tap(0, 5_000)
    place.deliver(0)
    assert 0 < place.inspector.turn() <= rooms.GATHER_MS and place.behind() == 1
    place.judge()
    assert len(place.verdicts()) == 2 * GROUP + 20


@pytest.mark.parametrize("at", ["state", "write", "alarm", "move"])
def test_a_crash_anywhere_in_a_group_repeats_and_loses_nothing(
    place: Place, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for counter in (1, 2, 3, 2):
        place.tap(0, counter)
    place.tap(0, 9, key=bytes(16))
    place.deliver(0)
    target: Any = place.room.store.ledger if at == "alarm" else place.room.store.cards
    true: Callable[..., Any] = getattr(target, at)
    left = [2 if at in ("state", "write") else 1]

    def breaks(*words: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise LedgerFull("no space")
        return true(*words)

    monkeypatch.setattr(target, at, breaks)
    assert place.inspector.turn() == rooms.FAILED_PAUSE_MS
    assert place.verdicts() == {} and place.findings() == [] and place.behind() > 0
    assert place.room.alarms() == {}
    # The process is gone here; the next one finds the file as it was committed.
    place.again()
    place.judge()
    assert [verdict for verdict, _ in place.verdicts().values()] == ["proved"] * 3 + ["replayed", "refused"]
    assert {alarm["code"]: alarm["count"] for alarm in place.room.status.whole()["alarms"]} == {
        "proof-refused": 1,
        "proof-replayed": 1,
    }


def test_each_record_is_judged_once_however_often_the_hub_is_killed(place: Place) -> None:
    for counter in range(1, GROUP * 2):
        place.tap(0, counter)
    place.deliver(0)
    for _ in range(4):
        place.inspector.turn()
        place.again()
    place.judge()
    assert set(place.verdicts().values()) == {("proved", counter) for counter in range(1, GROUP * 2)}
    assert place.findings() == []


def test_records_that_can_not_be_judged_are_passed_over_and_the_next_ones_are_judged(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison = place.tap(0, 1)
    place.tap(0, None, raw="no box at all")
    place.tap(0, None, raw=seal(place.room.store.secrets.identity().box, b"\xff\x00"))
    place.tap(0, None, raw=seal(place.room.store.secrets.identity().box, b"not a card"))
    place.tap(0, None, type="sak=\x00,ats")
    place.tap(0, None, point="?" * 500)
    after = place.tap(0, 2)
    place.deliver(0)
    true = place.room.store.cards.write

    def poisoned(card: str, moment: Any, *words: Any) -> Any:
        if moment.tap == poison:
            raise ValueError("a fault of ours")
        return true(card, moment, *words)

    monkeypatch.setattr(place.room.store.cards, "write", poisoned)
    with caplog.at_level(logging.WARNING):
        place.judge()
    assert poison not in place.verdicts() and place.verdicts()[after] == ("proved", 2)
    assert [verdict for verdict, _ in place.verdicts().values()].count("unreadable") == 3
    assert "can't be judged" in caplog.text and UID.hex().upper() not in caplog.text.upper()
    assert len(place.room.events()) == len(place.runs[0].lines), "the ledger has them all"


def test_a_storage_that_fails_while_a_record_is_read_passes_none_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = place.tap(0, 1)
    place.deliver(0)
    true = place.room.store.secrets.open_raw
    failures = [sqlite3.OperationalError("database is locked")]

    def fails(*words: Any) -> bytes:
        if failures:
            raise failures.pop()
        return true(*words)

    monkeypatch.setattr(place.room.store.secrets, "open_raw", fails)
    assert place.inspector.turn() == rooms.FAILED_PAUSE_MS and place.verdicts() == {} and place.behind() > 0
    place.judge()
    assert place.verdicts() == {tap: ("proved", 1)}


def test_a_raw_read_that_was_sealed_before_the_gateway_knew_the_hub_is_opened(place: Place) -> None:
    gateway = place.gates[0]
    secret = b"r" * 32
    box = place.room.store.secrets.identity().box
    place.room.state(gateway, gateway.state(raw0=seal(box, secret)))
    proof = SunApplication(UID, META, KEY, 5).query()
    own = Identity(gateway.identity.sign_seed, secret).box
    one = place.tap(0, None, raw=seal(own, encode_raw(RawRead(CARD.canonical, proof=proof))))
    place.deliver(0)
    place.judge()
    assert place.verdicts()[one] == ("proved", 5)


def test_one_card_has_one_name_under_a_gateways_own_key_and_as_a_part(place: Place) -> None:
    own, (first, second) = b"h" * 32, place.gates
    sealed = seal(place.room.store.secrets.identity().box, own)
    place.room.state(first)
    place.room.state(second, second.state(hk0=sealed, partials=["w24-wire-last"]))
    roster = f"pupil_key,display_name,class,card_uid\nst-1,An,6A1,{CARD.canonical}\n".encode()
    place.room.store.carry_out("roster-import", {"file": "roster.csv", "paper": wrapped(roster)})
    part = place.room.store.roster.partials()[0].of(CARD)
    assert part is not None
    place.tap(0, None, at_s=1_000, raw=msgspec.UNSET)
    ids = [
        place.tap(1, None, at_s=1_001, under=CardKey(0, own), raw=msgspec.UNSET),
        place.tap(1, None, at_s=1_001, under=CardKey(0, own)),
        place.tap(1, None, at_s=1_002, card=part),
        place.tap(1, None, at_s=1_002, card=part, raw=msgspec.UNSET),
    ]
    place.deliver(0)
    place.deliver(1)
    place.judge()
    assert place.findings() == [("card-in-two-places", one) for one in ids]
    assert place.room.store.database.connection.execute("SELECT count(*) FROM cards").fetchone()[0] == 1


def test_a_hub_killed_again_and_again_over_a_backlog_judges_each_tap_once(tmp_path: Path) -> None:
    """A real hub process: SIGKILL while it judges, until all is judged."""
    hub = HubProcess(tmp_path)
    for name, key in (("meta", META), ("file", KEY)):
        file = tmp_path / f"{name}.key"
        file.write_text(key.hex(), encoding="ascii")
        file.chmod(0o400)
    with hub.config.open("a", encoding="utf-8") as config:
        config.write(f'[sun]\nmeta_key_file = "{tmp_path}/meta.key"\nfile_key_file = "{tmp_path}/file.key"\n')
    hub.start()
    try:
        gateway = Gateway("ga")
        assert hub.ask("devices", "accept", "ga").returncode == 0
        wire = Wire(gateway, hub.broker_url)
        wire.state()
        run, box, count = gateway.run(), str(wire.hub["box"]), 12 * GROUP
        counters = [max(1, counter - counter % 100 // 99) for counter in range(1, count + 1)]

        def data(clock: ClockData) -> TapData:
            counter = counters[len(run.lines) - 1]
            sealed = seal(
                box, encode_raw(RawRead(CARD.canonical, proof=SunApplication(UID, META, KEY, counter).query()))
            )
            return TapData(
                "gate", "cong", "in", "hk1:AAAAAAAAAAA", "st-1", "accepted", None, "ok", "r-1", clock, sealed
            )

        for _ in counters:
            run.add("attendance.tap", data)
        for first in range(1, count + 2, GROUP):
            wire.offer(run, first, min(first + GROUP - 1, count + 1))
        wire.receipted(run, count + 1)

        def judged() -> tuple[int, dict[str, int]]:
            with closing(sqlite3.connect(f"file:{hub.data_dir / 'ledger.db'}?mode=ro", uri=True)) as ledger:
                rows = ledger.execute("SELECT verdict, count(*) FROM card_verdicts GROUP BY verdict").fetchall()
            return sum(number for _, number in rows), dict(rows)

        kills, before = 0, -1
        while judged()[0] < count:
            until(lambda before=before: judged()[0] > before, "it goes on")  # type: ignore[misc]
            before = judged()[0]
            if kills < 5:
                kills += 1
                hub.kill()
                hub.start()
        assert judged()[1] == {"proved": count - count // 100, "replayed": count // 100}
        alarms = [alarm for alarm in hub.status()["alarms"] if alarm["code"] == "proof-replayed"]
        assert sum(alarm["count"] for alarm in alarms) == count // 100
        assert kills
        wire.close()
    finally:
        hub.end()


# --- keys and policies ------------------------------------------------------------------------------------------------


def test_proofs_that_came_before_the_keys_are_judged_when_they_come(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.again(None)
    one, other = place.tap(0, 1), place.tap(0, 1)
    copy = place.tap(0, 2, key=bytes(16))
    place.tap(0, None, type="sak=08")
    place.deliver(0)
    with caplog.at_level(logging.WARNING):
        place.judge()
    assert caplog.text.count("names no keys") == 1
    assert {verdict for verdict, _ in place.verdicts().values()} == {"unchecked"}
    assert {code for code, _ in place.findings()} == {"card-type-changed"}
    place.again(KEYS)
    place.judge()
    assert place.verdicts() == {one: ("proved", 1), other: ("replayed", 1), copy: ("refused", None)}
    counts = {alarm["code"]: alarm["count"] for alarm in place.room.status.whole()["alarms"]}
    assert counts == {"card-type-changed": 1, "proof-replayed": 1, "proof-refused": 1}, "what was told is told once"
    for keys in (KEYS, None, KEYS):
        cursor = place.room.store.cards.cursor()
        place.again(keys)
        place.judge()
        assert place.room.store.cards.cursor().round == cursor.round, "the same keys change nothing"
        assert len(place.verdicts()) == 3


def test_other_keys_judge_anew_and_what_was_found_by_wrong_ones_goes(place: Place) -> None:
    place.tap(0, 1)
    place.deliver(0)
    place.again(SunKeys(META, bytes(16)))
    place.judge()
    assert [code for code, _ in place.findings()] == ["proof-refused"]
    place.again(KEYS)
    place.judge()
    assert place.findings() == [] and [verdict for verdict, _ in place.verdicts().values()] == ["proved"]


def test_keys_that_come_while_all_is_judged_anew_are_taken_up(place: Place) -> None:
    for counter in range(1, GROUP + 50):
        place.tap(0, counter)
    place.deliver(0)
    place.again(SunKeys(META, bytes(16)))
    place.inspector.turn()
    place.again(None)
    place.inspector.turn()
    place.again(KEYS)
    place.judge()
    assert {verdict for verdict, _ in place.verdicts().values()} == {"proved"} and place.findings() == []


def test_a_station_needs_proofs_from_when_it_was_said_so_and_not_before(place: Place) -> None:
    place.tap(0, None)
    place.deliver(0)
    place.judge()
    place.again(KEYS, sun={"proof_at": ["ga/cong"]})
    place.judge()
    missing, there = place.tap(0, None), place.tap(0, 4)
    elsewhere = place.tap(1, None, at_s=500)
    place.deliver(0)
    place.deliver(1)
    place.judge()
    assert place.findings() == [("proof-missing", missing)]
    assert place.verdicts() == {missing: ("missing", None), there: ("proved", 4)} and elsewhere
    # All is judged anew, and still nothing is asked of what came before.
    place.again(SunKeys(META, KEY, b"k12edge-context"))
    place.judge()
    assert [one for one in place.findings() if one[0] == "proof-missing"] == [("proof-missing", missing)]


def test_the_ledger_takes_records_while_the_inspector_judges(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs are computed where nobody waits for the ledger."""
    place.tap(0, 1)
    place.deliver(0)
    database = place.room.store.database
    owned: list[bool] = []
    true = rooms.check_proof

    def looked(*words: Any) -> Any:
        owned.append(database.connection.in_transaction or database.lock._is_owned())  # type: ignore[attr-defined]
        return true(*words)

    monkeypatch.setattr(rooms, "check_proof", looked)
    place.judge()
    assert owned == [False]


def test_a_records_bytes_are_what_they_were(place: Place) -> None:
    place.tap(0, 1, key=bytes(16))
    place.deliver(0)
    before = place.room.events()
    place.judge()
    assert place.room.events() == before == [(decode_event(raw).id, raw) for raw in place.runs[0].lines]
    assert place.findings() and place.room.store.ledger.books.find(place.runs[0].journal) is not None


def test_findings_are_listed_for_people_and_for_programs_with_a_hub_and_without(place: Place) -> None:
    desk = place.room.store.desk
    assert desk.carry_out("cards-findings", {}).text == "không có / none"
    copy = place.tap(0, 3, key=bytes(16), at_s=60)
    place.deliver(0)
    place.judge()
    text = desk.carry_out("cards-findings", {"json": "False"}).text
    assert text.splitlines()[0].split("\t")[1:] == ["ga/cong", "st-1", "proof-refused", copy]
    assert text.splitlines()[1].startswith("\tthẻ không chứng minh được mình / the card's proof is wrong: ")
    (one,) = json.loads(desk.carry_out("cards-findings", {"json": "True"}).text)
    assert one == {
        "id": copy,
        "time": decode_event(place.runs[0].lines[1]).time,
        "device": "ga",
        "station": "cong",
        "student": "st-1",
        "code": "proof-refused",
        "detail": "the MAC is not that of this card's key",
    }


def test_a_ledger_of_the_version_before_gets_its_tables_and_is_judged_from_its_first_record(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "fixtures" / "ledger-2.db", folder / "ledger.db")
    room = HubRoom(folder)
    inspector = Inspector(room.config, room.store, None)
    while inspector.turn() == BETWEEN_MS:
        pass
    assert room.store.cards.cursor().position == room.store.cards.newest() > 20
    room.close()
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        assert database.execute("SELECT count(*) FROM cards").fetchone()[0] > 10
