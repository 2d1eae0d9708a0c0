"""The ways to tamper: each changes a journal's rows and says which record is the first bad one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, Final

import msgspec

from edge.journalrows import SEQUENCE_BITS
from protocol.envelope import decode_event, digest
from protocol.errors import BadMessage
from sim.tampering.original import Original

Rows = list[tuple[int, bytes]]


@dataclass(slots=True)
class Bench:
    """What a tampering works on: the file opened, its records, another gateway's, chance."""

    database: sqlite3.Connection
    mine: Original
    other: Original
    rng: Random

    def write(self, position: int, raw: bytes) -> None:
        """Put these bytes in a record's place."""
        self.database.execute("INSERT OR REPLACE INTO event (position, raw) VALUES (?, ?)", (position, raw))

    def run_of(self, position: int) -> Rows:
        """All records of the run that has this position."""
        return [row for row in self.mine.rows if row[0] >> SEQUENCE_BITS == position >> SEQUENCE_BITS]

    def name(self, position: int) -> str:
        """The id that belongs to a position."""
        journal = self.mine.journals[(position >> SEQUENCE_BITS) - 1]
        return f"{journal}.{position & ((1 << SEQUENCE_BITS) - 1)}"

    def pick(self, *, last: bool = True) -> tuple[int, bytes]:
        """A record; without `last` not a run's last one."""
        while True:
            position, raw = self.rng.choice(self.mine.rows)
            if last or position != self.run_of(position)[-1][0]:
                return position, raw


def flip(bench: Bench) -> set[str]:
    """One to three bits of a record."""
    position, raw = bench.pick()
    octets = bytearray(raw)
    for _ in range(bench.rng.choice((1, 1, 3))):
        octets[bench.rng.randrange(len(octets))] ^= 1 << bench.rng.randrange(8)
    if octets == raw:
        octets[0] ^= 1
    bench.write(position, bytes(octets))
    return _blamed(bench, position, raw, bytes(octets))


def _blamed(bench: Bench, position: int, raw: bytes, changed: bytes) -> set[str]:
    """The record; where its word on the one before was changed that one too, for which nothing vouches then."""
    try:
        same = decode_event(changed).prev == decode_event(raw).prev
    except BadMessage:
        same = True
    return {bench.name(position), *([] if same else [bench.name(position - 1)])}


def drop(bench: Bench) -> set[str]:
    """A record is taken out."""
    position, _ = bench.pick(last=False)
    bench.database.execute("DELETE FROM event WHERE position = ?", (position,))
    return {bench.name(position)}


def close_up(bench: Bench) -> set[str]:
    """A record is taken out and those behind it move up."""
    position, _ = bench.pick(last=False)
    run = bench.run_of(position)
    bench.database.execute("DELETE FROM event WHERE position = ?", (run[-1][0],))
    for (at, _), (_, raw) in pairwise(run):
        if at >= position:
            bench.write(at, raw)
    return {bench.name(position)}


def insert(bench: Bench) -> set[str]:
    """A record is put in between: another one's copy, or one made up to fit its place."""
    position, raw = bench.pick()
    put = bench.rng.choice(bench.mine.rows)[1] if bench.rng.random() < 0.5 else _made_up(raw, bench.rng)
    for at, behind in reversed(bench.run_of(position)):
        if at >= position:
            bench.write(at + 1, behind)
    bench.write(position, put)
    # Copied onto itself, or made up so that it fits both sides, the next one is the first in a wrong place.
    return (
        {bench.name(position), bench.name(position + 1)}
        if put == raw or _id(put) == _id(raw)
        else {bench.name(position)}
    )


def _id(raw: bytes) -> str:
    return decode_event(raw).id


def _made_up(raw: bytes, rng: Random) -> bytes:
    return raw.replace(b'"st-', b'"zz-') if b'"st-' in raw else raw[:-2] + b',"more":%d}}' % rng.randrange(10)


def reorder(bench: Bench) -> set[str]:
    """Two records of a run change places."""
    position, raw = bench.pick()
    run = bench.run_of(position)
    at, other = bench.rng.choice([row for row in run if row[0] != position])
    bench.write(position, other)
    bench.write(at, raw)
    return {bench.name(min(position, at))}


def swap(bench: Bench) -> set[str]:
    """A record of another run, or of another gateway, in its place, with its name or under this one's."""
    position, raw = bench.pick()
    strangers = [row for row in (*bench.mine.rows, *bench.other.rows) if row[1] != raw and _id(row[1]) != _id(raw)]
    put = bench.rng.choice(strangers)[1]
    if bench.rng.random() < 0.5:
        put = put.replace(_id(put).encode(), _id(raw).encode(), 1)
    bench.write(position, put)
    return _blamed(bench, position, raw, put)


