from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from string import Formatter
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.canteen.ports import ClassTally, CounterView, Entry, Shape, Shown, Tally
from edge.kiosk.keypad import CLASSES_EACH, Desk, Mode, Notice, Offer
from edge.kiosk.pages import PAGES, Visit, failed_html, page_html, rate_html, staff_html, start_html
from edge.kiosk.staffview import furnished, staff_screen, troubles
from edge.kiosk.words import LANGUAGES, WORDS, age, say
from protocol.meals import MEALS, PORTIONS
from protocol.taps import REASONS
from sim.counter import view_of
from tests.edge.kiosk.views import views

SERVED = Entry("j.3", "served", "11:02:33", "Nguyễn Khánh An", "3/2", 1, "card")


def screen(view: CounterView, desk: Desk | None = None) -> Any:
    return staff_screen(view, desk or Desk(), "vi")


@given(views(), st.sampled_from(get_args(Mode)), st.sampled_from(LANGUAGES))
@settings(max_examples=60)
def test_whatever_a_counter_says_and_wherever_its_desk_stands_there_is_a_screen(
    view: CounterView, mode: Mode, language: Any
) -> None:
    page = staff_html(view, furnished(Desk(mode), view), language)
    assert page.count('id="last"') == page.count('id="work"') == page.count('id="bar"') == 1
    assert '<b>&"' not in page


@given(views())
@settings(max_examples=20)
def test_an_alert_is_on_the_staffs_screen_at_every_step(view: CounterView) -> None:
    view = replace(view, shown=replace(view.shown, shape="accepted", alerts=("LẠC",), confirmed=True))
    for mode in get_args(Mode):
        page = staff_html(view, Desk(mode), "vi")
        assert "LẠC" in page
        assert "nhà trường đã xác nhận" in page
    told = staff_html(replace(view, shown=replace(view.shown, confirmed=False)), Desk(), "vi")
    assert "mới nghe báo, chưa xác nhận" in told


def test_where_the_school_wants_it_staff_ask_about_a_second_helping() -> None:
    shown = Shown(7, "second", 0, name="An", nth=2, ask=True)
    assert screen(view_of(shown=shown)).last.alone == "Hỏi trước khi phát thêm"


def test_the_staffs_one_sound_is_due_for_each_cause_and_not_for_others() -> None:
    plain = Shown(7, "accepted", 0, name="An")
    assert screen(view_of(shown=plain)).chime == 0
    cut_off = screen(view_of(shown=replace(plain, alone=True)))
    assert cut_off.chime == 0 and cut_off.last.alone == "Có thể là phần thêm", "at every tray"
    for more in (
        {"alerts": ("lạc",)},
        {"portion": "porridge"},
        {"ask": True},
        {"shape": "refused"},
        {"shape": "alarm"},
    ):
        assert screen(view_of(shown=replace(plain, **more))).chime == 7  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "words", "old"),
    [
        ({"sheet_day": None}, "Chưa có danh sách", True),
        ({"sheet_day": "2026-11-26"}, "Danh sách của hôm qua", True),
        ({"sheet_day": "2026-11-20"}, "Danh sách của ngày 20/11/2026", True),
        ({"sheet_day": "?"}, "Danh sách của ngày ?", True),
        ({}, "Danh sách: 3 giờ trước", False),
        ({"sheet_age_s": 90_000}, "Danh sách: 25 giờ trước", True),
        ({"roster": None}, "Chưa có danh sách thẻ", True),
        ({"unsent": 12, "oldest_age_s": 190, "link": False}, "Chưa gửi 12, cũ nhất 3 phút", True),
        ({"shift_by": None, "needs_login": True, "pins": True}, "Chưa ai nhận ca: bấm 6 rồi nhập PIN", True),
        ({"shift_by": None, "needs_login": True, "pins": False}, "Chưa ai nhận ca: chạm thẻ nhân viên", True),
        ({"shift_by": None}, "Chưa ai nhận ca", False),
        ({"shift_by": "ba-lan", "shift_name": "Bà Lan"}, "Ca: Bà Lan", False),
        # A sheet of an earlier hub has no names.
        ({"shift_by": "ba-lan", "shift_name": ""}, "Ca: ba-lan", False),
        # A counter that began without a network doesn't know what time it is.
        ({"sheet_age_s": None}, "Danh sách: chưa rõ cũ hay mới", True),
        ({"roster_age_s": None}, "Thẻ: chưa rõ cũ hay mới", True),
        ({"unsent": 3, "oldest_age_s": None}, "Chưa gửi 3, chưa rõ từ khi nào", True),
    ],
)
def test_the_head_says_how_old_everything_is(more: dict[str, Any], words: str, old: bool) -> None:
    signs = screen(view_of(**more)).signs
    assert [sign.old for sign in signs if sign.words == words] == [old]


