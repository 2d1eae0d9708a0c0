"""verify and journal by the command line: tampering of every kind is found, and its first bad record named."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge.devicekeys import DeviceKeys
from edge.journalfile import FILE_NAME, set_aside
from edge.journalrows import SEQUENCE_BITS, head_text
from edge.salvage import salvage
from edge.verify import BAD, UNREADABLE, VALID
from k12edge.cli import main
from protocol.envelope import decode_event, digest, encode_event, unix_ms_of
from protocol.signing import Identity
from protocol.taps import TapId
from tests.edge.room import SOURCE, begin, data_of, events, records, tap

TAPS = 30
BITS = 160


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that ended cleanly: records 1 to 32 each (opened, 30 taps, signed head), all in the file itself."""
    data = tmp_path_factory.mktemp("original")
    for _ in range(2):
        journal = begin(data)
        for number in range(TAPS):
            tap(journal, f"hk1:{number:011d}")
        journal.close()
    return data


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a kill -9 leaves: a short file, and all records in its log."""
    data = tmp_path_factory.mktemp("killed")
    journal = begin(data)
    for number in range(TAPS):
        tap(journal, f"hk1:{number:011d}")
    left = tmp_path_factory.mktemp("left")
    for path in data.iterdir():
        shutil.copyfile(path, left / path.name)
    journal.close()
    return left


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"


def runs(data: Path) -> list[str]:
    """The journals' ids, in order."""
    return list(dict.fromkeys(event.tap.journal for event in events(data)))


