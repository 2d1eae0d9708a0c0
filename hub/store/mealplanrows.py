"""The meal plan's versions in the ledger's file, each by the day from which on it holds; and what is cooked on days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final, NamedTuple, cast

from hub.meals.sittings import MealPlanRefused, SchoolMeals, plan_bytes, plan_faults, plan_from
from hub.store.database import Database
from protocol.meals import Meal, Portion

VERSIONS_MAX: Final = 400


class Dish(NamedTuple):
    """A dish of a meal for those who eat `portion`. `allergens`: words of hub.lists.vocabulary; `sample`: its label."""

    day: date
    meal: Meal
    portion: Portion
    dish: str
    allergens: tuple[str, ...] = ()
    lot: str = ""
    supplier: str = ""
    sample: str = ""

    @property
    def menu(self) -> str:
        """The menu's id: what all dishes of a meal and portion share."""
        return f"{self.day:%Y%m%d}-{self.meal}-{self.portion}"


class MealPlanRows:
    """See the room. Changes run within a transaction."""

    def __init__(self, database: Database) -> None:
        """The tables are the state. `version` grows with each change of this run."""
        self._database = database
        self.version = 0
        self._known: dict[date, SchoolMeals] | None = None

    def plans(self) -> dict[date, SchoolMeals]:
        """Every version, by the day from which on it holds."""
        if self._known is None or self._database.connection.in_transaction:
            rows = self._database.connection.execute("SELECT first_day, document FROM meal_plans ORDER BY first_day")
            found = {date.fromisoformat(day): plan_from(f"the meal plan of {day}", text.encode()) for day, text in rows}
            if self._database.connection.in_transaction:
                return found
            self._known = found
        return self._known

    def put(self, first_day: date, document: SchoolMeals, now_ms: int, by: str) -> None:
        """Let a document hold from a day on, until the next version's day. Raises MealPlanRefused."""
        faults = list(plan_faults(document))
        if faults:
            raise MealPlanRefused("{faults}", faults="; ".join(map(str, faults)))
        run = self._database.connection.execute
        count = run("SELECT count(*) FROM meal_plans WHERE first_day <> ?", (first_day.isoformat(),)).fetchone()[0]
        if count >= VERSIONS_MAX:
            raise MealPlanRefused("{count} versions are kept, no more", count=count)
        self.version += 1
        self._known = None
        run(
            "INSERT OR REPLACE INTO meal_plans (first_day, document, made_ms, by) VALUES (?, ?, ?, ?)",
            (first_day.isoformat(), plan_bytes(document).decode(), now_ms, by),
        )

    # --- menus --------------------------------------------------------------------------------------------------------

    def cook(self, dishes: Iterable[Dish]) -> int:
        """What is cooked on some days, in the place of these days' meals before; how many. A dish keeps its sample."""
        rows = list(dishes)
        run = self._database.connection.execute
        self.version += 1
        days = [one.day for one in rows]
        kept = {one[:4]: one.sample for one in self.menu(min(days), max(days))} if rows else {}
        for day, meal in sorted({(one.day.isoformat(), one.meal) for one in rows}):
            run("DELETE FROM menus WHERE day = ? AND meal = ?", (day, meal))
        for one in rows:
            run(
                "INSERT OR REPLACE INTO menus (day, meal, portion, dish, allergens, lot, supplier, sample)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (one.day.isoformat(), one.meal, one.portion, one.dish, " ".join(one.allergens), one.lot, one.supplier,
                 one.sample or kept.get(one[:4], "")),
            )  # fmt: skip
        return len(rows)

    def keep_sample(self, day: date, meal: Meal, dish: str, label: str) -> bool:
        """The label of the sample that is kept of a dish; False where there is no such dish."""
        done = self._database.connection.execute(
            "UPDATE menus SET sample = ? WHERE day = ? AND meal = ? AND dish = ?", (label, day.isoformat(), meal, dish)
        )
        return done.rowcount > 0

    def menu(self, first: date, last: date) -> Iterator[Dish]:
        """What is cooked on the days of a span."""
        for day, meal, portion, dish, allergens, lot, supplier, sample in self._database.connection.execute(
            "SELECT day, meal, portion, dish, allergens, lot, supplier, sample FROM menus WHERE day BETWEEN ? AND ?"
            " ORDER BY day, meal, portion, dish",
            (first.isoformat(), last.isoformat()),
        ):
            words = tuple(allergens.split())
            kind = cast("Portion", portion)
            yield Dish(date.fromisoformat(day), cast("Meal", meal), kind, dish, words, lot, supplier, sample)
