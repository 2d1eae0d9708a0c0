"""The keeping of records that were entered here: whether only this hub has one, or the city or a backup too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.store.notes import BackedUp
from protocol.taps import parse_tap_id

if TYPE_CHECKING:
    from hub.parts import Store


class Keeping:
    """See the room. As of when it was made; made and asked under the ledger's lock."""

    def __init__(self, store: Store) -> None:
        """Look at the last backup once."""
        note = store.notes.read(BackedUp)
        self._backed_up = {} if note is None else note.own
        self._books = store.ledger.books

    def here_only(self, record: str) -> bool:
        """Whether nobody but this hub holds a record."""
        name = parse_tap_id(record)
        book = None if name is None else self._books.find(name.journal)
        if name is None or book is None:
            return False
        return name.sequence not in book.city_held and name.sequence > self._backed_up.get(name.journal, 0)
