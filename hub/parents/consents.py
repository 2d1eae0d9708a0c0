"""Consents: what people enter of who may be told of a pupil, each as a record of the hub's own journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from hub.attendance.schoolday import VIETNAM
from hub.days.office import BY_CHARACTERS_MAX, EntryRefused
from protocol.envelope import decode_data, decode_event, rfc3339, unix_ms_of
from protocol.records import ConsentChanged

if TYPE_CHECKING:
    from hub.lists.lines import ConsentLine
    from hub.parts import Store
    from protocol.taps import TapId

MESSAGES: Final = "messages"
"""The one purpose that a hub acts by; the other purposes of the list are for the school's own papers."""


ConsentEffect = Literal["given", "taken_back", "same", "older", "other"]


class Effect(NamedTuple):
    """What a list's line would do; `since`: the day of the word that an `older` line was signed before."""

    student: str
    line: ConsentLine
    effect: ConsentEffect
    since: date | None = None


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
            for student, line, effect, _ in self.effects(lines):
                if effect in ("given", "taken_back"):
                    count += self._enter(by, student, given_by(line), line) is not None
        if count:
            self._store.office.on_entered(False)
        return count

    def effects(self, lines: Sequence[tuple[str, ConsentLine]]) -> list[Effect]:
        """What each line would do: `given`, `taken_back`, the `same`, of an `other` purpose, or `older`.

        `older`: signed before the paper of the word that stands, it changes nothing. Where no paper is known of that
        word, a yes signed before the day on which a no was entered doesn't overrule it. Under the ledger's lock.
        """
        found: list[Effect] = []
        known = {student: self._store.messages.consent_known(student) for student, _ in lines}
        signed = self._signed({
            student: word[1]
            for student, line in lines
            if line.purpose == MESSAGES and (word := known[student]) is not None and word[0] != given_by(line)
        })  # fmt: skip
        for student, line in lines:
            word, since = known[student], signed.get(student)
            if word is not None and since is None and not word[0]:
                since = datetime.fromtimestamp(word[1] / 1000, VIETNAM).date()
            if line.purpose != MESSAGES:
                found.append(Effect(student, line, "other"))
            elif word is not None and word[0] == given_by(line):
                found.append(Effect(student, line, "same"))
            elif since is not None and line.day < since:
                found.append(Effect(student, line, "older", since))
            else:
                found.append(Effect(student, line, "given" if given_by(line) else "taken_back"))
        return found

    def _signed(self, words: Mapping[str, int]) -> dict[str, date]:
        """When the papers of pupils' words were signed, where the words' records say so; `words`: when each was said.

        No table keeps it: the records are looked through, and only where a line would change a word.
        """
        found: dict[str, date] = {}
        for raw in self._store.ledger.own_records("consent.changed") if words else ():
            event = decode_event(raw)
            if event.name == "consent.changed":
                word = decode_data(event, ConsentChanged)
                if word.purpose == MESSAGES and word.signed and words.get(word.student) == unix_ms_of(word.at):
                    found[word.student] = date.fromisoformat(word.signed)
        return found

    def _enter(self, by: str, student: str, given: bool, line: ConsentLine | None = None) -> TapId | None:
        store = self._store
        if not by or len(by) > BY_CHARACTERS_MAX or not by.isprintable():
            raise EntryRefused("by: who enters it is a name of at most {most} characters", most=BY_CHARACTERS_MAX)
        if store.people.find(student) is None:
            raise EntryRefused("{student!r} is no pupil of this school", student=student[:70])
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
