"""The hatch: what a gateway's canteen stations ask before a tray and tell after it; the day in memory, behind a lock.

It is a copy of what the journal says, for answering and showing. Every step takes constant time: the caller is a lane.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from edge.canteen.census import NO_MEAL, Census, MealKey
from edge.canteen.classes import class_tallies
from edge.canteen.others import Others
from edge.canteen.ports import ClassTally, Entry, Neighbours, Shown, Sitting, Tally
from edge.canteen.servings import Book, Serving
from edge.canteen.showing import Look, hand_of, meal_of, served_entry, shown_of, slip_of, waiting_entry, wall_ms_of
from edge.canteen.sittings import Sittings, local_day
from edge.canteen.slips import Slip, Slips
from edge.config import StationPlan
from edge.ports import HandSeen, Plate, Warning_
from protocol.countersheet import CounterSheet, Eater
from protocol.meals import MealTap
from protocol.roster import Release
from protocol.served import Told
from protocol.taps import ClockReading, TapData, TapId

log = logging.getLogger("k12edge.canteen")

PRESS_NS: Final = 2 * 10**9
"""The same serving asked for again so soon is a finger that touched twice, wet or waiting for a slow disk."""
DAY_MS: Final = 86_400_000
COUNTS_BY: Final[Mapping[str, tuple[bool, bool | None]]] = {
    "undone": (True, None),
    "done": (False, None),
    "second": (False, False),
    "repeat": (False, True),
}
"""What a correction of a serving makes of it: whether it is undone, whether it is the same tray; None: as it was."""


@dataclass(slots=True)
class _Place:
    """One station: its plan, its lists, what forgets a card's window there, and the last press (whom, when, record)."""

    plan: StationPlan
    forget: Callable[[str], None]
    slips: Slips = field(default_factory=Slips)
    pressed: tuple[str | None, int, str] | None = None


