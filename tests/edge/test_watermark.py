"""The watermark: what it claims, when it is said, and what it says of readers that didn't look."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.assembly import Assembly
from edge.clock import SystemClock
from edge.config import config_from
from edge.ports import CardSeen, Recorded, Warning_
from edge.readers.supervisor import ReaderSupervisor
from edge.watermark import ASKED_NS, HELD_MS, UNSEEING_NS, Sight, claimed_ms, slot_ms, unseeing
from protocol.cards import CardUid
from protocol.envelope import unix_ms_of
from protocol.errors import JournalFull
from sim.world.loop import MS, SECOND, Loop
from sim.world.machine import SimMachine
from tests.edge.room import data_of, events, records

CARD = CardUid("a", "04A1B2C3D4E580")
FIVE = 300_000


def at(clock: str, day: str = "2026-11-23") -> int:
    """Unix ms of a time of the school's day."""
    return int(datetime.fromisoformat(f"{day}T{clock}+07:00").timestamp() * 1000)


# --- the claim --------------------------------------------------------------------------------------------------------


@given(
    st.integers(10**12, 10**13),
    st.lists(st.tuples(st.integers(0, 10**13), st.none() | st.integers(0, 10**13)), max_size=4),
    st.lists(st.integers(0, 10**13), max_size=4),
)
def test_nothing_that_waits_anywhere_was_seen_before_the_claim_ends(
    now_ns: int, readers: list[tuple[int, int | None]], waiting_ns: list[int]
) -> None:
    sights = [Sight(f"cong-{number}", "ready", *reader) for number, reader in enumerate(readers)]
    claim = claimed_ms(now_ns, sights, waiting_ns)
    assert claim < now_ns // MS
    assert all(claim < seen_ns // MS for seen_ns in waiting_ns)
    for looked_ns, open_ns in readers:
        # What an open driver still asks for was seen ASKED_NS before its last look at most; a closed one has nothing.
        assert open_ns is None or claim < (max(looked_ns, open_ns) - ASKED_NS) // MS or claim < 0
    nothing = claimed_ms(now_ns, [replace(sight, open_ns=None) for sight in sights], ())
    assert nothing == now_ns // MS - 2, "a reader that is away holds nothing back"


def test_a_reader_that_did_not_look_for_long_missed_somebody_perhaps() -> None:
    now_ns = 100 * UNSEEING_NS
    fresh, away = now_ns - UNSEEING_NS, (UNSEEING_NS, 3 * UNSEEING_NS)
    sights = [Sight("a", "ready", fresh, 0, (away,)), Sight("b", "reader-lost", fresh - 1, None)]
    assert unseeing(now_ns, sights, 0) == [("a", *away), ("b", fresh - 1, None)]
    assert unseeing(now_ns, sights, away[1]) == [("b", fresh - 1, None)], "what was said isn't said again"


@pytest.mark.parametrize(
    ("clock", "slot"),
    [
        ("05:29:59.999", "05:00"),
        ("05:30:00", "05:30"),
        ("07:34:59.999", "07:30"),
        ("07:35:00", "07:35"),
        ("18:29:59", "18:25"),
        ("18:30:00", "18:30"),
        ("18:59:59", "18:30"),
        ("19:00:00", "19:00"),
        ("23:59:59", "23:00"),
        ("00:00:00", "00:00"),
    ],
)
def test_when_one_is_due(clock: str, slot: str) -> None:
    assert slot_ms(at(clock), FIVE) == at(slot)


@given(st.integers(at("00:00"), at("23:59")), st.integers(0, 7_200_000), st.sampled_from((5_000, 60_000, FIVE)))
def test_a_later_time_is_never_of_an_earlier_slot(now_ms: int, later_ms: int, every_ms: int) -> None:
    slot = slot_ms(now_ms, every_ms)
    assert now_ms - 3_600_000 < slot <= now_ms
    assert slot <= slot_ms(now_ms + later_ms, every_ms)
    assert slot_ms(slot, every_ms) == slot


# --- said by a gateway ------------------------------------------------------------------------------------------------


class Gate:
    """An assembly on a simulated machine at a school's hour; its readers are what `sights` says."""

    def __init__(self, folder: Path, clock: str = "06:58:12", *, synchronised: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        self.data = folder
        self.loop = Loop(at(clock) * MS)
        self.machine = SimMachine(self.loop, Random(clock))
        if synchronised:
            self.machine.synchronise()
        self.clock = SystemClock("auto", 0, self.machine)  # type: ignore[arg-type]  # The same questions, simulated.
        self.sights: list[Sight] = []
        self.shown = 0
        stations = [
            {"name": "cong", "kind": "gate", "reader": "replay:a", "repeat_window_s": 0},
            {"name": "y-te", "kind": "care", "reader": "replay:b"},
        ]
        document = {"gateway": {"id": "cong-a", "school": "79000701", "data_dir": str(folder)}, "station": stations}
        self.assembly = Assembly(config_from("gateway.toml", document), self.clock, self, lambda: None)
        self.assembly.sights = lambda: self.sights or self.looking()
        self.away: tuple[tuple[int, int], ...] = ()
        self.look()

    def looking(self) -> list[Sight]:
        """A reader that just looked."""
        now_ns = self.machine.boottime_ns()
        return [Sight("cong", "ready", now_ns, 0, self.away)]

    def show(self, _: Recorded) -> None:
        self.shown += 1

    def warn(self, warning: Warning_) -> None:
        pass

    def till(self, clock: str, step_s: int = 1) -> None:
        """Time passes, with a look each second, as the delivery does; or more seldom."""
        while self.loop.now_ns < at(clock) * MS:
            self.loop.now_ns += step_s * SECOND
            self.look()

    def look(self) -> None:
        self.assembly.watermarking.look()

    def put(self) -> None:
        """A card comes into the first lane, and waits there."""
        self.assembly.lanes[0].put(CardSeen(CARD, self.machine.boottime_ns()))

    def tap(self) -> None:
        self.put()
        assert self.assembly.lanes[0].turn()

    def watermarks(self) -> list[dict[str, Any]]:
        return [data_of(event) for event in events(self.data) if event.name == "device.watermark"]

    def claims(self) -> list[str]:
        """The times of day that were claimed, to the second."""
        return [mark["complete_to"][11:19] for mark in self.watermarks()]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "data")
    yield made
    made.assembly.close()


def test_taps_of_a_morning_are_followed_by_a_word_at_every_fifth_minute(gate: Gate) -> None:
    for clock in ("07:00:30", "07:05:30", "07:10:30"):
        gate.till(clock)
        gate.tap()
    gate.till("07:12:00")
    assert gate.claims() == ["07:00:00", "07:05:00", "07:10:00"]
    first, last = gate.watermarks()[0], events(gate.data)[-2]
    assert first["stations"] == {"cong": "gate", "y-te": "care"} and first["blind"] == []
    assert data_of(last)["last"] == last.tap.sequence - 1
    for mark in gate.watermarks():
        # So late that the bell is certainly within the claim, and no later.
        sure_ms = unix_ms_of(mark["complete_to"]) - mark["clock"]["err"]
        assert 0 <= sure_ms % FIVE < 2_000


def test_without_a_tap_it_is_said_at_every_quarter_and_at_night_every_hour(gate: Gate) -> None:
    gate.till("07:50:00")
    assert gate.claims() == ["07:00:00", "07:15:00", "07:30:00", "07:45:00"]
    gate.till("21:00:30", 5)
    assert [claim[:5] for claim in gate.claims()[-5:]] == ["18:15", "18:30", "19:00", "20:00", "21:00"]
    assert {event.name for event in events(gate.data)} == {"journal.opened", "device.watermark"}


def test_a_day_without_taps_costs_what_the_docs_say(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "data", "00:00:00")
    gate.assembly.journal.sign_head()
    while gate.loop.now_ns < (at("00:00:00") + 86_400_000) * MS:
        gate.loop.now_ns += 5 * SECOND
        gate.look()
    mine = [raw for raw in records(gate.data) if b"device.watermark.v1" in raw]
    assert len(mine) == 64
    assert 39_000 < sum(map(len, mine)) < 43_000
    assert not gate.assembly.journal.head_due(), "no head for itself"
    gate.assembly.close()


def test_a_card_that_waits_for_its_record_holds_the_claim_back_and_soon_no_longer_the_word(gate: Gate) -> None:
    gate.till("06:59:50")
    gate.put()
    gate.till("07:00:50")
    assert gate.claims() == []
    gate.till("07:01:10")
    [mark] = gate.watermarks()
    assert at("06:59:49") < unix_ms_of(mark["complete_to"]) < at("06:59:51")
    gate.till("07:03:00")
    assert gate.assembly.lanes[0].turn()
    tap = next(event for event in events(gate.data) if event.name == "attendance.tap")
    # By the clock of then and by the clock of now, each within its bound.
    sure_ms = unix_ms_of(mark["complete_to"]) - mark["clock"]["err"]
    assert sure_ms < unix_ms_of(tap.time) + data_of(tap)["clock"]["err"]
    gate.till("07:05:05")
    assert gate.claims()[-1] == "07:05:00"


def test_a_card_in_the_driver_holds_the_claim_back(gate: Gate) -> None:
    looked_ns = gate.machine.boottime_ns()
    gate.sights = [Sight("cong", "ready", looked_ns, looked_ns)]
    gate.till("07:01:10")
    [mark] = gate.watermarks()
    assert abs(unix_ms_of(mark["complete_to"]) - at("06:58:12") + ASKED_NS // MS) < 100
    assert [(missed["station"], missed["until"]) for missed in mark["blind"]] == [("cong", None)]


def test_a_reader_that_is_away_is_named_and_once_more_when_it_is_back(gate: Gate) -> None:
    gone_ns = gate.machine.boottime_ns()
    gate.sights = [Sight("cong", "reader-lost", gone_ns, None)]
    gate.till("07:07:00")
    now_ns = gate.machine.boottime_ns()
    gate.sights, gate.away = [], ((gone_ns, now_ns),)
    gate.till("07:10:30")
    blind = [mark["blind"] for mark in gate.watermarks()]
    assert [mark["readers"] for mark in gate.watermarks()] == [{"cong": "reader-lost"}, {"cong": "ready"}]
    [[still], [over]] = blind
    assert still["since"][:19] == over["since"][:19] and still["until"] is None
    assert over["since"][11:18] == "06:58:1" and over["until"][11:16] in ("07:06", "07:07")
    assert gate.claims() == ["07:00:00", "07:10:00"], "the records are complete all the same"
    gate.till("07:15:30")
    assert all(not mark["blind"] for mark in gate.watermarks()[2:])


def test_before_the_clock_is_anchored_nothing_is_claimed(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "data", synchronised=False)
    gate.machine.set_wall(at("06:59:00") * MS)
    gate.till("07:10:00")
    gate.assembly.watermarking.end()
    assert gate.watermarks() == []
    gate.machine.synchronise()
    gate.till("07:20:10")
    assert gate.claims() == ["07:15:00"] or gate.claims() == ["07:15:00", "07:20:00"]
    gate.assembly.close()


def test_a_clock_set_back_is_followed(gate: Gate) -> None:
    gate.till("07:00:10")
    gate.machine.set_wall(0)
    gate.look()
    for clock in ("03:59:00", "04:01:00"):
        gate.machine.set_wall(at(clock) * MS)
        # The kernel vouches for it again: what was said of later hours was by a clock that was wrong.
        gate.machine._error_ms, gate.machine._true_error_ns = 5, at(clock) * MS - gate.loop.now_ns
        gate.loop.now_ns += 2 * SECOND
        gate.machine._true_error_ns -= 2 * SECOND
        gate.look()
    before, after = gate.claims()
    assert before == "07:00:00" and "04:00:00" <= after < "04:02:00"


class Full:
    """A connection whose disk is full while told so."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database, self.full, self.tries = database, False, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self.full and statement.startswith(("INSERT", "BEGIN")):
            self.tries += 1
            problem = sqlite3.OperationalError("database or disk is full")
            problem.sqlite_errorcode, problem.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise problem
        return self.database.execute(statement, *values)


def test_a_full_disk_is_asked_once_a_slot_and_ends_no_gateway(gate: Gate) -> None:
    full = Full(gate.assembly.journal._database)
    gate.assembly.journal._database = full  # type: ignore[assignment]
    full.full = True
    with pytest.raises(JournalFull):
        gate.till("07:00:30")
    gate.till("07:04:50")
    gate.assembly.watermarking.end()
    assert full.tries == 2, "at the slot, and at the end"
    full.full = False
    gate.till("07:05:10")
    assert gate.claims() == ["07:05:00"]


def test_a_storage_that_failed_is_left_to_the_taps(gate: Gate) -> None:
    gate.assembly.journal._failed = JournalFull("as after an I/O error")
    gate.till("07:05:10")
    gate.assembly.watermarking.end()
    assert gate.assembly.journal.failing and gate.watermarks() == []
    gate.tap()
    assert gate.shown == 1 and not gate.assembly.journal.failing


def test_a_clean_end_says_it_once_more_and_signs_it(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "data")
    gate.tap()
    # At its end the readers are closed: nothing more comes from them.
    gate.sights = [Sight("cong", "ready", gate.machine.boottime_ns(), None)]
    gate.assembly.close()
    *_, mark, head = events(gate.data)
    assert (mark.name, head.name) == ("device.watermark", "journal.head")
    assert data_of(head)["through"] == mark.tap.sequence
    assert gate.claims() in (["06:58:11"], ["06:58:12"])


def test_a_gateway_that_is_started_again_and_again_says_it_at_the_bell(tmp_path: Path) -> None:
    for clock in ("06:58:12", "06:58:30", "06:59:00"):
        gate = Gate(tmp_path / "data", clock)
        gate.till("06:59:10")
        # Killed: no last word.
        gate.assembly.journal._database.close()
    assert gate.watermarks() == []


# --- a real reader's thread -------------------------------------------------------------------------------------------


def test_a_reader_is_open_from_its_opening_to_its_closing_and_each_look_counts(tmp_path: Path) -> None:
    import threading

    from edge.readers.replay import ReplayReader

    replay = tmp_path / "replay.txt"
    replay.write_text(f"0 {CARD.canonical} 20\n", encoding="ascii")
    came = threading.Event()
    stop = threading.Event()
    clock = SystemClock()
    looked: list[int] = []

    def seen(_: CardSeen) -> None:
        # Not yet counted as looked: the card isn't in the lane before this returns.
        looked.append(keeper.sight().looked_ns)
        came.set()

    keeper = ReaderSupervisor("cong", ReplayReader(str(replay), loop=False), seen, clock.mono_ns, Random(1))
    assert keeper.sight().open_ns is None
    began_ns = keeper.sight().looked_ns
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()
    assert came.wait(10)
    stop.set()
    thread.join(10)
    sight = keeper.sight()
    assert began_ns <= looked[0] < sight.looked_ns and sight.open_ns is None and sight.away == ()
    assert HELD_MS < FIVE