def verified(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> tuple[int, str | None, str]:
    """Exit code, first bad record, and the lines for people; asserts that nothing was written."""
    folder = path if path.is_dir() else path.parent
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    told = main(["verify", str(path), *more])
    lines = capsys.readouterr().out
    code = main(["verify", str(path), "--json", *more])
    report = json.loads(capsys.readouterr().out)
    assert code == told and report["valid"] == (code == VALID)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before
    return code, report["first_bad"], lines


def change(data: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Do as somebody with a database tool would."""
    database = sqlite3.connect(data / FILE_NAME)
    with database:
        for statement, values in statements:
            database.execute(statement, values)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def position(number: int, sequence: int) -> int:
    return number << SEQUENCE_BITS | sequence


def rewrite(data: Path, number: int, edit: Callable[[list[bytes]], list[bytes]], *, chain: bool = False) -> None:
    """Change a run's records; with `chain` name and link them anew, as somebody without the device's key could."""
    database = sqlite3.connect(data / FILE_NAME)
    low, high = position(number, 0), position(number + 1, 0)
    lines = [
        bytes(raw)
        for (raw,) in database.execute(
            "SELECT raw FROM event WHERE position > ? AND position < ? ORDER BY position", (low, high)
        )
    ]
    journal = decode_event(lines[0]).tap.journal
    lines = edit(lines)
    if chain:
        lines = linked(journal, lines)
    with database:
        database.execute("DELETE FROM event WHERE position > ? AND position < ?", (low, high))
        database.executemany("INSERT INTO event VALUES (?, ?)", [(low + n, raw) for n, raw in enumerate(lines, 1)])
    database.close()


def linked(journal: str, lines: list[bytes]) -> list[bytes]:
    """The same contents as one unbroken chain."""
    made: list[bytes] = []
    for number, raw in enumerate(lines, 1):
        event = decode_event(raw)
        made.append(
            encode_event(
                event.tap.__class__(journal, number),
                source=event.source,
                kind=event.name,
                time_ms=unix_ms_of(event.time),
                recorded_ms=unix_ms_of(event.recordedtime),
                prev=digest(made[-1]) if made else None,
                data=data_of(event),
                subject=event.subject,
            )
        )
    return made


def test_a_sound_journal(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (original, original / FILE_NAME):
        code, bad, lines = verified(capsys, path)
        assert (code, bad) == (VALID, None)
        for journal in runs(original):
            assert f"{journal}: valid through {TAPS + 2}; later records can't be excluded" in lines


def test_what_a_kill_left_is_read_without_writing(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (killed / f"{FILE_NAME}-wal").stat().st_size > 0
    code, _, lines = verified(capsys, killed)
    assert code == VALID and f"valid through {TAPS + 1}" in lines
    before = {p.name: p.read_bytes() for p in killed.iterdir()}
    assert main(["journal", str(killed), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == TAPS + 1
    assert {p.name: p.read_bytes() for p in killed.iterdir()} == before


def test_the_listing_names_every_record_and_its_type(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", str(original), "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["id"], line["type"]) for line in listed] == [(event.id, event.type) for event in events(original)]
    assert main(["journal", str(original)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(listed)


# --- one record changed, dropped, inserted, moved ---------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [1, 2, 17, TAPS + 1, TAPS + 2])
@pytest.mark.parametrize("number", [1, 2])
def test_a_changed_bit_in_a_record(copy: Path, capsys: pytest.CaptureFixture[str], number: int, sequence: int) -> None:
    name = f"{runs(copy)[number - 1]}.{sequence}"
    rng = Random(sequence)

    def flip(lines: list[bytes]) -> list[bytes]:
        raw = bytearray(lines[sequence - 1])
        raw[raw.index(b'"data"') + 10 + rng.randrange(40)] ^= 1 << rng.randrange(7)
        lines[sequence - 1] = bytes(raw)
        return lines

    rewrite(copy, number, flip)
    code, bad, _ = verified(capsys, copy)
    if (number, sequence) == (2, TAPS + 2) and code == VALID:
        pytest.fail("the last record is a signed head; a change in it shows")
    assert (code, bad) == (BAD, name)


@pytest.mark.parametrize("sequence", [1, 2, 17, TAPS + 1])
def test_a_dropped_record(copy: Path, capsys: pytest.CaptureFixture[str], sequence: int) -> None:
    name = f"{runs(copy)[1]}.{sequence}"
    change(copy, ("DELETE FROM event WHERE position = ?", (position(2, sequence),)))
    assert verified(capsys, copy)[:2] == (BAD, name)


@pytest.mark.parametrize("sequence", [1, 2, 17])
def test_an_inserted_record(copy: Path, capsys: pytest.CaptureFixture[str], sequence: int) -> None:
    name = f"{runs(copy)[1]}.{sequence + 1}"
    rewrite(copy, 2, lambda lines: [*lines[:sequence], lines[sequence - 1], *lines[sequence:]])
    assert verified(capsys, copy)[:2] == (BAD, name)


def test_a_record_inserted_behind_the_end(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"{runs(copy)[1]}.{TAPS + 3}"
    rewrite(copy, 2, lambda lines: [*lines, lines[5]])
    assert verified(capsys, copy)[:2] == (BAD, name)


@pytest.mark.parametrize("sequence", [2, 17, TAPS + 1])
def test_two_records_that_changed_places(copy: Path, capsys: pytest.CaptureFixture[str], sequence: int) -> None:
    name = f"{runs(copy)[0]}.{sequence}"
    rewrite(
        copy, 1, lambda lines: [*lines[: sequence - 1], lines[sequence], lines[sequence - 1], *lines[sequence + 1 :]]
    )
    assert verified(capsys, copy)[:2] == (BAD, name)


@pytest.mark.parametrize("how", ["changed", "dropped", "inserted", "reordered"])
def test_a_chain_made_anew_without_the_devices_key_contradicts_the_signed_head(
    copy: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    edits: dict[str, Callable[[list[bytes]], list[bytes]]] = {
        "changed": lambda lines: [*lines[:9], lines[9].replace(b"hk1:0000", b"hk1:9999"), *lines[10:]],
        "dropped": lambda lines: [*lines[:9], *lines[10:]],
        "inserted": lambda lines: [*lines[:9], lines[4], *lines[9:]],
        "reordered": lambda lines: [*lines[:8], lines[9], lines[8], *lines[10:]],
    }
    first, second = runs(copy)
    rewrite(copy, 2, edits[how], chain=True)
    code, bad, lines = verified(capsys, copy)
    assert code == BAD and bad is not None and bad.startswith(second)
    assert "replaced" in lines
    rewrite(copy, 1, edits[how], chain=True)
    assert verified(capsys, copy)[1] == f"{first}.1", "what the head covers; the next run names the end of it too"


def test_a_head_signed_by_another_key(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = runs(copy)[1]
    forger = Identity(bytes(32), bytes(32))

    def forge(lines: list[bytes]) -> list[bytes]:
        lines = linked(journal, [*lines[:9], *lines[10:]])
        through, head = len(lines) - 1, digest(lines[-2])
        event = decode_event(lines[-1])
        data = {"through": through, "head": head, "sig": forger.sign(head_text(journal, through, head))}
        at = unix_ms_of(event.time)
        made = encode_event(
            event.tap, source=SOURCE, kind="journal.head", time_ms=at, recorded_ms=at, prev=head, data=data
        )
        return [*lines[:-1], made]

    rewrite(copy, 2, forge)
    code, bad, lines = verified(capsys, copy)
    assert (code, bad) == (BAD, f"{journal}.{TAPS + 1}")
    assert "not by the device's key" in lines


def test_a_whole_run_taken_out(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(copy).close()
    _, second, third = runs(copy)
    change(
        copy,
        ("DELETE FROM event WHERE position BETWEEN ? AND ?", (position(2, 0), position(3, 0))),
        ("DELETE FROM journal WHERE number = 2", ()),
    )
    code, bad, lines = verified(capsys, copy)
    assert (code, bad) == (BAD, f"{second}.1")
    assert f"{third}.1 names it" in lines


def test_records_said_to_be_pruned_that_nobody_signed_for(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = runs(copy)[0]
    head = digest(records(copy)[4])
    change(copy, ("DELETE FROM event WHERE position <= ?", (position(1, 5),)))
    assert verified(capsys, copy)[:2] == (BAD, f"{journal}.1")
    for sig in (None, Identity(bytes(32), bytes(32)).sign(head_text(journal, 5, head))):
        change(
            copy,
            ("UPDATE journal SET pruned_through = 5, pruned_head = ?, pruned_sig = ? WHERE number = 1", (head, sig)),
        )
        code, bad, _ = verified(capsys, copy)
        assert code == BAD and bad in (f"{journal}.1", f"{journal}.5")


def test_the_one_record_behind_a_checkpoint_replaced(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No successor contradicts it, and its own words are true: only what it names as its predecessor isn't."""
    last = TAPS + 2
    lines, name = records(copy)[last : 2 * last], runs(copy)[1]
    head, key = digest(lines[-2]), DeviceKeys(copy, None).identity
    false = lines[-1].replace(f'"prev":"{head}"'.encode(), f'"prev":"{digest(b"x")}"'.encode())
    assert false != lines[-1]
    change(
        copy,
        (
            "UPDATE journal SET pruned_through = ?, pruned_head = ?, pruned_sig = ? WHERE number = 2",
            (last - 1, head, key.sign(head_text(name, last - 1, head))),
        ),
        ("DELETE FROM event WHERE position BETWEEN ? AND ?", (position(2, 1), position(2, last - 1))),
    )
    assert verified(capsys, copy)[0] == VALID
    change(copy, ("UPDATE event SET raw = ? WHERE position = ?", (false, position(2, last))))
    code, first, _ = verified(capsys, copy)
    assert code == BAD and first is not None and first.startswith(name)


def test_the_first_records_of_an_only_run_taken_out_and_said_to_be_pruned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key is left in the file to hold a signature against, so an unsigned checkpoint is enough to blame."""
    journal = begin(tmp_path)
    for _ in range(5):
        tap(journal)
    journal.close()
    head = digest(records(tmp_path)[2])
    change(
        tmp_path,
        ("DELETE FROM event WHERE position <= ?", (position(1, 3),)),
        ("UPDATE journal SET pruned_through = 3, pruned_head = ?", (head,)),
    )
    assert verified(capsys, tmp_path)[:2] == (BAD, f"{journal.journal}.1")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("number", 9),
        ("number", 1 << 60),
        ("journal", "f" * 16),
        ("journal", "not-an-id"),
        ("pruned_through", 7),
        ("pruned_through", 1 << 50),
    ],
)
def test_a_changed_column_of_a_journals_row(
    copy: Path, capsys: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    change(copy, (f"UPDATE journal SET {column} = ? WHERE number = 1", (value,)))
    code, bad, _ = verified(capsys, copy)
    assert code == BAD and bad is not None


@pytest.mark.parametrize("there", [position(1, 10**6), position(3, 1), 5])
def test_a_changed_position(copy: Path, capsys: pytest.CaptureFixture[str], there: int) -> None:
    journal = runs(copy)[0]
    change(copy, ("UPDATE event SET position = ? WHERE position = ?", (there, position(1, 10))))
    code, _, lines = verified(capsys, copy)
    assert code == BAD and f"BAD {journal}.10: the record is missing" in lines


# --- bits anywhere ----------------------------------------------------------------------------------------------------


def _readable(path: Path) -> list[bytes] | None:
    database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return [bytes(raw) for (raw,) in database.execute("SELECT raw FROM event ORDER BY position")]
    except (sqlite3.Error, TypeError, OverflowError):
        return None
    finally:
        database.close()


def test_a_bit_changed_anywhere_in_the_file(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, truth = (original / FILE_NAME).read_bytes(), _readable(original / FILE_NAME)
    assert truth is not None
    path, rng, found = tmp_path / FILE_NAME, Random(3), 0
    for place in range(BITS):
        # Every byte of the first page (header, schema) is met in some run of the seeds; the others by chance.
        at = rng.randrange(4096) if place % 4 == 0 else rng.randrange(len(whole))
        octets = bytearray(whole)
        octets[at] ^= 1 << rng.randrange(8)
        path.write_bytes(octets)
        there = _readable(path)
        code = main(["verify", str(path), "--json"])
        report = json.loads(capsys.readouterr().out)
        assert code in (VALID, BAD, UNREADABLE)
        assert main(["journal", str(path), "--json"]) in (0, 1)
        for line in capsys.readouterr().out.splitlines():
            json.loads(line)
        if there == truth:
            continue
        found += 1
        assert code != VALID, f"byte {at}"
        if there is not None and code == BAD:
            first = next(n for n, (a, b) in enumerate(zip([*truth, b""], [*there, b""], strict=False)) if a != b)
            assert report["first_bad"] is not None, (at, first)
    assert found > BITS / 3


def test_a_bit_changed_in_the_log_that_a_kill_left(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite stops reading at the frame and says nothing; all but the last commits behind it are missed."""
    shutil.copytree(killed, tmp_path / "data")
    log = tmp_path / "data" / f"{FILE_NAME}-wal"
    whole, rng = log.read_bytes(), Random(4)
    journal = runs(killed)[0]
    for _ in range(BITS // 2):
        octets = bytearray(whole)
        octets[rng.randrange(len(whole) - 3 * (4096 + 24))] ^= 1 << rng.randrange(8)
        log.write_bytes(octets)
        code = main(["verify", str(tmp_path / "data"), "--json"])
        report = json.loads(capsys.readouterr().out)
        assert code != VALID
        if code == BAD:
            assert report["first_bad"].startswith((journal, "the first record"))


def test_a_torn_end_of_the_log_is_what_a_power_cut_leaves(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(killed, tmp_path / "data")
    log = tmp_path / "data" / f"{FILE_NAME}-wal"
    whole = log.read_bytes()
    for cut in (1, 100, 4096, 4120 + 5):
        log.write_bytes(whole[:-cut])
        code, bad, lines = verified(capsys, tmp_path / "data")
        assert (code, bad) == (VALID, None)
        assert "later records can't be excluded" in lines


def test_values_of_another_type_are_no_records(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged page can hold anything, whatever the table's types are."""
    (tmp_path / "other").mkdir()
    for value in (7, 1.5, "text", None, "x" * 20_000):
        path = tmp_path / "other" / FILE_NAME
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path)
        database.execute("ATTACH ? AS old", (str(copy / FILE_NAME),))
        database.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, raw)")
        database.execute("INSERT INTO event SELECT * FROM old.event")
        database.execute("CREATE TABLE journal AS SELECT * FROM old.journal")
        database.execute("UPDATE event SET raw = ? WHERE position = ?", (value, position(1, 9)))
        database.commit()
        database.close()
        assert verified(capsys, path)[:2] == (BAD, f"{runs(copy)[0]}.9")
        assert main(["journal", str(path), "--json"]) == 0
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(listed) == 2 * (TAPS + 2) and listed[8]["id"] is None
        assert main(["journal", str(path)]) == 0
        assert f"position {position(1, 9)}:" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    code, _, lines = verified(capsys, path)
    assert code == UNREADABLE and "UNREADABLE" in lines


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none")]) == UNREADABLE
    assert main(["verify", str(tmp_path)]) == UNREADABLE
    assert "holds no journal.db" in capsys.readouterr().out
    assert main(["journal", str(tmp_path / "none")]) == 1


# --- witnesses --------------------------------------------------------------------------------------------------------


def witness(data: Path, file: Path) -> Path:
    """What a hub that holds everything in `data` would say, saved."""
    held: dict[str, Any] = {}
    for event, raw in zip(events(data), records(data), strict=True):
        mine = held.setdefault(event.tap.journal, {"source": event.source})
        mine |= {"through": event.tap.sequence, "head": digest(raw)}
        if event.tap.sequence == 1 and (before := data_of(event)["previous"]) is not None:
            mine["previous"] = before["journal"]
    # The order of contact with the hub is any: a damaged file's journals come last.
    shuffled = dict(reversed(held.items()))
    file.write_text(json.dumps({"journals": shuffled}), encoding="utf-8")
    return file


def test_with_a_witness_a_sound_journal_is_proven_to_its_end(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = str(witness(copy, tmp_path / "told.json"))
    code, _, lines = verified(capsys, copy, "--witness", told)
    assert code == VALID and f"the witness holds it through {TAPS + 2}" in lines


@pytest.mark.parametrize("kept", [1, 10, TAPS + 1])
def test_a_cut_tail_is_named_by_a_witness_and_by_nobody_else(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: int
) -> None:
    told = str(witness(copy, tmp_path / "told.json"))
    journal = runs(copy)[1]
    change(copy, ("DELETE FROM event WHERE position > ?", (position(2, kept),)))
    code, _, lines = verified(capsys, copy)
    assert code == VALID and f"{journal}: valid through {kept}; later records can't be excluded" in lines
    assert verified(capsys, copy, "--witness", told)[:2] == (BAD, f"{journal}.{kept + 1}")


def test_a_cut_tail_of_an_earlier_run_is_named_by_the_next(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, ("DELETE FROM event WHERE position BETWEEN ? AND ?", (position(1, 20), position(2, 0))))
    assert verified(capsys, copy)[:2] == (BAD, f"{runs(copy)[0]}.20")


def test_the_last_record_of_an_earlier_run_replaced_is_named_by_the_next(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, name = TAPS + 2, runs(copy)[0]
    other = encode_event(
        TapId(name, last),
        source=SOURCE,
        kind="device.alarm",
        time_ms=0,
        recorded_ms=0,
        prev=digest(records(copy)[last - 2]),
        data={"code": "x", "detail": "y"},
    )
    change(copy, ("UPDATE event SET raw = ? WHERE position = ?", (other, position(1, last))))
    assert verified(capsys, copy)[:2] == (BAD, f"{name}.{last}")


def test_a_file_rolled_back_to_an_earlier_copy_is_named_by_a_witness(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(copy, tmp_path / "later")
    begin(tmp_path / "later").close()
    lost = runs(tmp_path / "later")[2]
    told = str(witness(tmp_path / "later", tmp_path / "told.json"))
    assert verified(capsys, copy)[0] == VALID
    assert verified(capsys, copy, "--witness", told)[:2] == (BAD, f"{lost}.1")
    begin(copy).close()
    assert verified(capsys, copy, "--witness", told)[:2] == (BAD, f"{lost}.1"), "also when it went on since"


def test_a_journal_that_is_missing_whole_is_named_beside_those_that_came_back(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lying card: the file is rolled back *and* damaged, and what it still held was brought back."""
    shutil.copytree(copy, tmp_path / "later")
    begin(tmp_path / "later").close()
    lost = runs(tmp_path / "later")[2]
    complete, told = str(witness(copy, tmp_path / "w1.json")), str(witness(tmp_path / "later", tmp_path / "w2.json"))
    set_aside(copy / FILE_NAME, "00000001")
    journal = begin(copy)
    salvage(copy, journal)
    journal.close()
    code, _, lines = verified(capsys, copy, "--witness", complete)
    assert code == VALID, f"nothing is missing: {lines}"
    assert verified(capsys, copy, "--witness", told)[:2] == (BAD, f"{lost}.1")


def test_a_file_replaced_by_a_fresh_one_is_named_by_a_witness(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = str(witness(copy, tmp_path / "told.json"))
    begin(tmp_path / "fresh").close()
    code, bad, lines = verified(capsys, tmp_path / "fresh", "--witness", told)
    assert (code, bad) == (BAD, f"{runs(copy)[0]}.1")
    assert "rolled back or replaced" in lines


def test_a_history_signed_anew_with_the_devices_own_key_differs_from_the_witnesss(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = str(witness(copy, tmp_path / "told.json"))
    journal = runs(copy)[1]
    change(copy, ("DELETE FROM event WHERE position BETWEEN ? AND ?", (position(2, TAPS + 2), position(3, 0))))
    rewrite(copy, 2, lambda lines: [*lines[:9], lines[3], *lines[9:], *lines[2:5]], chain=True)
    assert verified(capsys, copy)[0] == VALID, "no signed head is left to contradict it"
    assert verified(capsys, copy, "--witness", told)[:2] == (BAD, f"{journal}.{TAPS + 2}")


@pytest.mark.parametrize("told", ["none.json", "text.json", "http://127.0.0.1:1"])
def test_a_witness_that_does_not_speak(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    (tmp_path / "text.json").write_text("[]", encoding="utf-8")
    where = told if told.startswith("http") else str(tmp_path / told)
    code, _, lines = verified(capsys, copy, "--witness", where)
    assert code == UNREADABLE and "the witness" in lines
