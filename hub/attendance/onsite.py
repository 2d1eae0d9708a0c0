"""On site: who is in the school at a moment, as far as anybody knows; what isn't known is called so. Pure.

Most pupils don't tap when they go home. From an hour after their last bell on, who was in is "not known whether home",
and never "in school".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from hub.attendance.evidence import Session, Statement, Tap, day_begins_ms, in_order
from hub.attendance.schoolday import Pupil
from protocol.names import class_order, name_order
from protocol.records import Half

Whereabouts = Literal["in", "out", "maybe-home", "away", "not-seen"]
"""`in`: seen, and nothing says that they left. `out`: left through a gate. `maybe-home`: was in, and lessons are over.
`away`: not seen, and a person says that they are absent or excused. `not-seen`: nobody knows."""
WHEREABOUTS: Final = get_args(Whereabouts)
AFTER_MS: Final = 3_600_000
"""An hour after the last bell the evening begins (docs/promise.md)."""
THERE: Final = ("present", "late")


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a pupil is: the newest evidence, its record and its moment (Unix ms; None where there is none)."""

    pupil: Pupil
    where: Whereabouts
    since_ms: int | None
    evidence: str


def on_site(
    pupils: Sequence[Pupil],
    taps: Iterable[Tap],
    statements: Iterable[Statement],
    sessions: Mapping[tuple[date, str, Half], Session],
    day: date,
    at_ms: int,
) -> Iterator[Seen]:
    """Every pupil of `day` as of `at_ms`, by class and name.

    `taps`: of every station, each with its pupil; a tap that leaves through a gate has direction `out`, any other says
    that the pupil is there; one that may be of another day says nothing. A teacher's word that a pupil is present
    counts from when it was said.
    """
    moments: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
    for tap in taps:
        if day_begins_ms(at_ms) <= tap.not_before_ms and tap.best_ms <= at_ms and tap.sure:
            moments[tap.pupil].append((tap.best_ms, tap.id, tap.direction != "out"))
    away: dict[str, Statement] = {}
    for said in in_order(statements):
        if said.at_ms > at_ms or said.day != day:
            continue
        if said.state in THERE:
            moments[said.pupil].append((said.at_ms, said.id, True))
            away.pop(said.pupil, None)
        elif said.state in ("absent", "excused", "unexcused"):
            away[said.pupil] = said
        else:
            away.pop(said.pupil, None)
    for pupil in sorted(pupils, key=lambda one: (class_order(one.school_class), name_order(one.name), one.key)):
        if pupil.first <= day <= pupil.last:
            over_ms = max(
                (
                    session.ends_ms
                    for (of_day, school_class, _), session in sessions.items()
                    if of_day == day and school_class == pupil.school_class
                ),
                default=None,
            )
            evening = over_ms is not None and at_ms >= over_ms + AFTER_MS
            yield _seen(pupil, moments.get(pupil.key, []), away.get(pupil.key), evening=evening)


def _seen(pupil: Pupil, moments: list[tuple[int, str, bool]], away: Statement | None, *, evening: bool) -> Seen:
    last = max(moments, default=None)
    if last is None:
        if away is None:
            return Seen(pupil, "not-seen", None, "")
        return Seen(pupil, "away", away.at_ms, away.id)
    at_ms, record, there = last
    if not there:
        return Seen(pupil, "out", at_ms, record)
    return Seen(pupil, "maybe-home" if evening else "in", at_ms, record)
