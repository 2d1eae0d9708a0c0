from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.canteen.ports import Entry
from edge.kiosk.keypad import (
    CLASSES_EACH,
    LINES_EACH,
    MENU,
    NOTICE_S,
    OF_A_LINE,
    PIN_MAX,
    STEP_S,
    TYPED_MAX,
    VERBS,
    Act,
    Desk,
    Notice,
    Offer,
    press,
    rested,
)
from edge.kiosk.staffview import furnished
from sim.counter import view_of

KEYPAD = [*"0123456789", *"+-*/.", "Enter", "Backspace"]
TOKENS = ["open-9", "undo:", "login:123456", "page+", "moved"]
KEYS = st.sampled_from([*KEYPAD, "Escape", *"abcz ", "F5", "", *TOKENS])
VIEW = view_of(
    recent=(
        Entry("j.4", "served", "11:00:04", "An", "1A", 1, "card", repeat="j.3"),
        Entry("j.3", "served", "11:00:03", "An", "1A", 1, "card"),
        Entry("j.2", "served", "11:00:02", "Bảo", "1A", 1, "card", undone=True),
    ),
    waiting=(Entry("j.5", "referred", "11:00:05", "", "", 1, "card", reason="unknown"),),
)
FOUND = tuple(Offer(f"name:st-{number}", f"Em {number}", "3/2") for number in range(14))


def typed(*keys: str, desk: Desk | None = None) -> tuple[Desk, list[Act]]:
    """The desk after keys, as the screens furnish it, and what was asked for."""
    desk, acts = desk or Desk(), []
    for key in keys:
        before = desk
        desk, act = press(furnished(desk, VIEW), key, 1_000)
        if desk.mode == "name" and desk.typed != before.typed:
            desk = replace(desk, offers=FOUND if desk.typed else ())
        desk = furnished(desk, VIEW)
        acts += [] if act is None else [act]
    return desk, acts


@pytest.mark.parametrize(
    ("keys", "act"),
    [
        ("2 1", Act("serve", "j.5")),
        ("3 Enter", Act("stranger")),
        ("4 1", Act("undo", "j.3")),
        ("4 2", Act("redo", "j.2")),
        ("5 1", Act("flip", "j.4")),
        ("1 3 2 Enter 2", Act("name", "st-1")),
        ("1 3 / 2 - 2 6 + + 1", Act("name", "st-6")),
        ("2 / 1 2 6 Enter 2", Act("name", "st-1", "j.5")),
        ("2 / / 1", Act("serve", "j.5")),
        ("6 1 2 3 4 5 6 Enter", Act("login", "123456")),
        ("6 Enter", Act("logout")),
        ("* 2 1", Act("serve", "j.5")),
    ],
)
def test_everything_can_be_done_with_a_numeric_keypad(keys: str, act: Act) -> None:
    assert set(keys.split()) <= set(KEYPAD)
    assert typed(*keys.split())[1] == [act]


def test_these_are_all_the_things_that_there_are() -> None:
    told = {"serve", "stranger", "undo", "redo", "flip", "name", "login", "logout"}
    assert set(VERBS) == told
    assert set(OF_A_LINE) < told
    assert len(MENU) == 7


@given(st.lists(KEYS, max_size=12))
def test_one_star_leads_to_the_main_screen_from_everywhere(keys: list[str]) -> None:
    desk, _ = typed(*keys)
    back, acts = typed("*", desk=desk)
    assert back.mode == ("menu" if desk.mode == "home" else "home")
    assert acts == []
    assert not back.typed


@given(st.lists(KEYS, max_size=12))
def test_backspaces_lead_there_too_a_step_at_a_time(keys: list[str]) -> None:
    desk, _ = typed(*keys)
    for _ in range(TYPED_MAX + 3):
        before = (desk.mode, desk.typed, desk.choosing, desk.page)
        desk, acts = typed("Backspace", desk=desk)
        assert acts == []
        assert desk.mode == "home" or (desk.mode, desk.typed, desk.choosing, desk.page) != before
    assert desk.mode == "home"


@given(st.lists(KEYS, max_size=30))
def test_no_key_does_anything_on_the_main_screen_or_outside_of_bounds(keys: list[str]) -> None:
    desk = Desk()
    for key in keys:
        before = desk
        desk, acts = typed(key, desk=desk)
        if before.mode in ("home", "menu"):
            assert acts == []
        assert len(desk.typed) <= (PIN_MAX if desk.mode == "shift" else TYPED_MAX)
        assert 0 <= desk.page < desk.pages
        assert len(desk.lines) <= LINES_EACH