class Hatch:
    """See ports.Meals, and canteen.ports.Hears. From any thread; listeners are called outside of the lock."""

    def __init__(
        self,
        plans: Iterable[StationPlan],
        own_device: str,
        release: Callable[[], Release | None],
        takes_shift: Callable[[str, str], None],
        last_written: Callable[[], int],
    ) -> None:
        """`own_device`: this gateway; `release`: the canteen's roster now; `takes_shift(station, id)`: a staff card.

        `last_written`: the journal's last sequence, by which a later success is seen.
        """
        self._lock = threading.Lock()
        self._places = {plan.name: _Place(plan, lambda _: None) for plan in plans}
        self._release, self._takes_shift = release, takes_shift
        self._last_written = last_written
        self._book, self.census, self._sittings = Book(), Census(), Sittings()
        self.others = Others(own_device)
        self._failed: tuple[str, int] | None = None
        self._listeners: list[Callable[[str], None]] = []
        self.sheet: CounterSheet | None = None

    # --- put together ---------------------------------------------------------------------------------------------

    def stations(self) -> tuple[str, ...]:
        """The canteen stations, in the order of the configuration."""
        return tuple(self._places)

    def place(self, station: str, forget: Callable[[str], None]) -> None:
        """Take a station's way to forget a card's repeat window."""
        self._places[station].forget = forget

    def lay(self, sheet: CounterSheet) -> None:
        """A sheet comes into force: hours, names, who is expected. Not on a lane: it counts everybody anew.

        Every few minutes one comes in which nothing is new but its age; then nothing is made anew.
        """
        old, sittings = self.sheet, Sittings(sheet)
        same = old is not None and replace(sheet, version=old.version, made=old.made) == old
        census = self.census if same else Census(sheet)
        with self._lock:
            self.sheet, self._sittings = sheet, sittings
            if not same:
                self.census = census
                self.others.know(sheet.counters)
                self._book.rebuild(census)
        self.changed()

    def join(self, neighbours: Neighbours, clock: ClockReading) -> None:
        """Take the exchange with other counters; today's servings are told to it anew, since its run has begun."""
        with self._lock:
            self.others.join(neighbours)
            for serving in self._book.ours(local_day(clock.best_ms)):
                # A repeat by our own window was never told; what a person called one is.
                if not (serving.same and serving.again):
                    self.others.say(serving)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """See canteen.ports.Counter.listen."""
        with self._lock:
            self._listeners = [*self._listeners, heard]

        def end() -> None:
            with self._lock:
                self._listeners = [one for one in self._listeners if one is not heard]

        return end

    def changed(self, station: str | None = None) -> None:
        """Tell whoever listens that a station's view is another; None: every station's."""
        for name in self._places if station is None else (station,):
            for heard in self._listeners:
                try:
                    heard(name)
                except Exception:
                    # A screen's fault is no pupil's.
                    log.exception("a listener of station %s failed", name)

    # --- asked and told by stations (ports.Meals) -----------------------------------------------------------------

    def takes_shift(self, station: str, cards: Sequence[str]) -> bool:
        """See Meals.takes_shift. No record is made: it is no serving, and a hand's record says who had the shift."""
        staff = {} if self.sheet is None else self.sheet.cards
        who = next((staff[card] for card in cards if card in staff), None)
        if who is None:
            return False
        self._takes_shift(station, who)
        self.changed(station)
        return True

    def pressed(self, station: str, asked: HandSeen) -> str | None:
        """See Meals.pressed. By the time of the presses, however long the disk took between them."""
        with self._lock:
            place = self._places[station]
            answer = None if asked.hand.of is None else place.slips.answer_to(asked.hand.of)
            if answer is not None and (served := self._book.of(answer)) is not None and not served.undone:
                return answer
            before = place.pressed
            if before is None or asked.seen_mono_ns - before[1] >= PRESS_NS or before[0] != _pressed_for(asked):
                return None
            served = self._book.of(before[2])
            return before[2] if served is None or not served.undone else None

    def judge(
        self, station: str, student: str | None, card: str, clock: ClockReading, window_ms: int, of: str | None = None
    ) -> Plate:
        """See Meals.judge. A fault of ours in counting costs the count, never the tray."""
        try:
            return self._judged(station, student, card, clock, window_ms, of)
        except Exception:
            log.exception("station %s: a touch could not be judged as a serving", station)
            return Plate(None, False)

    def _judged(
        self, station: str, student: str | None, card: str, clock: ClockReading, window_ms: int, of: str | None
    ) -> Plate:
        with self._lock:
            # By hand: each press has a key of its own, the card is the same.
            card = (self._places[station].slips.card_of(of) if of is not None else "") or card
            sitting = self._sittings.at(station, clock)
            key = _key(sitting)
            verdict = self._book.judge(key, student, card, station, clock.mono_ms, window_ms)
        again = verdict.repeats is not None
        if sitting is None:
            return Plate(None, again)
        asks = verdict.nth > 1 and self.sheet is not None and self.sheet.second == "ask"
        alone = self.others.is_alone(clock.mono_ms)
        return Plate(MealTap(sitting.day, sitting.meal, sitting.shift, verdict.nth, alone, asks), again)

    def noted(self, tap: TapId, data: TapData, asked: HandSeen | None) -> None:
        """See Meals.noted. It stands in the journal and was signalled: what fails here is only shown wrongly."""
        try:
            self._note(str(tap), data, asked)
        except Exception:
            log.exception("record %s could not be counted", tap)
        self.changed()

    def _note(self, name: str, data: TapData, asked: HandSeen | None) -> None:
        with self._lock:
            self._failed = None
            place = self._places[data.point]
            if asked is not None:
                place.pressed = _pressed_for(asked), asked.seen_mono_ns, name
            eater, label, school_class = self._named(data)
            self._enter(name, data, data.clock.mono, label, school_class, tell=True)
            place.slips.show(shown_of(name, data, eater, label, school_class))

    def recall(self, tap: str, data: TapData, at_ms: int, *, late: bool = False) -> None:
        """Bring back a record of a station of ours from before a restart.

        `late`: others came since; it is counted and told, and stands in no list of the last ones.
        """
        with self._lock:
            if data.point not in self._places:
                return
            _, label, school_class = self._named(data)
            self._enter(tap, data, at_ms, label, school_class, tell=late, lists=not late)

    def recall_word(self, tap: str, why: str, *, late: bool = False) -> None:
        """Bring back a correction from before a restart, in its place among the records."""
        with self._lock:
            serving = self._book.of(tap)
            if serving is None or serving.device or why not in COUNTS_BY:
                return
            undone, same = COUNTS_BY[why]
            self._book.set_state(serving, undone=undone, same=same)
            if late:
                self.others.say(serving)

    def failed(self, code: str) -> None:
        """See Meals.failed; it stands until anything is written."""
        with self._lock:
            self._failed = code, self._last_written()
        self.changed()

    def warned(self, warning: Warning_, mono_ms: int) -> None:
        """A station signalled that something is slow or wrong; of the whole gateway's alarms nobody's screen speaks."""
        place = None if warning.station is None else self._places.get(warning.station)
        if place is None:
            return
        with self._lock:
            place.slips.show(Shown(0, warning.caution, mono_ms, code=warning.code))
        self.changed(place.plan.name)

    def _enter(
        self, tap: str, data: TapData, at_ms: int, label: str, school_class: str, *, tell: bool, lists: bool = True
    ) -> None:
        """Put a record into book and lists; under the lock."""
        slips, meal, hand = self._places[data.point].slips, meal_of(data), hand_of(data)
        slip = slip_of(tap, data, at_ms, label, school_class)
        if data.decision == "refused":
            if lists:
                slips.referred(slip)
            return
        key, shift = (NO_MEAL, 1) if meal is None else ((meal.day, meal.meal), meal.shift)
        again = data.decision == "repeated"
        said = 1 if meal is None else meal.nth
        serving = Serving(tap, key, data.student, data.card, "", data.point, shift, at_ms, same=again, said=said)
        serving.again, serving.wall_ms = again, wall_ms_of(data)
        if hand is not None and hand.how == "stranger" and hand.of is not None:
            serving.shown = slips.card_of(hand.of)
        if self._book.note(serving) and tell and serving.counts:
            self.others.say(serving)
        if lists:
            slips.served(slip, None if hand is None else hand.of)

    def _named(self, data: TapData) -> tuple[Eater | None, str, str]:
        """The eater, name and class of a record's pupil: by the sheet, else by the roster's row of the card."""
        eater = self.census.eater(data.student)
        if eater is not None:
            return eater, eater.name, eater.school_class
        release = self._release() if data.student is not None else None
        row = None if release is None else release.cards.get(data.card)
        return (None, row[1], row[2]) if row is not None and row[0] == data.student else (None, "", "")

    # --- corrections ----------------------------------------------------------------------------------------------

    def serving(self, tap: str) -> Serving | None:
        """A serving of this gateway."""
        with self._lock:
            found = self._book.of(tap)
        return None if found is None or found.device else found

    def nth(self, serving: Serving) -> int:
        """Which helping it is now."""
        with self._lock:
            return self._book.nth(serving)

    def correct(self, serving: Serving, why: str) -> None:
        """A correction is written: the book follows, the others are told, and the next touch is judged by it."""
        undone, same = COUNTS_BY[why]
        with self._lock:
            self._failed = None
            self._book.set_state(serving, undone=undone, same=same)
            self.others.say(serving)
            if not serving.counts:
                self._places[serving.station].forget(serving.card)
        self.changed()

    # --- other counters (canteen.ports.Hears) ---------------------------------------------------------------------

    def heard(self, device: str, told: Sequence[Told], clock: ClockReading) -> None:
        """See Hears.heard. A counter whose clock is days away speaks of no meal of ours."""
        days = {local_day(max(0, clock.best_ms + away * DAY_MS)) for away in (-1, 0, 1)}
        if self.sheet is not None:
            days.add(self.sheet.day)
        changed = False
        with self._lock:
            for one in told:
                if one.day in days:
                    shift = self._shift_now(one, clock) if one.shift is None else one.shift
                    changed = self._book.heard(device, one, shift) is not None or changed
        if changed:
            self.changed()

    def _shift_now(self, told: Told, clock: ClockReading) -> int:
        """For the word of an older counter, which says no shift: the one of that meal that is open here, else 1."""
        for station in self._places:
            sitting = self._sittings.at(station, clock)
            if sitting is not None and _key(sitting) == (told.day, told.meal):
                return sitting.shift
        return 1

    def newest(self, station: str, of: str) -> str:
        """The newest record of the card that waits by this one: it may have been held again under a finger."""
        with self._lock:
            return self._places[station].slips.newest(of)

    # --- shown ----------------------------------------------------------------------------------------------------

    def look(self, station: str, clock: ClockReading) -> Look:
        """What of a view lies here, in one moment. Raises KeyError."""
        place, unheard = self._places[station], self.others.unheard()
        with self._lock:
            sitting = self._sittings.at(station, clock)
            key = _key(sitting)
            tally = Tally(unheard=unheard)
            if sitting is not None:
                count, expected = self._book.count(key, sitting.shift), self.census.expected(key, sitting.shift)
                left = max(0, expected - count.due)
                tally = Tally(expected, count.served, count.seconds, count.strangers, left, unheard)
            return Look(
                sitting,
                sitting is not None and self.census.closed(key),
                place.slips.shown,
                tally,
                tuple(self._entry(slip) for slip in place.slips.recent()),
                tuple(waiting_entry(slip) for slip in place.slips.waiting(clock.mono_ms)),
            )

    def classes(self, station: str, clock: ClockReading) -> tuple[ClassTally, ...]:
        """See canteen.ports.Counter.classes. Raises KeyError for no station of ours."""
        with self._lock:
            sitting = self._sittings.at(self._places[station].plan.name, clock)
            return () if sitting is None else class_tallies(self.census, self._book, _key(sitting), sitting.shift)

    def failing(self) -> str | None:
        """Why nothing can be written: what the last attempt raised; None once anything was written since."""
        with self._lock:
            if self._failed is not None and self._last_written() != self._failed[1]:
                self._failed = None
            return None if self._failed is None else self._failed[0]

    def sitting(self, station: str, clock: ClockReading) -> Sitting | None:
        """The meal at a station now, or next."""
        return self._sittings.at(station, clock)

    def expects(self, key: MealKey, student: str) -> bool:
        """Whether a pupil is expected at a meal."""
        return self.census.expects(key, student)

    def _entry(self, slip: Slip) -> Entry:
        serving = self._book.of(slip.tap)
        if serving is None:
            return served_entry(slip, 1, undone=False, repeat=None)
        repeat = self._book.before(serving) if serving.same and not (serving.stands or serving.undone) else None
        return served_entry(slip, self._book.nth(serving), undone=serving.undone, repeat=repeat)


def _key(sitting: Sitting | None) -> MealKey:
    return NO_MEAL if sitting is None else (sitting.day, sitting.meal)


def _pressed_for(asked: HandSeen) -> str | None:
    """Whom a press is for; without a card to be answered, strangers are all the same."""
    return asked.student or asked.hand.of
