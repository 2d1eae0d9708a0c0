"""Leave notices as pages and programs change them: whose teachers are asked, and why where days that were change."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from hub.web.dayforms import REASONS
from hub.web.errors import Refusal

if TYPE_CHECKING:
    from hub.web.ground import Web
    from hub.web.visits import Visit

Reason = Literal["", "slip", "card", "parents", "paper", "other"]
"""The codes of dayforms.REASONS, or none."""


def held_to(web: Web, visit: Visit, pupil: str, first: date, last: date) -> None:
    """The object check of a notice's days: past ones are of the classes that the pupil was in then, today and the days
    to come of today's, also where another class is planned already. Raises Refusal, also of one who isn't here.
    """
    yesterday = visit.today - timedelta(days=1)
    with web.store.database.lock:
        people = web.store.people
        known = people.find(pupil) is not None
        asked: set[str | None] = set(people.classes_between(pupil, first, min(last, yesterday)))
        if last >= visit.today or not asked:
            asked.add(people.class_on(pupil, visit.today))
    if not known:
        raise Refusal(404, "no-student", "There is no such pupil.")
    for school_class in sorted(asked, key=lambda one: one or ""):
        visit.must(school_class, pupil)


def why(visit: Visit, first: date, reason: str) -> str:
    """Why days that were change, in words, of a change from a day on. Raises Refusal where it has to be said."""
    said = REASONS.get(reason, "")
    if first < visit.today and not said:
        title = f"{first.isoformat()} is past: a change of it says why, by a reason of {', '.join(REASONS)}."
        raise Refusal(409, "reason-needed", title)
    return said
