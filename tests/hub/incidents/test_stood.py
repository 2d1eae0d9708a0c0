"""A pack is complete only where counters stood, were on and saw cards while it was served; else it says when not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge.pile import pile_of
from hub.dayview.mealevents import meal_events
from hub.incidents.asking import Scope
from hub.incidents.journals import Found, known_of
from hub.incidents.pack import Origin, Pack, incident_pack
from hub.incidents.words import origin_text
from hub.meals.sittings import DAY_MS, midnight_of
from hub.reporting.mealpapers import MealPapers
from k12edge.incident import volumes_of
from protocol.envelope import rfc3339
from protocol.records import DeviceWatermark, Unseeing
from protocol.taps import ClockData
from tests.hub.days.test_daybook import mono_at
from tests.hub.handmade import T0_MS, Run
from tests.hub.incidents.schooldays import CARDS, COUNTERS, DAY, Lunch, journal_in

LUNCH = Scope("meal", DAY, meal="lunch")
BEFORE = DAY - timedelta(days=1)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Lunch]:
    """Two counters that served one pupil each."""
    made = Lunch(tmp_path)
    for counter, pupil in enumerate(("st-01", "st-02")):
        made.serve(counter, CARDS[pupil], 60, student=pupil)
    yield made
    made.room.close()


def begun_anew(
    school: Lunch, counter: int, clock: str, *, days: int = 0, seconds: int = 0, after: Run | None = None
) -> Run:
    """The counter's next run: what it records from now on."""
    if after is not None:
        school.bring(counter)
    began_ms = mono_at(clock, DAY + timedelta(days=days)) + seconds * 1000
    run = Run(school.boxes[counter].source).open(after=after, mono_ms=began_ms)
    school.runs[counter], school.given[counter] = run, 0
    return run


def both(school: Lunch, folder: Path, scope: Scope, *runs: list[Run]) -> list[Pack]:
    """The hub's pack, and the one that is made of the journals alone."""
    school.bring()
    paths = [journal_in(folder / f"{number}", some) for number, some in enumerate(runs)]
    pile = pile_of(paths, midnight_of(scope.day), midnight_of(scope.day) + DAY_MS)
    assert scope.meal is not None
    alone = incident_pack(known_of(Found(volumes_of(pile), pile.timelines), [(scope.day, scope.meal)]))
    return [school.store.incidentdesk.look(scope), alone]


def counters(pack: Pack) -> dict[str, Origin]:
    """Its counters, by the names that the hub has for them."""
    return {next(one for one in COUNTERS if origin.name.endswith(one)): origin
            for origin in pack.known.origins if origin.name != "*"}  # fmt: skip


def test_where_no_counter_stood_nothing_is_complete(school: Lunch, tmp_path: Path) -> None:
    for counter in (0, 1):
        school.mark(counter)
    before = Scope("meal", BEFORE, meal="lunch")
    for pack in both(school, tmp_path, before, *([run] for run in school.runs)):
        assert not pack.complete and pack.counts()["pupils"] == 0
        for origin in counters(pack).values():
            assert not origin.complete and origin.words == (("not-yet", "05:00:00 19/11/2026"),), origin
    made = school.store.incidentdesk.make(before, "co-hieu-truong", forms=("csv",))
    assert "chưa có ở đó trước 05:00:00 19/11/2026: không có bản ghi nào" in made.files[0].octets.decode()
    made = school.store.incidentdesk.make(before, "co-hieu-truong", forms=("csv",), language="en")
    assert "wasn't there before 05:00:00 19/11/2026: there are no records" in made.files[0].octets.decode()
    # A day later they stood: the same counters are complete.
    pack = school.store.incidentdesk.look(LUNCH)
    assert pack.complete and all(origin.complete and not origin.words for origin in pack.known.origins)


def test_a_counter_that_came_to_the_school_later_is_named_and_makes_no_earlier_pack_incomplete(school: Lunch) -> None:
    begun_anew(school, 1, "09:00", days=1)
    school.serve(1, CARDS["st-03"], 86_400, student="st-03")
    for counter in (0, 1):
        school.mark(counter)
    school.bring()
    pack = school.store.incidentdesk.look(LUNCH)
    assert counters(pack)["quay-b"].words == (("not-yet", "09:00:00 20/11/2026"),)
    assert pack.complete and not counters(pack)["quay-b"].complete and counters(pack)["quay-a"].complete


