"""The others: which counters the sheet names beside this gateway, who of them isn't heard, and what is said to them.

What they say in turn is counted by the hatch; how words travel is the exchange's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from edge.canteen.census import NO_MEAL
from edge.canteen.ports import Neighbours
from edge.canteen.servings import Serving
from protocol.served import Told

log = logging.getLogger("k12edge.canteen")

ABSENT_MS: Final = 2 * 3_600_000
"""A counter that isn't heard for so long, while others are, serves nobody: it is off, or stands in a cupboard. Were it
cut off instead, it would hear nobody, and mark its own servings."""


class Others:
    """See the room. `keys`: device -> public key, without us; another dict with each sheet, never changed."""

    def __init__(self, own_device: str) -> None:
        """We are `own_device`; nobody else is known, and there is no exchange."""
        self._own = own_device
        self._neighbours: Neighbours | None = None
        self._heard_ms: dict[str, int] = {}
        self.keys: dict[str, str] = {}

    def know(self, counters: Mapping[str, str]) -> None:
        """A sheet names these counters."""
        self.keys = {name: key for name, key in sorted(counters.items()) if name != self._own}

    def join(self, neighbours: Neighbours) -> None:
        """Take the exchange; nothing was said to it yet."""
        self._neighbours = neighbours

    def unheard(self) -> tuple[str, ...]:
        """Other counters of the sheet that aren't heard; all of them where there is no exchange."""
        if self._neighbours is not None:
            with suppress(Exception):
                return self._neighbours.unheard()
        return tuple(self.keys)

    def is_alone(self, now_ms: int) -> bool:
        """Whether somebody may be served, now, of whom we don't hear; to be asked every few seconds too."""
        unheard, keys = self.unheard(), self.keys
        known = self._heard_ms
        for device in keys:
            known[device] = known.get(device, now_ms) if device in unheard else now_ms
        if len(unheard) == len(keys):
            return bool(keys)
        return any(now_ms - known.get(device, now_ms) < ABSENT_MS for device in unheard)

    def say(self, serving: Serving) -> None:
        """Tell them of a serving of ours as it stands now; never fails. Outside of every meal there is no word."""
        if self._neighbours is None or serving.key == NO_MEAL:
            return
        (day, meal), same_ms = serving.key, serving.wall_ms if serving.lent else None
        back = serving.undone or serving.same
        try:
            # Its place is the exchange's to give. What stands for another one each counter finds for itself.
            self._neighbours.said(
                Told(1, serving.tap, serving.held, serving.student, day, meal, back, serving.shift, same_ms)  # type: ignore[arg-type]  # A key's meal came from a MealTap.
            )
        except Exception:
            log.exception("serving %s could not be told to other counters", serving.tap)
