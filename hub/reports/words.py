"""The words of reports, in Vietnamese and English, and how they say moments, standings and corrections. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal

from hub.attendance.schoolday import VIETNAM
from hub.reports.labels import Labels
from hub.reports.monthsheet import TOTALS, Cell, MonthSheet, Stamp, Standing
from protocol.records import Half, State

Language = Literal["vi", "en"]
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "vi": {
        "book": "SỔ ĐIỂM DANH",
        "day": "TỔNG HỢP NGÀY",
        "term": "TỔNG HỢP HỌC KỲ",
        "class": "Lớp",
        "number": "STT",
        "code": "Mã học sinh",
        "name": "Họ và tên",
        "am": "S",
        "pm": "C",
        "am-long": "Sáng",
        "pm-long": "Chiều",
        "date": "Ngày",
        "half": "Buổi",
        "enrolled": "Sĩ số",
        "whole": "Toàn trường",
        "in": "Học kỳ",
        "key": "Mã nội bộ",
        "in-halves": "{word} (buổi)",
        "all": "Số buổi",
        "excused": "có phép",
        "unexcused": "không phép",
        "late": "đi muộn",
        "left-early": "về sớm",
        "absent": "vắng, chưa phân loại",
        "not-known": "chưa rõ",
        "present": "có mặt",
        "withdrawn": "rút lại",
        "there": "Buổi có mặt",
        "days": "Số ngày (½ mỗi buổi)",
        "sum": "Có mặt",
        "missing": "Vắng",
        "report": "Báo cáo số",
        "school": "Trường",
        "made": "Lập lúc",
        "by": "người lập",
        "rules": "quy tắc",
        "span": "Từ {first} đến {last}",
        "complete": "Đủ dữ liệu đến {moment}",
        "never": "Chưa có mốc đủ dữ liệu",
        "waiting": "CHƯA ĐỦ, còn chờ: {names}",
        "no-gate": "có ngày không có cổng nào",
        "waived": "không chờ {device} theo {by}",
        "open": "{count} ô chưa rõ (?)",
        "legend": "Ký hiệu",
        "red": "Sửa {moment} bởi {by}: {before} → {after}",
        "reason": "Lý do: {reason}",
        "nothing": "chưa ghi",
        "teacher": "Giáo viên chủ nhiệm",
        "head": "Hiệu trưởng",
        "page": "Trang",
    },
    "en": {
        "book": "ATTENDANCE BOOK",
        "day": "DAY SUMMARY",
        "term": "TERM TOTALS",
        "class": "Class",
        "number": "No.",
        "code": "Pupil code",
        "name": "Name",
        "am": "am",
        "pm": "pm",
        "am-long": "Morning",
        "pm-long": "Afternoon",
        "date": "Date",
        "half": "Half-day",
        "enrolled": "Enrolled",
        "whole": "Whole school",
        "in": "Term",
        "key": "Internal key",
        "in-halves": "{word} (half-days)",
        "all": "Half-days",
        "excused": "excused",
        "unexcused": "unexcused",
        "late": "late",
        "left-early": "left early",
        "absent": "absent, not classified",
        "not-known": "not known",
        "present": "present",
        "withdrawn": "taken back",
        "there": "Half-days there",
        "days": "Days (½ each half-day)",
        "sum": "There",
        "missing": "Missing",
        "report": "Report no.",
        "school": "School",
        "made": "Made at",
        "by": "by",
        "rules": "rules",
        "span": "From {first} to {last}",
        "complete": "Complete to {moment}",
        "never": "Not known to be complete",
        "waiting": "INCOMPLETE, waiting for: {names}",
        "no-gate": "a day without any gate",
        "waived": "{device} not waited for, says {by}",
        "open": "{count} marks not known (?)",
        "legend": "Signs",
        "red": "Corrected {moment} by {by}: {before} → {after}",
        "reason": "Reason: {reason}",
        "nothing": "nothing",
        "teacher": "Homeroom teacher",
        "head": "Principal",
        "page": "Page",
    },
}
WEEKDAYS: Final[Mapping[Language, tuple[str, ...]]] = {
    "vi": ("T2", "T3", "T4", "T5", "T6", "T7", "CN"),
    "en": ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"),
}


def day_text(day: date) -> str:
    """A day as people write it: 23/11/2026."""
    return day.strftime("%d/%m/%Y")


def moment_text(at_ms: int) -> str:
    """A moment at the school: 07:45 23/11/2026."""
    return datetime.fromtimestamp(at_ms / 1000, VIETNAM).strftime("%H:%M %d/%m/%Y")


def half_text(language: Language, half: Half) -> str:
    """The letter of a half-day."""
    return WORDS[language][half]


def class_text(language: Language, school_class: str) -> str:
    """A class in a table: `Lớp 3/2`, since a spreadsheet makes a date of 3/2 and the number 8.1 of 8.10."""
    return f"{WORDS[language]['class']} {school_class}"


def total_heads(labels: Labels, language: Language) -> tuple[str, ...]:
    """What stands above TOTALS: a mark's sign, else its word."""
    signs = {mark.replace("-", "_"): label for mark, label in labels.words.items()}
    words = WORDS[language]
    return tuple(words[name] if name in ("there", "days") else signs[name] for name in TOTALS)


