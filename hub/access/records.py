"""What records say of people: the rights that each type asks for; one that isn't known asks for all of them."""

from __future__ import annotations

from collections.abc import Mapping
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
    "meal.correction": frozenset({"see-pupil"}),
    # Who eats at school, and who doesn't today; what is cooked for a pupil may be about health.
    **dict.fromkeys(
        ("meal.enrolled", "meal.cut", "meal.service", "meal.adjusted", "meal.month"), frozenset[Right]({"see-class"})
    ),
    "meal.portion": frozenset({"see-reasons"}),
    "meal.complaint": frozenset({"see-class", "see-reasons"}),
    "meal.closed": frozenset({"see-portions"}),
    "meal.sheet.locked": frozenset({"see-portions"}),
    "card.changed": frozenset({"check-card"}),
    "consent.changed": frozenset({"messages"}),
    "watermark.waived": frozenset({"see-today"}),
    "files.sent": frozenset({"see-city"}),
    "incident.pack": frozenset({"see-incident"}),
}
"""Record type -> the rights on the whole school without which its words are withheld."""


def needed(kind: str) -> frozenset[Right]:
    """The rights that a record of this type asks for; of one that isn't among NEEDED each that shows somebody."""
    return NEEDED.get(kind, PERSONAL)


def is_personal(kind: str) -> bool:
    """Whether a look at such a record is a look at somebody, which stands in the audit."""
    return not needed(kind).isdisjoint(PERSONAL)
