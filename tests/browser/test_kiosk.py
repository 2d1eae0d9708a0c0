"""A lunch at a real gateway's screens, in a real browser, at both sizes: whatever comes, everybody eats."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.kioskwalk import SIZES, Screens, chromium
from tests.browser.lunch import CLASSES, PIN, QUAY, SERIAL, WINDOW_S, Lunch, lunch
from tests.edge.room import data_of
from tests.edge.running import until

SETTLED = (
    "() => [...document.querySelectorAll('[data-moves]')].every((one) => performance.now() - (one.movedAt ?? 0) > 360)"
)
"""The lists have stood for a moment: a finger that is on its way now means what it sees."""


MOVED = """(ahead) => document.querySelectorAll('[data-moves]')
  .forEach((one) => { one.movedAt = performance.now() + ahead; })"""
"""The lists moved a moment ago, and that much later."""


@dataclass(slots=True)
class Counter:
    """A counter's two screens of one size, and its pupils."""

    lunch: Lunch
    screens: Screens
    pupil: Page
    staff: Page
    of: str

    def tap(self, name: str) -> None:
        self.lunch.tap(f"{name}-{self.of}")

    def shows(self, look: str, words: str) -> None:
        """The pupils' screen shows it."""
        expect(self.pupil.locator(f"#outcome.{look}")).to_contain_text(words)

    def rests(self) -> None:
        """Nobody's outcome is on the pupils' screen any more."""
        expect(self.pupil.locator("#outcome.idle")).to_be_visible()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.staff.keyboard.press(key)

    def touch(self, name: str | re.Pattern[str]) -> None:
        """Touch the first button of a name, once its list has stood a while."""
        self.staff.wait_for_function(SETTLED)
        self.staff.get_by_role("button", name=name).first.tap()

    def step(self, mode: str) -> None:
        expect(self.staff.locator("#work")).to_have_attribute("data-mode", mode)

    def notice(self, words: str) -> None:
        expect(self.staff.locator("#news .notice")).to_contain_text(words)

    def number(self, word: str) -> int:
        return int(self.staff.locator("#numbers div", has_text=word).locator("dd").inner_text())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lunch, Screens]]:
    with lunch(tmp_path_factory.mktemp("lunch")) as made, chromium() as browser:
        until(lambda: "http://127.0.0.1" in made.gateway.log.read_text(encoding="utf-8"), "the screens are served")
        yield made, Screens(browser, made.url)


@pytest.fixture(params=[0, 1], ids=["1024x600", "1280x800"])
def counter(request: pytest.FixtureRequest, served: tuple[Lunch, Screens]) -> Iterator[Counter]:
    made, screens = served
    screens.problems.clear()
    size = SIZES[request.param]
    tabs = [screens.open(f"/{page}?station={QUAY}", size, touch=True) for page in ("pupil", "staff")]
    yield Counter(made, screens, *tabs, CLASSES[request.param].replace("/", "-"))
    for tab in tabs:
        tab.context.close()


def test_a_lunch(counter: Counter) -> None:
    counter.lunch.begun += 1
    _no_network_yet(counter)
    _network_comes_and_goes(counter)
    _the_shift_is_taken_while_pupils_tap(counter)
    _tap_alert_repeat(counter)
    _unknown_card(counter)
    _by_name_with_the_keypad(counter)
    _second_helping(counter)
    _journal_full(counter)
    _reader_goes_and_comes(counter)
    _gateway_killed(counter)
    _the_shift_is_given_back(counter)
    # Browsers say of a gateway that is gone that it is gone.
    assert [one for one in counter.screens.problems if "ERR_" not in one] == []


def _no_network_yet(counter: Counter) -> None:
    expect(counter.pupil.locator("#offline")).to_have_text("Mất kết nối – thẻ vẫn được ghi")
    expect(counter.staff.locator("#news")).to_contain_text("[hub-unreachable]")


def _the_shift_is_taken_while_pupils_tap(counter: Counter) -> None:
    counter.step("shift")
    counter.keys(*"111111", "Enter")
    counter.notice("[pin-wrong]")
    counter.keys(*PIN[:3])
    counter.tap("chi")
    counter.shows("accepted", "Chi")
    expect(counter.staff.locator("#last")).to_contain_text("Lê Chi")
    expect(counter.staff.locator("#work output")).to_have_text("●●●")
    # Nowhere in the page, as a word of its own: random names of hex digits hold any three digits now and then.
    assert re.search(rf"(?<![0-9a-f]){PIN[:3]}(?![0-9a-f])", counter.staff.content()) is None
    for digit in PIN[3:]:
        counter.touch(digit)
    counter.touch("Enter")
    counter.notice("Đã nhận ca")
    expect(counter.staff.locator("#head")).to_contain_text("Ca: Cô Lan")
    counter.step("home")


