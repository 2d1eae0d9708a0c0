"""How a counter's screens look in a real browser, over a simulated counter: both sizes, both looks, every step."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from edge.canteen.ports import ClassTally, Done
from protocol.countersheet import Eater
from sim.counter import SimulatedCounter
from tests.browser.kioskwalk import CUT, SIZES, Screens, chromium
from tests.edge.kiosk.counters import STATION, counter, kiosk_of

CLASSES = (*(ClassTally(f"{n}A{n % 7}", 1038, 1021, 117) for n in range(1, 25)), ClassTally("", 0, 3, 0))
"""More than a page of them, with numbers as wide as they get."""
OUTCOMES = ("accepted", "second", "repeated", "refused", "wait", "alarm")
DEFICIENCIES = ("none", "achromatopsia", "deuteranopia", "protanopia", "tritanopia")
UNLIKE = """async ([one, other]) => {
  const grey = async (octets) => {
    const image = new Image();
    image.src = `data:image/png;base64,${octets}`;
    await image.decode();
    const ground = new OffscreenCanvas(256, 150).getContext('2d');
    ground.drawImage(image, 0, 0, 256, 150);
    const { data } = ground.getImageData(0, 0, 256, 150);
    return Array.from({ length: 256 * 150 }, (_, at) => (data[4 * at] + data[4 * at + 1] + data[4 * at + 2]) / 3);
  };
  const [a, b] = [await grey(one), await grey(other)];
  return a.filter((value, at) => Math.abs(value - b[at]) > 40).length / a.length;
}"""
"""The part of two pictures, in grey, that clearly differs."""
UNLIKE_LEAST = 0.01


@pytest.fixture(scope="module")
def of() -> SimulatedCounter:
    return counter()


@pytest.fixture(scope="module")
def screens(of: SimulatedCounter) -> Iterator[Screens]:
    with kiosk_of(of) as kiosk, chromium() as browser:
        yield Screens(browser, f"http://127.0.0.1:{kiosk.port}")


def busy(of: SimulatedCounter) -> None:
    """As full as a staff's screen gets: an alert, cards that wait, five servings, troubles of every kind."""
    for student in ("st-3", "st-1", "st-90", "st-91"):
        of.tap(STATION, student)
    of.tap(STATION, "st-1", "second")
    of.tap(STATION, "st-1", "repeated")
    for reason in ("unknown", "lost", "random"):
        of.tap(STATION, None, "refused", reason)
    of.tap(STATION, "st-2")
    tally = replace(of.view(STATION).tally, unheard=("quay-b", "quay-c"), strangers=3)
    of.state(STATION, link=False, unsent=1234, oldest_age_s=86_000, sure=False, reader="reader-lost", tally=tally)
    of.tallies = CLASSES
    of.state(STATION, sheet_day="2026-11-26", shown=replace(of.view(STATION).shown, alone=True))


def calm(of: SimulatedCounter) -> None:
    tally = replace(of.view(STATION).tally, unheard=(), strangers=0)
    of.state(STATION, link=True, unsent=0, sure=True, reader="ready", tally=tally, recent=(), waiting=())


def step(*keys: str) -> Callable[[Page], None]:
    """Press keys, and wait for what the last one shows."""

    def press(page: Page) -> None:
        for key in keys[:-1]:
            page.keyboard.press(key)
        page.locator(f'#work[data-mode="{keys[-1]}"]').wait_for()

    return press