def cut(bench: Bench) -> set[str]:
    """The end of the last run is cut off; only a witness can know."""
    run = bench.run_of(bench.mine.rows[-1][0])
    at = bench.rng.choice(run[1:])[0]
    bench.database.execute("DELETE FROM event WHERE position >= ?", (at,))
    return {bench.name(at)}


def forget_run(bench: Bench) -> set[str]:
    """A whole run is taken out, its row too."""
    number = bench.rng.randrange(1, len(bench.mine.journals) + 1)
    bench.database.execute("DELETE FROM event WHERE position >> ? = ?", (SEQUENCE_BITS, number))
    bench.database.execute("DELETE FROM journal WHERE number = ?", (number,))
    return {f"{bench.mine.journals[number - 1]}.1"}


def rewrite(bench: Bench) -> set[str]:
    """A record is changed and every later one of its run made to follow from it, as one without the key could."""
    return _rewritten(bench, *bench.pick())


def rewrite_signed(bench: Bench) -> set[str]:
    """The same in the last run below its signed head, without a witness: the signature alone shows it."""
    run = bench.run_of(bench.mine.rows[-1][0])
    signed = next(at for at, raw in run if decode_event(raw).name == "journal.head")
    return _rewritten(bench, *bench.rng.choice([row for row in run[1:] if row[0] < signed]))


def _rewritten(bench: Bench, position: int, raw: bytes) -> set[str]:
    run = bench.run_of(position)
    changed = _made_up(raw, bench.rng)
    before = digest(raw)
    bench.write(position, changed)
    now = digest(changed)
    for at, behind in run:
        if at > position:
            made = behind.replace(b'"prev":"%s"' % before.encode(), b'"prev":"%s"' % now.encode())
            before, now = digest(behind), digest(made)
            bench.write(at, made)
    # The next signed head, run or witness shows it: what lies since the last proven one may be the changed record.
    return {bench.name(at) for at, _ in run}


def head(bench: Bench) -> set[str]:
    """A signed head says or signs something else, and the rest of the run follows from it."""
    heads = [row for row in bench.mine.rows if decode_event(row[1]).name == "journal.head"]
    position, raw = bench.rng.choice(heads)
    data: dict[str, Any] = msgspec.json.decode(decode_event(raw).data)
    field = bench.rng.choice(("sig", "head"))
    text = str(data[field])
    place = bench.rng.randrange(len(text) - 1)
    wrong = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    changed = raw.replace(text.encode(), wrong.encode())
    bench.write(position, changed)
    before, now = digest(raw), digest(changed)
    for at, behind in bench.run_of(position):
        if at > position:
            made = behind.replace(before.encode(), now.encode())
            before, now = digest(behind), digest(made)
            bench.write(at, made)
    return {bench.name(at) for at, _ in bench.run_of(position)}


def checkpoint(bench: Bench) -> set[str]:
    """The checkpoint of what was pruned says something else."""
    column = bench.rng.choice(("pruned_through", "pruned_head", "pruned_sig"))
    found = bench.database.execute(f"SELECT {column} FROM journal WHERE number = 1").fetchone()[0]
    if isinstance(found, int):
        changed: object = found + bench.rng.choice((-1, 1, 2))
    else:
        place = bench.rng.randrange(len(found) - 1)
        changed = found[:place] + ("A" if found[place] != "A" else "B") + found[place + 1 :]
    bench.database.execute(f"UPDATE journal SET {column} = ? WHERE number = 1", (changed,))
    first = bench.mine.rows[0][0]
    return {bench.name(at) for at in range(first - 3, first + 3)} | {f"{bench.mine.journals[0]}.1"}


def identity(bench: Bench) -> set[str]:
    """A run's row is given another journal's name."""
    number = bench.rng.randrange(1, len(bench.mine.journals) + 1)
    name = bench.mine.journals[number - 1]
    wrong = bench.rng.randbytes(8).hex()
    bench.database.execute("UPDATE journal SET journal = ? WHERE number = ?", (wrong, number))
    first = next(position for position, _ in bench.mine.rows if position >> SEQUENCE_BITS == number)
    return {f"{wrong}.{first & ((1 << SEQUENCE_BITS) - 1)}", f"{name}.1"}


KINDS: Final[dict[str, Callable[[Bench], set[str]]]] = {
    kind.__name__: kind
    for kind in (
        flip,
        drop,
        close_up,
        insert,
        reorder,
        swap,
        cut,
        forget_run,
        rewrite,
        rewrite_signed,
        head,
        checkpoint,
        identity,
    )
}
"""All but `rollback`, which replaces the whole file by an older copy."""
ALONE: Final = frozenset({"rewrite_signed"})
"""Kinds that are to be found without a witness."""
