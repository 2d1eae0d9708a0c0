"""The words of messages to parents, in Vietnamese and English: given name and class, gate, time with its date. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hub.attendance.schoolday import VIETNAM
from hub.messages.planning import Message, MessageKind
from protocol.names import spelled

Language = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")

TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {
    "vi": {
        "arrived": "{who} đã đến trường lúc {when}{place}{by}.",
        "late": "{who} đến trường lúc {when}{place}{by}, muộn {minutes} phút.",
        "left": "{who} đã ra khỏi trường lúc {when}{place}{by}.",
        "not-recorded": "{who} chưa được ghi nhận đến trường tính đến {when} (đủ dữ liệu, {gates}/{gates} cổng). "
        "Xin gia đình liên hệ nhà trường.",
        "not-recorded-by": "{who} được ghi vắng lúc {when}{by}. Xin gia đình liên hệ nhà trường.",
        "corrected-there": "Đính chính tin trước ({first}): {who} có mặt ở trường, ghi nhận lúc {when}{place}{by}.",
        "corrected-missing": "Đính chính tin trước ({first}): {who} không có mặt ở trường{by}. "
        "Xin gia đình liên hệ nhà trường.",
        "corrected-excused": "Đính chính tin trước ({first}): {who} nghỉ học có phép{by}. "
        "Nếu gia đình không xin nghỉ, xin liên hệ nhà trường.",
        "corrected-unknown": "Đính chính tin trước ({first}): tin đó không đúng hoặc không chắc của {who}. "
        "Nhà trường chưa rõ em có mặt hay không; xin gia đình liên hệ nhà trường.",
        "recorded": " Ghi nhận lúc {when}; tin này đến muộn.",
        "who": "{given} lớp {school_class}",
        "when": "{clock} ngày {day}",
        "about": "khoảng {clock} ngày {day}",
        "place": ", {place}",
        "by": ", theo {by}",
    },
    "en": {
        "arrived": "{who} arrived at school at {when}{place}{by}.",
        "late": "{who} arrived at school at {when}{place}{by}, {minutes} minutes late.",
        "left": "{who} left school at {when}{place}{by}.",
        "not-recorded": "{who} was not recorded as arrived by {when} (complete, {gates} of {gates} gates). "
        "Please contact the school.",
        "not-recorded-by": "{who} was marked absent at {when}{by}. Please contact the school.",
        "corrected-there": "Correction of an earlier message ({first}): {who} is at school, recorded at"
        " {when}{place}{by}.",
        "corrected-missing": "Correction of an earlier message ({first}): {who} is not at school{by}. "
        "Please contact the school.",
        "corrected-excused": "Correction of an earlier message ({first}): {who} is on leave{by}. "
        "If you did not ask for leave, please contact the school.",
        "corrected-unknown": "Correction of an earlier message ({first}): it was wrong, or may not be about {who}. "
        "It is not known whether they are at school; please contact the school.",
        "recorded": " Recorded at {when}; this message is late.",
        "who": "{given} of class {school_class}",
        "when": "{clock} on {day}",
        "about": "about {clock} on {day}",
        "place": ", {place}",
        "by": ", says {by}",
    },
}
FIRST: Final[Mapping[Language, Mapping[MessageKind, str]]] = {
    "vi": {
        "arrived": "đã đến trường",
        "late": "đến muộn",
        "left": "đã ra khỏi trường",
        "not-recorded": "chưa được ghi nhận",
        "corrected": "đính chính",
    },
    "en": {
        "arrived": "arrived",
        "late": "late",
        "left": "left",
        "not-recorded": "not recorded",
        "corrected": "correction",
    },
}
"""How a correction calls the message that it corrects."""
GATES: Final[Mapping[Language, str]] = {"vi": "cổng", "en": "gate"}


@dataclass(frozen=True, slots=True)
class Person:
    """Of a pupil what a message may say: the given name and the class."""

    given: str
    school_class: str


def person_of(name: str, school_class: str) -> Person:
    """The given name is the last word."""
    return Person(spelled(name).rpartition(" ")[2], school_class)


def text_of(message: Message, person: Person, now_ms: int, language: Language) -> str:
    """What the parent reads, if it is sent now; a message that is no news any more says so."""
    texts = TEXTS[language]
    template = texts[_template(message)]
    when = _when(message, language)
    text = template.format(
        who=texts["who"].format(given=person.given, school_class=person.school_class),
        when=when,
        place=texts["place"].format(place=_place(message.place, language)) if message.place else "",
        by=texts["by"].format(by=message.by) if message.by else "",
        minutes=message.minutes,
        gates=message.gates,
        first=FIRST[language][message.first_kind] if message.first_kind else "",
    )
    if told_late(message, now_ms) and message.kind != "corrected":
        text += texts["recorded"].format(when=when)
    return text


def told_late(message: Message, now_ms: int) -> bool:
    """Whether it is no news any more."""
    return now_ms > message.fresh_until_ms


def _template(message: Message) -> str:
    if message.kind == "corrected":
        # A family that asked for leave is not told that their child isn't there, as if nobody knew why.
        return f"corrected-{'excused' if message.excused else message.claim}"
    return "not-recorded-by" if message.kind == "not-recorded" and message.by else message.kind


def gate_called(point: str) -> str:
    """How a gate without a name of its own is called, in Vietnamese, as it stands in a message's `place`."""
    return f"{GATES['vi']} {point}"


def _place(place: str, language: Language) -> str:
    word, space, name = place.partition(" ")
    return f"{GATES[language]} {name}" if space and word == GATES["vi"] else place


def _when(message: Message, language: Language) -> str:
    moment = datetime.fromtimestamp(message.at_ms / 1000, VIETNAM)
    template = TEXTS[language]["about" if message.about else "when"]
    return template.format(clock=f"{moment:%H:%M}", day=f"{moment:%d/%m/%Y}")
