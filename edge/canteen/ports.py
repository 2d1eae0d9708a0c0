"""The doors of a counter on one page: what its screens see and ask, and what other counters' words come and go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edge.ports import Came
from protocol.countersheet import Eater
from protocol.meals import Face, Meal
from protocol.served import Told

Shape = Literal["idle", "accepted", "second", "repeated", "refused", "wait", "alarm"]
"""What a screen shows of the last thing that happened; a second helping is accepted, and says so kindly."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """The meal served at a station now, or next: ISO `day`, `shift` from 1, local HH:MM `opens` and `closes`."""

    day: str
    meal: Meal
    shift: int
    opens: str
    closes: str
    hall: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the station last signalled. `number` grows with each; `mono_ms` of CLOCK_BOOTTIME; `code`: of an alarm.

    `name`, `school_class`: the pupil's, empty where nobody is known; never to be shown but at this counter. `alerts`:
    for staff alone, with `confirmed` by the school. `alone`: not every other counter was heard: maybe a second helping.
    `ask`: the school wants staff to ask about this second helping; pupils' screens don't differ.
    """

    number: int
    shape: Shape
    mono_ms: int
    tap: str | None = None
    name: str = ""
    school_class: str = ""
    nth: int = 1
    alone: bool = False
    portion: str = "regular"
    alerts: tuple[str, ...] = ()
    confirmed: bool = False
    code: str | None = None
    ask: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One serving, or one card that was referred to staff, as the staff's list has it; newest first there.

    `kind`: `served`; `referred` still waits for staff; `answered` was served by hand. `time`: local HH:MM:SS. `how`:
    card, name or stranger. `undone`: taken back. `reason`: why a card was referred, from the closed list. `repeat`: the
    record of the serving that this one is the same tray as; what has it counts nowhere until it is flipped.
    """

    tap: str
    kind: Literal["served", "referred", "answered"]
    time: str
    name: str
    school_class: str
    nth: int
    how: Literal["card", "name", "stranger"]
    alone: bool = False
    undone: bool = False
    reason: str | None = None
    repeat: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of a sitting over all counters that are heard: of pupils whose class eats in its shift.

    `served`: pupils who had a first tray, expected or not; `strangers` were served and nobody knows who they are, and
    count neither there nor against `expected`; the trays handed out are served + strangers + seconds.
    `left` = expected - served of those expected, never below 0. `unheard`: other counters whose word is old.
    """

    expected: int = 0
    served: int = 0
    seconds: int = 0
    strangers: int = 0
    left: int = 0
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassTally:
    """The numbers of one class at a sitting, as in a Tally; an empty `school_class` has whom the sheet gives none.

    `more`: it stands, without a name, for so many classes that aren't told of one by one.
    """

    school_class: str
    expected: int
    served: int
    left: int
    more: int = 0


