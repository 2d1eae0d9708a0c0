"""What arrives at the hub: duplicates in any order, forks, holes, tampering, strangers; by real SQLite."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store.ledger import FORKS_DEVICE_MAX, PARKED_VERSIONS_MAX
from protocol.batch import MESSAGE_BYTES_MAX, Header, signed_text
from protocol.envelope import EVENT_BYTES_MAX, digest
from protocol.receipts import held_of
from tests.hub.handmade import Gateway, Run
from tests.hub.room import HubRoom

pieces = st.lists(st.tuples(st.integers(1, 24), st.integers(0, 7)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(pieces=pieces)
def test_any_order_with_duplicates_gives_the_same_ledger(pieces: list[tuple[int, int]]) -> None:
    gateway = Gateway()
    run = gateway.run(23)
    with tempfile.TemporaryDirectory() as folder:
        room = HubRoom(Path(folder) / "hub")
        room.known(gateway)
        held: set[int] = set()
        for first, more in pieces:
            last = min(len(run.lines), first + more)
            follow = room.batch(gateway, gateway.batch(run, first, last))
            held |= set(range(first, last + 1))
            mark = room.marks(gateway, follow)[run.journal].hub
            assert mark.through == max(held) and mark.head == digest(run.lines[mark.through - 1])
            told = {number for low, high in held_of(mark) for number in range(low, high + 1)}
            assert told == held, "the receipt names each hole"
        found = room.events()
        assert sorted(name for name, _ in found) == sorted(f"{run.journal}.{number}" for number in held)
        assert all(raw == run.lines[int(name.partition(".")[2]) - 1] for name, raw in found)
        assert room.status.whole()["holes"] == max(held) - len(held)
        room.batch(gateway, gateway.batch(run))
        assert len(room.events()) == 24 and room.status.whole()["holes"] == 0
        assert not room.parked() and not room.alarms()
        room.close()


def tampered(run: Run, how: str, at: int) -> list[bytes]:
    """The journal's lines as a tampered file would give them; the first bad record is number `at`."""
    lines = list(run.lines)
    if how == "bit":
        lines[at - 1] = lines[at - 1].replace(b'"cong-a"', b'"cong-b"')
    elif how == "dropped":
        del lines[at - 1]
    elif how.startswith("inserted"):
        forged = Run(run.source, run.journal, lines=list(lines[: at - 1]))
        forged.add("device.alarm", {"code": "made-up"}, prev=None if how == "inserted" else "A" * 43)
        lines.insert(at - 1, forged.lines[at - 1])
    elif how == "reordered":
        lines[at - 1], lines[at] = lines[at], lines[at - 1]
    elif how == "renamed":
        # A record taken out, and those after it renumbered, so that no number is missing.
        del lines[at - 1]
        for place in range(at - 1, len(lines)):
            was, now = f"{place + 2}", f"{place + 1}"
            lines[place] = lines[place].replace(f'.{was}"'.encode(), f'.{now}"'.encode())
            lines[place] = lines[place].replace(f'"{int(was):012d}"'.encode(), f'"{int(now):012d}"'.encode())
    return lines


@pytest.mark.parametrize("how", ["bit", "dropped", "inserted", "inserted-naively", "reordered", "renamed"])
@pytest.mark.parametrize("at", [2, 5, 11])
def test_tampering_is_found_and_the_first_bad_record_named_and_parked(room: HubRoom, how: str, at: int) -> None:
    gateway, other = Gateway(), Gateway("bep")
    run, sound = gateway.run(11), other.run(3)
    room.known(gateway)
    room.known(other)
    lines, bad = tampered(run, how, at), at
    follow = room.batch(gateway, gateway.batch(run, lines=lines))
    parked = room.parked()
    if how == "renamed" and at == 11:
        # The last record alone contradicts the one before it, and nothing after either says which of both is right.
        bad = 10
    assert parked[0]["name"] == f"{run.journal}.{bad}", parked
    assert parked[0]["device"] == "cong" and parked[0]["raw"]["text"].encode() == lines[bad - 1]
    assert any(f"{run.journal}.{bad}" in detail for details in room.alarms().values() for detail in details)
    assert room.status.whole()["parked"] == len(parked)
    # It is settled at the hub, by name, so that it isn't offered for ever; and it is in nobody's way.
    mark = room.marks(gateway, follow)[run.journal].hub
    assert any(low <= bad <= high for low, high in mark.parked)
    names = {name for name, _ in room.events()}
    assert f"{run.journal}.{bad}" not in names and f"{run.journal}.1" in names
    room.batch(other, other.batch(sound))
    assert {f"{sound.journal}.{number}" for number in range(1, 5)} <= {name for name, _ in room.events()}


