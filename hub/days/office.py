"""The office: what people of the school enter - roll call, leave, cards, lists - each as a record, or refused in words.

Every method runs in one transaction: the record is stored and written down, or nothing was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hub.attendance.evidence import HALVES, STATES
from hub.attendance.knowndays import beyond_ms
from hub.attendance.schoolday import VIETNAM
from hub.cards.holdings import SINCE_EVER_MS, STARTS, ChangeKind
from hub.cards.listed import CardPlan, card_plan
from hub.roster import RosterRow
from protocol.cards import parse_card, suspicion
from protocol.envelope import rfc3339
from protocol.errors import CardNumberError, Refused
from protocol.records import Half
from protocol.signing import seal
from protocol.taps import TapId

if TYPE_CHECKING:
    from hub.cards.holders import Holders
    from hub.clock import HubClock
    from hub.days.daybook import Daybook
    from hub.store.counterrows import CounterRows
    from hub.store.database import Database
    from hub.store.dayrows import DayRows
    from hub.store.peoplerows import PeopleRows, Person
    from hub.store.rosterrows import RosterRows
    from hub.store.secrets import Secrets

BY_CHARACTERS_MAX: Final = 64
REASON_CHARACTERS_MAX: Final = 200
PUPILS_MAX: Final = 200
"""Pupils in one roll call: a class has 45, and a record 16 KiB."""
BACK_DAYS_MAX: Final = 400
"""How far back something can be entered: a school year and its holidays."""
AHEAD_DAYS_MAX: Final = 400
HOWS: Final = ("page", "api", "paper")


class EntryRefused(Refused):
    """What was entered can't be taken; nothing was changed."""

    code = "entry-refused"
    hint = "Correct what is named, and enter it again."


@dataclass(frozen=True, slots=True)
class HalfDayOf:
    """A class's half-day."""

    school_class: str
    day: date
    half: Half


@dataclass(frozen=True, slots=True)
class TakenBack:
    """By which record a leave notice doesn't count; `stays`: the notice for the days that it keeps, if any."""

    record: str
    stays: str | None


