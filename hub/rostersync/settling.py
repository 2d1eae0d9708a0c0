"""Settling a pull: from what it brought to what is held, what changes, and what the next one must know. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from hub.lists.known import KnownPupil
from hub.rostersync.held import MISSING_MAX, Held, HeldRow, merged
from hub.rostersync.plan import Asked, Circumstances, Guard, Plan, emptied, plan
from hub.rostersync.pull import Harvest
from hub.rostersync.register import register, years_of
from protocol.errors import NeedsHands

OVERLAP_MS: Final = 30 * 60_000
"""A delta looks so far back: what a server stamps at once it may show only when it commits it."""

NOTHING: Final = Asked()


class YearUnknown(NeedsHands):
    """The school year that is to begin is none that has begun at the city."""

    code = "roster-year-unknown"
    hint = "Name the year that `k12edge hub roster pull --json` shows as `waits`, on or after its first day."


@dataclass(frozen=True, slots=True)
class SyncState:
    """What is remembered between pulls. Times by the hub's clock, but for `cursor_ms`, which is by the city's.

    `full_ms`, `delta_ms`: when a pull of that kind last ended; `guarded_ms`: when the guard last held one back, None
    since one went through; `delta_refused`: the city doesn't say what was modified since a moment; `begun`: the school
    year that has begun for everybody; `gone`: who left by deltas since the last full pull; `provisional`: since when
    newcomers wait to be named by the city.
    """

    cursor_ms: int | None = None
    full_ms: int | None = None
    delta_ms: int | None = None
    guarded_ms: int | None = None
    guard: Guard | None = None
    delta_refused: bool = False
    begun: str | None = None
    gone: int = 0
    provisional: dict[str, date] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a pull comes to. Where the plan is guarded, `held` and the pupils stay as they were before it."""

    held: dict[str, dict[str, HeldRow]] | None
    plan: Plan
    state: SyncState


def since_ms(state: SyncState) -> int | None:
    """From when on a delta asks for what was modified; None where it must ask for everything."""
    if state.cursor_ms is None or state.delta_refused:
        return None
    return state.cursor_ms - OVERLAP_MS


def settle(
    state: SyncState,
    held: Held,
    harvest: Harvest,
    known: Sequence[KnownPupil],
    school: str,
    day: date,
    now_ms: int,
    asked: Asked = NOTHING,
    holders: Collection[str] = (),
) -> Settled:
    """See the room. Raises SchoolUnknown, YearUnknown; then nothing is changed."""
    now = merged(held, harvest, 0 if asked.allow_gone else MISSING_MAX)
    begun = state.begun
    if not any(one.city_id is not None for one in known):
        # Nobody to hold over: the city's first list has who is there now.
        started = [year for year in years_of(now) if year.first <= day]
        begun = started[-1].id if started else begun
    found = register(now, school, day, begun)
    with_year: frozenset[str] = frozenset()
    if asked.begin_year is not None:
        if found.year is None or found.year.id != asked.begin_year or found.year.first > day:
            raise YearUnknown(f"{asked.begin_year!r} is no school year that has begun")
        with_year = frozenset(name for name, pupil in found.pupils.items() if pupil.held_over)
        begun = asked.begin_year
        found = register(now, school, day, begun)
    ahead = None if found.next is None else register(now, school, found.next.first, begun)
    now_is = Circumstances(
        day,
        state.begun if asked.begin_year else begun,
        asked,
        state.provisional,
        full=harvest.kind == "full",
        gone_before=state.gone if harvest.kind == "delta" else 0,
        emptied=emptied(held, harvest),
        holders=holders,
        ahead=ahead,
        with_year=with_year,
    )
    made = plan(known, found, now_is)
    if made.guard is not None:
        full_ms = now_ms if harvest.kind == "full" else state.full_ms
        return Settled(None, made, replace(state, guarded_ms=now_ms, guard=made.guard, full_ms=full_ms))
    after = replace(
        state,
        # A city whose clock runs ahead would hide what it writes until its clock's time has come.
        cursor_ms=state.cursor_ms if harvest.cursor_ms is None else min(harvest.cursor_ms, now_ms),
        begun=made.begun,
        provisional=dict(made.provisional),
    )
    if harvest.kind == "full":
        return Settled(
            now, made, replace(after, full_ms=now_ms, guarded_ms=None, guard=None, delta_refused=False, gone=0)
        )
    return Settled(now, made, replace(after, delta_ms=now_ms, gone=state.gone + made.counts()["left"]))
