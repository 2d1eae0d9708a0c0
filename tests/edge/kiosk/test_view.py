from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.canteen.ports import CounterView, Entry, Shown, Tally
from edge.kiosk.pages import pupil_html
from edge.kiosk.view import SHOWN_MS, WAIT_MS, lasts_ms, pupil_screen
from protocol.countersheet import Eater
from sim.counter import view_of
from tests.edge.kiosk.views import SHAPES, shown, views

NOW_MS = 10_000
MONEY = ("pay", "paid", "fee", "free", "debt", "owe", "subsid", "money", "price", "balance")


def seen(view: CounterView) -> bytes:
    return pupil_html(view, "vi").encode()


@given(st.data(), st.sampled_from(SHAPES), st.sampled_from([100, SHOWN_MS + 1]), st.booleans(), st.booleans())
def test_the_pupils_bytes_tell_nothing_but_shape_given_name_class_and_the_device(
    data: st.DataObject, shape: str, ago_ms: int, link: bool, works: bool
) -> None:
    """Two views that agree in these agree in every byte, whatever else was said: diet, reason, counter, clock, list."""
    fixed = {"shape": shape, "mono_ms": NOW_MS - ago_ms, "number": 7, "name": "Nguyễn Khánh An", "school_class": "3/2"}
    state = {"link": link, "failing": None if works else "journal-full"}
    one, other = (data.draw(views(shown=data.draw(shown(**fixed)), reader="ready", **state)) for _ in range(2))
    assert seen(one) == seen(other)


@given(views(failing=None, reader="ready", link=True), views(failing=None, reader="ready", link=True))
def test_each_referral_looks_the_same_whoever_it_is_and_why(one: CounterView, other: CounterView) -> None:
    """A lost card has a name and an unknown one hasn't; a pupil not enrolled is known: nobody can tell them apart."""
    pages = {
        seen(replace(view, shown=replace(view.shown, shape="refused", mono_ms=NOW_MS, number=7)))
        for view in (one, other)
    }
    assert len(pages) == 1


@given(views())
def test_no_page_of_the_pupils_holds_an_alert_a_reason_a_code_or_a_whole_name(view: CounterView) -> None:
    marked = replace(
        view,
        shown=replace(view.shown, alerts=("ALERT",), code="CODE", name="HỌ ĐỆM An", tap="TAP"),
        failing=None if view.failing is None else "FAILING",
        reader="ready" if view.reader == "ready" else "READER",
        shift_by="SHIFT",
        shift_name="NAMED",
        station="STATION",
        waiting=(Entry("T", "referred", "TIME", "WAITING", "W", 1, "card", reason="lost"),),
    )
    page = seen(marked)
    for word in (
        "ALERT",
        "CODE",
        "HỌ",
        "ĐỆM",
        "TAP",
        "FAILING",
        "READER",
        "SHIFT",
        "NAMED",
        "STATION",
        "WAITING",
        "TIME",
    ):
        assert word.encode() not in page


@pytest.mark.parametrize("kind", [CounterView, Shown, Entry, Tally, Eater])
def test_no_value_that_reaches_a_screen_has_a_field_for_money(kind: type) -> None:
    named = [one.name for one in fields(kind)] if hasattr(kind, "__dataclass_fields__") else kind.__struct_fields__
    assert named
    assert not [name for name in named if any(word in name for word in MONEY)]


def test_each_outcome_has_words_and_a_shape_of_its_own() -> None:
    pages = {}
    for shape in SHAPES:
        view = view_of(shown=Shown(1, shape, NOW_MS, name="Lê Bảo", school_class="1A"))  # type: ignore[arg-type]
        page = pupil_html(view, "vi")
        pages[shape] = page.partition("<svg")[2].partition("</svg>")[0], pupil_screen(view, "vi").words
    shapes, words = ({found[place] for found in pages.values()} for place in (0, 1))
    assert len(shapes) == len(words) == len(SHAPES)


def test_who_was_recorded_is_named_by_given_name_and_class() -> None:
    view = view_of(shown=Shown(1, "second", NOW_MS, name="Nguyễn Thị Khánh An", school_class="3/2"))
    screen = pupil_screen(view, "vi")
    assert (screen.name, screen.school_class, screen.words) == ("An", "3/2", "Mời con ăn thêm")
    assert pupil_screen(view, "vi", "em").words == "Mời em ăn thêm"


def test_an_outcome_stands_for_three_seconds_and_a_wait_for_ten() -> None:
    tap = Shown(1, "accepted", 1_000, name="An")
    assert lasts_ms(tap, 1_000) == SHOWN_MS == 3_000
    assert pupil_screen(view_of(shown=tap, now_mono_ms=3_999), "vi").look == "accepted"
    assert pupil_screen(view_of(shown=tap, now_mono_ms=4_000), "vi").look == "idle"
    wait = replace(tap, shape="wait")
    assert pupil_screen(view_of(shown=wait, now_mono_ms=1_000 + WAIT_MS - 1), "vi").look == "wait"
    assert pupil_screen(view_of(shown=wait, now_mono_ms=1_000 + WAIT_MS), "vi").look == "idle"
    assert lasts_ms(Shown(0, "idle", 0), 5) == 0


@given(views())
def test_red_is_the_devices_alone(view: CounterView) -> None:
    faulty = view.failing is not None or view.reader != "ready" or view.shown.shape == "alarm"
    look = pupil_screen(view, "vi").look
    assert look != "fault" or faulty
    if view.failing is not None:
        assert look == "fault"


@given(views(link=False))
def test_without_a_connection_the_amber_line_says_that_cards_are_recorded(view: CounterView) -> None:
    said = "Mất kết nối – thẻ vẫn được ghi" if view.failing is None else ""
    assert pupil_screen(view, "vi").offline == said, "and where none can be, it doesn't"
    assert pupil_screen(replace(view, link=True), "vi").offline == ""


@given(views())
def test_the_same_words_twice_are_seen_to_be_new(view: CounterView) -> None:
    again = replace(view, shown=replace(view.shown, number=view.shown.number + 1))
    look = pupil_screen(view, "vi").look
    if look in ("accepted", "second", "repeated", "referred", "wait") and view.failing is None:
        assert seen(view) != seen(again)
