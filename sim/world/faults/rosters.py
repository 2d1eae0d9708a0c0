"""Rosters: late, stale, cards re-issued while taps wait."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Kind

if TYPE_CHECKING:
    from sim.world.school import School


def _reissued(school: School, rng: Random) -> None:
    """Some pupils get new cards; the old ones go to others, while taps with them still wait in journals."""
    pupils = list(school.pupils)
    some = rng.sample(pupils, max(2, len(pupils) // 20))
    cards = {pupil.key: other.uid for pupil, other in zip(some, [*some[1:], some[0]], strict=True)}
    school.import_roster(pupils, cards, lambda: school.truth.count("cards re-issued"))


def _shrunk(school: School, rng: Random) -> None:
    """A roster without a tenth of the pupils: their cards are unknown until the next one."""
    pupils = [pupil for pupil in school.pupils if rng.random() > 0.1]
    school.import_roster(pupils, done=lambda: school.truth.count("roster lacks pupils"))


def _lost(school: School, _rng: Random) -> None:
    """The broker loses the roster, the keys and the hub's word, which it should have kept."""
    school.truth.count("broker forgot what it kept")
    school.broker.retained.clear()


KINDS: Final = (
    Kind("cards-reissued", "cards change hands while taps wait", _reissued, effects=("cards re-issued",)),
    Kind("roster-lacks", "the roster lacks pupils", _shrunk, effects=("roster lacks",)),
    Kind("kept-lost", "the broker forgets what it kept", _lost, effects=("broker forgot",)),
)
