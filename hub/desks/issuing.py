"""Issuing: a class gets its cards at a desk, one tap after another, and the list moves on by itself.

A desk's session is kept in the ledger's file with the position to which its taps were taken, and a tap is taken in the
transaction that writes its card's record: whatever is reloaded or restarted, each tap counts once. Who stands next
follows from who has a card.

| a card that | what comes of it |
| --- | --- |
| is nobody's | it becomes the next pupil's, and the list moves on |
| was just issued, and is still at the reader | nothing |
| is somebody's, counter staff's, was lost, is a part or no number | it is refused, and said why |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hub.days.classbook import today_at
from hub.days.office import EntryRefused
from hub.desks.cardview import UNREADABLE, CardBook, tail_of
from hub.store.deskrows import TAPS_MAX

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.dayrows import TapRow
    from hub.store.peoplerows import Person

LOG_MAX: Final = 60
"""Entries that a session remembers: a class and its mistakes."""
IDLE_MAX_MS: Final = 20 * 60_000
"""A desk that nobody held a card to for so long issues no more: the next card may be meant for something else."""
CLOCK_MS: Final = 60_000
"""By how much a desk's clock may be behind ours and its tap still be of this session; older ones are a backlog."""
STATIONS_SINCE_MS: Final = 14 * 86_400_000
LAG_MAX: Final = 500
"""Records of other stations that are passed over in one go each time a desk looks, before it remembers that it did."""

