"""The labels of marks: the letters that a school writes for the fixed codes, and none that two marks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hub.attendance.marks import MARKS, Mark
from protocol.errors import NeedsHands
from protocol.names import spelled

NOT_KNOWN: Final = "?"
"""A mark that isn't known yet; no school writes it otherwise, lest it be read as an absence."""
DEFAULTS: Final[Mapping[Mark, str]] = {
    "present": "x",
    "late": "M",
    "left-early": "VS",
    "absent": "V",
    "excused": "P",
    "unexcused": "K",
    "not-known": NOT_KNOWN,
}
"""Có mặt, muộn, về sớm, vắng chưa phân loại, có phép, không phép, chưa rõ."""
CHARACTERS_MAX: Final = 4


class LabelsRefused(NeedsHands):
    """The labels of marks can't be used: one is unknown, too long, or stands for two marks."""

    code = "labels-refused"
    hint = "Give each mark its own label of at most 4 characters; the one of not-known is always ?."


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each mark; only that of `present` may be empty."""

    words: Mapping[Mark, str]

    def of(self, mark: Mark) -> str:
        """The label of a mark."""
        return self.words[mark]


def labels_from(chosen: Mapping[str, str]) -> Labels:
    """The labels that a school chose, such as `{"excused": "CP", "unexcused": "KP", "late": "T"}`.

    Raises LabelsRefused.
    """
    words = dict(DEFAULTS)
    for name, label in chosen.items():
        mark = next((mark for mark in MARKS if mark == name), None)
        if mark is None:
            raise LabelsRefused(f"{name!r} is no mark; there are {', '.join(MARKS)}")
        words[mark] = spelled(label)
        if len(words[mark]) > CHARACTERS_MAX:
            raise LabelsRefused(f"the label {label!r} of {name} has more than {CHARACTERS_MAX} characters")
        if not words[mark] and mark != "present":
            raise LabelsRefused(f"the label of {name} is empty, and would be read as present")
    if words["not-known"] != NOT_KNOWN:
        raise LabelsRefused(f"not-known is {NOT_KNOWN} in every report, not {words['not-known']!r}")
    taken: dict[str, str] = {}
    for mark, label in words.items():
        other = taken.setdefault(label.casefold(), mark)
        if other != mark:
            raise LabelsRefused(f"{label!r} would stand for {other} and for {mark}")
    return Labels(words)


def labels_of(entries: Iterable[str]) -> Labels:
    """The labels as a configuration says them, such as `excused=CP`. Raises LabelsRefused."""
    chosen: dict[str, str] = {}
    for entry in entries:
        mark, equals, label = entry.partition("=")
        if not equals or mark.strip() in chosen:
            raise LabelsRefused(f"{entry!r} is not MARK=LABEL, each mark once")
        chosen[mark.strip()] = label.strip()
    return labels_from(chosen)


STANDARD: Final = labels_from({})