def test_troubles_say_what_to_do_the_worst_first_with_their_codes() -> None:
    view = view_of(
        failing="journal-full", reader="reader-lost", link=False, sure=False, tally=Tally(unheard=("quay-b",))
    )
    found = troubles(view, "vi")
    assert [one.code for one in found] == ["journal-full", "reader-lost", "counter-unheard"]
    assert [one.tone for one in found] == ["red", "red", "amber"]
    assert "Vẫn phát cơm" in found[0].words
    assert "quay-b" in found[2].words
    assert "vẫn được ghi" not in staff_html(view, Desk(), "vi"), "nothing is, while nothing can be"
    writes = troubles(replace(view, failing=None), "vi")
    assert [one.code for one in writes] == ["reader-lost", "hub-unreachable", "clock-unsure", "counter-unheard"]
    page = staff_html(view, Desk(), "vi")
    assert page.count('class="trouble ') == 2
    assert all(one.code in page for one in found)
    assert screen(view_of()).troubles == ()


def test_undo_names_its_pupil_and_tap_and_so_does_what_takes_it_back() -> None:
    page = staff_html(view_of(recent=(SERVED,)), Desk(), "vi")
    assert 'data-press="undo:j.3" aria-label="Hủy lượt của Nguyễn Khánh An lúc 11:02:33"' in page
    undone = view_of(recent=(replace(SERVED, undone=True),))
    assert 'data-press="redo:j.3" aria-label="Lấy lại lượt của Nguyễn Khánh An lúc 11:02:33"' in staff_html(
        undone, Desk(), "vi"
    )
    told = screen(undone, Desk(notice=Notice("undo", None, "Nguyễn Khánh An", "11:02:33", "j.3")))
    assert told.notice == "Đã hủy lượt của Nguyễn Khánh An lúc 11:02:33"
    assert told.notice_button.token == "redo:j.3"


def test_a_repeat_can_become_a_second_helping_and_back_and_is_not_undone() -> None:
    view = view_of(recent=(replace(SERVED, repeat="j.2"), replace(SERVED, nth=2), SERVED))
    tokens = [[button.token.partition(":")[0] for button in row.buttons] for row in screen(view).recent]
    assert tokens == [["flip"], ["flip", "undo"], ["undo"]]


def test_who_has_the_shift_is_asked_by_name_whether_it_ends() -> None:
    asked = staff_html(view_of(shift_by="ba-lan", shift_name="Bà <Lan>"), Desk("shift"), "vi")
    assert "Enter: trả ca của Bà &lt;Lan&gt;." in asked and "ba-lan" not in asked
    assert "trả ca của" not in staff_html(view_of(shift_by=None), Desk("shift"), "vi")


def test_classes_that_are_not_told_of_one_by_one_are_counted_on_the_page() -> None:
    classes = [ClassTally("1A", 30, 20, 10), ClassTally("", 90, 60, 30, more=3), ClassTally("", 0, 2, 0)]
    page = staff_html(view_of(), furnished(Desk("classes"), view_of(), len(classes)), "vi", classes)
    assert '<th scope="row">Và 3 lớp nữa</th><td>90</td><td>60</td><td class="left">30</td>' in page
    assert page.count("Lớp khác") == 1