STEPS = (
    step("home"),
    step("*", "menu"),
    step("1", "3", "2", "typing"),
    step("Enter", "choosing"),
    step("*", "2", "waiting"),
    step("*", "3", "stranger"),
    step("*", "4", "undo"),
    step("*", "5", "flip"),
    step("*", "6", "1", "shift"),
    step("*", "7", "classes"),
    step("+", "classes"),
    step("*", "4", "1", "home"),
)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(("size", "scheme"), [*zip(SIZES, ("light", "dark"), strict=True)])
def test_each_step_of_the_staffs_screen_fits_and_is_accessible(
    of: SimulatedCounter, screens: Screens, size: tuple[int, int], scheme: str, language: str
) -> None:
    busy(of)
    page = screens.open(f"/staff?station={STATION}&lang={language}", size, scheme=scheme)
    page.keyboard.press("*")
    page.keyboard.press("*")
    expect(page.locator("#news .trouble")).to_have_count(1)
    expect(page.locator("#news .more")).to_contain_text("[counter-unheard]")
    found = {}
    for number, go in enumerate(STEPS):
        go(page)
        # What stands there is the same in both languages but for the words, which are looked at in each.
        found[number] = screens.faults(page, axe=language == "vi")
    assert not any(found.values()), found
    page.context.close()
    calm(of)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_what_came_of_a_serving_by_hand_and_that_a_list_was_cut_fit(
    of: SimulatedCounter,
    screens: Screens,
    size: tuple[int, int],
    language: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy(of)
    many = [Eater(f"st-z{n}", "Nguyễn Hoàng Phương Uyên Thảo", "10A12", meals=["lunch"]) for n in range(60)]
    monkeypatch.setattr(of, "eaters", (*of.eaters, *many))
    page = screens.open(f"/staff?station={STATION}&lang={language}", size)
    cut = {"vi": "Hơn 48 em", "en": "More than 48"}[language]
    for done in (
        Done("slow-storage", later=lambda: None),
        Done("gone"),
        Done(None, came="pressed"),
        Done(None, came="repeated"),
    ):
        monkeypatch.setattr(of, "serve_name", lambda *_, came=done: came)
        # Wherever the test before left the desk: from a step `*` leads home, from there to the menu.
        step("*", "1", "typing")(page)
        step("t", "h", "a", "o", "typing")(page)
        expect(page.locator(".typed")).to_contain_text(cut)
        assert not page.evaluate(CUT), "the list"
        step("Enter", "choosing")(page)
        expect(page.locator(".typed")).to_contain_text(cut)
        assert not page.evaluate(CUT), "the list to choose from"
        step("1", "home")(page)
        expect(page.locator(".notice")).to_be_visible()
        assert not page.evaluate(CUT), done
    page.context.close()
    calm(of)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_the_head_holds_whose_shift_it_is_however_long_the_name_and_which_key_takes_it(
    of: SimulatedCounter, screens: Screens, size: tuple[int, int], language: str
) -> None:
    busy(of)
    page = screens.open(f"/staff?station={STATION}&lang={language}", size)
    for state in (
        {"shift_name": "Nguyễn Thị Phương Thảo, tổ trưởng tổ phục vụ bán trú (thay cô Hà)"[:64]},
        {"shift_name": "", "shift_by": "w" * 64},
        {"shift_by": None, "needs_login": True},
    ):
        of.state(STATION, **state)
        words = (
            {"vi": "bấm 6", "en": "press 6"}[language]
            if "needs_login" in state
            else {"vi": "Ca: ", "en": "Shift: "}[language]
        )
        expect(page.locator("#head li", has_text=words)).to_be_visible()
        assert not page.evaluate(CUT)
        if "needs_login" in state:
            assert page.locator("#head .old", has_text=words).evaluate("(one) => one.scrollWidth <= one.clientWidth")
    page.context.close()
    of.state(STATION, shift_by="lan", shift_name="Cô Lan", needs_login=False)
    calm(of)


@pytest.mark.parametrize(("size", "scheme"), [*zip(SIZES, ("dark", "light"), strict=True)])
def test_each_outcome_fits_and_is_accessible(
    of: SimulatedCounter, screens: Screens, size: tuple[int, int], scheme: str
) -> None:
    page = screens.open(f"/pupil?station={STATION}", size, scheme=scheme)
    of.state(STATION, link=False)
    found = {"idle": screens.faults(page)}
    for shape in OUTCOMES:
        show(of, page, shape)
        found[shape] = screens.faults(page)
        # Screen readers hear it, from a region that stays.
        heard = page.locator("#say")
        assert heard.inner_text().startswith(page.locator("#outcome .words").inner_text())
    assert not any(found.values()), found
    of.state(STATION, shown=replace(of.view(STATION).shown, shape="second", mono_ms=of.mono_ms() + 10**6))
    height_px = page.locator(".name").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
    assert height_px >= 60
    for path in (f"/rate?station={STATION}", "/", "/staff?station=none&lang=en"):
        page.goto(screens.url + path)
        screens.problems.clear()
        assert screens.faults(page) == [], path
    page.context.close()
    of.state(STATION, link=True)


def show(of: SimulatedCounter, page: Page, shape: str) -> None:
    """Have a page show an outcome that stays, and wait for it."""
    of.tap(STATION, "st-1", shape)
    look = {"refused": "referred", "alarm": "fault"}.get(shape, shape)
    # As if it had been shown a long time ahead: it stands while it is looked at.
    of.state(STATION, shown=replace(of.view(STATION).shown, mono_ms=of.mono_ms() + 10**6))
    page.locator(f"#outcome.{look}").wait_for()


def test_outcomes_are_told_apart_without_any_colour(of: SimulatedCounter, screens: Screens) -> None:
    """And by whoever sees few colours: any two differ in a part of the screen, in grey values alone."""
    page = screens.open(f"/pupil?station={STATION}", SIZES[0])
    session = page.context.new_cdp_session(page)
    taken: dict[str, dict[str, str]] = {kind: {} for kind in DEFICIENCIES}
    for shape in OUTCOMES:
        show(of, page, shape)
        for kind in DEFICIENCIES:
            session.send("Emulation.setEmulatedVisionDeficiency", {"type": kind})
            taken[kind][shape] = base64.b64encode(page.screenshot()).decode()
    blank = page.context.new_page()
    alike: list[Any] = []
    for kind, pictures in taken.items():
        for one, other in combinations(OUTCOMES, 2):
            part = blank.evaluate(UNLIKE, [pictures[one], pictures[other]])
            if part < UNLIKE_LEAST:
                alike.append((kind, one, other, part))
    assert not alike
    assert blank.evaluate(UNLIKE, [taken["none"]["second"]] * 2) == 0
    page.context.close()


def test_a_face_is_touched_or_typed_and_thanked_for(of: SimulatedCounter, screens: Screens) -> None:
    page = screens.open(f"/rate?station={STATION}", SIZES[0], touch=True)
    faces, thanks = len(of.faces), page.locator("#answer")
    page.get_by_role("button", name="Chưa ngon").tap()
    expect(thanks).to_have_text("Cảm ơn con!")
    expect(thanks).to_have_text("")
    page.keyboard.press("1")
    expect(thanks).to_have_text("Cảm ơn con!")
    assert of.faces[faces:] == ["bad", "good"]
    expect(thanks).to_have_text("")
    of.code = "journal-full"
    page.keyboard.press("2")
    expect(thanks).to_have_text("Chưa ghi được. Con bấm lại sau nhé")
    of.code = None
    page.context.close()
