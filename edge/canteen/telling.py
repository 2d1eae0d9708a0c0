"""The telling: our own servings and withdrawals in their sequence, as far as other counters may still want them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from protocol.served import SERVINGS_MAX, Told

KEPT_MAX: Final = 5_000
"""Servings kept to be told; a school of 1,763 has as many in two days at one counter, were there no other."""
PAGE_BYTES: Final = 900
"""Of servings in one word: with its signature, topic and what it heard of some counters it stays below one Ethernet
frame (1,500), so that a lost packet costs one word and not all of a fragmented one."""


class Telling:
    """Pure. Places begin at 1 with each process. Of days the two last named are kept, and of servings KEPT_MAX."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.through = 0
        self.forgotten = 0
        self._kept: deque[tuple[Told, int]] = deque()
        self._last: dict[str, Told] = {}
        self._days: deque[str] = deque(maxlen=2)

    def add(self, told: Told) -> bool:
        """Give it the next place, whatever it has; False where that is what was told of this record last.

        So servings of the day may be said again at a start, while others are said.
        """
        known = self._last.get(told.tap)
        if known is not None and (known.taken_back, known.same_ms) == (told.taken_back, told.same_ms):
            return False
        self.through += 1
        placed = msgspec.structs.replace(told, place=self.through)
        self._kept.append((placed, len(msgspec.json.encode(placed))))
        self._last[told.tap] = placed
        if told.day not in self._days:
            # By order of appearance: a wrong clock may have named a day of 2099, which must not make today old.
            self._days.append(told.day)
        while self._kept and (len(self._kept) > KEPT_MAX or self._kept[0][0].day not in self._days):
            gone, _ = self._kept.popleft()
            self.forgotten = gone.place
            if self._last[gone.tap] is gone:
                del self._last[gone.tap]
        return True

    def page(self, behind: int) -> Sequence[Told]:
        """What follows place `behind`, as much as fits one word; at least one where there is any."""
        first = max(behind, self.forgotten) - self.forgotten
        page: list[Told] = []
        octets = 0
        for told, size in islice(self._kept, first, first + SERVINGS_MAX):
            octets += size + 1
            if page and octets > PAGE_BYTES:
                break
            page.append(told)
        return page