def _tap_alert_repeat(counter: Counter) -> None:
    before = counter.staff.evaluate("Number(document.body.dataset.chimes || 0)")
    counter.tap("an")
    counter.shows("accepted", "An")
    counter.tap("an")
    counter.shows("repeated", "Đã ghi rồi")
    assert counter.pupil.locator("#outcome .class").inner_text() == counter.of.replace("-", "/")
    page = counter.pupil.content()
    assert "lạc" not in page
    assert "Hoà" not in page
    alert = counter.staff.locator("#last .alert")
    expect(alert).to_contain_text("Không được ăn: lạc")
    expect(alert).to_contain_text("nhà trường đã xác nhận")
    expect(counter.staff.locator("#last")).to_contain_text("Suất cháo")
    counter.tap("binh")
    counter.shows("accepted", "Bình")
    expect(alert).to_contain_text("mới nghe báo, chưa xác nhận")
    assert counter.staff.evaluate("Number(document.body.dataset.chimes)") > before
    counter.rests()


def _unknown_card(counter: Counter) -> None:
    counter.tap("nobody")
    counter.shows("referred", "Mời con gặp cô")
    page = counter.pupil.locator("#outcome").evaluate("(one) => one.innerHTML")
    waits = counter.staff.locator(".waiting .row")
    expect(waits).to_contain_text("thẻ lạ")
    first = counter.staff.locator(".waiting button").first
    assert first.evaluate("(one) => one.closest('[data-moves]').movedAt") > 0
    # As if the list moved at whatever moment the finger comes down: a loaded machine's finger is late.
    counter.staff.evaluate(MOVED, 3_600_000)
    first.tap()
    counter.notice("[moved]")
    counter.staff.evaluate(MOVED, 0)
    served = counter.number("Đã phát")
    counter.touch(re.compile("Phát cho Chưa biết tên"))
    counter.notice("Đã phát cho người chưa biết tên")
    counter.shows("accepted", "Đã ghi")
    expect(waits).to_have_count(0)
    expect(counter.staff.locator(".recent .row").first).to_contain_text("không thẻ")
    assert counter.number("Đã phát") == served
    counter.tap("lost")
    counter.shows("referred", "Mời con gặp cô")
    assert counter.pupil.locator("#outcome").evaluate("(one) => one.innerHTML") == page
    expect(waits).to_contain_text("thẻ đã báo mất")
    counter.keys("2", "1")
    expect(waits).to_have_count(0)


def _by_name_with_the_keypad(counter: Counter) -> None:
    counter.keys("1", *counter.of.replace("-", ""), "-", *"244")
    expect(counter.staff.locator(".lines button")).to_have_count(1)
    counter.staff.reload()
    expect(counter.staff.locator("#work output")).to_have_text(f"{counter.of.replace('-', '')} 244")
    counter.keys("Enter")
    counter.step("choosing")
    counter.keys("1")
    counter.notice("Đã phát cho Lê Chi")
    counter.shows("second", "Mời con ăn thêm")
    counter.keys("4", "1")
    counter.notice("Đã hủy lượt của Lê Chi lúc")
    expect(counter.staff.locator(".recent .row.undone")).to_have_count(1)
    counter.staff.locator("#news .notice button").tap()
    counter.notice("Đã lấy lại lượt của Lê Chi lúc")
    counter.touch(re.compile("Hủy lượt của Lê Chi"))
    counter.notice("Đã hủy lượt của Lê Chi lúc")


def _second_helping(counter: Counter) -> None:
    began_s = time.monotonic()
    counter.rests()
    until(lambda: time.monotonic() - began_s > WINDOW_S, "the same tray's time is over")
    seconds = counter.number("Phần thêm")
    counter.tap("an")
    counter.shows("second", "Mời con ăn thêm")
    expect(counter.staff.locator("#numbers div", has_text="Phần thêm").locator("dd")).to_have_text(str(seconds + 1))
    counter.keys("5", "1")
    counter.notice("Đã đổi lượt của Nguyễn Thị Hoà An lúc")
    expect(counter.staff.locator(".recent .row").first).to_contain_text("trùng, không tính")
    assert counter.number("Phần thêm") == seconds
    counter.touch(re.compile("Là phần thêm"))
    expect(counter.staff.locator(".recent .row").first).to_contain_text("lần 2")
    assert counter.number("Phần thêm") == seconds + 1