def test_one_that_came_while_the_meal_was_served_is_missed_before(school: Lunch, tmp_path: Path) -> None:
    begun_anew(school, 1, "10:52")
    for counter in (0, 1):
        school.mark(counter)
    for pack in both(school, tmp_path, LUNCH, *([run] for run in school.runs)):
        assert not pack.complete
    assert counters(school.store.incidentdesk.look(LUNCH))["quay-b"].words == (("not-yet", "10:52:00 19/11/2026"),)


@pytest.mark.parametrize(
    ("last", "back", "told"),
    [
        ("10:41", "10:43", "10:41:00–10:43:00 19/11/2026"),
        ("10:32", "12:20", "10:32:00–12:20:00 19/11/2026"),
        ("09:00", "12:20", "09:00:00–12:20:00 19/11/2026"),
        # Outside of the meal's hours it changes nothing: 10:30 to 11:50, and 10:15 to 12:45 where only journals tell.
        ("08:00", "10:14", None),
        ("12:46", "13:30", None),
    ],
)
def test_a_counter_that_was_off_while_the_meal_was_served_says_when(
    school: Lunch, tmp_path: Path, last: str, back: str, told: str | None
) -> None:
    first = begun_anew(school, 0, "06:00")
    school.mark(0, last)
    second = begun_anew(school, 0, back, after=first)
    for counter in (0, 1):
        school.mark(counter)
    for pack in both(school, tmp_path, LUNCH, [first, second], [school.runs[1]]):
        mine = counters(pack)
        assert mine["quay-b"].complete and mine["quay-a"].complete == (told is None), pack.known.origins
        assert mine["quay-a"].words == (() if told is None else (("off", told),))
    for language in ("vi", "en"):
        assert told is None or told in origin_text(mine["quay-a"].words, language)


def test_the_hub_knows_the_meals_hours_by_its_plan(school: Lunch) -> None:
    first = school.runs[0]
    school.mark(0, "11:50")
    begun_anew(school, 0, "12:40", after=first)
    for counter in (0, 1):
        school.mark(counter)
    school.bring()
    assert school.store.incidentdesk.look(LUNCH).complete


def test_a_new_start_of_half_a_minute_is_none(school: Lunch, tmp_path: Path) -> None:
    first = school.runs[0]
    assert mono_at("10:31") == school.at(0, 60), "its last record"
    second = begun_anew(school, 0, "10:31", seconds=29, after=first)
    for counter in (0, 1):
        school.mark(counter)
    for pack in both(school, tmp_path, LUNCH, [first, second], [school.runs[1]]):
        assert all(origin.complete for origin in counters(pack).values()), pack.known.origins


@pytest.mark.parametrize("days", [1, 2, 4, 90])
def test_a_counter_that_was_unplugged_after_serving_makes_its_meal_complete_with_its_next_run(
    school: Lunch, tmp_path: Path, days: int
) -> None:
    runs = []
    for counter in (0, 1):
        school.mark(counter, "12:15")
        first = school.runs[counter]
        runs.append([first, begun_anew(school, counter, "06:30", days=days, after=first)])
        school.mark(counter, "06:32", days)
    school.bring()
    events = meal_events(school.store, DAY, "lunch")
    assert not events.waits and not events.dark and events.complete(events.ends_ms)
    at_hub, alone = both(school, tmp_path, LUNCH, *runs)
    assert at_hub.complete, at_hub.known.origins
    # Without a hub nobody knows that the last shift was over at 12:15.
    for origin in counters(alone).values():
        assert [code for code, _ in origin.words] == ["off"]
        assert origin.complete_to_ms is not None and origin.complete_to_ms >= events.ends_ms


