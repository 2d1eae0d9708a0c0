"""Pictures of the kitchen's day for docs/operating: `python -m tests.browser.mealshots`, after the pages have changed.

An invented school's lunch, from the gate in the morning to the counters, in Debian's Chromium. No test runs it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from hub.access.rights import Role
from hub.store.mealplanrows import Dish
from protocol.mealrecords import Portions
from protocol.meals import ByHand
from tests.browser.kioskwalk import chromium
from tests.browser.screenshots import CLASSES, PICTURES, SCHOOL, taken
from tests.browser.walking import LANGUAGES
from tests.hub.web.dayhub import DAY, STRANGE
from tests.hub.web.mealhub import MealHub, meal_hub

SCREEN: Final = (1024, 768)
A4: Final = (794, 1123)
"""A sheet of 210 by 297 mm in CSS pixels of 1/96 inch."""
STAFF: Final = {"kitchen": "Nguyễn Thị Bếp", "canteen": "Cô Hoa", "principal": "Trần Văn Minh"}
DISHES: Final = (
    ("regular", "Thịt kho trứng, canh bí đỏ", "L-0711", "Công ty Thực phẩm An Bình"),
    ("vegetarian", "Đậu hũ sốt nấm, canh bí đỏ", "L-0712", "Công ty Thực phẩm An Bình"),
    ("porridge", "Cháo thịt bằm cà rốt", "L-0713", "Công ty Thực phẩm An Bình"),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file's name, who looks at which page, and whether as it is printed."""

    name: str
    role: Role
    path: str
    printed: bool = False


MORNING: Final = (Shot("kitchen-forecast", "kitchen", "/meals"),)
LOCKED: Final = (
    Shot("kitchen-paper", "kitchen", "/meals", printed=True),
    Shot("kitchen-menu", "kitchen", "/meals/menu"),
)
AT_NOON: Final = (Shot("counters-live", "canteen", "/meals/live"),)


def _morning(hub: MealHub) -> None:
    """The plan's lunch is cooked for whoever is registered; most have come by the gate."""
    meals, clerk = hub.store.mealoffice, "co.lan"
    with hub.store.database.transaction():
        for role, shown in STAFF.items():
            hub.who(role)  # type: ignore[arg-type]
            run = hub.store.database.connection.execute
            run("UPDATE users SET shown = ? WHERE name LIKE ?", (shown, f"{role}.%"))
    hub.store.mealdesk.admit_staff("kt", "co-hoa", STAFF["canteen"], "480215")
    hub.store.mealdesk.cook(
        STAFF["kitchen"],
        [
            Dish(DAY, "lunch", portion, dish, (), lot, supplier, f"M-{DAY:%d%m}-{at}")  # type: ignore[arg-type]
            for at, (portion, dish, lot, supplier) in enumerate(DISHES, 1)
        ],
    )
    for at, row in enumerate(SCHOOL):
        if at % 29 == 3:
            meals.portion("y.te", row.pupil_key, "vegetarian", DAY, None)
        elif at % 41 == 7:
            meals.portion("y.te", row.pupil_key, "porridge", DAY, None)
        if at % 23 == 5:
            meals.cut(clerk, row.pupil_key, DAY, DAY, ["lunch"], "phone")
        elif at % 31:
            hub.tap(row.pupil_key, f"06:{30 + at % 25}:{at % 60:02}")
    hub.deliver()
    hub.kitchen("07:05")
    hub.kitchen("07:30")


def _locked(hub: MealHub) -> None:
    """The lock has fallen; a late cut and a guest are adjustments."""
    hub.kitchen("08:01")
    hub.store.mealoffice.cut("co.lan", SCHOOL[2].pupil_key, DAY, DAY, ["lunch"], "phone")
    hub.kitchen("08:40")
    hub.store.mealoffice.adjust(STAFF["kitchen"], DAY, "lunch", {CLASSES[0]: Portions(regular=2)}, "khách dự giờ")
    hub.settle()


def _at_noon(hub: MealHub) -> None:
    """Two counters serve; one second helping, one tray that both recorded, a stranger."""
    for at, row in enumerate(SCHOOL[:150]):
        if at % 23 != 5:
            hub.serve(row.pupil_key, f"10:{31 + at // 8}:{at % 8 * 7:02}", point=f"quay-{1 + at % 2}")
    hub.serve(SCHOOL[0].pupil_key, "10:52", nth=2, point="quay-2")
    hub.serve(SCHOOL[1].pupil_key, "10:32:10", point="quay-1", alone=True)
    shown = hub.serve("", "10:50:30", card=STRANGE, decision="refused")
    hub.serve("", "10:50:41", hand=ByHand("stranger", "co-hoa", shown))
    hub.deliver()
    hub.now("10:53")
    hub.heard(owed=0)
    hub.settle()


def _shoot(browser: Browser, hub: MealHub, shot: Shot, language: str) -> None:
    size = A4 if shot.printed else SCREEN
    with browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="vi-VN", timezone_id="Asia/Ho_Chi_Minh"
    ) as context:
        cookies = {"k12": hub.who(shot.role).cookies["k12"], "lang": language}
        context.add_cookies([{"name": name, "value": value, "url": hub.url} for name, value in cookies.items()])
        page: Page = context.new_page()
        page.goto(hub.url + shot.path, wait_until="load")
        if shot.printed:
            page.emulate_media(media="print")
        page.evaluate("document.querySelectorAll('nav details').forEach((one) => { one.open = false; })")
        octets = taken(context.new_cdp_session(page))
    (PICTURES / f"{shot.name}.{language}.webp").write_bytes(octets)
    print(f"{shot.name}.{language}.webp  {len(octets):,} bytes, {size[0]} x {size[1]}")


def main() -> int:
    """Take them all, each at its hour."""
    hours: tuple[tuple[Callable[[MealHub], None], tuple[Shot, ...]], ...] = (
        (_morning, MORNING),
        (_locked, LOCKED),
        (_at_noon, AT_NOON),
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        meal_hub(Path(folder) / "hub", roster=SCHOOL) as hub,
        chromium() as browser,
    ):
        for until, shots in hours:
            until(hub)
            for shot in shots:
                for language in LANGUAGES:
                    _shoot(browser, hub, shot, language)
    return 0


if __name__ == "__main__":
    sys.exit(main())