def _without_body(gateway: Gateway, run: Run, lines: list[bytes]) -> bytes:
    """As somebody who strips the body's signature leaves it, or an older gateway sends it."""
    count, head = len(lines), digest(lines[-1])
    header = Header(run.journal, 1, count, head, gateway.identity.sign(signed_text(run.journal, 1, count, head)))
    return b"\n".join((msgspec.json.encode(header), *lines))


def test_a_message_changed_on_the_way_settles_nothing(room: HubRoom) -> None:
    """One flipped bit in the middle of a batch had the true record set aside for good: nobody offered it again."""
    gateway = room.known(Gateway())
    run = gateway.run(9)
    payload = gateway.batch(run)
    at = payload.index(b'"cong-a"', payload.index(run.lines[4]))
    follow = room.batch(gateway, payload[:at] + b'"cong-b"' + payload[at + 8 :])
    assert follow.receipts == {} and room.alarms().keys() == {"bad-batch"}
    follow = room.batch(gateway, payload)
    mark = room.marks(gateway, follow)[run.journal].hub
    assert (mark.through, mark.missing, mark.parked) == (10, [], [])


def test_of_a_batch_without_a_signed_body_only_what_the_chain_proves_is_taken(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    forged = Run(run.source, run.journal, lines=list(run.lines[:3]))
    forged.add("device.alarm", {"code": "made-up"})
    # Record 4 is another one, and record 5 says so: only record 6 doesn't know them.
    five = run.lines[4].replace(digest(run.lines[3]).encode(), digest(forged.lines[3]).encode())
    follow = room.batch(gateway, _without_body(gateway, run, [*forged.lines[:4], five, *run.lines[5:]]))
    mark = room.marks(gateway, follow)[run.journal].hub
    assert (mark.through, mark.missing, mark.parked) == (10, [(1, 5)], [])
    follow = room.batch(gateway, gateway.batch(run, 1, 5))
    mark = room.marks(gateway, follow)[run.journal].hub
    assert (mark.through, mark.missing, mark.parked) == (10, [], [])
    assert sorted(raw for _, raw in room.events()) == sorted(run.lines) and room.status.whole()["forks"] == 0


def test_a_bad_record_before_a_batch_is_named(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    changed = run.lines[4].replace(b'"cong-a"', b'"cong-b"')
    room.batch(gateway, gateway.batch(run, lines=[*run.lines[:4], changed]))
    room.batch(gateway, gateway.batch(run, 6))
    assert room.alarms()["chain-broken"] == [f"record {run.journal}.5 is not the one that the chain names"]
    assert len(room.events()) == 10


def test_a_hole_filled_with_other_bytes_is_named(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    room.batch(gateway, gateway.batch(run, 1, 4))
    room.batch(gateway, gateway.batch(run, 6))
    room.batch(gateway, gateway.batch(run, 5, lines=[run.lines[4].replace(b'"cong-a"', b'"cong-b"')]))
    assert [one["name"] for one in room.parked()] == [f"{run.journal}.5"]


def test_the_true_record_takes_the_place_of_one_set_aside(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    changed = [run.lines[4].replace(b'"cong-a"', other) for other in (b'"cong-b"', b'"cong-c"')]
    room.batch(gateway, gateway.batch(run, lines=[*run.lines[:4], changed[0], *run.lines[5:]]))
    # Other wrong bytes are set aside as well; the same ones again are not.
    for line in (changed[1], changed[0], changed[1]):
        room.batch(gateway, gateway.batch(run, 5, lines=[line]))
    assert len(room.parked()) == 2 and len(room.events()) == 9
    for number in range(20):
        room.batch(gateway, gateway.batch(run, 5, lines=[b"nonsense %d" % number]))
    assert len(room.parked()) == PARKED_VERSIONS_MAX
    follow = room.batch(gateway, gateway.batch(run, 5, 5))
    mark = room.marks(gateway, follow)[run.journal].hub
    assert (mark.through, mark.missing, mark.parked) == (10, [], [])
    assert sorted(raw for _, raw in room.events()) == sorted(run.lines)
    assert room.status.whole()["forks"] == 0 and len(room.parked()) == PARKED_VERSIONS_MAX, "the evidence stays"
    room.batch(gateway, gateway.batch(run, 5, lines=[changed[0]]))
    assert room.status.whole()["forks"] == 1


def test_a_fork_is_kept_once_and_carried_to_the_city(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(4)
    room.batch(gateway, gateway.batch(run))
    fork = run.lines[4].replace(b'"cong-a"', b'"cong-b"')
    for _ in range(3):
        room.batch(gateway, gateway.batch(run, 5, lines=[fork]))
    assert [raw for name, raw in room.events() if name.endswith(".5")] == [run.lines[4]]
    kept = room.status.beside("forks", 0, 10)
    assert [(one["name"], one["raw"]["text"].encode()) for one in kept] == [(f"{run.journal}.5", fork)]
    own = [
        bytes(raw)
        for (raw,) in room.store.database.connection.execute(
            "SELECT raw FROM events JOIN journals AS j ON number = events.journal WHERE j.device IS NULL"
        )
    ]
    assert sum(b"record.forked" in raw for raw in own) == 1
    assert room.status.whole()["forks"] == 1 and "record-forked" in room.alarms()


def test_forks_of_any_bytes_are_carried_and_bounded(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.store.ledger.FORKS_DEVICE_MAX", 8)
    gateway = room.known(Gateway())
    run = gateway.run(0)
    room.batch(gateway, gateway.batch(run))
    # Escaped in JSON such bytes take six times their room; they must not stop the transaction.
    for number in range(12):
        room.batch(gateway, gateway.batch(run, 1, lines=[b"\x01" * (EVENT_BYTES_MAX - 100) + b"%d" % number]))
    room.batch(gateway, gateway.batch(run, 1, lines=[b'"' * EVENT_BYTES_MAX]))
    assert room.status.whole()["forks"] == 8 < FORKS_DEVICE_MAX
    assert "forks-full" in room.alarms()
    own = room.own.book
    assert own.held.last == 1 + 8


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{}", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (b"[" * 5000, "unreadable"),
        (b"not json", "unreadable"),
    ],
)
def test_lines_that_are_no_records_are_parked_one_by_one(room: HubRoom, line: bytes, fault: str) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(4)
    room.batch(gateway, gateway.batch(run, lines=[*run.lines[:2], line, *run.lines[3:]]))
    assert [(one["name"], one["reason"]) for one in room.parked()] == [(f"{run.journal}.3", fault)]
    assert len(room.events()) == 4


def test_an_unknown_version_a_foreign_source_and_bad_data_are_told_apart(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = Run(gateway.source).open()
    lines = [
        run.lines[0],
        run.lines[0].replace(b".v1", b".v2").replace(b'.1"', b'.2"'),
        Run("urn:k12edge:dev:79000701-bep", run.journal).open().taps(2).lines[2],
        Run(gateway.source, run.journal).open().taps(3).lines[3].replace(b'"accepted"', b'"perhaps"'),
    ]
    room.batch(gateway, gateway.batch(run, lines=lines))
    assert [one["reason"] for one in room.parked()] == ["unknown-version", "foreign-source", "bad-data"]


def test_what_would_break_readers_later_is_parked_on_arrival(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(2)
    # With a hole before it nothing compares `prev`; its form must be looked at all the same.
    other = Run(gateway.source, run.journal).open().taps(2)
    other.add("device.alarm", {"code": "x"}, prev="no digest")
    other.add("device.alarm", {"code": "x"})
    last = other.add("device.alarm", {"code": "x"}).replace(b'"code":"x"', b'"code":"\xff"')
    room.batch(gateway, gateway.batch(run, 4, lines=[other.lines[3], other.lines[4], last]))
    assert [one["name"] for one in room.parked()] == [f"{run.journal}.4", f"{run.journal}.6"]
    room.batch(gateway, gateway.batch(run))
    window = room.store.forward.window(room.store.clock.now_ms(), 500)
    assert len(window.owed) == 1 + 3 + 1, "the hub's own first record, three of the first batch, one of the other"


def test_a_wrong_signature_and_a_message_that_is_no_batch_are_parked_once_with_their_bytes(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(4)
    forged = gateway.impostor().batch(run)
    for payload in (forged, b"", b"no batch", b'{"journal":1}', forged, gateway.batch(run)[:-3]):
        follow = room.batch(gateway, payload)
        assert not follow.receipts
    assert [one["reason"] for one in room.parked()] == ["signature-refused", *["bad-batch"] * 4]
    assert room.parked()[0]["raw"]["text"].encode() == forged
    assert sum(alarm["count"] for alarm in room.status.whole()["alarms"]) == 6
    assert not room.events()


def test_an_oversize_message_is_parked_by_its_beginning(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    room.batch(gateway, b"x" * (MESSAGE_BYTES_MAX + 1))
    (parked,) = room.parked()
    assert len(parked["raw"]["text"]) == MESSAGE_BYTES_MAX and str(MESSAGE_BYTES_MAX + 1) in parked["detail"]


def test_holes_and_journals_without_end_are_refused(room: HubRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.road.reception.HOLES_MAX", 5)
    monkeypatch.setattr("hub.road.reception.JOURNALS_DEVICE_MAX", 3)
    gateway = room.known(Gateway())
    run = gateway.run(29)
    for number in range(1, 30, 2):
        room.batch(gateway, gateway.batch(run, number, number))
    assert len(room.events()) == 5 and "journal-torn" in room.alarms()
    # What fills a hole or goes on where something ends is taken all the same, so the journal can be whole again.
    room.batch(gateway, gateway.batch(run, 2, 8))
    room.batch(gateway, gateway.batch(run, 10))
    assert sorted(raw for _, raw in room.events()) == sorted(run.lines)
    for _ in range(4):
        other = gateway.run(0)
        room.batch(gateway, gateway.batch(other))
    assert len(room.events()) == 30 + 2 and "journals-full" in room.alarms()


def test_a_journal_belongs_to_the_source_that_first_used_it(room: HubRoom) -> None:
    gateway, thief = room.known(Gateway()), room.known(Gateway("bep"))
    run = gateway.run(2)
    room.batch(gateway, gateway.batch(run))
    stolen = Run(thief.source, run.journal).open().taps(5)
    follow = room.batch(thief, thief.batch(stolen))
    assert room.parked()[0]["reason"] == "foreign-journal" and len(room.events()) == 3
    assert run.journal not in room.marks(thief, follow)
    asked = room.state(thief, thief.state([stolen]))
    assert room.marks(thief, asked)[run.journal].hub.through == 0, "asked about, it is answered: nothing is held"


def test_a_running_journal_after_no_other_is_told_where_earlier_ones_are_held(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    first = gateway.run(2)
    room.state(gateway)
    room.batch(gateway, gateway.batch(first))
    second = gateway.run(1, after=first)
    room.state(gateway)
    room.batch(gateway, gateway.batch(second))
    assert "journal-begun-anew" not in room.alarms()
    anew = gateway.run(1)
    room.state(gateway)
    room.batch(gateway, gateway.batch(anew))
    assert room.alarms()["journal-begun-anew"] == [
        f"{anew.journal} begins after no other; 2 earlier ones are held here"
    ]


def test_a_first_journal_that_comes_after_later_ones_is_no_new_beginning(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    first = gateway.run(2)
    second = gateway.run(1, after=first)
    room.state(gateway)
    # Live taps go first: the journal before them comes when nobody taps.
    room.batch(gateway, gateway.batch(second))
    room.batch(gateway, gateway.batch(first))
    assert "journal-begun-anew" not in room.alarms()


def test_two_journals_after_the_same_one_are_told_once(room: HubRoom) -> None:
    gateway, other = room.known(Gateway()), room.known(Gateway("bep"))
    first = gateway.run(2)
    second = gateway.run(1, after=first)
    third = gateway.run(1, after=second)
    for run in (first, second, third):
        room.batch(gateway, gateway.batch(run))
    stranger = other.run(1, after=first)
    room.batch(other, other.batch(stranger))
    assert "journal-branched" not in room.alarms()
    branch = gateway.run(2, after=first)
    room.batch(gateway, gateway.batch(branch, 2))
    assert "journal-branched" not in room.alarms(), "its first record isn't here yet"
    room.batch(gateway, gateway.batch(branch))
    room.batch(gateway, gateway.batch(branch))
    (detail,) = room.alarms()["journal-branched"]
    assert second.journal in detail and branch.journal in detail and third.journal not in detail
    assert [alarm["count"] for alarm in room.status.whole()["alarms"] if alarm["code"] == "journal-branched"] == [1]
