"""Holders: whose a tap is by the school's cards, under whatever text the tap is kept; and where a gateway erred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hub.attendance.schoolday import Binding, holders_of
from hub.cards.holdings import Holding, bindings, holdings, texts_of
from protocol.cards import CardKey

if TYPE_CHECKING:
    from hub.store.dayrows import DayRows
    from hub.store.devices import Devices
    from hub.store.rosterrows import RosterRows
    from hub.store.secrets import Secrets


class Holders:
    """See the room. Worked out again whenever a card, a card key or a gateway's own key changes; under the lock."""

    def __init__(self, days: DayRows, secrets: Secrets, devices: Devices, roster: RosterRows) -> None:
        """Nothing was worked out yet."""
        self._days, self._secrets, self._devices, self._roster = days, secrets, devices, roster
        self._made_for: object = None
        self._held: list[Holding] = []
        self._texts: dict[str, set[str]] = {}
        self._texts_for: object = None
        self._bindings: Mapping[str, Sequence[Binding]] = {}
        self._by_pupil: Mapping[str, Sequence[str]] = {}
        self._own: dict[str, bytes | None] = {}

    def _keys(self) -> tuple[CardKey, ...]:
        """The school's card keys, and the ones that gateways used before they met this hub."""
        sealed = {
            key.hk0 for device in self._devices.all() if device.standing == "accepted" for key in device.keys if key.hk0
        }
        for box in sealed - self._own.keys():
            self._own[box] = self._secrets.opened(box)
        own = sorted({secret for box in sealed if (secret := self._own[box]) is not None})
        return (*self._secrets.card_keys(), *(CardKey(0, secret) for secret in own))

    def _refresh(self) -> None:
        keys, partials = self._keys(), self._roster.partials()
        made_for = (self._days.cards_version, keys, partials)
        if made_for != self._made_for:
            if self._texts_for != (keys, partials):
                self._texts, self._texts_for = {}, (keys, partials)
            self._held = list(holdings(self._days.card_changes()))
            self._bindings = bindings(self._held, keys, partials, self._texts)
            by_pupil: dict[str, list[str]] = defaultdict(list)
            for held in self._held:
                by_pupil[held.pupil].extend(self._texts[held.card])
            self._by_pupil = by_pupil
            self._made_for = made_for

    def bindings(self) -> Mapping[str, Sequence[Binding]]:
        """Whose each card was, by every text under which a tap of it may be kept."""
        self._refresh()
        return self._bindings

    def texts_of_pupils(self, pupils: Iterable[str]) -> set[str]:
        """Every text under which taps of the cards that were ever theirs may be kept."""
        self._refresh()
        return {text for pupil in pupils for text in self._by_pupil.get(pupil, ())}

    def holdings(self) -> list[Holding]:
        """Every holding, by card and time."""
        self._refresh()
        return self._held

    def texts(self, cards: Iterable[str]) -> set[str]:
        """Every text under which taps of these cards may be kept."""
        keys, partials = self._keys(), self._roster.partials()
        return {text for card in set(cards) for text in texts_of(card, keys, partials)}


def whose(bindings: Mapping[str, Sequence[Binding]], text: str, at_ms: int, believed: str | None) -> str | None:
    """Whose a tap is: None where the card was nobody's then, or may be two pupils'.

    Of a card that nothing is known of, the gateway's belief stands: it had a release of this school.
    """
    known = bindings.get(text)
    if known is None:
        return believed
    found = holders_of(known, at_ms)
    return found[0] if len(found) == 1 else None
