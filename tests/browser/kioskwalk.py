"""Debian's Chromium before a counter's screens: two tabs of one size and look, and what is wrong with a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.walking import AXE, CHROMIUM, SMALL_TARGETS
from tests.patience import within

SIZES: Final = ((1024, 600), (1280, 800))
TARGET_PX: Final = 64
"""UX: what wet fingers touch."""
CUT: Final = """() => [...document.querySelectorAll('button, p, h2, dd, li, output')]
  .filter((one) => one.checkVisibility() && !one.closest('.unseen') && one.textContent.trim())
  .filter((one) => { const box = one.getBoundingClientRect(), ground = document.documentElement;
    const hides = one.closest('#head, #work, #news, #screen');
    const room = hides ? hides.getBoundingClientRect() : { bottom: ground.clientHeight, right: ground.clientWidth };
    return box.bottom > room.bottom + 1 || box.right > room.right + 1; })
  .map((one) => `${one.tagName} ${one.textContent.trim().slice(0, 40)}`)"""
"""What lies outside of the part that it belongs to: nobody can scroll there."""
SQUEEZED: Final = """() => {
  const shown = [...document.querySelectorAll('button, th, td')].filter((one) => one.checkVisibility());
  const said = (one) => `${one.tagName} ${one.textContent.trim().slice(0, 40)}`;
  const cut = shown.filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight).map(said);
  const boxes = shown.map((one) => one.getBoundingClientRect());
  boxes.forEach((box, at) => boxes.slice(at + 1).forEach((other, more) => {
    const across = box.left + 1 < other.right && other.left + 1 < box.right;
    if (across && box.top + 1 < other.bottom && other.top + 1 < box.bottom)
      cut.push(`${said(shown[at])} lies over ${said(shown[at + 1 + more])}`);
  }));
  return cut;
}"""
"""What doesn't hold its own words, and what lies over another thing to touch or read."""
expect.set_options(timeout=within(5) * 1000)


@dataclass(slots=True)
class Screens:
    """Tabs on a kiosk at `url`; `problems` are what browsers complained of and every foreign request."""

    browser: Browser
    url: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str, size: tuple[int, int], *, scheme: Any = "light", touch: bool = False) -> Page:
        """A tab of its own at a page."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="vi-VN", has_touch=touch
        )
        page = context.new_page()
        page.set_default_timeout(within(10) * 1000)
        page.on("console", lambda said: said.type in ("error", "warning") and self.problems.append(said.text))
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.goto(self.url + path, wait_until="load")
        return page

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.problems.append(f"asks {url}")

    def faults(self, page: Page, *, axe: bool = True) -> list[str]:
        """What is wrong with a page as it stands: scrolling, small targets, what is cut off, axe, complaints."""
        found = [f"small: {one}" for one in page.evaluate(SMALL_TARGETS, TARGET_PX)]
        found += [f"cut: {one}" for one in (*page.evaluate(CUT), *page.evaluate(SQUEEZED))]
        if page.evaluate("(r => r.scrollHeight > innerHeight || r.scrollWidth > innerWidth)(document.documentElement)"):
            found.append("scrolls")
        if axe:
            answer: Any = Axe().run(page, options=AXE).response
            for violation in answer["violations"]:
                nodes = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
                found.append(f"axe {violation['id']}: {nodes}")
        found += self.problems
        self.problems.clear()
        return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    assert CHROMIUM is not None, "chromium is not installed (tests/install-system-packages)"
    args = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        try:
            yield browser
        finally:
            browser.close()
