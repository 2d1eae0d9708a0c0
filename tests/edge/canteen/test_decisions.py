"""The whole decision space of a canteen's station: every road ends in a tray, in "please see a person", or in an alarm.

Cards, rosters, sheets, clocks and journals in every state that they can have; nothing says "no food".
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.bookreader import BookReader
from edge.canteen.hatch import Hatch
from edge.config import StationPlan
from edge.journal import SqliteJournal
from edge.ports import CardSeen, HandSeen, Recorded, Warning_
from edge.station import Station
from protocol.cards import CardKey, CardUid
from protocol.countersheet import CounterSheet, Eater, MealPlan, Shift
from protocol.envelope import clock_data, decode_data, decode_event, unix_ms_of
from protocol.errors import JournalDamaged, JournalFailed, JournalFull, K12EdgeError
from protocol.meals import ByHand
from protocol.records import TapCorrection
from protocol.roster import Release
from protocol.served import Told
from protocol.taps import REASONS, ClockReading, Draft, TapData
from tests.edge.room import begin

KEY, OWN, OLD = CardKey(1, b"\x05" * 32), CardKey(0, b"\x06" * 32), CardKey(2, b"\x07" * 32)
CARDS: Final = {
    "known": CardUid("a", "04A1B2C3D4E500"),
    "another of the same pupil": CardUid("a", "04A1B2C3D4E501"),
    "of a pupil who isn't expected": CardUid("a", "04A1B2C3D4E502"),
    "of nobody on the sheet": CardUid("a", "04A1B2C3D4E503"),
    "lost": CardUid("a", "04A1B2C3D4E504"),
    "not enrolled": CardUid("a", "04A1B2C3D4E505"),
    "ambiguous": CardUid("a", "04A1B2C3D4E506"),
    "another school's": CardUid("a", "04A1B2C3D4E507"),
    "staff": CardUid("a", "04A1B2C3D4E508"),
    "a pupil's and staff's": CardUid("a", "04A1B2C3D4E509"),
    "lost and staff's": CardUid("a", "04A1B2C3D4E50A"),
    "ambiguous and staff's": CardUid("a", "04A1B2C3D4E50B"),
    "random": CardUid("a", "08A1B2C3"),
    "misread": CardUid("a", "00000000"),
    "a part of a number": CardUid("w24", "ADBEEF"),
}
STAFFS: Final = ("staff", "a pupil's and staff's", "lost and staff's", "ambiguous and staff's")
"""Cards that the sheet gives to counter staff; of all but the first the roster speaks, too."""
STUDENTS: Final = {
    "known": "st-1",
    "another of the same pupil": "st-1",
    "of a pupil who isn't expected": "st-2",
    "a pupil's and staff's": "st-2",
}
BLOCKED: Final = {
    "lost": "lost",
    "not enrolled": "not-enrolled",
    "ambiguous": "ambiguous",
    "lost and staff's": "lost",
    "ambiguous and staff's": "ambiguous",
}
ROSTER: Final = Release(
    "r-20261127T001511Z-8",
    8,
    "s",
    "canteen",
    [1],
    {KEY.keyed(CARDS[name]): [student, "An", "1A"] for name, student in STUDENTS.items()}
    | {KEY.keyed(CARDS["of nobody on the sheet"]): ["st-9", "Chi", "2B"]},
    {KEY.keyed(CARDS[name]): reason for name, reason in BLOCKED.items()},
)
SHEET: Final = CounterSheet(
    1,
    "2026-11-27T08:00:00+07:00",
    "s",
    "2026-11-27",
    [MealPlan("lunch", [Shift(1, "10:30", "11:50")])],
    [Eater("st-1", "An", "1A", "diet", ["lunch"], alerts=["lạc"]), Eater("st-2", "Bình", "1A")],
    counters={"quay-a": "A" * 43, "quay-b": "B" * 43},
    cards={KEY.keyed(CARDS[name]): "u-7" for name in STAFFS},
)
SHEETS: Final[dict[str, CounterSheet | None]] = {
    "never": None,
    "today's": SHEET,
    "last week's": replace(SHEET, day="2026-11-20", made="2026-11-20T08:00:00+07:00"),
    "no meal today": replace(SHEET, meals=[MealPlan("lunch", SHEET.meals[0].shifts, closed=True)]),
    "ask": replace(SHEET, second="ask"),
    "empty": replace(SHEET, meals=[], eaters=[], counters={}),
}
CLOCKS: Final[dict[str, tuple[str, int | None]]] = {
    "noon": ("2026-11-27T10:45:00+07:00", 15),
    "unsure": ("2026-11-27T10:45:00+07:00", None),
    "1970": ("1970-01-01T07:00:05+07:00", None),
    "midnight": ("2026-11-28T00:00:00+07:00", 1_000),
    "night": ("2026-11-27T22:00:00+07:00", 15),
    "2038": ("2038-01-19T10:14:07+07:00", 15),
}
KEYS: Final = {"school's": KEY, "own": OWN, "another": OLD}
FAULTS: Final[dict[str, type[K12EdgeError] | None]] = {
    "good": None,
    "full": JournalFull,
    "failed": JournalFailed,
    "damaged": JournalDamaged,
}


@dataclass
class Place:
    """A station and its hatch on a real journal that may refuse; its clock stands where it was set, plus `mono_s`."""

    journal: SqliteJournal
    sheet: CounterSheet | None
    roster: Release | None
    local: str = CLOCKS["noon"][0]
    err_ms: int | None = 15
    key: CardKey = KEY
    fault: type[K12EdgeError] | None = None
    mono_s: float = 1_000.0
    events: list[tuple[str, Any]] = field(default_factory=list)
    shifts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = StationPlan("quay-1", "canteen", None, 20_000)
        self.hatch = Hatch(
            [plan], "quay-a", lambda: self.roster, lambda _, who: self.shifts.append(who), lambda: self.journal.last
        )
        if self.sheet is not None:
            self.hatch.lay(self.sheet)
        self.station = Station(
            plan,
            clock=self,  # type: ignore[arg-type]  # A clock that is set by the test.
            journal=self,  # type: ignore[arg-type]  # The real one behind a fault.
            signals=self,
            card_key=lambda _: self.key,
            roster=lambda _: self.roster,
            meals=self.hatch,
        )
        self.hatch.place("quay-1", self.station.forget)

    def reading_at(self, mono_ns: int) -> ClockReading:
        best_ms = unix_ms_of(self.local) + int(self.mono_s * 1000) - 1_000_000
        return ClockReading(
            "0" * 8, mono_ns // 1_000_000, best_ms, best_ms, "ntp" if self.err_ms else "none", self.err_ms
        )

    def append(self, draft: Draft, station: str, card: str, signal: Any, show: Any = None) -> Recorded:
        if self.fault is not None:
            raise self.fault("injected")
        return self.journal.append(draft, station, card, signal, show)

    def show(self, recorded: Recorded) -> None:
        assert recorded.tap.sequence <= self.journal.last, "a signal before its commit"
        self.events.append((recorded.signal, recorded.tap))

    def warn(self, warning: Warning_) -> None:
        self.events.append((warning.caution, warning.code))
        self.hatch.warned(warning, 0)

    def touch(self, card: CardUid) -> None:
        self.station.take(CardSeen(card, int(self.mono_s * 1e9)))

    def press(self, student: str | None, of: str | None = None) -> tuple[str | None, str | None]:
        answers: list[tuple[str | None, str | None]] = []
        hand = ByHand("name" if student else "stranger", "u-7", of)
        whom = student or of or f"stranger:{self.mono_s}"
        asked = HandSeen(hand, whom, student, int(self.mono_s * 1e9), lambda code, tap, _: answers.append((code, tap)))
        self.station.take(asked)
        assert len(answers) == 1, "a press is answered once"
        return answers[0]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteJournal]:
    made = begin(tmp_path_factory.mktemp("decisions"))
    yield made
    made.close()


def test_every_road_ends_in_a_tray_in_a_person_or_in_an_alarm(journal: SqliteJournal) -> None:
    ends: Counter[str] = Counter()
    for card, roster, sheet, clock, key, fault in itertools.product(
        CARDS, (ROSTER, None), SHEETS, CLOCKS, KEYS, ("good", "full")
    ):
        if (key != "school's" and (clock, sheet) != ("noon", "today's")) or (fault != "good" and roster is None):
            # Which key there is has to do with neither of them, nor a disk that takes nothing with a roster.
            continue
        local, err_ms = CLOCKS[clock]
        place = Place(journal, SHEETS[sheet], roster, local, err_ms, KEYS[key], FAULTS[fault])
        case = (card, roster is not None, sheet, clock, key, fault)
        before = journal.last
        place.touch(CARDS[card])
        if place.shifts:
            # A card of which the roster speaks is a pupil's tap, whatever else it is.
            assert card == "staff" or (card in STAFFS and roster is None), case
            assert key == "school's" and (place.events, journal.last) == ([], before), case
            ends["shift"] += 1
            continue
        ((signal, what),) = place.events
        if fault != "good":
            assert (signal, what, journal.last) == ("alarm", "journal-full", before), case
            assert place.hatch.failing() == "journal-full", case
            assert place.press(None) == ("journal-full", None), case
            ends["alarm"] += 1
            continue
        assert signal in ("accepted", "refused") and journal.last == before + 1, case
        ends[signal] += 1
        # Whoever was asked to see a person is served by one touch of that person's, whatever the state.
        code, tap = place.press(None, str(what)) if signal == "refused" else place.press("st-2")
        assert code is None and tap is not None and place.events[-1][0] in ("accepted", "repeated"), case
    assert set(ends) == {"accepted", "refused", "alarm", "shift"} and min(ends.values()) > 50, ends


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("touch"), st.sampled_from(list(CARDS))),
        st.tuples(st.just("press"), st.sampled_from(["st-1", "st-2", None])),
        st.tuples(st.just("answer"), st.integers(0, 3)),
        st.tuples(
            st.just("correct"), st.tuples(st.sampled_from(["undone", "done", "second", "repeat"]), st.integers(0, 9))
        ),
        st.tuples(st.just("told"), st.tuples(st.sampled_from(["st-1", "st-2"]), st.booleans())),
        st.tuples(st.just("fault"), st.sampled_from(list(FAULTS))),
        st.tuples(st.just("sheet"), st.sampled_from(list(SHEETS))),
        st.tuples(st.just("roster"), st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([0.3, 3.0, 19.0, 40.0])),
    ),
    min_size=1,
    max_size=25,
)


@given(STEPS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_recorded_is_counted_once_and_a_count_from_the_journal_is_the_same(
    journal: SqliteJournal, steps: list[tuple[str, Any]]
) -> None:
    place, first = Place(journal, SHEET, ROSTER), journal.last + 1
    heard: dict[str, tuple[str, bool]] = {}
    for what, value in steps:
        before, shown = journal.last, len(place.events)
        if what == "touch":
            place.touch(CARDS[value])
            if value not in STAFFS or (value != "staff" and place.roster is not None):
                assert len(place.events) == shown + 1, "one touch, one signal"
        elif what == "press":
            code, tap = place.press(value)
            assert (code is None) == (tap is not None)
        elif what == "answer":
            waiting = place.hatch.look("quay-1", place.reading_at(0)).waiting
            if waiting:
                place.press(None, waiting[value % len(waiting)].tap)
        elif what == "correct":
            _correct(place, *value)
        elif what == "told":
            student, back = value
            tap = f"b.{student}"
            place.hatch.heard(
                "quay-b", [Told(1, tap, f"c-{student}", student, "2026-11-27", "lunch", back)], place.reading_at(0)
            )
            heard[tap] = student, back
        elif what == "fault":
            place.fault = FAULTS[value]
        elif what == "sheet" and SHEETS[value] is not None:
            place.hatch.lay(SHEETS[value])  # type: ignore[arg-type]  # It was asked just now.
        elif what == "roster":
            place.roster = ROSTER if value else None
        elif what == "wait":
            place.mono_s += value
        if place.fault is not None:
            assert journal.last == before, "nothing was written, so nothing may be signalled but an alarm"
            assert all(signal == "alarm" for signal, _ in place.events[shown:])
    found, lent = _recount(journal, first)
    found += Counter(who for who, back in heard.values() if not back)
    # Who has nothing but what a person called the same tray had that tray.
    assert _trays(place) == found + Counter(lent - found.keys())


def _correct(place: Place, why: Any, which: int) -> None:
    """As the counter does it: only what can be, written first."""
    taps = [tap for signal, tap in place.events if signal in ("accepted", "repeated")]
    serving = place.hatch.serving(str(taps[which % len(taps)])) if taps else None
    if serving is None or place.fault is not None:
        return
    counts, again = serving.counts and place.hatch.nth(serving) > 1, serving.same and not serving.counts
    can = {"undone": serving.counts, "done": serving.undone, "second": again and not serving.undone, "repeat": counts}
    if can[why]:
        clock = clock_data(place.reading_at(0))
        word = TapCorrection(serving.tap, "urn:k12edge:dev:x", None, serving.student, serving.card, why, "", "-", clock)
        place.journal.note("meal.correction", word)
        place.hatch.correct(serving, why)


def _trays(place: Place) -> Counter[str]:
    """Trays by person, of the lunch, as the book has them; and its numbers are those of these trays."""
    key, found = ("2026-11-27", "lunch"), Counter[str]()
    numbers = place.hatch._book.count(key, 1)
    meal = place.hatch._book._meals.get(key)
    for who, person in ({} if meal is None else meal.people).items():
        found[who] += sum(one.counts for one in person.servings)
    assert numbers.served + numbers.strangers + numbers.seconds == found.total()
    return +found


def _recount(journal: SqliteJournal, first: int) -> tuple[Counter[str], set[str]]:
    """The same from the records alone; and who has a serving that only a person's word makes the same tray."""
    reader = BookReader(journal.path)
    reader.journals()
    events = (
        [decode_event(raw) for raw in reader.lines(journal.journal, first, journal.last)]
        if journal.last >= first
        else []
    )
    reader.close()
    words, trays = {}, {}
    for event in events:
        if event.name == "meal.correction":
            word = decode_data(event, TapCorrection)
            words[word.tap] = word.why
            trays[word.tap] = word.why if word.why in ("second", "repeat") else trays.get(word.tap)
    found, lent = Counter[str](), Counter[str]()
    seen: dict[str, str] = {}
    shown = {event.id: decode_data(event, TapData).card for event in events if event.name == "meal.referred"}
    for event in events:
        if event.name not in ("meal.pickup", "meal.referred"):
            continue
        data: Any = decode_data(event, TapData)
        assert data.reason is None or data.reason in REASONS
        if data.student is not None:
            seen[data.card] = data.student
        repeat = (trays.get(event.id) or ("second" if data.decision == "accepted" else "repeat")) == "repeat"
        if data.decision == "refused" or words.get(event.id) == "undone":
            continue
        if "day" in getattr(data.meal, "__struct_fields__", ()):
            # A stranger who is served by hand of a referred card is whoever holds that card.
            of = data.hand.of if isinstance(data.hand, ByHand) and data.hand.how == "stranger" else None
            who = data.student or shown.get(of, data.card)
            found[who] += not repeat
            lent[who] += repeat and data.decision == "accepted"
    for card, student in seen.items():
        # A card that nobody knew for a while was that pupil's all the time.
        found[student] += found.pop(card, 0)
        lent[student] += lent.pop(card, 0)
    return +found, set(+lent)
