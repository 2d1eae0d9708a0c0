"""Samples of meals: a class that eats at school, cuts, a diet, a menu, servings that somebody has to see to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from hub.store.mealplanrows import Dish
from protocol.mealrecords import Portions
from protocol.meals import ByHand
from tests.hub.web.dayhub import DAY, STRANGE, DayHub
from tests.hub.web.mealhub import MealHub
from tests.hub.web.pagehub import CLASS

MONTH = f"{DAY:%Y-%m}"


def furnish_meals(hub: DayHub) -> Mapping[str, str]:
    """Fill a hub with a lunch; path as written in the registry -> address with what it asks for."""
    store, meals = hub.store, cast("MealHub", hub)
    for number in range(10):
        store.mealoffice.enrol("van.thu", f"st-3-2-{number}", DAY, None)
    store.mealoffice.portion("y.te", "st-3-2-1", "porridge", DAY, None)
    store.mealoffice.cut("co.lan", "st-3-2-2", DAY, DAY, ["lunch"], "phone")
    store.mealdesk.diet("y.te", "st-3-2-3", ("lạc", "tôm"), confirmed=True)
    store.mealdesk.cook("bep", [Dish(DAY, "lunch", "regular", "Thịt kho <tàu>", (), "L-77", "Công ty A", "M-1")])
    store.mealdesk.admit_staff("kt", "co-hoa", "Cô Hoa", "480215")
    store.complaints.complain("co.lan", "st-3-2-0", MONTH, "hôm đó con không ăn")
    MealHub.serve(meals, "st-3-2-4", "06:30")
    MealHub.serve(meals, "st-3-2-4", "06:31", point="quay-2", alone=True)
    shown = MealHub.serve(meals, "", "06:32", card=STRANGE, decision="refused")
    MealHub.serve(meals, "", "06:33", hand=ByHand("stranger", "co-hoa", shown))
    MealHub.serve(meals, "", "06:34", card="a:04EEEEEEEEEE81", decision="refused")
    hub.deliver()
    store.mealoffice.serve_class("co.lan", CLASS, DAY, "lunch", ["st-3-2-5"], store.clock.now_ms())
    store.mealoffice.lock("bep", DAY, "lunch")
    hub.settle()
    store.mealoffice.adjust("bep", DAY, "lunch", {CLASS: Portions(vegetarian=2)}, "khách <mời>")
    hub.settle()
    own = ("/meals/cuts", "/meals/enrolments", "/meals/diets", "/meals/paper", "/meals/conflicts", "/meals/month")
    slip = {"/meals/slip": f"/meals/slip?pupil=st-3-2-0&month={MONTH}"}
    return {path: f"{path}?class={CLASS}" for path in own} | slip
