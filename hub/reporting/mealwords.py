"""The words of a month's meals: what `k12edge hub meal-days` and `hub audit` ask, made here and handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.access.rights import Person
from hub.days.mealmonths import MealMonths, Stated
from hub.desks.desk import Outcome
from hub.papers import HANDED_BYTES_MAX
from hub.reporting.making import ReportRefused
from hub.reporting.monthpack import MonthPack
from hub.reports.words import moment_text
from protocol.mealrecords import MealDays

if TYPE_CHECKING:
    from hub.parts import Store

Words = Mapping[str, str | None]


class MealWords:
    """See the room. Whoever asks is noted: a month names pupils."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def carry_out(self, action: str, words: Words) -> Outcome:
        """Do one of MEAL_ACTIONS. Raises EntryRefused, ReportRefused."""
        return ACTIONS[action](self, words)

    def _days(self, words: Words) -> Outcome:
        months, month, by = MealMonths(self._store), words.get("month") or "", _by(words)
        new: list[Stated] = []
        if words.get("state") == "True":
            new = months.state(by, month, words.get("reason") or "")
        self._note(by, "meal month", month)
        found = months.stated(month)
        if words.get("json") == "True":
            told = {"month": month, "meals": [month_told(one) for one in found]}
            return Outcome(msgspec.json.encode(told).decode("utf-8"), records=len(new))
        return Outcome("\n".join(_lines(found)) or "chưa có / none yet", records=len(new))

    def _audit(self, words: Words) -> Outcome:
        month, by = words.get("month") or "", _by(words)
        made = MonthPack(self._store).make(by, month)
        self._note(by, "meal audit pack", month)
        if len(made.octets) > HANDED_BYTES_MAX:
            raise ReportRefused(f"the pack has {len(made.octets)} bytes, more than a command carries")
        return Outcome("\n".join(made.verdict.lines), paper=made.octets)

    def _note(self, by: str, what: str, about: str) -> None:
        store = self._store
        with store.database.transaction():
            clock = store.clock
            store.audit.note(Person(by, "it"), what, about, "read", "allowed", clock.now_ms(), clock.mono_ms())


def month_told(one: Stated) -> dict[str, Any]:
    """A meal's month for programs: per pupil the counts, `eaten` (what a subsidy can be claimed for) and `differs`."""
    return {
        "meal": one.meal,
        "version": None if one.row is None else one.row.version,
        "stated": None if one.row is None else moment_text(one.row.at_ms),
        "by": None if one.row is None else one.row.by,
        "due": one.due,
        "evidence": one.evidence,
        "pupils": {pupil: _counts(days) for pupil, days in one.pupils.items()},
        "differs": {} if one.row is None else {pupil: _counts(days) for pupil, days in one.differs.items()},
        "total": _counts(_sum(one)),
    }


def _counts(days: MealDays) -> dict[str, int]:
    return {name: getattr(days, name) for name in days.__struct_fields__} | {"eaten": days.eaten}


def _sum(one: Stated) -> MealDays:
    found = MealDays()
    for days in one.pupils.values():
        found = found.plus(days)
    return found


def _lines(found: list[Stated]) -> Iterator[str]:
    """A line for each pupil, tab between; above what it is of."""
    for one in found:
        stated = "chưa chốt / not stated" if one.row is None else f"v{one.row.version}, {moment_text(one.row.at_ms)}"
        due = f"; {len(one.differs)} khác / differ" if one.row is not None and one.due else ""
        yield f"{one.meal}: {stated}{due}"
        yield "\t".join(("pupil", *MealDays.__struct_fields__, "eaten"))
        for pupil, days in one.pupils.items():
            yield "\t".join((pupil, *map(str, _counts(days).values())))
        yield "\t".join(("", *map(str, _counts(_sum(one)).values())))


def _by(words: Words) -> str:
    return words.get("by") or "-"


ACTIONS: Final[dict[str, Callable[[MealWords, Words], Outcome]]] = {
    "meal-days": MealWords._days,
    "meal-audit": MealWords._audit,
}
MEAL_ACTIONS: Final = frozenset(ACTIONS)
