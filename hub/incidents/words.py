"""The words of a pack in two languages: its lists, columns, heads. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from hub.meals.sittings import Moment
from hub.reports.words import Language, day_text
from protocol.envelope import SCHOOL_ZONE
from protocol.meals import MEALS, Meal

Phrases = Mapping[str, str]
DRILL: Final[Mapping[Language, str]] = {"vi": "DIỄN TẬP", "en": "DRILL (DIỄN TẬP)"}
"""Stands on each page, sheet and row of a drill; in Vietnamese always, so that nobody takes it for the real thing."""
MEAL_WORDS: Final[Mapping[Language, Mapping[Meal, str]]] = {
    "vi": {"breakfast": "Bữa sáng", "lunch": "Bữa trưa", "snack": "Bữa xế", "dinner": "Bữa tối"},
    "en": {"breakfast": "Breakfast", "lunch": "Lunch", "snack": "Afternoon snack", "dinner": "Dinner"},
}
LIST_WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {
        "eaten": "Đã ăn",
        "second": "Ăn thêm",
        "maybe": "Có thể đã ăn (đồng hồ không chắc)",
        "adult": "Người lớn",
        "unidentified": "Thẻ chưa rõ của ai",
        "referred": "Đã mời gặp cô, không có lượt phục vụ được ghi",
        "taken-back": "Đã hoàn tác",
        "not-eaten": "Có mặt hoặc chưa rõ, không có lượt ăn",
    },
    "en": {
        "eaten": "Ate",
        "second": "Second helpings",
        "maybe": "May have eaten (clock unsure)",
        "adult": "Adults",
        "unidentified": "Unidentified cards",
        "referred": "Referred to staff, no serving recorded",
        "taken-back": "Undone",
        "not-eaten": "Present or not known, no serving",
    },
}
SHEET_WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {
        "summary": "Tóm tắt",
        "comparison": "So sánh ốm - khỏe",
        "eaten": "Đã ăn",
        "second": "Ăn thêm",
        "maybe": "Có thể đã ăn",
        "adult": "Người lớn",
        "unidentified": "Thẻ chưa rõ",
        "referred": "Đã mời gặp cô",
        "taken-back": "Đã hoàn tác",
        "not-eaten": "Không có lượt ăn",
    },
    "en": {
        "summary": "Summary",
        "comparison": "Ill and well",
        "eaten": "Ate",
        "second": "Seconds",
        "maybe": "May have eaten",
        "adult": "Adults",
        "unidentified": "Unidentified",
        "referred": "Referred",
        "taken-back": "Undone",
        "not-eaten": "No serving",
    },
}
WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {
        "title": "Danh sách người ăn",
        "list": "Danh sách",
        "number": "STT",
        "meal": "Bữa",
        "day": "Ngày",
        "class": "Lớp",
        "name": "Họ và tên",
        "code": "Mã học sinh",
        "key": "Khóa nội bộ",
        "teacher": "Giáo viên chủ nhiệm",
        "time": "Giờ",
        "bounds": "Sai số",
        "counter": "Quầy",
        "shift": "Ca",
        "nth": "Lần",
        "how": "Cách ghi",
        "portion": "Suất",
        "ill": "Ốm/khỏe",
        "note": "Ghi chú",
        "record": "Bản ghi",
        "card": "Thẻ",
        "best": "thời điểm",
        "from": "sớm nhất",
        "to": "muộn nhất",
        "how-card": "thẻ",
        "how-name": "ghi tay theo tên",
        "how-stranger": "ghi tay, chưa rõ ai",
        "how-list": "danh sách lớp",
        "how-none": "",
        "present": "có mặt",
        "absent": "vắng",
        "unknown": "chưa rõ có mặt",
        "sick": "ốm",
        "well": "khỏe",
        "unsure": "chưa xác nhận",
        "by": "người ghi: {by}",
        "unbounded": "không rõ",
        "item": "Mục",
        "value": "Nội dung",
        "school": "Trường",
        "version": "Bản số",
        "made": "Lập lúc",
        "maker": "Người lập",
        "took": "Thời gian lập (giây)",
        "pupils": "Số học sinh chắc chắn đã ăn",
        "menu": "Thực đơn",
        "lots": "Lô thực phẩm",
        "sample": "Nhãn mẫu lưu",
        "ended": "Kết thúc phục vụ",
        "complete": "Đủ dữ liệu",
        "incomplete": "CHƯA ĐỦ DỮ LIỆU",
        "origin-complete": "đủ đến {moment}",
        "origin-missing": "chưa đủ: {words}",
        "difference": "Khác bản trước",
        "no-difference": "không khác bản trước",
        "first": "bản đầu tiên",
        "from-journals": "Lập từ sổ ghi của các quầy, không có máy chủ trường",
        "hub": "Máy chủ trường",
        "hub-only": "không có ở đây, nên danh sách từ máy chủ có thể khác: danh sách ăn tại lớp, lời xác định"
        " suất ăn và thẻ gắn về sau ghi ở máy chủ, số lô",
        "from-hub": "Lập từ sổ cái của máy chủ trường",
        "nothing-missing": "không rõ nguồn nào: không có sổ nào nói là đủ",
        "had": "Có dùng",
        "not-had": "Không dùng",
        "rate": "Tỷ lệ ốm %",
        "points": "Chênh lệch (điểm %)",
        "by-meal": "bữa",
        "by-shift": "ca",
        "by-counter": "quầy",
        "by-menu": "thực đơn",
        "by-portion": "suất",
        "kind": "Theo",
        "compared": "Người được so sánh",
        "compared-ticked": "chỉ những em được đánh dấu ốm hoặc khỏe",
        "compared-all": "em không được đánh dấu ốm được tính là khỏe",
        "caution": "Chỉ là số đếm, không chứng minh nguyên nhân.",
        "page": "Trang",
        "none": "không có",
    },
    "en": {
        "title": "List of eaters",
        "list": "List",
        "number": "No.",
        "meal": "Meal",
        "day": "Date",
        "class": "Class",
        "name": "Name",
        "code": "Pupil code",
        "key": "Internal key",
        "teacher": "Homeroom teacher",
        "time": "Time",
        "bounds": "Error",
        "counter": "Counter",
        "shift": "Shift",
        "nth": "Helping",
        "how": "Recorded",
        "portion": "Portion",
        "ill": "Ill/well",
        "note": "Note",
        "record": "Record",
        "card": "Card",
        "best": "best time",
        "from": "not before",
        "to": "not after",
        "how-card": "card",
        "how-name": "by hand, by name",
        "how-stranger": "by hand, unknown",
        "how-list": "class list",
        "how-none": "",
        "present": "present",
        "absent": "absent",
        "unknown": "presence not known",
        "sick": "ill",
        "well": "well",
        "unsure": "not confirmed",
        "by": "entered by {by}",
        "unbounded": "not known",
        "item": "Item",
        "value": "Content",
        "school": "School",
        "version": "Version",
        "made": "Made at",
        "maker": "Made by",
        "took": "Time taken (seconds)",
        "pupils": "Pupils who ate for sure",
        "menu": "Menu",
        "lots": "Food lots",
        "sample": "Sample label",
        "ended": "End of serving",
        "complete": "Complete",
        "incomplete": "INCOMPLETE",
        "origin-complete": "complete to {moment}",
        "origin-missing": "missing: {words}",
        "difference": "Unlike the version before",
        "no-difference": "as the version before",
        "first": "the first version",
        "from-journals": "Made from the counters' journals, without the school's hub",
        "hub": "The school's hub",
        "hub-only": "not in it, so a list by the hub may differ: class lists, what was settled at the hub, cards bound"
        " since, lots",
        "from-hub": "Made from the hub's ledger",
        "nothing-missing": "nothing known of any source: no journal says that it is complete",
        "had": "Had it",
        "not-had": "Hadn't",
        "rate": "Ill %",
        "points": "Difference (points)",
        "by-meal": "meal",
        "by-shift": "shift",
        "by-counter": "counter",
        "by-menu": "menu",
        "by-portion": "portion",
        "kind": "By",
        "compared": "Compared",
        "compared-ticked": "only who was ticked ill or well",
        "compared-all": "who isn't ticked ill counts as well",
        "caution": "Counts only; they prove no cause.",
        "page": "Page",
        "none": "none",
    },
}
PORTION_WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {"regular": "mặn", "vegetarian": "chay", "porridge": "cháo", "diet": "suất riêng"},
    "en": {"regular": "regular", "vegetarian": "vegetarian", "porridge": "porridge", "diet": "own diet"},
}
CHANGE_WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {
        "new": "thêm: {what} → {after}",
        "gone": "không còn: {what} (trước: {before})",
        "known": "nay biết: {what}: {before} → {after}",
        "other-list": "chuyển danh sách: {what}: {before} → {after}",
        "complete": "nay đủ dữ liệu: {what}",
        "incomplete": "nay chưa đủ dữ liệu: {what}",
    },
    "en": {
        "new": "added: {what} → {after}",
        "gone": "no longer: {what} (before: {before})",
        "known": "now known: {what}: {before} → {after}",
        "other-list": "other list: {what}: {before} → {after}",
        "complete": "now complete: {what}",
        "incomplete": "now incomplete: {what}",
    },
}
ORIGIN_WORDS: Final[Mapping[Language, Phrases]] = {
    "vi": {
        "no-watermark": "sổ không nói đã đủ đến đâu",
        "ends-before": "sổ chỉ đủ đến {0}",
        "no-journal": "không có sổ ghi nào của quầy này",
        "hole": "thiếu bản ghi {0}",
        "pruned": "bản ghi {0} đã chuyển lên thành phố, không còn ở quầy",
        "damaged": "tệp hỏng, đọc được đến đâu lấy đến đó: {0}",
        "unreadable": "không đọc được tệp {0}",
        "fork": "hai bản khác nhau của bản ghi {0}",
        "bad-record": "bản ghi không hiểu được {0}",
        "no-clock": "đồng hồ không chắc",
        "waiting": "còn chờ: {0}",
        "waived": "không chờ nữa, theo {0}",
        "none-accepted": "chưa có quầy nào",
        "open-meal": "bữa chưa kết thúc",
        "no-names": "không mở được danh sách tên: {0}",
        "never-heard": "chưa từng nhận được gì từ thiết bị này",
        "clock-unsure": "đồng hồ không chắc",
        "not-heard": "mới nhận đủ đến {0}",
        "missing": "thiếu bản ghi; đủ đến {0}",
        "parked": "có bản ghi không đọc được; đủ đến {0}",
        "other-branch": "có sổ không ai nối tiếp; đủ đến {0}",
        "reader-blind": "đầu đọc không nhìn thấy; đủ đến {0}",
        "flawed": "có bản ghi mất hẳn ({0})",
        "not-yet": "chưa có ở đó trước {0}: không có bản ghi nào của lúc trước đó",
        "off": "tắt {0}: suất của lúc đó có thể chỉ nằm trên giấy",
        "counter-blind": "đầu đọc không nhìn thấy thẻ: {0}; suất của lúc đó có thể chỉ nằm trên giấy",
        "counters-unknown": "không có danh sách các quầy: không rõ còn quầy nào khác",
        "too-much": "không đọc hết: {0}",
    },
    "en": {
        "no-watermark": "the journal doesn't say how far it is complete",
        "ends-before": "complete only to {0}",
        "no-journal": "no journal of this counter was given",
        "hole": "records {0} are missing",
        "pruned": "records {0} went to the city and are no longer here",
        "damaged": "damaged file, read as far as it goes: {0}",
        "unreadable": "file {0} can't be read",
        "fork": "two versions of record {0}",
        "bad-record": "record {0} can't be understood",
        "no-clock": "its clock is unsure",
        "waiting": "waiting for: {0}",
        "waived": "not waited for, says {0}",
        "none-accepted": "no counter is known",
        "open-meal": "the meal isn't over",
        "no-names": "the list of names can't be opened: {0}",
        "never-heard": "nothing ever came from this device",
        "clock-unsure": "its clock is unsure",
        "not-heard": "heard of it to {0} only",
        "missing": "records are missing; complete to {0}",
        "parked": "records can't be read; complete to {0}",
        "other-branch": "a journal that nobody went on with; complete to {0}",
        "reader-blind": "its reader sees nobody; complete to {0}",
        "flawed": "records are gone for good ({0})",
        "not-yet": "wasn't there before {0}: there are no records of the time before",
        "off": "was off {0}: trays of that time may be on paper only",
        "counter-blind": "its reader saw no cards: {0}; trays of that time may be on paper only",
        "counters-unknown": "no list of counters: nobody knows whether there are others",
        "too-much": "not read to its end: {0}",
    },
}


UNBOUNDED_MS: Final = 3_650 * 86_400_000
"""A bound farther away than ten years is none."""


def meal_text(language: Language, meal: Meal, day: date) -> str:
    """A meal as people say it: Bữa trưa 23/11/2026."""
    return f"{MEAL_WORDS[language][meal]} {day_text(day)}"


def scope_text(language: Language, key: str) -> str:
    """What was asked, by Scope.key, as people say it; a key of another form as it is."""
    kind, _, rest = key.partition(" ")
    first, _, last = rest.partition(" ")
    try:
        match kind:
            case "meal":
                meal = next(meal for meal in MEALS if meal == first)
                return meal_text(language, meal, date.fromisoformat(last))
            case "hours":
                return f"{first} h → {day_text(date.fromisoformat(last))}"
            case "lot":
                return f"{WORDS[language]['lots']}: {rest}"
    except (ValueError, StopIteration):
        pass
    return key


def clock_text(at_ms: int) -> str:
    """A moment of a day to the millisecond: 10:34:12.123."""
    return datetime.fromtimestamp(at_ms / 1000, SCHOOL_ZONE).strftime("%H:%M:%S.%f")[:-3]


def bounds_text(when: Moment, language: Language) -> str:
    """How far a time may be off: ± 0.015 s, or between which moments it was; open where a century bounds it."""
    ends = [
        None if abs(moment - when.best_ms) > UNBOUNDED_MS else moment
        for moment in (when.not_before_ms, when.not_after_ms)
    ]
    first, last = ends
    if first is None and last is None:
        return WORDS[language]["unbounded"]
    if first is not None and last is not None and last - when.best_ms == when.best_ms - first:
        return f"± {(last - when.best_ms) / 1000:g} s"
    return "–".join("…" if moment is None else clock_text(moment) for moment in ends)


def origin_text(words: Sequence[tuple[str, str]], language: Language) -> str:
    """What is missing of a source."""
    phrases = ORIGIN_WORDS[language]
    return "; ".join(phrases[code].format(about) for code, about in words)
