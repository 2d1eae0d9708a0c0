"""The same tray at two counters: one takes the first back, the other calls the second its tray, and the child ate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest

from edge.canteen.servings import Serving
from hub.meals.servings import Counters, CounterTap, Served, ServingWord, served
from hub.meals.sittings import FIRST_PLAN, Moment
from protocol.cards import CardUid
from protocol.envelope import decode_data, unix_ms_of
from protocol.meals import MealTap
from protocol.records import TapCorrection
from protocol.served import Told
from protocol.taps import TapData
from tests.edge.canteen.canteen import AN, Canteen
from tests.edge.room import events

PUPILS = 70
CARDS = [CardUid("a", f"04B1B2C3{number:06X}") for number in range(PUPILS)]


class Heard:
    """The exchange at one counter: keeps what is to be told until the test brings it to the other one."""

    def __init__(self) -> None:
        self.waits: list[Told] = []

    def said(self, told: Told) -> None:
        self.waits.append(told)

    def unheard(self) -> tuple[str, ...]:
        return ()


class Pair:
    """Two gateways with a counter each, on real parts; words travel when the test says."""

    def __init__(self, folder: Path) -> None:
        self._folders = [folder / "1", folder / "2"]
        for one in self._folders:
            one.mkdir()
        self.start()
        for box in self.boxes:
            box.roster(1, **{f"p{number}": card for number, card in enumerate(CARDS)})
            box.lay()

    def start(self) -> None:
        self.boxes = [Canteen(one) for one in self._folders]
        self.ways = [Heard(), Heard()]
        for box, way in zip(self.boxes, self.ways, strict=True):
            box.counter.join(way)

    def restart(self) -> None:
        """New processes: what each knows of the other is gone."""
        self.close()
        self.start()

    def bring(self, at: int) -> None:
        """What counter `at` said reaches the other one."""
        told, self.ways[at].waits = self.ways[at].waits, []
        self.boxes[1 - at].counter.heard(f"quay-{at}", told)

    def tap(self, at: int, card: CardUid, ago_s: float) -> tuple[int, str]:
        self.boxes[at].tap(card, ago_s)
        return at, str(self.boxes[at].shown[-1].tap)

    def say(self, what: str, record: tuple[int, str]) -> str | None:
        done: str | None = getattr(self.boxes[record[0]].counter, what)(record[1], "-").code
        return done

    def serving(self, record: tuple[int, str]) -> Serving:
        found = self.boxes[record[0]].counter.hatch.serving(record[1])
        assert found is not None
        return found

    def nth(self, record: tuple[int, str]) -> int:
        return self.boxes[record[0]].counter.hatch.nth(self.serving(record))

    def numbers(self) -> list[tuple[int, int]]:
        """Served and seconds as each counter shows them."""
        return [(one.served, one.seconds) for one in (box.view().tally for box in self.boxes)]

    def at_hub(self) -> Served:
        taps, words = [], []
        for number, box in enumerate(self.boxes):
            for event in events(box.data):
                at_ms = unix_ms_of(event.time)
                if event.name == "meal.correction":
                    word = decode_data(event, TapCorrection)
                    words.append(ServingWord(word.tap, event.id, at_ms, word.why, word.by))  # type: ignore[arg-type]  # A counter's words are these four.
                elif event.name == "meal.pickup":
                    data = decode_data(event, TapData)
                    said = data.meal if isinstance(data.meal, MealTap) else None
                    when = Moment(at_ms, at_ms, at_ms)
                    taps.append(
                        CounterTap(
                            *(event.id, f"quay-{number}", data.point, data.card, data.student),
                            *(data.decision, None, when, said),
                        )
                    )
        return served(Counters({date.min: FIRST_PLAN}, tuple(taps), tuple(words)))

    def close(self) -> None:
        for box in self.boxes:
            box.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.close()


def _hub_numbers(found: Served) -> tuple[int, int]:
    return sum(not one.second for one in found.servings), sum(one.second for one in found.servings)


@pytest.mark.parametrize("undo_first", [True, False])
def test_undo_here_and_same_tray_there_leave_the_child_served_at_counters_and_hub(pair: Pair, undo_first: bool) -> None:
    first = pair.tap(0, AN, 60)
    pair.bring(0)
    second = pair.tap(1, AN, 5)
    assert pair.boxes[1].view().recent[0].nth == 2
    for what, record in [("undo", first), ("flip", second)][:: 1 if undo_first else -1]:
        assert pair.say(what, record) is None
    pair.bring(0)
    pair.bring(1)
    (row,) = pair.boxes[1].view().recent
    assert (row.nth, row.repeat, row.undone) == (1, None, False), "it is the first helping"
    assert pair.numbers() == [(1, 0), (1, 0)] and _hub_numbers(pair.at_hub()) == (1, 0)
    assert pair.say("flip", second) == "no-second" and len(pair.at_hub().servings) == 1
    assert pair.boxes[1].tap(AN) == "repeated", "its window is back"
    assert pair.say("redo", first) is None
    pair.bring(0)
    assert pair.boxes[1].view().recent[-1].repeat is not None and pair.numbers() == [(1, 0), (1, 0)]
    assert [one.tap for one in pair.at_hub().servings] == [first[1]]


def test_once_the_first_is_known_to_be_taken_back_the_row_is_the_first_and_same_tray_is_refused(pair: Pair) -> None:
    first = pair.tap(0, AN, 60)
    pair.bring(0)
    second = pair.tap(1, AN, 5)
    pair.say("undo", first)
    assert pair.nth(second) == 2, "nobody told"
    pair.bring(0)
    assert pair.boxes[1].view().recent[0].nth == 1 and pair.say("flip", second) == "no-second"
    pair.restart()
    assert pair.nth(second) == 2, "nobody told the new process, and what isn't known counts"
    pair.bring(0)
    assert pair.nth(second) == 1 and pair.say("flip", second) == "no-second"


def test_a_same_tray_stays_one_over_a_restart_until_the_other_counter_says_that_nothing_was_before_it(
    pair: Pair,
) -> None:
    first = pair.tap(0, AN, 60)
    pair.bring(0)
    second = pair.tap(1, AN, 5)
    assert pair.say("flip", second) is None
    pair.restart()
    assert not pair.serving(second).counts and pair.boxes[1].view().recent[0].repeat is not None
    assert pair.say("undo", first) is None
    pair.bring(1)
    assert pair.numbers()[0] == (1, 0), "who took back knows of the other's word, and counts it"
    pair.bring(0)
    assert pair.numbers()[1] == (1, 0) and pair.nth(second) == 1


def test_what_stands_is_taken_back_like_any_other(pair: Pair) -> None:
    first = pair.tap(0, AN, 60)
    pair.bring(0)
    second = pair.tap(1, AN, 5)
    pair.say("flip", second)
    pair.say("undo", first)
    pair.bring(0)
    assert pair.say("undo", second) is None and pair.boxes[1].view().recent[0].undone
    pair.bring(1)
    assert pair.numbers() == [(0, 0), (0, 0)] and not pair.at_hub().servings
    assert pair.say("redo", second) is None and pair.say("redo", first) is None
    pair.bring(0)
    pair.bring(1)
    assert pair.numbers() == [(1, 0), (1, 0)], "it is the first one's tray again"
    pair.restart()
    pair.bring(0)
    pair.bring(1)
    assert pair.numbers() == [(1, 0), (1, 0)] and _hub_numbers(pair.at_hub()) == (1, 0)


def test_in_whatever_order_people_say_and_counters_hear_it_nobody_who_was_served_is_lost(pair: Pair) -> None:
    rng = Random(26)
    everything: list[tuple[int, str]] = []
    for card in CARDS:
        records: list[tuple[int, str]] = []
        ago_s = 100.0
        for _ in range(rng.choice((2, 2, 3))):
            records.append(pair.tap(rng.randrange(2), card, ago_s))
            ago_s -= rng.choice((5, 25, 30))
            for _ in range(rng.choice((0, 0, 1))):
                pair.say(rng.choice(("undo", "redo", "flip")), rng.choice(records))
            for at in rng.choice(((), (0,), (1,), (0, 1))):
                pair.bring(at)
        words = [(rng.choice(("undo", "redo", "flip", "flip")), rng.choice(records)) for _ in range(rng.randrange(4))]
        words += rng.sample([("undo", records[0]), ("flip", records[-1])], rng.randrange(3))
        for what, whose in words:
            pair.say(what, whose)
            for at in rng.choice(((), (0,), (1,))):
                pair.bring(at)
        everything += records
        if rng.random() < 0.1:
            pair.restart()
    for again in (False, True):
        if again:
            pair.restart()
        pair.bring(1)
        pair.bring(0)
        found = pair.at_hub()
        counted = {one.tap for one in found.servings}
        for record in everything:
            one = pair.serving(record)
            assert one.counts == (record[1] in counted), one
            if one.stands:
                assert pair.nth(record) == 1 and pair.say("flip", record) == "no-second"
            if not (one.undone or one.again):
                assert any(other.pupil == one.student for other in found.servings), "served, and nobody's"
        assert pair.numbers() == [_hub_numbers(found)] * 2
    assert sum(pair.serving(one).stands for one in everything) > 2, "of what this is about, there was some"