def _journal_full(counter: Counter) -> None:
    if not counter.lunch.disk.is_mount():
        return
    filler = counter.lunch.fill()
    counter.tap("binh")
    counter.shows("fault", "Con vẫn nhận cơm")
    expect(counter.staff.locator("#news .trouble.red")).to_contain_text("Vẫn phát cơm: ghi giấy, nhập lại sau")
    counter.keys("3", "Enter")
    counter.notice("[journal-full]")
    filler.unlink()
    counter.keys("3", "Enter")
    counter.notice("Đã phát cho người chưa biết tên")
    counter.shows("accepted", "Đã ghi")
    expect(counter.staff.locator("#news .trouble.red")).to_have_count(0)


def _network_comes_and_goes(counter: Counter) -> None:
    counter.lunch.connect()
    # A gateway asks for its broker less and less often, and at least every 30 s.
    expect(counter.pupil.locator("#offline")).to_be_hidden(timeout=40_000)
    expect(counter.staff.locator("#news")).not_to_contain_text("[hub-unreachable]")
    counter.lunch.disconnect()
    expect(counter.pupil.locator("#offline")).to_be_visible()
    expect(counter.staff.locator("#news")).to_contain_text("Thẻ vẫn được ghi")


def _reader_goes_and_comes(counter: Counter) -> None:
    page = counter.pupil.context.new_page()
    page.goto(f"{counter.lunch.url}/pupil?station={SERIAL}")
    expect(page.locator("#outcome.idle")).to_be_visible()
    counter.lunch.serial.unplug()
    expect(page.locator("#outcome.fault")).to_contain_text("Con nói tên với cô nhé", timeout=20_000)
    counter.lunch.serial.plug()
    expect(page.locator("#outcome.idle")).to_be_visible(timeout=20_000)
    page.close()


def _gateway_killed(counter: Counter) -> None:
    before = counter.staff.locator(".recent").text_content() or ""
    counter.lunch.gateway.end(signal.SIGKILL)
    expect(counter.pupil.locator("#cutoff")).to_contain_text("Màn hình đang nối lại")
    expect(counter.staff.locator("#cutoff")).to_be_visible()
    counter.lunch.again()
    expect(counter.pupil.locator("#cutoff")).to_be_hidden(timeout=30_000)
    expect(counter.staff.locator("#head")).to_contain_text("Ca: Cô Lan", timeout=30_000)
    # The page loads itself anew, and may stand there before its looks do.
    expect(counter.staff.locator(".recent")).to_have_text(before)
    counter.tap("chi")
    counter.shows("second", "Chi")


def _the_shift_is_given_back(counter: Counter) -> None:
    counter.keys("6")
    expect(counter.staff.locator("#work")).to_contain_text("Enter: trả ca của Cô Lan")
    counter.keys("Enter")
    counter.notice("Đã trả ca")
    counter.step("shift")
    expect(counter.staff.locator("#head .old", has_text="Chưa ai nhận ca: bấm 6 rồi nhập PIN")).to_be_visible()


def test_every_screen_was_a_record(served: tuple[Lunch, Screens]) -> None:
    """After the lunches that this worker was given: who was served is on the disk, once, and by whom."""
    found, begun = served[0].records(), served[0].begun
    taps = [data_of(event) for event in found if event.name == "meal.pickup"]
    hands = [tap["hand"] for tap in taps if "hand" in tap]
    assert {hand["how"] for hand in hands} == ({"name", "stranger"} if begun else set())
    assert {hand["by"] for hand in hands} == ({"lan"} if begun else set())
    referred = [event.id for event in found if event.name == "meal.referred"]
    assert sorted(hand["of"] for hand in hands if hand.get("of")) == sorted(referred)
    corrections = [data_of(event)["why"] for event in found if event.name == "meal.correction"]
    assert corrections == ["undone", "done", "undone", "repeat", "second"] * begun
    assert "meal.refused" not in {event.name for event in found}
