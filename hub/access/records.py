"""What records say of people: the rights that each type asks for; one that isn't known asks for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hub.access.rights import PERSONAL, Right
from protocol.taps import TAP_TYPES

NEEDED: Final[Mapping[str, frozenset[Right]]] = {
    # What machines say: of cards by their keyed ids and pupils by their opaque keys, of themselves.
    **dict.fromkeys(TAP_TYPES, frozenset[Right]()),
    "journal.opened": frozenset(),
    "journal.head": frozenset(),
    "boot.anchored": frozenset(),
    "device.watermark": frozenset(),
    "meal.rated": frozenset(),
    "device.alarm": frozenset(),
    "log.gap": frozenset(),
    "record.forked": frozenset(),
    # What people entered, and what a hub derived of it: as the pages that show the same ask.
    "attendance.rollcall": frozenset({"see-class", "see-reasons"}),
    "attendance.leave": frozenset({"see-reasons"}),
    "attendance.mark": frozenset({"see-class"}),
    "attendance.correction": frozenset({"see-pupil"}),
    # Why a child doesn't eat, in a person's words, may be of what it is ill: a cut's reason is a leave notice's.
    **dict.fromkeys(("meal.enrolled", "meal.cut"), frozenset[Right]({"see-cuts", "see-reasons"})),
    "meal.portion": frozenset({"diets"}),
    "meal.closed": frozenset({"see-portions"}),
    **dict.fromkeys(("meal.service", "meal.correction"), frozenset[Right]({"see-servings"})),
    # A record is told whole or not at all, and a sheet's has how many of which kind are cooked.
    "meal.sheet.locked": frozenset({"see-portions", "see-cooking"}),
    # Beside the kinds it names pupils: of one pupil that is what is cooked for them.
    "meal.adjusted": frozenset({"see-cooking", "see-cuts", "diets"}),
    **dict.fromkeys(("meal.month", "meal.complaint"), frozenset[Right]({"reports"})),
    "card.changed": frozenset({"check-card"}),
    "consent.changed": frozenset({"messages"}),
    "watermark.waived": frozenset({"see-today"}),
    "files.sent": frozenset({"see-city"}),
    "incident.pack": frozenset({"see-incident"}),
}
"""Record type -> the rights on the whole school without which its words are withheld."""


PACKED: Final = frozenset(kind for kind in NEEDED if kind.startswith("meal."))
"""What a month's audit pack holds, each record whole."""


def needed(kind: str) -> frozenset[Right]:
    """The rights that a record of this type asks for; of one that isn't among NEEDED each that shows somebody."""
    return NEEDED.get(kind, PERSONAL)


def may_have(kind: str, allows: Callable[[Right], bool]) -> bool:
    """Whether a record's words are for whom `allows` says the rights of, on the whole school.

    Whoever may take a month's audit pack has every record of its meals by that, whatever else they may see.
    """
    return (kind in PACKED and allows("audit-meals")) or all(allows(right) for right in needed(kind))


def is_personal(kind: str) -> bool:
    """Whether a look at such a record is a look at somebody, which stands in the audit."""
    return not needed(kind).isdisjoint(PERSONAL)
