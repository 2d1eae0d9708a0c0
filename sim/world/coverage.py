"""The coverage: how often each fault was planned, struck, and took effect over a campaign; none may be zero."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sim.world.faults import KINDS


@dataclass(frozen=True, slots=True)
class Covered:
    """One kind of fault over a campaign."""

    name: str
    struck: int
    effects: int


def covered(fired: Counter[str]) -> list[Covered]:
    """The table, from what School.truth counted."""
    rows = []
    for kind in KINDS:
        effects = sum(count for what, count in fired.items() if any(what.startswith(effect) for effect in kind.effects))
        rows.append(Covered(kind.name, fired[f"struck: {kind.name}"], effects))
    return rows


def table(rows: list[Covered]) -> list[str]:
    """The table as lines of text."""
    width = max(len(row.name) for row in rows)
    return [f"{'fault':{width}}  struck  effects", *(f"{r.name:{width}}  {r.struck:6}  {r.effects:7}" for r in rows)]


def uncovered(rows: list[Covered]) -> list[str]:
    """Kinds that never took effect."""
    return [row.name for row in rows if not row.struck or not row.effects]
