"""Slots: drafts that wait for a shared commit, and what became of each."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from protocol.taps import Draft, TapId

log = logging.getLogger("k12edge.journal")


@dataclass(slots=True)
class Slot:
    """A draft, what to do `then` once it is durable, and, when `done`, its name or its error."""

    draft: Draft
    then: Callable[[TapId], None] | None = None
    tap: TapId | None = None
    error: Exception | None = None
    done: bool = False


def take_all(waiting: deque[Slot]) -> list[Slot]:
    """Take out, one by one, those that wait: one that joins meanwhile is either taken too or left whole."""
    slots: list[Slot] = []
    with suppress(IndexError):
        while True:
            slots.append(waiting.popleft())
    return slots


def tell(slots: Iterable[Slot]) -> None:
    """Do what was to be done for each that was committed, whatever becomes of the others."""
    for slot in slots:
        if slot.then is None or slot.error is not None or slot.tap is None:
            continue
        try:
            slot.then(slot.tap)
        except Exception:
            log.exception("record %s is stored, and could not be shown", slot.tap)
