"""The city's rows as the hub holds them between pulls: new ones over old ones, and grace for those that are missing.

Servers forget to report deletions, and drop rows for a moment. A row that is missing from a full pull is kept once; one
that is missing from the next full pull as well is gone. A delta says nothing of what it doesn't name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.rostersync.pull import Harvest
from hub.rostersync.rows import Row

MISSING_MAX: Final = 1
"""In so many full pulls in a row a row may be missing and still counts."""


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row, in how many full pulls in a row it was missing, and whether its newest form couldn't be understood."""

    row: Row
    missing: int = 0
    unreadable: bool = False


Held = Mapping[str, Mapping[str, HeldRow]]
"""Collection -> id -> row."""


def merged(held: Held, harvest: Harvest, missing_max: int = MISSING_MAX) -> dict[str, dict[str, HeldRow]]:
    """What is held after a pull. `missing_max` 0: a person said that what is missing is gone."""
    now = {collection: dict(rows) for collection, rows in held.items()}
    for collection, gathered in harvest.collections.items():
        mine = now.setdefault(collection, {})
        if gathered.whole:
            for name in mine.keys() - gathered.rows.keys():
                missing = mine[name].missing + 1
                if missing > missing_max:
                    del mine[name]
                else:
                    mine[name] = HeldRow(mine[name].row, missing, mine[name].unreadable)
        for name, row in gathered.rows.items():
            mine[name] = _over(mine.get(name), row)
    return now


def _over(before: HeldRow | None, row: Row) -> HeldRow:
    """The newer row; one that can't be understood leaves what was known in force."""
    if row.facts is not None:
        return HeldRow(row)
    known = None if before is None else before.row.facts
    return HeldRow(Row(row.id, row.modified_ms, row.active, known), 0, unreadable=True)
