"""A school's month of meals through a real store: enrolled pupils, a counter's records, cuts, leave, sheets, months."""

from __future__ import annotations

from datetime import date

from hub.days.classbook import midnight_ms
from protocol.mealrecords import Portions
from protocol.meals import ByHand
from tests.hub.days.test_daybook import AN, BE, CHI, DAY, STRANGE
from tests.hub.days.test_mealbook import Canteen

MONTH = "2026-11"


def lived(canteen: Canteen) -> Canteen:
    """A lunch with a second helping, a stranger, an undone serving, a late cut, leave, a class list."""
    on(canteen, date(2026, 11, 26))
    office, store = canteen.store.mealoffice, canteen.store
    for pupil in ("st-an", "st-be", "st-chi"):
        office.enrol("van-phong", pupil, date(2026, 11, 2), None, reason="nhập đầu năm")
    canteen.serve(AN, "10:31", student="st-an")
    canteen.serve(AN, "10:45", student="st-an", nth=2)
    shown = canteen.serve(STRANGE, "10:32", decision="refused", reason="unknown")
    canteen.serve(STRANGE, "10:33", hand=ByHand("stranger", "co-hoa", shown))
    wrong = canteen.serve("", "10:34", student="st-be", hand=ByHand("name", "co-hoa"))
    canteen.correct(wrong, "undone", "10:35")
    canteen.serve(CHI, "11:20", student="st-chi")
    canteen.deliver()
    office.cut("co-lan", "st-be", DAY, DAY, how="phone", reason="nghỉ")
    gone = office.cut("co-lan", "st-chi", DAY, DAY, reason="nhầm")
    office.withdraw_cut("co-lan", gone.record, "bấm nhầm")
    store.office.leave("co-lan", "st-an", (date(2026, 11, 20), "am"), (date(2026, 11, 20), "pm"), "giấy viết tay")
    office.serve_class("co-lan", "1A", date(2026, 11, 18), "lunch", ["st-an", "st-be"], reason="giấy đến muộn")
    office.close("hieu-truong", date(2026, 11, 17), ["lunch"], "mất nước")
    office.portion("van-phong", "st-be", "vegetarian", date(2026, 11, 2), None, reason="phụ huynh đăng ký")
    office.lock("bep", DAY, "lunch")
    office.adjust("bep", DAY, "lunch", {"1A": Portions(regular=2)}, "khách của trường")
    canteen.read()
    return canteen


def stated(canteen: Canteen) -> Canteen:
    """The same, and the month stated."""
    on(canteen, date(2026, 12, 1))
    canteen.store.mealmonths.state("ke-toan", MONTH, "lunch")
    canteen.read()
    return canteen


def on(canteen: Canteen, day: date) -> None:
    """The hub's clock shows 10:00 of a day."""
    canteen.machine.at_ms = midnight_ms(day) + 10 * 3_600_000


__all__ = ["BE", "MONTH", "lived", "stated"]