def stamp_text(stamp: Stamp, language: Language) -> str:
    """Of which school a report is, its number, when and by whom it was made."""
    words = WORDS[language]
    return (
        f"{words['school']}: {stamp.school} · {words['report']} {stamp.number} · {words['made']}"
        f" {moment_text(stamp.made_ms)}, {words['by']} {stamp.by}"
    )


def standing_text(standing: Standing, language: Language) -> str:
    """How complete the data is: who is waited for, to when it is complete, who isn't waited for."""
    words, parts = WORDS[language], []
    if standing.waiting:
        # A day on which no gate stood anywhere is waited for in vain.
        names = [words["no-gate"] if name == "*" else name for name in standing.waiting]
        parts.append(words["waiting"].format(names=", ".join(names)))
    if standing.complete_to_ms is not None:
        parts.append(words["complete"].format(moment=moment_text(standing.complete_to_ms)))
    elif not standing.waiting:
        parts.append(words["never"])
    parts += [words["waived"].format(device=device, by=by) for device, by in standing.waived]
    return " · ".join(parts)


def head_lines(sheet: MonthSheet, stamp: Stamp, labels: Labels, language: Language) -> tuple[str, str, str, str]:
    """What stands above a page: its title; number, maker and rules; how complete it is; the legend."""
    words = WORDS[language]
    span = words["span"].format(first=day_text(sheet.first), last=day_text(sheet.last))
    title = f"{words['book']} – {words['class']} {sheet.school_class} – {span}"
    made = f"{stamp_text(stamp, language)} · {words['rules']} {', '.join(sheet.rules) or '–'}"
    standing = standing_text(stamp.standing, language)
    if sheet.not_known:
        standing += f" · {words['open'].format(count=sheet.not_known)}"
    legend = ", ".join(f"{label} {words[mark]}" for mark, label in labels.words.items() if label)
    return title, made, standing, f"{words['legend']}: {legend}"


def red_text(cell: Cell, labels: Labels, language: Language) -> str:
    """What the comment of a corrected cell says: when, by whom, from what to what, why. Empty where it wasn't."""
    red = cell.correction
    if red is None:
        return ""
    words = WORDS[language]

    def told(state: State | None) -> str:
        if state is None:
            return words["nothing"]
        return words["withdrawn"] if state == "withdrawn" else labels.of(state) or words[state]

    text = words["red"].format(moment=moment_text(red.at_ms), by=red.by, before=told(red.before), after=told(red.after))
    return text + ("\n" + words["reason"].format(reason=red.reason) if red.reason else "")