What = Literal["bound", "again", "taken", "lost", "part", "staff", "unreadable", "nobody-next", "undone", "skipped"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a tap, or of a person's word: whose card it is, or became; `home`: earlier taps that it brought."""

    at_ms: int
    what: What
    tail: str = ""
    card: str = ""
    pupil: str = ""
    home: int = 0


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """A desk at which a class gets its cards. `chosen`: next by a person's word; `skipped`: who is passed over."""

    desk: str
    school_class: str
    by: str
    opened_ms: int
    active_ms: int
    position: int
    chosen: str = ""
    skipped: tuple[str, ...] = ()
    log: tuple[Entry, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A pupil in the class's list: how many cards they have, whether they are next or were passed over."""

    pupil: Person
    cards: int
    next: bool
    skipped: bool


@dataclass(frozen=True, slots=True)
class View:
    """A session as it stands; `next` None: everybody has a card, or was passed over."""

    session: Session
    lines: Sequence[Line]
    next: Person | None
    idle: bool

    @property
    def done(self) -> int:
        """How many have a card."""
        return sum(line.cards > 0 for line in self.lines)

    @property
    def last(self) -> Entry | None:
        """What came last."""
        return self.session.log[-1] if self.session.log else None

    @property
    def undoable(self) -> Entry | None:
        """The card that an undo takes back."""
        return next((entry for entry in reversed(self.session.log) if entry.what == "bound"), None)


class Issuing:
    """See the room."""

    def __init__(self, store: Store, book: CardBook) -> None:
        """At the desks of one hub."""
        self._store, self._book, self._rows = store, book, store.deskrows

    # --- sessions -----------------------------------------------------------------------------------------------------

    def stations(self) -> list[str]:
        """The school's desk stations as `DEVICE/STATION`: those that gateways told of, or that saw a card."""
        with self._store.database.lock:
            first_ms = self._store.clock.now_ms() - STATIONS_SINCE_MS
            return sorted({f"{device}/{name}" for device, name in self._rows.stations(first_ms)})

    def sessions(self) -> list[Session]:
        """The sessions that are not over."""
        with self._store.database.lock:
            found = [self._load(desk) for desk in self._rows.kept()]
            return [session for session in found if session is not None and not session.ended]

    def open(self, by: str, desk: str, school_class: str) -> None:
        """Begin with a class at a desk; what was there is over. Raises EntryRefused."""
        now_ms = self._store.clock.now_ms()
        with self._store.database.transaction():
            if desk.count("/") != 1:
                raise EntryRefused("the desk is not DEVICE/STATION")
            if not self._book.members(school_class, self._today()):
                raise EntryRefused("the class has no pupils today")
            self._keep(Session(desk, school_class, by, now_ms, now_ms, self._store.days.newest()))

    def close(self, desk: str) -> None:
        """The class is through."""
        with self._store.database.transaction():
            self._rows.drop(desk)

    def go_on(self, by: str, desk: str) -> None:
        """Take cards again after a pause, in the name of `by`; what was held to the desk meanwhile isn't taken."""
        with self._store.database.transaction():
            session = self._load(desk)
            if session is not None:
                now_ms = self._store.clock.now_ms()
                position = self._store.days.newest()
                self._keep(
                    msgspec.structs.replace(
                        session, by=by, opened_ms=now_ms, active_ms=now_ms, position=position, ended=False
                    )
                )

    def choose(self, desk: str, pupil: str) -> None:
        """This pupil is next, whether they have a card or not. Raises EntryRefused."""
        with self._store.database.transaction():
            session = self._load(desk)
            if session is None:
                return
            if pupil not in {one.key for one in self._members(session)}:
                raise EntryRefused("the pupil is not of this class")
            skipped = tuple(key for key in session.skipped if key != pupil)
            self._keep(self._active(msgspec.structs.replace(session, chosen=pupil, skipped=skipped)))

    def skip(self, desk: str) -> None:
        """Whoever is next is away: pass them over."""
        with self._store.database.transaction():
            session = self._load(desk)
            person = None if session is None else self._next(session)
            if session is not None and person is not None:
                entry = Entry(self._store.clock.now_ms(), "skipped", pupil=person.key)
                session = msgspec.structs.replace(session, chosen="", skipped=(*session.skipped, person.key))
                self._keep(self._active(_noted(session, entry)))

    def undo(self, by: str, desk: str) -> str | None:
        """Take the last card back from its pupil, who is next again; their key. Raises EntryRefused.

        It is as if the card had never been theirs: no earlier tap stays with them.
        """
        with self._store.database.transaction():
            session = self._load(desk)
            last = None if session is None else _last_bound(session)
            if session is None or last is None:
                return None
            held = self._book.last_holding(last.card)
            # Refused where the card was lost, taken back or passed on since.
            self._store.office.card(by, "returned", last.card, last.pupil, None if held is None else held.from_ms)
            log = tuple(
                msgspec.structs.replace(entry, what="undone") if entry is last else entry for entry in session.log
            )
            self._keep(self._active(msgspec.structs.replace(session, log=log, chosen=last.pupil)))
            return last.pupil

    # --- taps ---------------------------------------------------------------------------------------------------------

    def advance(self, desk: str) -> list[Entry]:
        """Take what was held to the desk since; what came of it. Does nothing where no session is."""
        with self._store.database.lock:
            session = self._load(desk)
            if session is None or session.ended:
                return []
            device, _, point = desk.partition("/")
            through = self._store.days.cursor()
            taps = self._rows.behind(session.position, through, device, point)
            if not taps and through - session.position < LAG_MAX:
                return []
        with self._store.database.transaction():
            session = self._load(desk)
            if session is None or session.ended:
                return []
            before = session
            if taps and not self._may_go_on(session.by):
                # Cards are issued in the name of who opened the desk.
                self._keep(msgspec.structs.replace(session, ended=True))
                return []
            for position, tap in taps:
                if position > session.position:
                    session = msgspec.structs.replace(self._take(session, tap), position=position)
            if len(taps) < TAPS_MAX:
                session = msgspec.structs.replace(session, position=max(through, session.position))
            self._keep(session)
            return [entry for entry in session.log if entry not in before.log]

    def _may_go_on(self, by: str) -> bool:
        """Whether a user is still let in, and to the day that is their last."""
        user = self._store.users.find(by)
        return user is None or (not user.revoked and (user.person.until is None or self._today() <= user.person.until))

    def _take(self, session: Session, tap: TapRow) -> Session:
        if session.ended or tap.best_ms < session.opened_ms - CLOCK_MS:
            return session
        if tap.best_ms > session.active_ms + IDLE_MAX_MS:
            return msgspec.structs.replace(session, ended=True)
        entry = self._judged(session, tap)
        if entry is None:
            return session
        chosen = "" if entry.what == "bound" else session.chosen
        return self._active(_noted(msgspec.structs.replace(session, chosen=chosen), entry))

    def _judged(self, session: Session, tap: TapRow) -> Entry | None:
        """What comes of a tap; None: it is the card just issued, still at the reader."""
        now_ms = self._store.clock.now_ms()
        found = self._book.found(tap.card)
        last = _last_bound(session)
        if tap.reason in UNREADABLE:
            return Entry(now_ms, "unreadable")
        if found.state in ("good", "temporary", "left"):
            assert found.pupil is not None
            if last is not None and last.pupil == found.pupil and last.card == self._book.card_of(tap.card):
                return None
            return Entry(now_ms, "taken", found.tail, pupil=found.pupil)
        if found.state == "lost":
            return Entry(now_ms, "lost", found.tail, pupil=found.pupil or "")
        card = self._book.card_of(tap.card)
        if card is None:
            return Entry(now_ms, "part", found.tail)
        if card in self._store.counters.cards():
            return Entry(now_ms, "staff", found.tail)
        person = self._next(session)
        if person is None:
            return Entry(now_ms, "nobody-next", found.tail)
        return self._bind(session, card, person)

    def _bind(self, session: Session, card: str, person: Person) -> Entry:
        now_ms, since_ms = self._store.clock.now_ms(), self._book.since_ms(card)
        try:
            _, home = self._store.office.card(session.by, "issued", card, person.key, since_ms)
        except EntryRefused:
            return Entry(now_ms, "unreadable")
        return Entry(now_ms, "bound", tail_of(card), card, person.key, home)

    # --- who is next --------------------------------------------------------------------------------------------------

    def view(self, desk: str) -> View | None:
        """A session as it stands."""
        with self._store.database.lock:
            session = self._load(desk)
            if session is None:
                return None
            counts, person = self._book.open_cards(), self._next(session)
            lines = [
                Line(
                    one,
                    counts.get(one.key, 0),
                    person is not None and one.key == person.key,
                    one.key in session.skipped,
                )
                for one in self._members(session)
            ]
            idle = session.ended or self._store.clock.now_ms() > session.active_ms + IDLE_MAX_MS
            return View(session, lines, person, idle)

    def _next(self, session: Session) -> Person | None:
        members = self._members(session)
        chosen = next((one for one in members if one.key == session.chosen), None)
        if chosen is not None:
            return chosen
        counts = self._book.open_cards()
        waiting = (one for one in members if not counts.get(one.key) and one.key not in session.skipped)
        return next(waiting, None)

    def _members(self, session: Session) -> list[Person]:
        return self._book.members(session.school_class, self._today())

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _today(self) -> date:
        return today_at(self._store.clock.now_ms())

    def _active(self, session: Session) -> Session:
        return msgspec.structs.replace(session, active_ms=self._store.clock.now_ms())

    def _load(self, desk: str) -> Session | None:
        kept = self._rows.load(desk)
        return None if kept is None else msgspec.json.decode(kept, type=Session)

    def _keep(self, session: Session) -> None:
        self._rows.keep(session.desk, msgspec.json.encode(session))


def _noted(session: Session, entry: Entry) -> Session:
    return msgspec.structs.replace(session, log=(*session.log, entry)[-LOG_MAX:])


def _last_bound(session: Session) -> Entry | None:
    return next((entry for entry in reversed(session.log) if entry.what == "bound"), None)
