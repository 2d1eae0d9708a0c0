"""Coverage in words: of each gate how far its records are here, and what is waited for; `đủ 5/5 cổng`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hub.attendance.coverage import DeviceFacts, Flaw, Reach, Waiver, Why, is_gate, reach
from hub.attendance.schoolday import VIETNAM

Language = Literal["vi", "en"]

WHY: Final[Mapping[Why, Mapping[Language, str]]] = {
    "never-heard": {
        "vi": "chưa nghe thấy lần nào từ khi được duyệt {since}",
        "en": "never heard since it was accepted, {since}",
    },
    "clock-unsure": {
        "vi": "đồng hồ của thiết bị chưa chắc đúng",
        "en": "nothing vouches for its clock yet",
    },
    "not-heard": {
        "vi": "chưa có lời báo nào tới giờ đó, nghe lần cuối {heard}",
        "en": "its word doesn't reach that time yet, last heard {heard}",
    },
    "missing": {
        "vi": "còn thiếu {records} bản ghi",
        "en": "{records} records are missing here",
    },
    "parked": {
        "vi": "{records} bản ghi để riêng vì không đọc được",
        "en": "{records} records are set aside, nobody could read them",
    },
    "other-branch": {
        "vi": "nhật ký {journal} dừng lúc {heard}, không ai ghi tiếp; thẻ nhớ bị sao chép, khôi phục hoặc thay",
        "en": "journal {journal} ended at {heard} and nobody went on with it; a card was copied, restored or replaced",
    },
    "reader-blind": {
        "vi": "đầu đọc {station} không thấy ai từ {since}",
        "en": "reader {station} has seen nobody since {since}",
    },
}
FLAWS: Final[Mapping[Flaw, Mapping[Language, str]]] = {
    "records-lost": {"vi": "có bản ghi đã mất hẳn", "en": "records are gone for good"},
    "reader-blind": {
        "vi": "có lúc đầu đọc không thấy ai, từ {since}",
        "en": "a reader saw nobody for a while, from {since}",
    },
    "gateway-dark": {"vi": "thiết bị tắt một lúc, từ {since}", "en": "the device was off for a while, from {since}"},
    "other-branch": {"vi": "một nhật ký bị bỏ từ {since}", "en": "a journal was given up, from {since}"},
}
TOTAL: Final[Mapping[Language, str]] = {"vi": "đủ {complete}/{gates} cổng", "en": "{complete} of {gates} gates"}
WAIVED: Final[Mapping[Language, str]] = {
    "vi": "không chờ nữa: {by}, {at}. {reason}",
    "en": "not waited for: {by}, {at}. {reason}",
}
UNKNOWN: Final = "–"


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate device on a page. `complete_to`: when its records are complete to, as text; `why`: what is waited for.

    `state`: `complete` for the time asked about, `waived` by a person, or `waiting`. `flaws`: what no waiting brings.
    """

    device: str
    state: Literal["complete", "waived", "waiting"]
    gates: int
    complete: int
    complete_to: str
    why: str = ""
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoverageWords:
    """All gates: `total` says it in one line, `complete` whether nothing is waited for."""

    total: str
    complete: bool
    lines: tuple[GateLine, ...]


def coverage_words(
    known: Iterable[DeviceFacts],
    waivers: Sequence[Waiver],
    from_ms: int,
    at_ms: int,
    language: Language,
    awake_ms: int | None = None,
) -> CoverageWords:
    """What a page says of one moment: every device that stands at a gate then, by name.

    `from_ms` and `awake_ms`: when the time that matters began, as for coverage.reach.
    """
    lines: list[GateLine] = []
    for device in sorted(known, key=lambda one: one.device):
        retired = device.retired_ms is not None and device.retired_ms <= at_ms
        if device.since_ms <= at_ms and not retired and is_gate(device, from_ms):
            lines.append(_line(reach(device, waivers, from_ms, awake_ms), waivers, at_ms, language))
    gates, complete = sum(line.gates for line in lines), sum(line.complete for line in lines)
    total = TOTAL[language].format(complete=complete, gates=gates)
    return CoverageWords(total, bool(lines) and all(line.state != "waiting" for line in lines), tuple(lines))


def _line(told: Reach, waivers: Sequence[Waiver], at_ms: int, language: Language) -> GateLine:
    through = clock_text(told.through_ms, at_ms)
    flaws = tuple(
        FLAWS[flaw][language].format(since=clock_text(since_ms, at_ms))
        for flaw, since_ms in told.flaws
        if since_ms <= at_ms
    )
    if told.through_ms is not None and told.through_ms >= at_ms:
        return GateLine(told.device, "complete", told.gates, told.gates, through, flaws=flaws)
    complete = 0
    if told.why == "reader-blind" and told.claim is not None and (told.claim.sure_ms or 0) >= at_ms:
        complete = told.gates - told.blind
    mine = [one for one in waivers if one.device == told.device and one.through_ms >= at_ms]
    if mine:
        last = max(mine, key=lambda one: (one.at_ms, one.record))
        words = WAIVED[language].format(by=last.by, at=clock_text(last.at_ms, at_ms), reason=last.reason)
        return GateLine(told.device, "waived", told.gates, complete, through, words, flaws)
    return GateLine(told.device, "waiting", told.gates, complete, through, _why(told, at_ms, language), flaws)


def _why(told: Reach, at_ms: int, language: Language) -> str:
    what = {name: value for name, value in told.what.items() if not name.endswith("_ms")}
    for name, value in told.what.items():
        if name.endswith("_ms"):
            what[name.removesuffix("_ms")] = clock_text(value if isinstance(value, int) else None, at_ms)
    return WHY[told.why][language].format(**what)


def clock_text(moment_ms: int | None, beside_ms: int) -> str:
    """A time at the school, with its date where that isn't the date of the time beside it."""
    if moment_ms is None:
        return UNKNOWN
    moment = datetime.fromtimestamp(moment_ms / 1000, VIETNAM)
    same = moment.date() == datetime.fromtimestamp(beside_ms / 1000, VIETNAM).date()
    return f"{moment:%H:%M}" if same else f"{moment:%H:%M %d/%m/%Y}"
