"""Facts: what a month's meals rest on and no record says, as one document of a pack; and its bounds.

No name stands in it: pupils go by their opaque keys, staff by the ids that stand in records. A card is named by the
keyed text of its records; where the hub opened a card's number, by a number of the pack's own instead. Of leave notices
only spans are told, since why a child is away may be about its health.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Final

import msgspec

from hub.attendance.evidence import Leave
from hub.attendance.schoolday import Binding
from hub.meals.portions import Excuse
from hub.meals.sittings import MealPlans, SchoolMeals, plan_faults
from protocol.anchors import BootAnchors, Timeline
from protocol.errors import BadMessage
from protocol.records import Half

FACTS_BYTES_MAX: Final = 64 * 1024 * 1024
DAYS_MAX: Final = 31
Text = Annotated[str, msgspec.Meta(max_length=200)]
Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]


class Member(msgspec.Struct, frozen=True):
    """A pupil of a class, from a day to another, both included."""

    pupil: Text
    school_class: Text
    first: date
    last: date


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A leave notice: its record, when it was said, whom and which half-days it speaks of, when it was withdrawn."""

    id: Text
    at_ms: int
    pupil: Text
    first: date
    first_half: Half
    last: date
    last_half: Half
    gone_ms: int | None = None
    gone: str | None = None

    def excuse(self) -> Excuse:
        """As portions are counted by."""
        leave = Leave(self.id, self.pupil, (self.first, self.first_half), (self.last, self.last_half), self.at_ms, "")
        return Excuse(leave, self.gone_ms, self.gone)


class Held(msgspec.Struct, frozen=True):
    """Whose a card was, from a moment until another, Unix ms."""

    who: Text
    from_ms: int
    to_ms: int


class Boots(msgspec.Struct, frozen=True):
    """A source's timeline: the certain moments of its boots, which journal ran in which, and what came before what."""

    boots: dict[str, BootAnchors]
    ran: dict[str, str]
    before: dict[str, str]

    def timeline(self) -> Timeline:
        """As effective times are derived by."""
        found = Timeline()
        found.restore(self.boots, self.ran, self.before)
        return found


class Facts(msgspec.Struct, frozen=True):
    """The document. `month`: YYYY-MM.

    `plans`: by the ISO day from which each holds. `taught`: ISO day -> class -> the weekday it is taught as. `cards`:
    record -> the text its card is kept under, where that isn't the record's own. `bindings`, `staff`: by that text.
    `received`: record -> when it came to the hub, Unix ms, of those that no clock bounds. `devices`: source -> name.
    `keys`: source -> the public keys it signed with. `waits`: counters whose records, to the last meal that was over,
    weren't all at the hub when the pack was made.
    """

    school: Text
    month: Text
    first: date
    last: date
    plans: dict[str, SchoolMeals]
    taught: dict[str, dict[str, Weekday]]
    members: list[Member]
    notices: list[Notice]
    bindings: dict[str, list[Held]]
    staff: dict[str, list[Held]]
    cards: dict[str, Text]
    received: dict[str, int]
    devices: dict[str, Text]
    keys: dict[str, list[str]]
    clocks: dict[str, Boots]
    waits: list[Text] = []

    def of_cards(self, held: Mapping[str, Sequence[Held]]) -> dict[str, list[Binding]]:
        """Bindings as servings are attributed by."""
        return {card: [Binding(card, one.who, one.from_ms, one.to_ms) for one in some] for card, some in held.items()}

    def meal_plans(self) -> MealPlans:
        """The versions of the school's meal plan."""
        return {date.fromisoformat(day): plan for day, plan in self.plans.items()}

    def classes(self, day: date) -> dict[str, str]:
        """Pupil -> class of a day; of two classes the one since later, as everywhere."""
        found = sorted((one for one in self.members if one.first <= day <= one.last), key=lambda one: one.first)
        return {one.pupil: one.school_class for one in found}


_decoder = msgspec.json.Decoder(Facts)


def facts_bytes(facts: Facts) -> bytes:
    """The document as JSON, the same bytes for the same facts."""
    return msgspec.json.format(msgspec.json.encode(facts, order="sorted"), indent=1) + b"\n"


def facts_from(octets: bytes) -> Facts:
    """Read it; raises BadMessage, which names what is wrong."""
    if len(octets) > FACTS_BYTES_MAX:
        raise BadMessage(f"facts of {len(octets)} bytes, at most {FACTS_BYTES_MAX} are read")
    try:
        facts = _decoder.decode(octets)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not the facts of a month: {problem}") from problem
    days = (facts.last - facts.first).days
    if not 0 <= days < DAYS_MAX or facts.first.strftime("%Y-%m") != facts.month or facts.first.year < 1971:
        raise BadMessage(f"{facts.month[:20]!r} from {facts.first} to {facts.last} is no month")
    for first_day, plan in facts.plans.items():
        try:
            date.fromisoformat(first_day)
        except ValueError as problem:
            raise BadMessage(f"a meal plan holds from {first_day[:20]!r} on, which is no day") from problem
        for fault in plan_faults(plan):
            raise BadMessage(f"the meal plan of {first_day}: {fault}")
    return facts
