"""Pictures of a counter's screens for docs/operating: `python -m tests.browser.kioskshots`, after they have changed.

Invented pupils of whom nobody exists, in Debian's Chromium, as small .webp files. No test runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from playwright.sync_api import Page

from sim.counter import SimulatedCounter
from tests.browser.kioskwalk import SIZES, Screens, chromium
from tests.browser.screenshots import PICTURES, taken
from tests.browser.walking import LANGUAGES
from tests.edge.kiosk.counters import STATION, counter, kiosk_of

WIDTH, HEIGHT = SIZES[0]


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file's name, its page, what happens at the counter before, which keys are pressed then."""

    name: str
    page: str
    before: Callable[[SimulatedCounter], None]
    keys: tuple[str, ...] = ()


def _alert(of: SimulatedCounter) -> None:
    for student in ("st-90", "st-91", "st-1"):
        of.tap(STATION, student)
    of.tap(STATION, "st-1", "repeated")
    of.tap(STATION, None, "refused", "unknown")
    of.tap(STATION, "st-2")
    of.state(
        STATION, link=False, unsent=12, oldest_age_s=190, tally=replace(of.view(STATION).tally, served=211, left=227)
    )


def _second(of: SimulatedCounter) -> None:
    of.tap(STATION, "st-1", "second")


def _referred(of: SimulatedCounter) -> None:
    of.tap(STATION, None, "refused", "unknown")


SHOTS: Final = (
    Shot("counter-staff", "staff", _alert),
    Shot("counter-search", "staff", _alert, ("1", "3", "2", "Enter")),
    Shot("counter-keys", "staff", _alert, ("*",)),
    Shot("counter-pupil", "pupil", _second),
    Shot("counter-referred", "pupil", _referred),
)


def _shoot(page: Page, shot: Shot, language: str) -> None:
    for key in shot.keys:
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    octets = taken(page.context.new_cdp_session(page))
    (PICTURES / f"{shot.name}.{language}.webp").write_bytes(octets)
    print(f"{shot.name}.{language}.webp  {len(octets):,} bytes, {WIDTH} x {HEIGHT}")


def main() -> int:
    """Take them all, each at a counter of its own."""
    with chromium() as browser:
        for shot in SHOTS:
            for language in LANGUAGES:
                of = counter()
                with kiosk_of(of) as kiosk:
                    screens = Screens(browser, f"http://127.0.0.1:{kiosk.port}")
                    page = screens.open(f"/{shot.page}?station={STATION}&lang={language}", SIZES[0])
                    shot.before(of)
                    _shoot(page, shot, language)
                    page.context.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
