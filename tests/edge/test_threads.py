"""What the gateway's threads may do to each other: each test holds one of them where another would hurt it."""

from __future__ import annotations

import linecache
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edge import devicekeys
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.journalfile import FILE_NAME, open_for_writing
from edge.ports import Recorded
from edge.slots import take_all
from protocol.errors import JournalFailed
from protocol.signing import Identity, seal
from protocol.status import DeviceConfig
from tests.edge.room import begin, data_of, draft, events, hub_state, parts
from tests.edge.test_assembly import Gateway
from tests.edge.test_delivery import Desk

PATIENCE_S = 20.0
LATE_MAX = 60


class Short:
    """A connection under which memory runs short at the second commit; the first waits until others have come."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.armed = False
        self.writing, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self.armed and statement.startswith("INSERT"):
            self.writing.set()
            assert self.go_on.wait(PATIENCE_S)
        if self.armed and statement == "COMMIT":
            self.armed = False
            # What sqlite3 raises for SQLITE_NOMEM: none of its own errors.
            raise MemoryError
        return self.database.execute(statement, *values)


def test_where_a_fault_of_ours_ends_a_shared_commit_nobody_is_told_that_it_is_stored(tmp_path: Path) -> None:
    short: list[Short] = []

    def opener(path: Path) -> Any:
        short.append(Short(open_for_writing(path)))
        return short[-1]

    (tmp_path / "d").mkdir()
    journal = SqliteJournal(tmp_path / "d" / FILE_NAME, opener=opener, **parts(tmp_path / "d"))
    got: dict[str, Recorded] = {}
    failed: dict[str, type] = {}
    shown: list[Recorded] = []

    def take(card: str) -> None:
        try:
            got[card] = journal.append(draft(card), "cong", card, "accepted", shown.append)
        except Exception as problem:
            failed[card] = type(problem)

    short[0].armed = True
    first = threading.Thread(target=take, args=("hk1:first",), daemon=True)
    first.start()
    assert short[0].writing.wait(PATIENCE_S)
    others = [threading.Thread(target=take, args=(f"hk1:{number}",), daemon=True) for number in range(3)]
    for thread in others:
        thread.start()
    while len(journal._waiting) < 3:
        others[0].join(0.001)
    short[0].go_on.set()
    for thread in (first, *others):
        thread.join(PATIENCE_S)
    assert set(got) == {"hk1:first"} and [one.card for one in shown] == ["hk1:first"]
    assert sorted(map(str, failed.values())) == sorted(map(str, [MemoryError, JournalFailed, JournalFailed]))
    take("hk1:again")
    journal.close()
    stored = [data_of(event)["card"] for event in events(tmp_path / "d") if event.name == "attendance.tap"]
    assert stored == ["hk1:first", "hk1:again"]


def test_a_tap_goes_between_two_steps_of_upkeep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.slots.PASS_S", PATIENCE_S)
    journal = begin(tmp_path / "d")
    tapping = threading.Thread(
        target=lambda: journal.append(draft("hk1:tap"), "cong", "hk1:tap", "accepted"), daemon=True
    )
    seen: list[int] = []

    def step(database: sqlite3.Connection) -> None:
        seen.append(database.execute("SELECT count(*) FROM event WHERE instr(raw, ?)", (b"hk1:tap",)).fetchone()[0])
        if len(seen) == 1:
            tapping.start()
            while not journal._waiting:
                tapping.join(0.001)

    for _ in range(2):
        journal.maintain(step)
    tapping.join(PATIENCE_S)
    journal.close()
    assert seen == [0, 1]


def test_a_tap_that_comes_at_any_line_of_anothers_commit_is_recorded(tmp_path: Path) -> None:
    journal = begin(tmp_path / "d")
    room, taken = SqliteJournal.append.__code__.co_filename, take_all.__code__
    got: list[Recorded] = []
    late: list[threading.Thread] = []
    holding = False

    def take(card: str, each_line: Callable[[str], None]) -> None:
        def lines(frame: FrameType, what: str, _: object) -> object:
            if what == "line":
                each_line(linecache.getline(frame.f_code.co_filename, frame.f_lineno))
            return lines

        sys.settrace(
            lambda frame, _what, _: lines if frame.f_code is taken or frame.f_code.co_filename == room else None
        )
        got.append(journal.append(draft(card), "cong", card, "accepted"))

    def another(line: str) -> None:
        nonlocal holding
        if holding and len(late) < LATE_MAX:
            joined = threading.Event()
            # A line is told before it runs: one that is told to take the lock has joined those that wait.
            card = f"hk1:late-{len(late)}"
            late.append(threading.Thread(target=take, args=(card, lambda own: "_commit_lock" in own and joined.set())))
            late[-1].start()
            assert joined.wait(30)
        holding = holding or "with self._commit_lock" in line

    first = threading.Thread(target=take, args=("hk1:first", another))
    first.start()
    first.join(30)
    for thread in late:
        thread.join(30)
    journal.close()
    assert len(late) > 20
    assert len({taken.tap for taken in got}) == 1 + len(late)
    assert {taken.card for taken in got} == {data.get("card") for data in map(data_of, events(tmp_path / "d"))} - {None}


class Late:
    """A lock that a thread other than upkeep's gets only some moments after it came free, as on a busy machine."""

    def __init__(self) -> None:
        self.lock, self.upkeep = threading.Lock(), threading.current_thread()

    def acquire(self) -> None:
        while not self.lock.acquire(blocking=threading.current_thread() is self.upkeep):
            self.upkeep.join(0.05)

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@pytest.mark.parametrize(
    "work", [SqliteJournal.checkpoint, SqliteJournal.sign_head, lambda journal: journal.flush_marks(force=True)]
)
def test_a_tap_goes_before_whatever_upkeep_does_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[SqliteJournal], object]
) -> None:
    monkeypatch.setattr("edge.slots.PASS_S", PATIENCE_S)
    journal = begin(tmp_path / "d")
    tapping = threading.Thread(
        target=lambda: journal.append(draft("hk1:tap"), "cong", "hk1:tap", "accepted"), daemon=True
    )

    def step(_: sqlite3.Connection) -> None:
        tapping.start()
        while not journal._waiting:
            tapping.join(0.001)

    monkeypatch.setattr(journal._commit_lock, "_lock", Late())
    journal.maintain(step)
    last = journal.last
    work(journal)
    assert not journal._waiting and journal.last > last
    tapping.join(PATIENCE_S)
    journal.close()


