"""Whose a line is: the pupils that leave, boarding, diet and consent speak of, by code, held to name and class. Pure.

A name or class that stands beside the code is there for whoever writes; where it is another one, the code is mistyped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, TypeVar

from hub.lists.faults import Fault, Faults
from hub.lists.known import KnownPupil, class_on
from hub.lists.lines import BoardingLine, ConsentLine, DietLine, LeaveLine
from protocol.names import folded

OF_PUPILS: Final = ("leave", "boarding", "diet", "consent")
"""Lists whose lines are each about a pupil."""

Line = TypeVar("Line", LeaveLine, BoardingLine, DietLine, ConsentLine)


def whose(
    file: str, lines: Sequence[Line], known: Sequence[KnownPupil], day: date
) -> tuple[list[tuple[str, Line]], tuple[Fault, ...]]:
    """Each line with its pupil's key, and what is wrong of the others."""
    by_code = {pupil.code: pupil for pupil in known if pupil.code is not None}
    faults = Faults(file)
    found: list[tuple[str, Line]] = []
    for line in lines:
        pupil = by_code.get(line.code)
        code = "no-pupil" if pupil is None else _differs(line.name, line.school_class, pupil, day)
        sheet, _, row = line.where.rpartition(", ")
        if code is not None:
            faults.add(code, sheet=sheet, row=int(row or 0))
        elif pupil is not None:
            found.append((pupil.key, line))
    return found, faults.all


def _differs(name: str | None, school_class: str | None, pupil: KnownPupil, day: date) -> str | None:
    if pupil.state == "left":
        return "pupil-left"
    if name is not None and sorted(folded(name).split()) != sorted(folded(pupil.name).split()):
        return "name-differs"
    now = class_on(pupil, day)
    return "class-differs" if school_class is not None and now is not None and school_class != now else None
