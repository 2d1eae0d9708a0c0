"""Consents: what people enter of who may be told of a pupil, each as a record of the hub's own journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hub.days.office import BY_CHARACTERS_MAX, EntryRefused
from protocol.envelope import rfc3339

if TYPE_CHECKING:
    from hub.lists.lines import ConsentLine
    from hub.parts import Store
    from protocol.taps import TapId

MESSAGES: Final = "messages"
"""The one purpose that a hub acts by; the other purposes of the list are for the school's own papers."""


class Consents:
    """See the room."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def enter(self, by: str, student: str, given: bool) -> TapId | None:
        """What somebody says of one pupil; None where that is known already. Raises EntryRefused."""
        with self._store.database.transaction():
            record = self._enter(by, student, given)
        if record is not None:
            self._store.office.on_entered(False)
        return record

    def take(self, by: str, lines: Sequence[tuple[str, ConsentLine]]) -> int:
        """A list's lines about messages, each with its pupil, in one transaction; how many said something new.

        Where the law wants the pupil's own word beside the guardian's, and it is no, it is no. Raises EntryRefused.
        """
        count = 0
        with self._store.database.transaction():
            for student, line in lines:
                if line.purpose == MESSAGES:
                    count += self._enter(by, student, given_by(line), line) is not None
        if count:
            self._store.office.on_entered(False)
        return count

    def changes(self, lines: Sequence[tuple[str, ConsentLine]]) -> dict[str, int]:
        """What a list would do: how many would be `given` or `taken_back`, are the `same`, or are of `other` purposes.

        Under the ledger's lock.
        """
        found = {"given": 0, "taken_back": 0, "same": 0, "other": 0}
        for student, line in lines:
            known = self._store.messages.consent_known(student)
            if line.purpose != MESSAGES:
                found["other"] += 1
            elif known is not None and known[0] == given_by(line):
                found["same"] += 1
            else:
                found["given" if given_by(line) else "taken_back"] += 1
        return found

    def _enter(self, by: str, student: str, given: bool, line: ConsentLine | None = None) -> TapId | None:
        store = self._store
        if not by or len(by) > BY_CHARACTERS_MAX or not by.isprintable():
            raise EntryRefused(f"by: who enters it is a name of at most {BY_CHARACTERS_MAX} characters")
        if store.people.find(student) is None:
            raise EntryRefused(f"{student[:70]!r} is no pupil of this school")
        known = store.messages.consent_known(student)
        if known is not None and known[0] == given:
            return None
        # A clock that was set back must not let an old yes outlive a new no.
        at_ms = max(store.clock.now_ms(), 0 if known is None else known[1] + 1)
        data = {"student": student, "purpose": MESSAGES, "given": given, "at": rfc3339(at_ms), "by": by}
        if line is not None:
            data |= {"guardian": line.by, "signed": line.day.isoformat()}
        return store.daybook.enter("consent.changed", data, f"student/{student}")


def given_by(line: ConsentLine) -> bool:
    """Whether a line is a yes."""
    return line.given and line.pupil_agrees is not False