def test_each_class_has_its_numbers_and_whom_the_list_does_not_know_stands_by_that_name() -> None:
    classes = [ClassTally(f"{n}<A>", n, n - 1, 1) for n in range(1, CLASSES_EACH + 3)] + [ClassTally("", 0, 2, 0)]
    desk = furnished(Desk("classes"), view_of(), len(classes))
    page = staff_html(view_of(), desk, "vi", classes)
    row = '<th scope="row">3&lt;A&gt;</th><td>3</td><td>2</td><td class="left">1</td>'
    assert page.count("<table>") == 2 and row in page and "Trang 1/2" in page and "Lớp khác" not in page
    last = staff_html(view_of(), replace(desk, page=1), "en", classes)
    assert last.count('<th scope="row">') == 3 and "Others" in last and row not in last
    assert "no numbers by class" in staff_html(view_of(), Desk("classes"), "en")


def test_six_more_cards_wait_and_none_is_forgotten() -> None:
    waiting = tuple(Entry(f"j.{n}", "referred", "11:00:00", "", "", 1, "card", reason="lost") for n in range(8))
    shown = screen(view_of(waiting=waiting))
    assert (len(shown.waiting), shown.waiting_more) == (2, 6)
    assert len(furnished(Desk("waiting"), view_of(waiting=waiting)).offers) == 8


@pytest.mark.parametrize("code", ["journal-full", "slow-storage", "pin-wrong", "pin-wait", "gone", "kiosk-failed", "?"])
def test_what_could_not_be_done_says_so_with_its_code(code: str) -> None:
    for language in LANGUAGES:
        told = staff_screen(view_of(), Desk(notice=Notice("serve", code, wait_s=40)), language)
        assert told.notice_bad
        assert told.notice.endswith(f"[{code}]")
    if code == "pin-wait":
        assert "again in 40 s" in told.notice


# --- words ------------------------------------------------------------------------------------------------------------


def test_each_word_is_said_in_both_languages_with_the_same_gaps() -> None:
    def gaps(text: str) -> set[str | None]:
        return {name.lower() if name else name for _, name, _, _ in Formatter().parse(text)} - {None, "pupil"}

    for key, (vi, en) in WORDS.items():
        assert vi.strip() == vi and en.strip() == en and vi and en, key
        assert unicodedata.is_normalized("NFC", vi), key
        assert gaps(vi) == gaps(en), key


def test_there_is_a_word_for_everything_that_may_be_said() -> None:
    for shape in get_args(Shape):
        assert shape == "idle" or f"shape-{shape}" in WORDS
    for name in (*MEALS, *(f"portion-{one}" for one in PORTIONS if one != "regular")):
        assert name in WORDS
    for mode in get_args(Mode):
        assert mode in ("home", "menu") or f"{mode}-title" in WORDS or mode == "shift"
    assert {f"reason-{one}" for one in ("unknown", "lost", "not-enrolled", "ambiguous", "random", "misread")} <= set(
        WORDS
    )
    assert set(REASONS) - {one.removeprefix("reason-") for one in WORDS} == {"no-roster", "no-card-key"}


@pytest.mark.parametrize(("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (172_800, "2 d")])
def test_ages_are_told_to_the_unit_that_matters(seconds: int, words: str) -> None:
    assert age("en", seconds) == words


def test_every_page_is_whole_says_its_language_and_has_nothing_inline() -> None:
    offers = tuple(Offer(f"name:st-{n}", "Lê <An>", "3/2", "", ("not-expected",)) for n in range(20))
    for language in LANGUAGES:
        visit = Visit(language, "dark", "secret", "run")
        pages = [page_html(page, "quay-1", failed_html(page, language), visit) for page in PAGES]
        pages += [page_html("rate", "quay-1", rate_html(language), visit)]
        pages += [start_html(["quay-1"], visit, code) for code in (None, "station-unknown", "kiosk-failed")]
        pages += [staff_html(view_of(), Desk("name", "le", choosing=True, page=2, offers=offers), language)]
        for page in pages:
            assert f'lang="{language}"' in page or "<html" not in page
            assert not re.search(r"<script>|<style|style=|\son\w+=|javascript:|https?://(?!www\.w3\.org)", page)
            assert "Lê <An>" not in page


def test_a_staffs_page_names_nobodys_reasons_to_pupils() -> None:
    with pytest.raises(KeyError):
        say("vi", "reason-money")
