"""The desk of lists: a list of pupils compared with what the hub knows, and taken in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final, Literal

import msgspec

from hub.attendance.schoolday import VIETNAM
from hub.clock import HubClock
from hub.days.office import Office
from hub.desks.desk import Outcome
from hub.desks.otherlists import TAKEN, OtherLists
from hub.lists.changes import ListGuarded, Plan, plan
from hub.lists.faults import Fault, ListRefused
from hub.lists.hourchanges import told_hours
from hub.lists.people import People, read_other, read_people, with_cards
from hub.lists.telling import LEFT_OUT, Document, card_words, document, takes
from hub.lists.templates import PUPILS, TEMPLATES
from hub.lists.whose import OF_PUPILS, whose
from hub.lists.yeardays import DAYS_GONE, told_days
from hub.papers import unwrapped
from hub.roster import RosterRow, parse_roster, roster_text
from hub.store.database import Database
from hub.store.listrows import ListRows
from hub.store.rosterrows import RosterRows

LIST_ACTIONS: Final = ("roster-check", "roster-apply")
NO_EFFECT: Final = ("same", "other", *LEFT_OUT)
"""What of a list's effects writes nothing."""
IMPORT_ACTION: Final = "roster-import"
FILE_CHARACTERS_MAX: Final = 120
AHEAD_DAYS_MAX: Final = 400
"""A school year is rolled over some months before it begins."""