def test_without_all_records_of_its_last_run_the_next_one_proves_nothing(school: Lunch) -> None:
    school.mark(0, "12:15")
    school.mark(1)
    first = school.runs[0]
    kept = len(first.lines)
    school.serve(0, CARDS["st-03"], 600, student="st-03")
    second = Run(school.boxes[0].source).open(after=first, mono_ms=mono_at("06:30") + 4 * DAY_MS)
    school.room.batch(school.boxes[0], school.boxes[0].batch(first, 1, kept))
    school.runs[0], school.given[0] = second, 0
    school.mark(0, "06:32", 4)
    school.bring()
    assert meal_events(school.store, DAY, "lunch").waits == ("quay-a",)
    school.room.batch(school.boxes[0], school.boxes[0].batch(first, kept + 1))
    school.read()
    assert not meal_events(school.store, DAY, "lunch").waits


def blind(school: Lunch, clock: str, since: str, until: str | None, kind: str = "canteen") -> None:
    """The first counter's gateway says that one of its readers didn't look."""

    def text(at: str) -> str:
        return rfc3339(T0_MS + mono_at(at))

    run, name = school.runs[0], f"{COUNTERS[0]}-1"
    seen = [Unseeing(name if kind == "canteen" else "cong-x", text(since), None if until is None else text(until))]
    kinds = {name: "canteen", "cong-x": "gate"}

    def data(at: ClockData) -> DeviceWatermark:
        return DeviceWatermark(len(run.lines), at.wall, dict(kinds), {name: "ready"}, seen, at)  # type: ignore[arg-type]

    run.add("device.watermark", data, mono_ms=mono_at(clock))


def test_a_counter_whose_reader_saw_no_cards_says_when(school: Lunch, tmp_path: Path) -> None:
    blind(school, "09:00", "08:00", "08:10")
    blind(school, "10:45", "10:41", None)
    blind(school, "10:50", "10:41", "10:46")
    for counter in (0, 1):
        school.mark(counter)
    for pack in both(school, tmp_path, LUNCH, *([run] for run in school.runs)):
        words = counters(pack)["quay-a"].words
        assert words == (("counter-blind", "quay-a-1 10:41:00–10:46:00 19/11/2026"),), words
        assert counters(pack)["quay-b"].complete and not pack.complete


def test_the_days_numbers_say_it_too_and_wait_for_nobody(school: Lunch) -> None:
    blind(school, "10:45", "10:41", "10:46")
    second = begun_anew(school, 1, "11:10", after=school.runs[1])
    for counter in (0, 1):
        school.mark(counter)
    school.bring()
    events = meal_events(school.store, DAY, "lunch")
    told = {next(one for one in COUNTERS if name.endswith(one)): words for name, words in events.dark.items()}
    assert told == {
        "quay-a": (("counter-blind", "quay-a-1 10:41:00–10:46:00 19/11/2026"),),
        "quay-b": (("off", "10:31:00–11:10:00 19/11/2026"),),
    }
    assert second.lines and not events.waits and events.complete(events.ends_ms)
    paper = MealPapers(school.store, "en").public(DAY, "lunch")
    assert "quay-b: was off 10:31:00–11:10:00 19/11/2026: trays of that time may be on paper only" in paper.lines


def test_of_a_meal_before_any_counter_nothing_is_called_complete(school: Lunch) -> None:
    school.bring()
    events = meal_events(school.store, BEFORE, "lunch")
    assert not events.dark and not events.counters and not events.complete(events.ends_ms)


def test_a_reader_that_never_saw_again_goes_on_and_a_gates_reader_is_none_of_a_counter(
    school: Lunch, tmp_path: Path
) -> None:
    blind(school, "10:44", "10:43", "10:43", "gate")
    blind(school, "11:20", "11:10", None)
    school.mark(1)
    school.runs[0].add("log.gap", {"first": 1, "last": 1, "journal": "0" * 16}, mono_ms=mono_at("14:00"))
    for pack in both(school, tmp_path, LUNCH, *([run] for run in school.runs)):
        words = counters(pack)["quay-a"].words
        assert ("counter-blind", "quay-a-1 11:10:00 19/11/2026–…") in words, words
        assert sum(code == "counter-blind" for code, _ in words) == 1
