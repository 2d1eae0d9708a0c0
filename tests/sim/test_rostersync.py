"""The roster campaign in small; and that its judge sees who is lost, who stays, and a guard that sleeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from hub.rostersync import plan, settling
from hub.rostersync.rows import Row
from hub.rostersync.walk import Walk
from sim.rostersync.__main__ import judged
from sim.rostersync.story import INCIDENTS, Run, tell

PUPILS = 120


def seeds(incident: str, count: int) -> list[int]:
    """The first seeds of an incident."""
    return [seed for seed in range(1, 400) if Run(seed, 1).incident == incident][:count]


def problems(wanted: Sequence[int]) -> Iterator[str]:
    """What is wrong in these seeds, one after the other."""
    for seed in wanted:
        yield from tell(seed, PUPILS).problems


@pytest.mark.parametrize("incident", INCIDENTS)
def test_nobody_is_lost_nobody_stays_and_the_guard_trips_when_it_must(incident: str) -> None:
    one = tell(seeds(incident, 1)[0], PUPILS)
    assert not one.problems and one.figures[incident] == 1
    assert one.figures["lost"] == one.figures["ghosts"] == 0
    assert one.figures["guard tripped"] == one.figures["guard had to trip"]


def test_the_judge_sees_who_is_lost_where_a_short_page_ends_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Walk.take

    def take(self: Walk, rows: Sequence[Row]) -> None:
        sound(self, rows)
        if self.stage == "keys" and len(rows) < 500 and self.pages > 1:
            self.whole, self.stage = True, "done"

    monkeypatch.setattr(Walk, "take", take)
    assert any("weren't seen by key" in problem for problem in problems(seeds("nothing", 4)))


def test_the_judge_sees_who_is_lost_without_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MISSING_MAX", 0)
    assert any("who were at the city all the time left" in problem for problem in problems(seeds("few-hidden", 3)))


def test_the_judge_sees_a_guard_that_sleeps_and_one_that_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "many", lambda gone, enrolled: False)
    assert any("didn't trip" in problem for problem in problems(seeds("many-leave", 1)))
    monkeypatch.setattr(plan, "many", lambda gone, enrolled: gone > 0)
    assert any("for nothing" in problem for problem in problems(seeds("nothing", 2)))


def test_a_campaign_that_looked_at_too_little_is_broken() -> None:
    whole = Counter({name: 1 for name in INCIDENTS} | {"guard tripped": 3, "guard had to trip": 3, "naive, x: lost": 4})
    assert not judged(whole, 200)
    assert judged(whole - Counter({"new-year": 1}), 200) == ["new-year never happened"]
    assert judged(whole | Counter({"guard had to trip": 4}), 1) == ["the guard tripped 3 of 4 times"]
    blind = Counter(whole)
    blind["naive, x: lost"] = 0
    assert judged(blind, 200) == ["naive, x: lost is 0: the judge can't see a loss"]
