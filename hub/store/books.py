"""The journals that the hub knows: what it holds of each, what stands parked, what the city has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from hub.store.database import Database
from protocol.ranges import RangeSet


@dataclass(slots=True)
class Book:
    """One journal. `held` records are in `events`; `parked` ones are set aside; `device` is None for the hub's own."""

    number: int
    journal: str
    source: str
    device: str | None
    held: RangeSet = field(default_factory=RangeSet)
    parked: RangeSet = field(default_factory=RangeSet)
    pruned_through: int = 0
    city_held: RangeSet = field(default_factory=RangeSet)
    city_dead: RangeSet = field(default_factory=RangeSet)

    def durable(self) -> RangeSet:
        """Everything that the hub answers for: held and parked."""
        return _union(self.held, self.parked)

    def city(self) -> RangeSet:
        """Everything that the city answered for: held and dead there. What is parked here, it never saw."""
        return _union(self.city_held, self.city_dead)

    def settled(self, *, with_city: bool) -> bool:
        """Whether neither the hub nor the city is waiting for anything of this journal."""
        if self.holes():
            return False
        city = self.city() if with_city else self.held
        return all(city.covers(first, last) for first, last in self.held)

    def holes(self) -> list[tuple[int, int]]:
        """What is missing below the highest record held, but for what the device pruned (the city holds it)."""
        durable = self.durable()
        return list(durable.gaps(self.pruned_through + 1, durable.last))


def _union(one: RangeSet, other: RangeSet) -> RangeSet:
    if not other:
        return one.copy()
    both = one.copy()
    for first, last in other:
        both.add(first, last)
    return both


class Books:
    """All journals in memory, each change written with the transaction that it belongs to."""

    def __init__(self, database: Database) -> None:
        """Load them."""
        self._database = database
        self._books: dict[str, Book] = {}
        self._by_number: dict[int, Book] = {}
        self._by_device: dict[str | None, list[Book]] = {}
        self._changed: dict[str, Callable[[], None]] = {}
        for row in database.connection.execute(
            "SELECT number, journal, source, device, held, parked, pruned_through, city_held, city_dead FROM journals"
        ):
            self._keep(_loaded(row))
        database.before_commit(self._write)

    def _keep(self, book: Book) -> None:
        self._books[book.journal] = book
        self._by_number[book.number] = book
        self._by_device.setdefault(book.device, []).append(book)

    def find(self, journal: str) -> Book | None:
        """The journal of this id."""
        return self._books.get(journal)

    def numbered(self, number: int) -> Book:
        """The journal of this number in the file."""
        return self._by_number[number]

    def all(self) -> list[Book]:
        """Every journal, in the order of first contact."""
        return list(self._books.values())

    def of_device(self, device: str | None) -> list[Book]:
        """A device's journals, or of None the hub's own, in the order of first contact; not to be changed."""
        return self._by_device.get(device, [])

    def add(self, journal: str, source: str, device: str | None) -> Book:
        """A journal met for the first time; within a transaction."""
        number = self._database.connection.execute(
            "INSERT INTO journals (journal, source, device) VALUES (?, ?, ?) RETURNING number",
            (journal, source, device),
        ).fetchone()[0]
        book = Book(number, journal, source, device)
        self._keep(book)

        def forget() -> None:
            self._books.pop(journal, None)
            self._by_number.pop(number, None)
            self._by_device[device].remove(book)
            self._changed.pop(journal, None)

        self._database.on_rollback(forget)
        return book

    def change(self, book: Book) -> Book:
        """Say, before it is done, that a book changes in the transaction under way."""
        if book.journal not in self._changed:
            held, parked = book.held.copy(), book.parked.copy()
            city_held, city_dead, pruned = book.city_held.copy(), book.city_dead.copy(), book.pruned_through

            def undo() -> None:
                book.held, book.parked, book.city_held, book.city_dead = held, parked, city_held, city_dead
                book.pruned_through = pruned
                self._changed.pop(book.journal, None)

            self._changed[book.journal] = undo
            self._database.on_rollback(undo)
        return book

    def _write(self) -> None:
        for journal in self._changed:
            book = self._books[journal]
            self._database.connection.execute(
                "UPDATE journals SET held = ?, parked = ?, pruned_through = ?, city_held = ?, city_dead = ?"
                " WHERE number = ?",
                (
                    _text(book.held),
                    _text(book.parked),
                    book.pruned_through,
                    _text(book.city_held),
                    _text(book.city_dead),
                    book.number,
                ),
            )
        self._changed.clear()


def _text(ranges: RangeSet) -> str:
    return msgspec.json.encode(list(ranges)).decode("ascii")


def _ranges(text: str) -> RangeSet:
    return RangeSet(msgspec.json.decode(text, type=list[tuple[int, int]]))


def _loaded(row: sqlite3.Row | tuple[object, ...]) -> Book:
    number, journal, source, device, held, parked, pruned, city_held, city_dead = row
    assert isinstance(number, int) and isinstance(journal, str) and isinstance(source, str) and isinstance(pruned, int)
    assert device is None or isinstance(device, str)
    return Book(
        number,
        journal,
        source,
        device,
        _ranges(str(held)),
        _ranges(str(parked)),
        pruned,
        _ranges(str(city_held)),
        _ranges(str(city_dead)),
    )
