"""Enrolling: a pupil's classes from day to day as they are begun, moved and ended; days before stay. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from hub.lists.known import Enrolment

DAY = timedelta(days=1)


def placed(enrolments: Sequence[Enrolment], school_class: str, since: date) -> tuple[Enrolment, ...]:
    """With `school_class` from `since` on, until where what was planned for that day ends."""
    before = [piece for piece in enrolments if piece.first < since]
    later = [piece for piece in enrolments if piece.first > since]
    current = next(
        (piece for piece in enrolments if piece.first <= since and (piece.last is None or since <= piece.last)), None
    )
    if current is not None and current.school_class == school_class:
        return tuple(enrolments)
    last = current.last if current is not None else later[0].first - DAY if later else None
    if current is not None and current in before:
        before[-1] = replace(current, last=since - DAY)
    begun = Enrolment(school_class, since, last)
    if before and before[-1].school_class == school_class and before[-1].last == since - DAY:
        before[-1] = replace(before[-1], last=last)
        return (*before, *later)
    return (*before, begun, *later)


def ended(enrolments: Sequence[Enrolment], since: date) -> tuple[Enrolment, ...]:
    """Without any class from `since` on."""
    return tuple(
        piece if piece.last is not None and piece.last < since else replace(piece, last=since - DAY)
        for piece in enrolments
        if piece.first < since
    )