def test_the_search_for_a_waiting_cards_pupil_forgets_the_card_with_its_step() -> None:
    touched = typed("open-2", "/", "serve:j.5", "d", "a", "Enter", "name:st-1")
    assert touched[1] == [Act("name", "st-1", "j.5")], "by touch too"
    assert typed("2", "/", "1", "*", "1", "2", "6", "+", "2")[1] == [Act("name", "st-1")]


def test_enter_twice_serves_once_and_a_search_serves_nobody_without_a_choice() -> None:
    assert typed(*["1", "2", "6", "Enter", "Enter", "Enter"])[1] == []
    assert typed("3", "Enter")[1] == [Act("stranger")]


def test_a_pin_is_too_short_before_it_is_wrong_and_never_stays() -> None:
    desk, acts = typed(*["6", "1", "2", "3", "4", "5", "Enter"])
    assert acts == []
    assert desk.notice == Notice("login", "pin-short")
    desk, acts = typed("6", "Enter", desk=desk)
    assert acts == [Act("login", "123456")]
    assert desk.typed == ""
    assert "123456" not in repr(desk) + repr(acts)


def test_the_table_of_classes_is_opened_by_its_number_turned_and_nothing_is_done_there() -> None:
    opened, acts = typed("7")
    assert opened.mode == "classes" and acts == [] and opened.pages == 1, "outside of every meal there are none"
    desk = furnished(opened, VIEW, 2 * CLASSES_EACH + 1)
    assert desk.pages == 3
    for key, page in (("+", 1), ("+", 2), ("+", 2), ("-", 1)):
        desk, act = press(furnished(desk, VIEW, 2 * CLASSES_EACH + 1), key, 1_000)
        assert (desk.page, act) == (page, None)
    assert furnished(desk, VIEW, 3).page == 0, "the meal is over: fewer classes, no page of nothing"
    for key in ("1", "Enter", "/"):
        assert press(desk, key, 1_000) == (desk, None)
    assert press(desk, "Backspace", 1_000)[0].mode == "home"


def test_a_pin_that_was_begun_on_the_main_screen_serves_nobody() -> None:
    desk, acts = typed("3", "4", "5", "6", "7", "8")
    assert (desk.mode, acts) == ("stranger", [])
    assert "45678" not in repr(desk)
    told, act = press(desk, "Enter", 1_000)
    assert (act, told.notice) == (None, Notice("stranger", "stray-digits"))
    assert press(told, "Enter", 2_000)[1] == Act("stranger"), "who meant it presses once more"


def test_numbers_stay_with_their_lines_while_others_tap() -> None:
    desk, _ = typed("2")
    more = replace(VIEW, waiting=(Entry("j.9", "referred", "11:00:09", "", "", 1, "card"), *VIEW.waiting))
    _, act = press(furnished(desk, more), "1", 2_000)
    assert act == Act("serve", "j.5")


def test_a_step_ends_by_itself_and_forgets_what_was_typed() -> None:
    desk, _ = typed("6", "1", "2")
    assert rested(desk, 1_000 + STEP_S * 1000 - 1) is desk
    assert rested(desk, 1_000 + STEP_S * 1000) == Desk(at_ms=1_000)
    told = Desk(notice=Notice("undo", None, "An", "11:00:03", "j.3"), at_ms=1_000)
    assert rested(told, 1_000 + NOTICE_S * 1000 - 1) is told
    assert rested(told, 1_000 + NOTICE_S * 1000).notice is None


def test_touch_names_its_line_and_can_open_every_step() -> None:
    assert press(Desk(), "undo:j.3", 1)[1] == Act("undo", "j.3")
    assert press(Desk(), "login:123456", 1)[1] is None
    assert {press(Desk(), f"open-{key}", 1)[0].mode for key in MENU} == set(MENU.values())
    assert press(Desk(), "moved", 1)[0].notice == Notice(None, "moved")


def test_a_shift_to_be_taken_is_asked_for_once_and_never_before_a_card_that_waits() -> None:
    view = view_of(needs_login=True, shift_by=None)
    assert furnished(Desk(), view).mode == "shift"
    later, _ = press(furnished(Desk(), view), "*", 1)
    assert furnished(later, view).mode == "home"
    assert furnished(Desk(), replace(view, waiting=VIEW.waiting)).mode == "home"
    assert furnished(later, view_of()).later is False