class Office:
    """See the room. `by` is who enters it: a user's name, or a token's."""

    def __init__(
        self,
        database: Database,
        daybook: Daybook,
        people: PeopleRows,
        days: DayRows,
        holders: Holders,
        roster: RosterRows,
        secrets: Secrets,
        counters: CounterRows,
        clock: HubClock,
    ) -> None:
        """Work for one hub."""
        self._database, self._daybook, self._clock = database, daybook, clock
        self._people, self._days, self._holders, self._roster = people, days, holders, roster
        self._secrets, self._counters = secrets, counters
        self.on_entered: Callable[[bool], None] = lambda _roster: None
        """Hears after each commit that records were entered, and whether a new release was made."""

    # --- attendance ---------------------------------------------------------------------------------------------------

    def roll_call(
        self,
        by: str,
        place: HalfDayOf,
        states: Mapping[str, str],
        *,
        how: str = "page",
        reason: str = "",
        confirms: bool = False,
    ) -> TapId:
        """What is said of pupils of a class in a half-day; `confirms` signs the class's list as it stands.

        Raises EntryRefused.
        """
        self._check(by, reason)
        if how not in HOWS:
            raise EntryRefused("how = {how!r} is not one of {hows}", how=how, hows=", ".join(HOWS))
        if not states and not confirms:
            raise EntryRefused("nothing is said of anybody, and nothing is confirmed")
        if len(states) > PUPILS_MAX:
            raise EntryRefused("{count} pupils; one roll call has at most {most}", count=len(states), most=PUPILS_MAX)
        for state in states.values():
            if state not in STATES:
                raise EntryRefused("state {state!r} is not one of {states}", state=state, states=", ".join(STATES))
        self._check_day(place.day)
        with self._database.transaction():
            members = {pupil.key for pupil in self._people.of(place.day, place.day, place.school_class)}
            if not members:
                raise EntryRefused(
                    "class {school_class} has no pupils on {day}", school_class=place.school_class, day=place.day
                )
            strange = sorted(states.keys() - members)
            if strange:
                raise EntryRefused(
                    "{strange}: not of class {school_class} on that day",
                    strange=", ".join(strange[:5]),
                    school_class=place.school_class,
                )
            data: dict[str, Any] = {
                "class": place.school_class,
                "day": place.day.isoformat(),
                "half": place.half,
                "states": dict(sorted(states.items())),
                "how": how,
                "by": by,
            }
            data |= {"reason": reason} if reason else {}
            data |= {"confirms": True} if confirms else {}
            record = self._daybook.enter("attendance.rollcall", data)
        self.on_entered(False)
        return record

    def admit(self, by: str, student: str, seen_ms: int | None = None, reason: str = "") -> TapId:
        """A pupil was seen coming in, without a card; at `seen_ms`, or now. `reason`: why a day that was is changed.

        Raises EntryRefused.
        """
        self._check(by, reason)
        at_ms = self._clock.now_ms() if seen_ms is None else seen_ms
        if at_ms > self._clock.now_ms() + 60_000:
            raise EntryRefused("the moment lies in the future")
        self._check_moment(at_ms)
        day = datetime.fromtimestamp(at_ms / 1000, VIETNAM)
        self._check_day(day.date())
        with self._database.transaction():
            pupil = next((one for one in self._people.of(day.date(), day.date()) if one.key == student), None)
            if pupil is None:
                raise EntryRefused("{student} is no pupil of this school on {day}", student=student, day=day.date())
            data = {
                "class": pupil.school_class,
                "day": day.date().isoformat(),
                "half": "am" if day.hour < 12 else "pm",
                "states": {student: "present"},
                "how": "gate",
                "by": by,
                "seen": rfc3339(at_ms),
            }
            data |= {"reason": reason} if reason else {}
            record = self._daybook.enter("attendance.rollcall", data, f"student/{student}")
        self.on_entered(False)
        return record

    def take_back_admission(self, by: str, admission: str, of: date | None = None) -> TapId:
        """The pupil whom this record let in was not seen: somebody pressed the wrong name. One that was taken back
        already makes no further record. `of`: the day that it has to be of. Raises EntryRefused.
        """
        self._check(by)
        with self._database.transaction():
            row = self._database.connection.execute(
                "SELECT pupil_key, day, half, state, seen_ms FROM statements WHERE record = ? AND how = 'gate'",
                (admission,),
            ).fetchone()
            if row is None or row[3] == "withdrawn":
                raise EntryRefused("there is no admission {admission!r}", admission=admission[:40])
            student, day, half, _, seen_ms = row
            self._check_day(date.fromisoformat(day))
            if of is not None and day != of.isoformat():
                raise EntryRefused("the admission {admission} is of {day}", admission=admission, day=day)
            before = self._days.admission_gone(student, seen_ms)
            if before is not None:
                return before
            pupil = next((one for one in self._people.of(*(date.fromisoformat(day),) * 2) if one.key == student), None)
            data = {
                "class": "" if pupil is None else pupil.school_class,
                "day": day,
                "half": half,
                "states": {student: "withdrawn"},
                "how": "gate",
                "by": by,
                "seen": rfc3339(seen_ms),
            }
            record = self._daybook.enter("attendance.rollcall", data, f"student/{student}")
        self.on_entered(False)
        return record

    def leave(
        self, by: str, student: str, first: tuple[date, Half], last: tuple[date, Half], reason: str = ""
    ) -> TapId:
        """A leave notice that `by` accepts; `reason`: why it speaks of days that were. Raises EntryRefused."""
        self._check(by, reason)
        for day, half in (first, last):
            self._check_day(day, ahead=True)
            if half not in HALVES:
                raise EntryRefused("half {half!r} is not am or pm", half=half)
        if first > last:
            raise EntryRefused("the leave ends before it begins")
        with self._database.transaction():
            self._pupil(student)
            if not self._people.classes_between(student, first[0], last[0]):
                raise EntryRefused("{student} is no pupil of this school on these days", student=student)
            record = self._leave(by, student, first, last, None, reason)
        self.on_entered(False)
        return record

    def withdraw_leave(self, by: str, leave: str, since: date | None = None, reason: str = "") -> TakenBack:
        """A leave notice doesn't count any more, from the day `since` on or at all; what lies before stays, as another.

        `reason`: why days that were change. One that doesn't count already makes no further record. Raises
        EntryRefused.
        """
        self._check(by, reason)
        with self._database.transaction():
            found = self._days.leave(leave)
            if found is None:
                raise EntryRefused("there is no leave notice {leave!r}", leave=leave[:40])
            before = self._days.withdrawal(leave)
            if before is not None:
                return TakenBack(before, None)
            if since is not None and since > found.last[0]:
                raise EntryRefused("the leave notice {leave} has ended by {since}", leave=leave, since=since)
            record = self._leave(by, found.pupil, found.first, found.last, leave, reason)
            stays: TapId | None = None
            if since is not None and found.first[0] < since:
                stays = self._leave(by, found.pupil, found.first, (since - timedelta(days=1), HALVES[-1]), None, reason)
        self.on_entered(False)
        return TakenBack(str(record), None if stays is None else str(stays))

    def waive(self, by: str, device: str, through_ms: int, reason: str) -> TapId:
        """Go on without what a gateway may still have to `through_ms`, at most the end of today. Raises EntryRefused.

        What comes after all counts; a gateway that went on under another journal is given up for good.
        """
        self._check(by, reason)
        if not reason.strip():
            raise EntryRefused("reason: why it isn't waited for must be said")
        self._check_moment(through_ms)
        self._check_day(datetime.fromtimestamp(through_ms / 1000, VIETNAM).date())
        with self._database.transaction():
            if not self._days.is_counted(device):
                raise EntryRefused("there is no device {device!r} whose records count", device=device[:40])
            data = {"device": device, "through": rfc3339(through_ms), "by": by, "reason": reason}
            record = self._daybook.enter("watermark.waived", data)
        self.on_entered(False)
        return record

    def _leave(
        self,
        by: str,
        student: str,
        first: tuple[date, Half],
        last: tuple[date, Half],
        withdraws: str | None,
        reason: str,
    ) -> TapId:
        data: dict[str, Any] = {
            "student": student,
            "first": {"day": first[0].isoformat(), "half": first[1]},
            "last": {"day": last[0].isoformat(), "half": last[1]},
            "withdraws": withdraws,
            "by": by,
        }
        data |= {"reason": reason} if reason else {}
        return self._daybook.enter("attendance.leave", data, f"student/{student}")

    # --- cards --------------------------------------------------------------------------------------------------------

    def card(
        self, by: str, change: ChangeKind, number: str, student: str, since_ms: int | None = None
    ) -> tuple[TapId, int]:
        """Something happened to a card; the record, and how many earlier taps found their pupil, or lost one.

        `since_ms`: since when; without it a card that was never anybody's is taken to be the pupil's since ever, and
        all else holds from now on. The stations are told by a new release. Raises EntryRefused.
        """
        self._check(by)
        try:
            card = parse_card(number)
        except CardNumberError as problem:
            raise EntryRefused("{problem}", problem=problem) from problem
        if suspicion(card) is not None or card.partial:
            raise EntryRefused("this number can't name a card: it is a part, drawn anew at each reading, or misread")
        with self._database.transaction():
            self._pupil(student)
            before = list(self._days.card_changes(card.canonical))
            held = next((one for one in self._holders.holdings() if one.card == card.canonical and one.open), None)
            if change in ("lost", "returned", "replaced") and (held is None or held.pupil != student):
                raise EntryRefused("the card isn't this pupil's")
            if change == "found" and (not before or before[-1].pupil != student):
                raise EntryRefused("the card wasn't this pupil's")
            if change == "found" and held is not None:
                raise EntryRefused("the card is this pupil's: it isn't lost")
            if change in STARTS and card.canonical in self._counters.cards():
                raise EntryRefused("the card is counter staff's, who take their shift by it; use another one")
            if since_ms is None:
                since_ms = SINCE_EVER_MS if not before and change == "issued" else self._clock.now_ms()
            record = self._change_card(by, change, card.canonical, student, since_ms)
            came_home = self._daybook.correct(self._days.taps_of_cards(self._holders.texts([card.canonical])))
            self._roster.number(self._clock.now_ms())
        self.on_entered(True)
        return record, came_home

    def _change_card(self, by: str, change: ChangeKind, card: str, student: str, since_ms: int) -> TapId:
        keyed = self._secrets.card_keys()[-1].keyed(parse_card(card))
        data = {
            "card": keyed,
            "student": student,
            "change": change,
            "since": None if since_ms == SINCE_EVER_MS else rfc3339(since_ms),
            "raw": seal(self._secrets.identity().box, card.encode("ascii")),
            "by": by,
        }
        return self._daybook.enter("card.changed", data, f"student/{student}")

    # --- lists --------------------------------------------------------------------------------------------------------

    def take_roster(self, by: str, rows: Sequence[RosterRow]) -> str:
        """Take a roster with cards whole, as it holds from now on; the release's name.

        Who isn't in it left, and their cards are nobody's; what becomes of cards: hub.cards.listed.
        """
        now_ms = self._clock.now_ms()
        day = datetime.fromtimestamp(now_ms / 1000, VIETNAM).date()
        with self._database.transaction():
            self._people.take(rows, day)
            self._take_cards(by, self.card_plan(rows), now_ms)
            name = self._roster.number(now_ms)
        self.on_entered(True)
        return name

    def card_plan(self, rows: Sequence[RosterRow]) -> CardPlan:
        """What taking a roster would do to cards; under the ledger's lock."""
        return card_plan(self._holders.holdings(), rows, self._counters.cards())

    def _take_cards(self, by: str, made: CardPlan, now_ms: int) -> None:
        known = {change.card for change in self._days.card_changes()}
        changed: list[str] = []
        for one in sorted(made.cards, key=lambda one: (one.effect != "gone", one.card)):
            if one.effect == "gone":
                self._change_card(by, "returned", one.card, one.pupil, now_ms)
            elif one.effect in ("new", "passed"):
                changed.append(one.card)
                self._change_card(by, "issued", one.card, one.pupil, SINCE_EVER_MS if one.card not in known else now_ms)
        self._daybook.correct(self._days.taps_of_cards(self._holders.texts(changed)))

    # --- checks -------------------------------------------------------------------------------------------------------

    def _pupil(self, student: str) -> Person:
        found = self._people.find(student)
        if found is None:
            raise EntryRefused("{student!r} is no pupil of this school", student=student[:70])
        return found

    def _check(self, by: str, reason: str = "") -> None:
        if not by or len(by) > BY_CHARACTERS_MAX or not by.isprintable():
            raise EntryRefused("by: who enters it is a name of at most {most} characters", most=BY_CHARACTERS_MAX)
        if len(reason) > REASON_CHARACTERS_MAX or not all(c.isprintable() for c in reason):
            raise EntryRefused("reason: at most {most} characters of one line", most=REASON_CHARACTERS_MAX)

    def _check_moment(self, at_ms: int) -> None:
        if (unknown := beyond_ms(at_ms)) is not None:
            raise EntryRefused("{unknown}", unknown=unknown)

    def _check_day(self, day: date, *, ahead: bool = False) -> None:
        today = datetime.fromtimestamp(self._clock.now_ms() / 1000, VIETNAM).date()
        last = today + timedelta(days=AHEAD_DAYS_MAX) if ahead else today
        if not today - timedelta(days=BACK_DAYS_MAX) <= day <= last:
            raise EntryRefused("{day} lies too far back, or ahead", day=day)
