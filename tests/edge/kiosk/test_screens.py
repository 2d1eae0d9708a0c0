from __future__ import annotations

import threading
from typing import Any

import pytest

from edge.canteen.ports import ClassTally, CounterView, Done
from edge.kiosk.screens import RATE_PAUSE_MS, StationScreens
from sim.counter import SimulatedCounter
from tests.edge.kiosk.counters import STATION, counter
from tests.patience import within


class Clocked(StationScreens):
    """Screens of a counter with a clock that tests set."""

    def __init__(self, of: SimulatedCounter) -> None:
        self.now_ms = of.mono_ms()
        super().__init__(of, STATION, lambda: self.now_ms)

    def staff(self) -> str:
        return self.frames([("staff", "vi")])[0]["staff", "vi"].html

    def keys(self, *keys: str) -> str:
        for key in keys:
            self.press(key)
        return self.staff()


@pytest.fixture
def of() -> SimulatedCounter:
    return counter()


@pytest.fixture
def screens(of: SimulatedCounter) -> Clocked:
    return Clocked(of)


def test_a_pupil_is_found_and_served_by_the_keypad(of: SimulatedCounter, screens: Clocked) -> None:
    page = screens.keys("1", "3", "2", "Enter")
    assert "Trang 1/3" in page
    page = screens.keys("+", "+", "-", "Backspace", "Enter", "2")
    assert of.view(STATION).recent[0].name == "Lê Gia Bảo"
    assert "Đã phát cho Lê Gia Bảo 3/2" in page
    assert 'data-mode="home"' in page


def test_a_waiting_cards_pupil_is_found_and_served_for_that_card(of: SimulatedCounter, screens: Clocked) -> None:
    of.tap(STATION, None, "refused", "lost")
    (waits,) = of.view(STATION).waiting
    page = screens.keys("2", "/")
    assert "Bấm số của thẻ" in page and 'aria-pressed="true"' in page
    assert f"Cho thẻ chạm lúc {waits.time}" in screens.keys("1")
    page = screens.keys("3", "2", "Enter", "2")
    assert "Đã phát cho Lê Gia Bảo 3/2" in page and of.view(STATION).waiting == ()
    assert [one.how for one in of.view(STATION).recent] == ["name"]


def test_two_fingers_on_one_card_serve_it_once(of: SimulatedCounter, screens: Clocked) -> None:
    tap = of.tap(STATION, None, "refused", "unknown")
    page = screens.keys(f"serve:{tap}", f"serve:{tap}")
    assert len(of.view(STATION).recent) == 1
    assert "[gone]" in page