@dataclass(frozen=True, slots=True)
class CounterView:
    """Everything that the screens of one station show, as one value, taken in one moment. No payment: nothing has it.

    `sheet_day`: ISO day of the sheet in force, None where none ever came; `sheet_age_s` since it was made. `link`: the
    hub hears us. `unsent` records, the oldest of `oldest_age_s`. `reader`: `ready` or the code of what is wrong.
    `sure`: the clock is anchored. `failing`: why nothing can be written, None while it can. `shift_by`: whose shift, by
    id; `shift_name`: as the sheet names them, else empty. `needs_login`: nobody's, and somebody may take it; `pins`:
    also by a PIN. `waiting`: referred cards that nobody answered yet, newest first. `recent`: the last servings here,
    newest first.
    """

    station: str
    now_mono_ms: int
    sitting: Sitting | None
    closed: bool
    shown: Shown
    tally: Tally
    recent: tuple[Entry, ...]
    waiting: tuple[Entry, ...]
    sheet_day: str | None
    sheet_age_s: int | None
    roster: str | None
    roster_age_s: int | None
    link: bool
    unsent: int
    oldest_age_s: int | None
    reader: str
    sure: bool
    failing: str | None
    shift_by: str | None
    needs_login: bool
    shift_name: str = ""
    pins: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of something asked at a screen: `code` None where it was done, else why not (docs/reference/errors.md).

    `tap`: the record that was made; of a serving that was asked for twice at once, the first one's. `wait_s`: with
    `pin-wait`, in how many seconds a PIN is looked at again. `came`: what a serving that was asked for came to.
    `later`: with `slow-storage`, what came of it after all, None until then; listeners are told when it is there.
    """

    code: str | None = None
    tap: str | None = None
    wait_s: int = 0
    came: Came = "served"
    later: Callable[[], Done | None] | None = None


class Counter(Protocol):
    """What screens may ask of the gateway's counters. Every call may come from any thread, and returns within a commit.

    A serving asked for here is a sighting by hand: it goes through the station's lane, its journal and its signals, in
    its turn, exactly like a card. Nothing here is a refusal of food: where nothing can be written, `Done.code` says so,
    and food goes on, on paper.
    """

    def stations(self) -> Sequence[str]:
        """The canteen stations of this gateway, by name."""

    def view(self, station: str) -> CounterView:
        """What this station's screens show now; raises KeyError for no station of ours."""

    def classes(self, station: str) -> Sequence[ClassTally]:
        """The tally of this station's sitting by class, as lists sort them; empty outside of every meal.

        Bounded by the classes of a shift (CLASSES_MAX of classes.py), and asked for only while somebody looks at them.
        """

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Have `heard(station)` called, from any thread, after whatever changes its view; returns how to end it.

        It must not block, nor ask for a view itself: the caller may be a lane. Ages and what others do grow old
        without a call; what changes by itself (reader, link, sitting) is looked at every two seconds.
        """

    def find(self, words: str, limit: int = 8) -> Sequence[Eater]:
        """Pupils whose name has these words, without accents, or whose class is one of them.

        Those of a class that is one of the words come first, then expected ones.
        """

    def serve_name(self, station: str, student: str, by: str, of: str | None = None) -> Done:
        """Serve this pupil, whose card is not here; or is the referred one, whose record is `of`."""

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        """Serve somebody the counter doesn't know; `of` is the referred card's record, None where there was no card."""

    def undo(self, tap: str, by: str) -> Done:
        """Take back a serving of this gateway; it stays written, and counts nowhere. Again is no fault."""

    def redo(self, tap: str, by: str) -> Done:
        """A serving that was taken back did happen."""

    def flip(self, tap: str, by: str) -> Done:
        """A repeat was a second helping, or a second helping the same tray."""

    def rate(self, station: str, face: Face) -> Done:
        """Somebody touched a face; who it was is not known and stands nowhere."""

    def log_in(self, station: str, pin: str) -> Done:
        """Take the shift with a PIN. Codes: `pin-wrong`, `pin-wait` (with growing delay, also over a restart)."""

    def log_out(self, station: str) -> Done:
        """Give the shift back."""


class Neighbours(Protocol):
    """What a counter's core asks of the exchange with other counters. See edge/canteen/neighbours.py."""

    def said(self, told: Told) -> None:
        """One of our stations served, or took back: tell the others at once. From any thread; never blocks.

        What was served earlier that day, by whatever process of ours, is said again first. The exchange gives it its
        `place`, and doesn't tell again what it told of its record last.
        """

    def unheard(self) -> tuple[str, ...]:
        """Counters of the sheet, without us, that didn't answer us lately; empty where all did. From any thread."""


class Hears(Protocol):
    """What the exchange with other counters tells the counter's core."""

    def heard(self, device: str, told: Sequence[Told]) -> None:
        """What another counter served, proven to be its word, each place of a run once and in order.

        A counter that was started anew tells its day again, in new places: know them by `tap`, and the newest word on a
        `tap` counts. From the exchange's thread, which must not wait long.
        """

    def keys(self) -> dict[str, str]:
        """Device -> public key of every counter whose word counts, without us. From any thread, often."""
