"""Whereabouts: who is on site now, by class, for the gate and for an evacuation; without any reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.attendance.onsite import Seen
    from hub.parts import Store


@dataclass(frozen=True, slots=True)
class OnSite:
    """The school, or a class, at a moment: every pupil by class and name."""

    at_ms: int
    classes: Mapping[str, tuple[Seen, ...]]
    position: int

    def counts(self, school_class: str | None = None) -> Counter[str]:
        """How many are where, of a class or of all."""
        return Counter(
            one.where
            for name, mine in self.classes.items()
            for one in mine
            if school_class is None or name == school_class
        )


def whereabouts(store: Store, school_class: str | None, at_ms: int) -> OnSite:
    """Where everybody is."""
    with store.database.lock:
        position = store.board.read_to()
    classes: dict[str, list[Seen]] = {}
    for seen in store.classbook.on_site(at_ms, school_class):
        classes.setdefault(seen.pupil.school_class, []).append(seen)
    return OnSite(at_ms, {name: tuple(mine) for name, mine in classes.items()}, position)