class ListDesk:
    """See the room. Works on the store; a running hub tells the gateways afterwards."""

    def __init__(
        self,
        database: Database,
        rows: ListRows,
        roster: RosterRows,
        office: Office,
        others: OtherLists,
        clock: HubClock,
        base: Callable[[], str],
    ) -> None:
        """Serve one hub; `base` says where people open its pages."""
        self._database, self._rows, self._roster, self._office, self._clock = database, rows, roster, office, clock
        self._others, self.base = others, base

    def carry_out(self, action: str, words: Mapping[str, str | None]) -> str:
        """Do one of LIST_ACTIONS; the answer is a document (hub.lists.telling) as JSON.

        Words: `file` and `paper`; `day`, from when the list holds (today); `missing`, keep or leave; `part`, it is a
        part of the school; `confirm`, guards by name; `list`, another list than pupils; `by`, who asks. Raises
        ListRefused where a word can't be used.
        """
        return msgspec.json.encode(self.take(words, write=action == "roster-apply")).decode("utf-8")

    def bring(self, words: Mapping[str, str | None]) -> Outcome:
        """Take a roster with cards whole: who isn't in it left. Words: `file`, `paper`, `confirm`, `by`, as above.

        It asks where `apply` asks. Raises RosterRefused, ListGuarded; then nothing was changed.
        """
        name, octets, day, today = self._given({**words, "day": None})
        rows = parse_roster(name, roster_text(name, octets))
        with self._database.transaction():
            made = plan(self._rows.known(), with_cards(name, rows), day, complete=True, today=today, missing="leave")
            made.to_write(_confirmed(words))
            cards = self._office.card_plan(rows)
            told = tuple(card_words(name, cards.told()))
            if left := [guard for guard in cards.guards if guard not in _confirmed(words)]:
                raise ListGuarded("\n".join((f"not confirmed: {', '.join(left)}", *told)))
            release = self._office.take_roster(words.get("by") or "-", rows)
        pupils, count = len({row.pupil_key for row in rows}), sum(row.card is not None for row in rows)
        head = f"{release}: {pupils} học sinh / pupils, {count} thẻ / cards"
        return Outcome("\n".join((head, *told)), roster=True, records=count)

    def take(self, words: Mapping[str, str | None], *, write: bool) -> Document:
        """Read, compare, and `write` where nothing stands against it; `written` of the document names the release."""
        kind = words.get("list") or PUPILS.name
        if kind != PUPILS.name:
            return self._other(kind, words, write=write)
        confirmed = _confirmed(words)
        # The file is read before the ledger is held; the plan is made and written while nobody changes anything.
        people, rows, day, today = self._read(words)
        with self._database.transaction():
            made = self._plan(people, words, day, today)
            found = self._told(people, made, rows)
            if not write or found["unchanged"] or not takes(found, confirmed):
                return found
            if rows is not None:
                found["written"] = self._office.take_roster(words.get("by") or "-", rows)
                return found
            self._rows.write(made.to_write(confirmed), today)
            found["written"] = self._roster.number(self._clock.now_ms())
        self._office.on_entered(True)
        return found

    def compared(self, words: Mapping[str, str | None]) -> tuple[Document, Plan]:
        """What a list holds and would change, for a page that names who; nothing is written. Raises ListRefused."""
        people, rows, day, today = self._read(words)
        with self._database.transaction():
            made = self._plan(people, words, day, today)
            return self._told(people, made, rows), made

    def _told(self, people: People, made: Plan, rows: Sequence[RosterRow] | None) -> Document:
        """The document of a list of pupils; one that brings nothing new makes no release: gateways have theirs."""
        found = document(people, made)
        cards = None if rows is None else self._office.card_plan(rows)
        if cards is not None:
            found["cards"], found["guards"] = cards.told(), list(cards.guards)
        cards_same = cards is None or cards.empty
        found["unchanged"] = made.empty and takes(found) and cards_same and self._roster.current() is not None
        return found

    def _other(self, kind: str, words: Mapping[str, str | None], *, write: bool) -> Document:
        """Another list, its pupils held to those that are known; what it would do, and where asked, it is done."""
        name, octets, day, today = self._given(words)
        template = TEMPLATES.get(kind)
        if template is None:
            raise ListRefused(Fault("no-list", file=name, about=(", ".join(TEMPLATES),)))
        listed = read_other(template, name, octets, today)
        with self._database.transaction():
            lines: Sequence[Any] = listed.lines
            if kind in OF_PUPILS:
                lines, faults = whose(name, listed.lines, self._rows.known(), day)
                listed = replace(listed, faults=listed.faults + faults)
            if not listed.sound or kind not in TAKEN:
                return document(listed)
            effects, notes = self._others.effects(name, kind, lines, day)
            found = document(replace(listed, faults=listed.faults + notes))
            found["effects"] = effects
            found["unchanged"] = not any(count for word, count in found["effects"].items() if word not in NO_EFFECT)
            if kind in ("calendar", "timetable"):
                found["hours"] = told_hours(self._others.hours(kind, lines, day))
            if kind == "calendar":
                found["days"] = told_days(self._others.days(lines, day))
                found["guards"] = [DAYS_GONE] if any(one["guarded"] for one in found["days"]) else []
            if write and not found["unchanged"] and takes(found, _confirmed(words)):
                found["written"], slips = self._others.take(kind, words.get("by") or "-", lines, day)
                found["slips"] = [
                    {
                        "name": slip.name,
                        "shown": slip.shown,
                        "role": slip.role,
                        "class": slip.school_class,
                        "link": f"{self.base()}/first/{slip.secret}",
                    }
                    for slip in slips
                ]
        return found

    def _read(self, words: Mapping[str, str | None]) -> tuple[People, Sequence[RosterRow] | None, date, date]:
        """The list, the rows of a sound roster of our own, the day from which on it is to hold, and today."""
        name, octets, day, today = self._given(words)
        people = read_people(name, octets, today)
        if people.kind == "roster" and day != today:
            raise ListRefused(Fault("roster-day", file=name))
        # A roster of our own brings cards along, which are records.
        own = people.kind == "roster" and people.sound
        return people, parse_roster(name, roster_text(name, octets)) if own else None, day, today

    def _given(self, words: Mapping[str, str | None]) -> tuple[str, bytes, date, date]:
        """The file's name and bytes, the day from which on it is to hold, and today."""
        name = (words.get("file") or "list").rpartition("/")[2][-FILE_CHARACTERS_MAX:]
        octets = unwrapped(words.get("paper") or "")
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, VIETNAM).date()
        return name, octets, self._day(words.get("day"), name, today), today

    def _plan(self, people: People, words: Mapping[str, str | None], day: date, today: date) -> Plan:
        # Our own roster is whole: who isn't in it leaves.
        leave = words.get("missing") == "leave" or people.kind == "roster"
        missing: Literal["keep", "leave"] = "leave" if leave else "keep"
        return plan(
            self._rows.known(),
            people.pupils,
            day,
            complete=people.complete,
            today=today,
            origin="city" if people.kind == "oneroster" else "list",
            missing=missing,
            whole_school=words.get("part") != "True",
        )

    @staticmethod
    def _day(text: str | None, name: str, today: date) -> date:
        if text is None:
            return today
        try:
            day = date.fromisoformat(text)
        except ValueError as problem:
            raise ListRefused(Fault("no-day-given", file=name)) from problem
        if not today <= day or (day - today).days > AHEAD_DAYS_MAX:
            raise ListRefused(Fault("no-day-given", file=name))
        return day


def _confirmed(words: Mapping[str, str | None]) -> frozenset[str]:
    """The guards of which a person says that it is meant."""
    return frozenset((words.get("confirm") or "").replace(",", " ").split())
