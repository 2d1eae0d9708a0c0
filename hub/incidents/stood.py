"""Stood: of a meal's hours, when a counter wasn't there yet, was off, or its reader saw no cards. Pure.

What a counter wrote can be complete, and trays were handed out all the same while it stood dark: those are in no
record, at best on paper. The same from the hub's ledger and from the counters' own journals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.attendance.coverage import Claim
from protocol.envelope import SCHOOL_ZONE

CANTEEN: Final = "canteen"
ALWAYS_MS: Final = 1 << 60
LAST_MS: Final = 253_370_764_800_000
"""The year 9999."""
OFF_MS: Final = 30_000
"""A counter that was away for no longer was begun anew; a reader that is away for no longer isn't named either."""
NAMED_MAX: Final = 20
"""Spans of one gateway that are named one by one."""
DARK: Final = ("not-yet", "off", "counter-blind")
"""Why what was handed out stands in no record: codes of ORIGIN_WORDS."""
Span = tuple[int, int]
Words = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Running:
    """A journal, which is one run of a gateway: from `opened_ms`, at the earliest from `first_ms`, to `ended_ms`.

    None: nobody knows. `previous`: the journal before it. `heard_ms`: of two that nobody went on with the one of which
    more was heard still runs.
    """

    journal: str
    first_ms: int | None
    opened_ms: int | None
    ended_ms: int | None
    previous: str | None
    heard_ms: int


def began_of(runs: Sequence[Running]) -> int | None:
    """When a gateway's first run began, at the earliest; None where there is one before it, or no clock knows."""
    roots = [one for one in runs if one.previous is None or all(one.previous != other.journal for other in runs)]
    if not roots or any(one.previous is not None or one.first_ms is None for one in roots):
        return None
    return min(one.first_ms for one in roots if one.first_ms is not None)


def unseen(hours: Sequence[Span], runs: Sequence[Running], claims: Iterable[Claim], stood_ms: int | None) -> Words:
    """What of these hours is in no record of a gateway's counters, as codes of ORIGIN_WORDS and their details.

    `stood_ms`: before it the gateway certainly wasn't there, None where nobody knows.
    """
    found: Words = []
    if stood_ms is not None and any(from_ms < stood_ms for from_ms, _ in hours):
        found.append(("not-yet", moment(stood_ms)))
    ends = _ends(runs)
    dark = _gaps(runs, ends, -ALWAYS_MS if stood_ms is None else stood_ms)
    found += [("off", span_text(one)) for one in dark if _within(one, hours) > OFF_MS][:NAMED_MAX]
    blind = sorted(_blind(claims, ends).items())
    found += [
        ("counter-blind", f"{station} {span_text(one)}")
        for station, spans in blind
        for one in spans
        if _within(one, hours) > 0
    ][:NAMED_MAX]
    return found


def may_count(claims: Collection[Claim]) -> bool:
    """Whether a gateway says that it has a counter; one that says nothing may have."""
    return not claims or any(CANTEEN in claim.stations.values() for claim in claims)


def came_between(hours: Sequence[Span], stood_ms: int) -> bool:
    """Whether a gateway came between these meals or after them, and in the middle of none."""
    return not any(from_ms < stood_ms < until_ms for from_ms, until_ms in hours)


def _ends(runs: Sequence[Running]) -> dict[str, int]:
    """Journal -> until when its run lasted; the newest of those that nobody went on with still does."""
    gone_on = {one.previous for one in runs}
    leaves = [one for one in runs if one.journal not in gone_on]
    newest = max(leaves, key=lambda one: one.heard_ms, default=None)
    return {one.journal: ALWAYS_MS if one is newest or one.ended_ms is None else one.ended_ms for one in runs}


def _gaps(runs: Sequence[Running], ends: Mapping[str, int], from_ms: int) -> list[Span]:
    """The spans since `from_ms` in which no run of a gateway lasted."""
    here = {one.journal for one in runs}
    lasted = []
    for one in runs:
        unknown = one.opened_ms is None or (one.previous is not None and one.previous not in here)
        lasted.append((-ALWAYS_MS if unknown or one.opened_ms is None else one.opened_ms, ends[one.journal]))
    found, at_ms = [], from_ms
    for began_ms, ended_ms in _merged(lasted):
        if began_ms > at_ms > -ALWAYS_MS:
            found.append((at_ms, began_ms))
        at_ms = max(at_ms, ended_ms)
    return found


def _blind(claims: Iterable[Claim], ends: Mapping[str, int]) -> dict[str, list[Span]]:
    """Counter -> the spans in which its reader saw no cards; one that never saw again lasts to its run's end."""
    in_order = sorted(claims, key=lambda claim: (claim.journal, claim.sequence))
    last = {claim.journal: claim.sequence for claim in in_order}
    found: dict[str, list[Span]] = {}
    for claim in in_order:
        end_ms = ends.get(claim.journal, claim.at_ms) if claim.sequence == last[claim.journal] else claim.at_ms
        for one in claim.blind:
            if claim.stations.get(one.station) == CANTEEN:
                until_ms = end_ms if one.until_ms is None else one.until_ms
                found.setdefault(one.station, []).append((one.since_ms, until_ms))
    return {station: _merged(spans) for station, spans in found.items()}


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that don't touch, in order."""
    found: list[Span] = []
    for from_ms, until_ms in sorted(spans):
        if found and from_ms <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until_ms)
        else:
            found.append((from_ms, until_ms))
    return found


def _within(span: Span, hours: Sequence[Span]) -> int:
    """How much of a span lies in these hours."""
    return sum(max(0, min(span[1], until_ms) - max(span[0], from_ms)) for from_ms, until_ms in _merged(hours))


def moment(at_ms: int) -> str:
    """A moment to the second: 18:05:12 28/11/2026; one that no clock of ours shows as the last that it does."""
    return datetime.fromtimestamp(round(min(max(at_ms, 0), LAST_MS) / 1000), SCHOOL_ZONE).strftime("%H:%M:%S %d/%m/%Y")


def span_text(span: Span) -> str:
    """10:41:12–10:43:30 28/11/2026; of two days with both; one that goes on ends in an ellipsis."""
    first, last = moment(span[0]), "…" if span[1] >= ALWAYS_MS else moment(span[1])
    clock, _, day = first.partition(" ")
    return f"{clock}–{last}" if last.endswith(day) else f"{first}–{last}"
