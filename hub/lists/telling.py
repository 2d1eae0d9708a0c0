"""Telling: what a list holds and would change, as one document for programs, and in words for people. Pure.

No pupil's name or code stands in it; `said`, what a faulty cell holds, is for the person who brought the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from hub.lists.changes import Plan
from hub.lists.faults import Fault
from hub.lists.hourchanges import hour_words
from hub.lists.reading import Listed
from hub.lists.templates import TEMPLATES
from hub.lists.yeardays import day_words

if TYPE_CHECKING:
    from hub.lists.people import People

KINDS: Final = {
    "oneroster": "OneRoster CSV",
    "roster": "danh sách có thẻ / roster with cards",
    "unknown": "không rõ / unknown",
}
CHANGES: Final = {
    "new": "mới", "updated": "cập nhật", "moved": "chuyển lớp", "left": "rời trường", "returns": "trở lại",
    "missing": "thiếu trong danh sách", "bad": "không nhận", "same": "như cũ",
}  # fmt: skip
BAD: Final = {
    "another-person": "mã của người khác, theo tên và ngày sinh / an id of somebody else, by name and birth date",
    "id-taken": "mã đã là của học sinh khác / an id that another pupil has",
    "matched-twice": "hai dòng cho một học sinh / two lines of one pupil",
    "unclear": "tên của nhiều học sinh / a name that several pupils have",
    "unknown-pupil": "không có học sinh này / nobody here by that id",
}
CARDS: Final = {
    "new": "thẻ mới / new cards",
    "passed": "thẻ chuyển sang em khác / cards that become another pupil's",
    "gone": "thẻ thu về / cards taken back",
    "kept": "thẻ không có trong tệp, vẫn giữ / cards not in the file, kept",
    "lost": "thẻ đã báo mất, vẫn bị từ chối / cards reported lost, still refused",
    "replaced": "thẻ đã thay, vẫn bị từ chối / cards replaced, still refused",
    "staff": "thẻ của người đứng quầy, không gắn cho học sinh / cards of counter staff, given to no pupil",
    "same": "thẻ như cũ / cards as before",
}
"""What a roster does to cards; see hub.cards.listed."""
CARD_LINES_SHOWN: Final = 20
EFFECTS: Final = {
    "new": "mới / new",
    "moved": "chuyển lớp hoặc ngày cuối / another class or last day",
    "same": "như cũ / the same",
    "withdrawn": "đã rút, không ghi lại / withdrawn since, not entered again",
    "given": "đồng ý nhận tin / would be told",
    "taken_back": "không đồng ý hoặc rút lại / refused or taken back",
    "older": "ký trước lời đang có hiệu lực, không ghi / signed before the word that stands, not entered",
    "other": "mục đích khác, không giữ ở đây / of another purpose, not kept here",
    "versions": "phiên bản thời khóa biểu / versions of the timetable",
}
"""What another list than pupils would do."""
LEFT_OUT: Final = ("withdrawn", "older")
"""Effects of lines that say otherwise than what stands, and yet aren't written: a later word goes before them."""
TO_CONFIRM: Final = "cần xác nhận / to be confirmed"
Document = dict[str, Any]


def document(found: People | Listed[Any], plan: Plan | None = None) -> Document:
    """All that is told of a list; `plan` where it was compared with what is known. Whoever writes it sets `written`.

    `days` are a calendar's, `hours` a calendar's and a timetable's (hub.lists.hourchanges), `cards` a roster's
    (hub.cards.listed), and `guards` what of them has to be confirmed; `unchanged`: there is nothing to write.
    """
    return {
        "file": found.source,
        "kind": found.kind,
        "sound": found.sound,
        "counts": _counts(found),
        "sheets": list(found.sheets),
        "not_taken": list(found.ignored),
        "faults": [_fault(fault) for fault in found.faults],
        "plan": None if plan is None else _plan(plan),
        "cards": None,
        "effects": None,
        "days": [],
        "hours": [],
        "guards": [],
        "unchanged": False,
        "written": None,
        "slips": [],
    }


def card_words(file: str, cards: Document) -> Iterator[str]:
    """What a roster does to cards (see CardPlan.told), for people; of each effect some lines."""
    for effect, count in cards["counts"].items():
        if not count:
            continue
        yield f"  {count} {CARDS[effect]}"
        rows = [one["row"] for one in cards["lines"] if one["effect"] == effect]
        yield from (f"    {file}, dòng / line {row}" for row in rows[:CARD_LINES_SHOWN])
        if len(rows) > CARD_LINES_SHOWN:
            yield f"    … {len(rows) - CARD_LINES_SHOWN} dòng nữa / more lines"


