"""A meal's records in the ledger: told to whom pages and API tell the same, of every role and every type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx2 as httpx
import pytest

from hub.access.records import NEEDED
from hub.access.rights import ROLES, Role
from protocol.mealrecords import Portions
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub

ROOT: Final = Path(__file__).parents[3]
MONTH: Final = f"{DAY:%Y-%m}"
PUPIL: Final = "st-3-2-1"
SHEET: Final = f"/meals/sheet/file?day={DAY}&meal=lunch"
CUTS: Final = f"/v1/meals/cuts?day={DAY}"
ENROLMENTS: Final = f"/v1/meals/enrolments?day={DAY}"
SERVINGS: Final = f"/v1/meals/servings?day={DAY}&meal=lunch"
DIETS: Final = f"/meals/diets?day={DAY}"
WHY_AWAY: Final = f"/v1/leave?day={DAY}"
PACK: Final = f"/meals/month/pack?month={MONTH}"
"""Every record of a month's meals, whole."""

SAME: Final[dict[str, tuple[str, ...]]] = {
    # A person's words on why a child doesn't eat may say of what it is ill, as those of a leave notice do.
    "meal.enrolled": (ENROLMENTS, WHY_AWAY),
    "meal.cut": (CUTS, WHY_AWAY),
    "meal.portion": (DIETS,),
    "meal.closed": (f"/v1/meals/sheet?day={DAY}&meal=lunch",),
    "meal.service": (SERVINGS,),
    "meal.sheet.locked": (SHEET,),
    # It names pupils beside kinds of portions: of one pupil that is what is cooked for them.
    "meal.adjusted": (SHEET, CUTS, DIETS),
    "meal.month": (f"/v1/meals/months?month={MONTH}&meal=lunch",),
    "meal.complaint": (f"/meals/slip?pupil={PUPIL}&month={MONTH}",),
    "meal.correction": (SERVINGS,),
}
"""Type -> the addresses that, all of them together, tell the same as such a record."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("ledgermeals") / "hub") as made:
        office = made.store.mealoffice
        office.portion("y.te", PUPIL, "vegetarian", DAY, None)
        office.cut("co.lan", "st-3-2-2", DAY, DAY, reason="mẹ gọi: em sốt cao")
        tap = made.serve("st-3-2-3", "10:30")
        made.now("12:00")
        made.deliver()
        made.settle()
        office.settle("co.lan", tap, "undone", "trả khay")
        office.serve_class("co.lan", "3/2", DAY, "lunch", ["st-3-2-4"])
        office.lock("bep", DAY, "lunch")
        office.adjust("bep", DAY, "lunch", {"3/2": Portions(vegetarian=1)}, "khách")
        office.close("hieu.truong", DAY, ["snack"], "cắm trại")
        made.now("08:00", (DAY + timedelta(days=31)).replace(day=1))
        made.store.mealmonths.state("ke.toan", MONTH, "lunch")
        made.store.complaints.complain("co.lan", PUPIL, MONTH, "con ăn đủ")
        made.settle()
        yield made


def opens(client: httpx.Client, address: str) -> bool:
    status = client.get(address).status_code
    assert status in (200, 403), (address, status)
    return status == 200


def test_every_type_of_a_meals_record_that_people_enter_is_held_to_an_address() -> None:
    assert SAME.keys() == {kind for kind in NEEDED if kind.startswith("meal.")} - {
        kind for kind, rights in NEEDED.items() if not rights
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_ledger_tells_a_meals_records_to_whom_pages_and_api_tell_the_same(hub: MealHub, role: Role) -> None:
    client = hub.who(role)
    answer = client.get("/v1/ledger/events?limit=1000")
    assert answer.status_code == 200, answer.text
    told: dict[str, set[bool]] = {}
    for item in answer.json()["items"]:
        kind = item["event"]["type"].removeprefix("vn.k12edge.").removesuffix(".v1")
        told.setdefault(kind, set()).add("data" in item["event"])
    assert told.keys() >= SAME.keys(), "each type was written"
    whole = role not in ("teacher", "substitute")  # whoever is bound to a class is told nothing of the whole school
    pack = whole and opens(client, PACK)
    for kind, addresses in SAME.items():
        expected = pack or (whole and all(opens(client, one) for one in addresses))
        assert told[kind] == {expected}, kind


def test_who_sees_no_diet_is_told_none_by_the_ledger(hub: MealHub) -> None:
    for role in ("accountant", "dpo", "it", "guard"):
        text = hub.who(role).get("/v1/ledger/events?limit=1000").text  # type: ignore[arg-type]
        assert "vegetarian" not in text and "sốt cao" not in text, role


def test_the_reference_has_a_row_for_every_type_with_the_rights_that_it_asks_for() -> None:
    page = (ROOT / "docs" / "reference" / "messages.md").read_text("utf-8")
    table = page.partition("| type | rights |\n")[2].partition("\n\n")[0]
    rows = [[re.findall("`([^`]+)`", cell) for cell in line.split("|")[1:3]] for line in table.splitlines()[1:]]
    stands = {kind: frozenset(rights) for kinds, rights in rows for kind in kinds}
    assert stands == {kind: rights for kind, rights in NEEDED.items() if rights}
