"""Pictures of the pages for docs/operating: `python -m tests.browser.screenshots`, after the pages have changed.

An invented school of which nobody exists, in Debian's Chromium, as small .webp files. No test runs it.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import CDPSession, Page

from hub.web.registry import PAGES
from tests.browser.walking import HEIGHTS, LANGUAGES, Walker, walker
from tests.hub.lists.school import book
from tests.hub.web.dayhub import DayHub, pupils_of
from tests.hub.web.pagehub import CLASS

PICTURES: Final = Path(__file__).parents[2] / "docs" / "operating" / "pictures"
BYTES_MAX: Final = 80_000
QUALITIES: Final = (80, 65, 50, 35, 20)
"""Chromium's webp quality; the next one where a picture is too large."""
CLASSES: Final = ("1/1", "1/2", "2/1", "2/2", CLASS, "3/3", "4/1", "5/1")
SCHOOL: Final = [row for at, name in enumerate(CLASSES) for row in pupils_of(name, 31 - at, 100 * at)]
SHEET: Final = [
    ["Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh"],
    ["1/1", "HS2601", "Nguyễn Thị Khánh An", "12/03/2020"],
    ["1/1", "HS2602", "Lê Gia Bảo", "30/11/2020"],
    ["1/2", "HS2603", "Đặng Minh Châu", "05/07/2020"],
    [CLASS, "HS2604", "Trần Đức Dũng", "21/01/2018"],
]


STAFF: Final = {
    "teacher": "Nguyễn Thị Lan",
    "principal": "Trần Văn Minh",
    "guard": "Lê Văn Bảo",
    "it": "Phạm Quốc Khánh",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file's name, who looks at which page, how wide, and what is done there before."""

    name: str
    role: str
    path: str
    width: str = "1024"
    before: Callable[[Page], None] | None = None


def _previewed(page: Page) -> None:
    octets = book(("Danh sách", SHEET))
    page.set_input_files("#file", {"name": "C1-HocSinh.xlsx", "mimeType": "application/xlsx", "buffer": octets})
    page.check("#part")
    with page.expect_navigation(wait_until="load"):
        page.click("button.main")


def _found(page: Page) -> None:
    page.fill("#q", "minh 3/2")
    page.locator("#found button").first.wait_for()


SHOTS: Final = (
    Shot("roll", "teacher", "/roll", "390"),
    Shot("today", "principal", "/today"),
    Shot("class", "teacher", "/class"),
    Shot("red-ink", "teacher", "/class/red"),
    Shot("gate", "guard", "/gate"),
    Shot("guard", "guard", "/guard", "390", _found),
    Shot("onsite", "guard", "/onsite", "390"),
    Shot("pupil", "teacher", "/pupil/st-3-2-10"),
    Shot("cards", "it", "/cards"),
    Shot("desk", "it", "/cards/desk"),
    Shot("roster", "principal", "/roster", before=_previewed),
    Shot("calendar", "principal", "/calendar"),
    Shot("reports", "principal", "/reports"),
    Shot("messages", "principal", "/messages"),
    Shot("devices", "it", "/devices"),
    Shot("users", "it", "/users"),
)


def _morning(hub: DayHub) -> None:
    """Most of the school comes between 06:40 and 07:00; staff have names."""
    with hub.store.database.transaction():
        for role, shown in STAFF.items():
            run = hub.store.database.connection.execute
            run("UPDATE users SET shown = ? WHERE name = ?", (shown, f"{role}.user"))
    for at, row in enumerate(SCHOOL):
        mine = row.school_class == CLASS
        # The samples have the first dozen of this class; a few of it, and one in 23 of the others, haven't come.
        if (mine and 12 <= int(row.pupil_key.rpartition("-")[2]) < 29) or (not mine and at % 23):
            hub.tap(row.pupil_key, f"06:{40 + at % 20}:{at % 60:02}")
    # The gate says it all; one that was never heard of would be waited for.
    hub.ask("devices-retire", device="cong-truoc")
    hub.watermark("07:12")
    hub.deliver()
    hub.now("07:12")
    hub.heard()
    hub.settle()


def taken(session: CDPSession) -> bytes:
    """What a tab shows, as the best picture that is small enough."""
    octets = b""
    for quality in QUALITIES:
        asked = {"format": "webp", "quality": quality}
        octets = base64.b64decode(session.send("Page.captureScreenshot", asked)["data"])
        if len(octets) <= BYTES_MAX:
            break
    assert len(octets) <= BYTES_MAX, "the picture is too large at any quality"
    return octets


def _shoot(chromium: Walker, shot: Shot, language: str) -> None:
    chromium.visit((shot.path, shot.role, shot.width, "light", language))
    page = chromium.page(shot.role)
    if shot.before is not None:
        shot.before(page)
    # The menu opens by itself where there is room; here it would be half of the picture.
    page.evaluate("document.querySelectorAll('nav details').forEach((one) => { one.open = false; })")
    octets = taken(page.context.new_cdp_session(page))
    (PICTURES / f"{shot.name}.{language}.webp").write_bytes(octets)
    print(f"{shot.name}.{language}.webp  {len(octets):,} bytes, {shot.width} x {HEIGHTS[shot.width]}")


def main() -> int:
    """Take them all; pages that this version doesn't have are passed over."""
    PICTURES.mkdir(exist_ok=True)
    there = {page.path for page in PAGES}
    with tempfile.TemporaryDirectory() as folder, walker(Path(folder) / "hub", roster=SCHOOL) as chromium:
        _morning(chromium.hub)
        for shot in SHOTS:
            if shot.path in there or shot.path.startswith("/pupil/"):
                for language in LANGUAGES:
                    _shoot(chromium, shot, language)
    return 0


if __name__ == "__main__":
    sys.exit(main())
