"""Walking: Debian's Chromium over the hub's pages, and what is wrong with each by axe, sizes and the console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from hub.access.rights import CLASS_ROLES, MATRIX, ROLES, Role
from hub.web.registry import PAGES
from hub.web.registry import Page as Entry
from tests.browser.pairs import Pair, covering
from tests.browser.samples import furnish, people
from tests.hub.web.dayhub import DayHub, day_hub

WIDTHS = ("390", "1024", "1280")
HEIGHTS = {"390": 844, "1024": 768, "1280": 900}
THEMES = ("light", "dark")
LANGUAGES = ("vi", "en")
NOBODY = "nobody"
AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}
CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
TARGET_PX = 44
"""UX: what people touch. Links within a sentence are let off, as in WCAG 2.5.8."""
SMALL_TARGETS = """(least) => [...document.querySelectorAll(
    'button, .button, nav a, input:not([type=hidden]), select, summary')]
  .filter((one) => one.checkVisibility() && !['checkbox', 'radio'].includes(one.type))
  .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
  .filter(([, box]) => box.height < least - 0.5 || box.width < least - 0.5)
  .map(([text, box]) => `${text} ${box.width}x${box.height}`)"""
Row = tuple[str, str, str, str, str]
"""Path in the registry, role (or nobody), width, look, language."""


def visible(page: Entry, role: str) -> bool:
    """Whether a role may open a page, said anew from the matrix; open pages are walked by nobody."""
    if page.right == "open":
        return role == NOBODY
    if role == NOBODY:
        return False
    if page.right == "account":
        return True
    return page.right in MATRIX[role] and (page.of != "school" or role not in CLASS_ROLES)  # type: ignore[index]


def in_order(rows: list[Row]) -> list[Row]:
    """So that a tab changes its width, look and language seldom, which costs as much as a page."""
    return sorted(rows, key=lambda row: (row[1], row[2], row[3], row[4], row[0]))


def every_row() -> list[Row]:
    """All combinations."""
    pairs = [(page.path, role) for page in PAGES for role in (*ROLES, NOBODY) if visible(page, role)]
    return [(path, role, *rest) for (path, role), rest in product(pairs, product(WIDTHS, THEMES, LANGUAGES))]  # type: ignore[misc]


def some_rows() -> list[Row]:
    """Every role with every width, look and language, and these with each other; every page on a phone, in both looks
    and languages. Which role may open which page is tested without a browser.
    """

    def needed(pair: Pair) -> bool:
        a, _, b, value = pair
        page_with_role, page_with_width = (a, b) == (0, 1), (a, b) == (0, 2)
        return not page_with_role and (not page_with_width or value == WIDTHS[0])

    return in_order(covering(every_row(), needed))


class Walker:
    """See the room. One browser and one tab, as a new one costs three pages; each role has its own cookies."""

    def __init__(self, hub: DayHub, browser: Browser) -> None:
        self.hub, self.browser = hub, browser
        self.addresses: Mapping[str, str] = furnish(hub)
        self.secrets: Mapping[Role, str] = people(hub)
        self._page: Page | None = None
        self._role = NOBODY
        self._look: tuple[str, str] | None = None
        self.problems: list[str] = []

    def page(self, role: str) -> Page:
        """The tab, in which from now on a role is logged in; it tells of errors and of every foreign request."""
        if self._page is None:
            context = self.browser.new_context(locale="vi-VN", timezone_id="Asia/Ho_Chi_Minh", reduced_motion="reduce")
            page = self._page = context.new_page()
            page.on("console", lambda said: said.type in ("error", "warning") and self.problems.append(said.text))
            page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
            page.on("request", lambda request: self._asked(request.url))
        if self._role != role:
            # What the one before left open may ask on until the next page, as somebody who isn't logged in.
            self._page.goto("about:blank")
            self._page.context.clear_cookies()
            if role != NOBODY:
                self._cookie(self._page.context, "k12", self.secrets[role])  # type: ignore[index]
            self._role, self._look = role, None
        return self._page

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.hub.url).netloc and not url.startswith(("data:", "blob:")):
            self.problems.append(f"asks {url}")

    def _cookie(self, context: BrowserContext, name: str, value: str) -> None:
        context.add_cookies([{"name": name, "value": value, "url": self.hub.url, "sameSite": "Strict"}])

    def visit(self, row: Row) -> list[str]:
        """Open a page as a row says; what is wrong with it."""
        path, role, width, theme, language = row
        page = self.page(role)
        if page.viewport_size != {"width": int(width), "height": HEIGHTS[width]}:
            page.set_viewport_size({"width": int(width), "height": HEIGHTS[width]})
        if self._look != (theme, language):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            self._cookie(page.context, "lang", language)
            self._look = (theme, language)
        self.problems.clear()
        answer = page.goto(self.hub.url + self.addresses.get(path, path), wait_until="load")
        found = [] if answer is not None and answer.ok else [f"status {answer and answer.status}"]
        return [*found, *self.look(page, language)]

    def look(self, page: Page, language: str) -> list[str]:
        """What is wrong with a page as it stands, and what was said since the last look."""
        found = []
        if page.get_attribute("html", "lang") != language:
            found.append(f"lang is not {language}")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append("scrolls sideways")
        found += [f"small: {one}" for one in page.evaluate(SMALL_TARGETS, TARGET_PX)]
        answer: Any = Axe().run(page, options=AXE).response
        for violation in answer["violations"]:
            nodes = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
            found.append(f"axe {violation['id']}: {nodes}")
        found += self.problems
        self.problems.clear()
        return found

    def close(self) -> None:
        if self._page is not None:
            self._page.context.close()


@contextmanager
def walker(folder: Path, **more: Any) -> Iterator[Walker]:
    """A furnished hub and a browser at it; `more` as for `day_hub`."""
    assert CHROMIUM is not None, "chromium is not installed (tests/install-system-packages)"
    args = ["--no-sandbox"] if os.getuid() == 0 else []
    with day_hub(folder, **more) as hub, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        made = Walker(hub, browser)
        try:
            yield made
        finally:
            made.close()
            browser.close()