def test_two_pages_at_once_serve_it_once_too(of: SimulatedCounter, screens: Clocked) -> None:
    tap = of.tap(STATION, None, "refused", "unknown")
    both = [threading.Thread(target=screens.press, args=(f"serve:{tap}",)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(of.view(STATION).recent) == 1


@pytest.mark.parametrize("token", ["undo:x.1", "redo:x.1", "flip:x.1", "serve:x.1", "name:st-1"])
def test_what_no_button_offers_is_not_done(of: SimulatedCounter, screens: Clocked, token: str) -> None:
    assert "[gone]" in screens.keys(token)
    assert of.view(STATION).recent == ()


def test_undo_says_whom_and_redo_takes_it_back(of: SimulatedCounter, screens: Clocked) -> None:
    of.tap(STATION, "st-1")
    page = screens.keys("4", "1")
    assert "Đã hủy lượt của Nguyễn Thị Khánh An lúc 10:45:07" in page
    assert of.view(STATION).recent[0].undone
    token = page.partition('class="notice"')[2].partition('data-press="')[2].partition('"')[0]
    assert "Đã lấy lại lượt của Nguyễn Thị Khánh An lúc 10:45:07" in screens.keys(token)
    assert not of.view(STATION).recent[0].undone


def test_the_classes_numbers_are_the_newest_and_asked_for_at_their_step_alone(
    of: SimulatedCounter, screens: Clocked
) -> None:
    asked = []

    def classes(station: str) -> tuple[ClassTally, ...]:
        asked.append(station)
        return (ClassTally("3/2", 14, len(asked), 9),)

    of.classes = classes  # type: ignore[method-assign]
    screens.keys("1", "*", "2", "*")
    assert asked == []
    first = screens.keys("7")
    assert '<th scope="row">3/2</th><td>14</td>' in first and screens.staff() != first
    before = len(asked)
    screens.keys("*")
    screens.staff()
    assert len(asked) == before + 1, "the look before the key that leaves the step"


def test_a_full_journal_is_told_and_food_goes_on(of: SimulatedCounter, screens: Clocked) -> None:
    tap = of.tap(STATION, None, "refused", "lost")
    of.code = "journal-full"
    page = screens.keys(f"serve:{tap}")
    assert "Vẫn phát cơm: ghi giấy, nhập lại sau [journal-full]" in page
    of.code = None
    assert "Đã phát cho người chưa biết tên" in screens.keys(f"serve:{tap}")


def test_a_shift_is_taken_and_given_back(of: SimulatedCounter, screens: Clocked) -> None:
    of.state(STATION, shift_by=None, needs_login=True)
    assert 'data-mode="shift"' in screens.staff()
    page = screens.keys(*"111111", "Enter")
    assert "[pin-wrong]" in page
    assert 'data-mode="shift"' in page
    assert "111111" not in page
    page = screens.keys(*"271828", "Enter")
    assert "Đã nhận ca" in page
    assert 'data-mode="home"' in page
    screens.keys("6", "Enter")
    assert of.view(STATION).shift_by is None


class Broken(SimulatedCounter):
    """A counter whose parts fail when asked."""

    views_fail = acts_fail = False

    def view(self, station: str) -> CounterView:
        if self.views_fail:
            raise RuntimeError("a fault of ours")
        return super().view(station)

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        if self.acts_fail:
            raise RuntimeError("a fault of ours")
        return super().serve_stranger(station, of, by)


def test_a_fault_of_ours_is_a_screen_that_says_so_and_the_next_look_is_well() -> None:
    of = Broken((STATION,))
    screens = Clocked(of)
    of.views_fail = True
    frames, _ = screens.frames([("pupil", "vi"), ("staff", "en")])
    assert all("[screen-failed]" in frame.html for frame in frames.values())
    of.views_fail = False
    after = screens.frames([("pupil", "vi")])[0]["pupil", "vi"]
    assert "Mời con chạm thẻ" in after.html
    assert after.number > frames["pupil", "vi"].number


def test_an_act_that_fails_unforeseen_is_told_and_the_desk_goes_on() -> None:
    of = Broken((STATION,))
    of.acts_fail = True
    assert "[kiosk-failed]" in Clocked(of).keys("3", "Enter")


class Slow(SimulatedCounter):
    """A counter whose commit waits for the test."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked, self.go = threading.Event(), threading.Event()

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        self.asked.set()
        assert self.go.wait(within(10))
        return super().serve_stranger(station, of, by)


def test_a_slow_commit_holds_up_no_look() -> None:
    of = Slow((STATION,))
    screens = Clocked(of)
    screens.press("3")
    acting = threading.Thread(target=screens.press, args=("Enter",))
    acting.start()
    assert of.asked.wait(within(5))
    of.tap(STATION, None, "wait")
    assert "Chờ một chút" in screens.frames([("pupil", "vi")])[0]["pupil", "vi"].html
    of.go.set()
    acting.join()
    assert len(of.view(STATION).recent) == 2


def test_steps_end_by_themselves(screens: Clocked) -> None:
    assert 'data-mode="typing"' in screens.keys("1", "a")
    screens.now_ms += 30_000
    assert 'data-mode="home"' in screens.staff()


def test_a_child_that_drums_on_the_glass_takes_no_commit_from_others(of: SimulatedCounter, screens: Clocked) -> None:
    assert [screens.rate("good").code for _ in range(3)] == [None, "rate-soon", "rate-soon"]
    screens.now_ms += RATE_PAUSE_MS
    assert screens.rate("bad").code is None
    assert of.faces == ["good", "bad"]


def test_a_pin_that_is_typed_is_nowhere_on_the_page(screens: Clocked) -> None:
    page = screens.keys("6", *"314159")
    assert "314159" not in page
    assert "●●●●●●" in page


def test_who_was_served_by_a_card_is_not_served_again_by_a_button_that_there_is_not(
    of: SimulatedCounter, screens: Clocked
) -> None:
    tap = of.tap(STATION, "st-1")
    assert "[gone]" in screens.keys(f"serve:{tap}")
    assert len(of.view(STATION).recent) == 1
