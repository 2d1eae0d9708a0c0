"""The city's bad days."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Begin, Kind

if TYPE_CHECKING:
    from sim.world.school import School


def _mood(name: str, shares: tuple[float, ...]) -> Begin:
    def begin(school: School, rng: Random) -> Callable[[], None]:
        setattr(school.city.moods, name, rng.choice(shares))
        return lambda: setattr(school.city.moods, name, 0.0)

    return begin


def _small(school: School, rng: Random) -> Callable[[], None]:
    school.city.moods.batch_max = rng.choice((1, 7, 100))

    def end() -> None:
        school.city.moods.batch_max = 1_000

    return end


OFTEN: Final = (0.1, 0.5, 1.0)
KINDS: Final = (
    Kind("city-202", "the city says 202", _mood("accepted", OFTEN), 5, 1800, ("city said 202",)),
    Kind("city-partial", "the city answers in part", _mood("partial", OFTEN), 60, 1800, ("city answered in part",)),
    Kind(
        "city-shuffled",
        "the city answers in another order",
        _mood("shuffled", (0.5, 1.0)),
        60,
        1800,
        ("city answered in another order",),
    ),
    Kind("city-redirect", "the city redirects", _mood("redirect", OFTEN), 5, 900, ("city redirected",)),
    Kind("city-413", "the city takes small batches only", _small, 60, 1800, ("city said 413",)),
    Kind("city-429", "the city says 429", _mood("too_many", OFTEN), 5, 900, ("city said 429",)),
    Kind("city-5xx", "the city fails", _mood("failing", OFTEN), 5, 1800, ("city said 5xx",)),
    Kind(
        "city-wrong-body",
        "the city sends wrong bodies",
        _mood("wrong_body", OFTEN),
        5,
        900,
        ("city sent a wrong body",),
    ),
    Kind(
        "city-lost-reply",
        "the city stores and loses its reply",
        _mood("lost_reply", OFTEN),
        5,
        1800,
        ("city lost its reply",),
    ),
    Kind(
        "city-unreachable",
        "the city can't be reached",
        _mood("unreachable", (0.5, 1.0)),
        60,
        7200,
        ("city unreachable",),
    ),
    Kind(
        "city-poison",
        "the city refuses some records for good",
        _mood("poison", (0.01, 0.2)),
        60,
        1800,
        ("city refused a record as invalid-event",),
    ),
    Kind(
        "city-unknown",
        "the city doesn't know some pupils yet",
        _mood("unknown", (0.01, 0.2)),
        60,
        1800,
        ("city refused a record as unknown-student",),
    ),
)