def _counts(found: People | Listed[Any]) -> Mapping[str, int]:
    if isinstance(found, Listed):
        return {"lines": len(found.lines)}
    states = Counter(pupil.state for pupil in found.pupils)
    classes = {pupil.school_class for pupil in found.pupils if pupil.school_class and pupil.state == "attending"}
    return {
        "pupils": len(found.pupils), "attending": states["attending"], "left": states["left"], "classes": len(classes),
    }  # fmt: skip


def _fault(fault: Fault) -> Document:
    return {
        "code": fault.code, "stops": fault.stops, "sheet": fault.sheet, "row": fault.row, "column": fault.column,
        "header": fault.header, "place": fault.place, "said": fault.said, "vi": fault.vi, "en": fault.en,
    }  # fmt: skip


def _plan(plan: Plan) -> Document:
    return {
        "day": plan.day.isoformat(),
        "counts": dict(plan.counts),
        "guards": list(plan.guards),
        "new_classes": list(plan.new_classes),
        "moves": [{"from": move.before, "to": move.after, "count": move.count} for move in plan.moves],
        "bad": [{"reason": bad.reason, "where": bad.line.where} for bad in plan.bad],
    }


def told(found: Document) -> Iterator[str]:
    """The document for people, Vietnamese and English."""
    kind = KINDS.get(found["kind"]) or " / ".join(TEMPLATES[found["kind"]].title)
    sheets = f" ({', '.join(found['sheets'])})" if found["sheets"] else ""
    yield f"{found['file']}: {kind}{sheets}"
    counts = found["counts"]
    if "lines" in counts:
        yield f"  {counts['lines']} dòng / lines"
    else:
        yield (
            f"  {counts['pupils']} học sinh / pupils: {counts['attending']} đang học / attending,"
            f" {counts['left']} đã rời / left; {counts['classes']} lớp / classes"
        )
    if found["not_taken"]:
        yield f"  không lấy / not taken: {', '.join(found['not_taken'])}"
    if found["plan"] is not None:
        yield from _previewed(found["plan"])
    if found["cards"] is not None:
        yield from card_words(found["file"], found["cards"])
    for effect, count in (found["effects"] or {}).items():
        yield f"  {count} {EFFECTS[effect]}"
    for one in found["days"]:
        yield f"  {day_words(one)}"
    yield from (f"  {words}" for words in hour_words(found["hours"]))
    for guard in found["guards"]:
        yield f"  {TO_CONFIRM}: {guard}"
    for fault in found["faults"]:
        quoted = f" [{fault['said']}]" if fault["said"] else ""
        note = "" if fault["stops"] else "lưu ý / note: "
        yield f"{note}{fault['place']}: {fault['vi']} / {fault['en']}{quoted}"
    stopping = sum(fault["stops"] for fault in found["faults"])
    notes = len(found["faults"]) - stopping
    if stopping:
        yield f"{stopping} lỗi / faults, {notes} lưu ý / notes: không ghi gì / nothing would be written"
    else:
        yield f"không có lỗi / no faults, {notes} lưu ý / notes"
    if not stopping and found["written"] is None:
        if found["unchanged"] and leaves_out(found):
            yield "không có gì để ghi: xem các lưu ý / nothing to write: see the notes above"
        elif found["unchanged"]:
            yield "không có gì để ghi: đã đúng như danh sách / nothing to write: all is as the list says"
        elif not takes(found):
            yield "chưa ghi gì: xem các dòng trên / nothing is written until the lines above are settled"
    if found["written"] is not None:
        yield f"đã ghi / written: {found['written']}"
    for slip in found["slips"]:
        at = f"\t{slip['class']}" if slip["class"] else ""
        yield f"{slip['name']}\t{slip['role']}{at}\t{slip['link']}"


def _previewed(plan: Document) -> Iterator[str]:
    year, month, day = plan["day"].split("-")
    counted = ", ".join(f"{count} {CHANGES[kind]} / {kind}" for kind, count in plan["counts"].items() if count)
    yield f"  từ / from {day}/{month}/{year}: {counted or 'không đổi / no change'}"
    for move in plan["moves"]:
        yield f"    {move['from'] or '–'} → {move['to'] or '–'}: {move['count']}"
    if plan["new_classes"]:
        yield f"  lớp mới / new classes: {', '.join(plan['new_classes'])}"
    for bad in plan["bad"]:
        yield f"  {bad['where'] or '?'}: {BAD[bad['reason']]}"
    for guard in plan["guards"]:
        yield f"  {TO_CONFIRM}: {guard}"


def leaves_out(found: Document) -> bool:
    """Whether lines aren't written because something was said after them."""
    return any((found["effects"] or {}).get(effect) for effect in LEFT_OUT)


def takes(found: Document, confirmed: frozenset[str] = frozenset()) -> bool:
    """Whether the list may be written as it is told."""
    plan = found["plan"]
    guards = set(found["guards"]) | (set() if plan is None else set(plan["guards"]))
    return bool(found["sound"] and (plan is None or not plan["bad"]) and guards <= confirmed)
