"""The words of a month's meals: what `k12edge hub audit` asks, made here and handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from hub.access.rights import Person
from hub.desks.desk import Outcome
from hub.papers import HANDED_BYTES_MAX
from hub.reporting.making import ReportRefused
from hub.reporting.monthpack import MonthPack

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


def _by(words: Words) -> str:
    return words.get("by") or "-"


ACTIONS: Final[dict[str, Callable[[MealWords, Words], Outcome]]] = {
    "meal-audit": MealWords._audit,
}
MEAL_ACTIONS: Final = frozenset(ACTIONS)