def test_a_tap_is_a_tap_to_the_pace_though_the_delivery_saw_its_record_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.journal.append(draft(), "cong", "hk1:AAAAAAAAAAA", "accepted")
    desk.step()
    assert desk.uplink._tapped_ms is None
    desk.delivery.tapped()
    desk.step()
    assert desk.uplink._tapped_ms is not None
    desk.reader.close()
    desk.journal.close()


def test_a_configuration_that_could_not_be_written_is_taken_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = DeviceKeys(tmp_path, None)
    config = DeviceConfig(3, [(7, seal(keys.identity.box, b"k" * 32))])
    write = devicekeys.write_durably

    def full(path: Path, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(devicekeys, "write_durably", full)
    with pytest.raises(OSError, match="No space"):
        keys.configure(config)
    assert keys.card_key().number == 0, "nothing counts that a restart would forget"
    monkeypatch.setattr(devicekeys, "write_durably", write)
    assert keys.configure(config)
    assert DeviceKeys(tmp_path, None).card_key().number == 7


def test_a_hub_is_met_though_a_full_disk_takes_no_word_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, hub = DeviceKeys(tmp_path, None), Identity(b"\x02" * 32, b"\x03" * 32)
    write = devicekeys.write_durably

    def full(path: Path, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(devicekeys, "write_durably", full)
    assert keys.meet_hub(hub_state(hub)) and keys.hub_key == hub.key and keys.raw_box() == hub.box
    assert DeviceKeys(tmp_path, None).hub_key is None
    monkeypatch.setattr(devicekeys, "write_durably", write)
    assert keys.meet_hub(hub_state(hub)), "said again, it is written"
    assert DeviceKeys(tmp_path, None).hub_key == hub.key


def test_a_thread_that_outlived_its_gateway_calls_no_file_damaged(tmp_path: Path) -> None:
    run = Gateway(tmp_path)
    run.assembly.close()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    run.assembly._begin_anew()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before and run.heard == []
