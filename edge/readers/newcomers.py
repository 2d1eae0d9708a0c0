"""Which cards are asked for more than their number: those that came, and not again while they stay."""

from __future__ import annotations

from typing import Final

from edge.readers.presence import CARDS_MAX, GONE_NS
from protocol.cards import CardUid, suspicion

FORGOTTEN_NS: Final = GONE_NS // 2
"""Sooner than presence takes a card for gone: a new sighting never lacks its proof, or has an old one."""


class Newcomers:
    """Pure; time in ns, of any clock that never steps."""

    def __init__(self) -> None:
        """Nothing was there."""
        self._until_ns: dict[str, int] = {}

    def came(self, now_ns: int, cards: tuple[CardUid, ...]) -> tuple[CardUid, ...]:
        """Those of the cards there now that were not there before; random numbers don't count, they are always new."""
        self._until_ns = {name: until_ns for name, until_ns in self._until_ns.items() if until_ns > now_ns}
        new = tuple(card for card in cards if card.canonical not in self._until_ns and suspicion(card) is None)
        self.stayed(now_ns, cards)
        return new

    def stayed(self, now_ns: int, cards: tuple[CardUid, ...]) -> None:
        """They are still there: asking takes time, in which nobody looked."""
        for card in cards:
            if card.canonical in self._until_ns or len(self._until_ns) < CARDS_MAX:
                self._until_ns[card.canonical] = now_ns + FORGOTTEN_NS
