"""The card book: what staff see of cards - whose each is and was, what happened to it, cards that nobody knows.

A card's name on pages and in answers is its keyed id under the newest key; its number is told only by its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal

from hub.cards.holdings import SINCE_EVER_MS, CardChange, ChangeKind, Holding, texts_of
from hub.days.classbook import DAY_MS, midnight_ms, today_at
from protocol.cards import CardKey, parse_card
from protocol.errors import CardNumberError
from protocol.names import name_order

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.store.dayrows import TapRow
    from hub.store.peoplerows import Person

State = Literal["good", "temporary", "lost", "returned", "replaced", "passed", "left", "unknown", "several"]
"""What a card is now: `left`, its pupil has left the school; `passed`, it became another pupil's; `several`: a part of
a number that the cards of more than one pupil have."""
UNREADABLE: Final = ("random", "misread")
"""Reasons of taps that name no card."""
DIGITS_SHOWN: Final = 4
UNKNOWN_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class CardLine:
    """A card of a pupil: its name, the end of its number, what it is now, and since and until when it was theirs."""

    name: str
    tail: str
    state: State
    pupil: str
    from_ms: int | None
    to_ms: int | None


@dataclass(frozen=True, slots=True)
class CardEvent:
    """Something that happened to a card of a pupil; `from_ms`: since when, None where it was so since ever."""

    record: str
    at_ms: int
    name: str
    tail: str
    change: ChangeKind
    from_ms: int | None
    by: str


@dataclass(frozen=True, slots=True)
class Found:
    """A card that was held to a station, as the cards are now. `name` is None where its number isn't known whole."""

    state: State
    name: str | None
    tail: str
    pupil: str | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A card of nobody that was seen on a day: its newest tap, how often, where. `bindable`: its number is known."""

    tap: str
    tail: str
    bindable: bool
    count: int
    first_ms: int
    last_ms: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """A gateway that is not known to have the release in force; `heard_s` since it was heard, None: not at all."""

    device: str
    link: str
    heard_s: int | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a release has come: `known` of `devices` accepted gateways have it."""

    release: str | None
    made_ms: int | None
    known: int
    devices: int
    behind: tuple[Behind, ...]


def reach(devices: Iterable[Mapping[str, Any]], release: tuple[str, int] | None) -> Reach:
    """Which accepted gateways named the release in force; `devices` as Status shows them."""
    mine = [device for device in devices if device["standing"] == "accepted"]
    name = None if release is None else release[0]
    behind = [
        Behind(device["device"], device["link"], device["heard_s"])
        for device in mine
        if name is None or set(device["rosters"].values()) != {name}
    ]
    made_ms = None if release is None else release[1]
    return Reach(name, made_ms, len(mine) - len(behind), len(mine), tuple(behind))


def tail_of(text: str) -> str:
    """The last digits of a card's number, enough to tell a pupil's cards apart; of a keyed id nothing."""
    return "" if text.startswith("hk") else text[-DIGITS_SHOWN:]


class CardBook:
    """See the room. Asked under the ledger's lock."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store
        self._held: list[Holding] | None = None
        self._made_for: object = None
        self._texts: dict[str, set[str]] = {}
        self._by_text: dict[str, list[str]] = {}
        self._holdings: dict[str, list[Holding]] = {}

    # --- names of cards -----------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        keys, partials = self._store.secrets.card_keys(), self._store.roster.partials()
        held = self._store.holders.holdings()
        if self._held is not held or self._made_for != (keys, partials):
            if self._made_for != (keys, partials):
                self._texts = {}
            self._by_text, self._holdings = {}, {}
            for holding in held:
                self._holdings.setdefault(holding.card, []).append(holding)
            for card in self._holdings:
                if card not in self._texts:
                    self._texts[card] = texts_of(card, keys, partials)
                for text in self._texts[card]:
                    self._by_text.setdefault(text, []).append(card)
            self._held, self._made_for = held, (keys, partials)

    def _newest(self) -> CardKey:
        return self._store.secrets.card_keys()[-1]

    def name(self, card: str) -> str:
        """A card's name, of its canonical form."""
        return self._newest().keyed(parse_card(card))

    def card_of(self, text: str) -> str | None:
        """The canonical form of a card that is known here by this name or number; of any whole number itself.

        None where the text is no number, or a name that isn't known here.
        """
        self._refresh()
        known = self._by_text.get(text.strip(), [])
        if len(known) == 1:
            return known[0]
        try:
            card = parse_card(text)
        except CardNumberError:
            return None
        return None if card.partial else card.canonical

    # --- what cards are -----------------------------------------------------------------------------------------------

    def found(self, text: str) -> Found:
        """What a card is now, by the text under which a tap of it is kept."""
        self._refresh()
        known = self._by_text.get(text, [])
        if not known:
            whole = None if text.startswith("hk") else self.card_of(text)
            return Found("unknown", None if whole is None else self.name(whole), tail_of(text), None)
        if len(known) > 1:
            owners = {last.pupil for card in known if (last := self._holdings[card][-1]).open}
            if len(owners) != 1:
                return Found("several", None, tail_of(text), None)
            known = [card for card in known if self._holdings[card][-1].open]
        last = self._holdings[known[0]][-1]
        return Found(self._state(last), self.name(last.card), tail_of(last.card), last.pupil)

    def _state(self, last: Holding) -> State:
        if last.ended is not None:
            return "returned" if last.ended == "found" else _ENDED[last.ended]
        person = self._store.people.find(last.pupil)
        if person is None or person.state == "left":
            return "left"
        return "temporary" if last.temporary else "good"

    def last_holding(self, card: str) -> Holding | None:
        """The newest holding of a card, by its canonical form; None: it was never anybody's."""
        self._refresh()
        held = self._holdings.get(card)
        return None if held is None else held[-1]

    def since_ms(self, card: str, change: ChangeKind = "issued") -> int | None:
        """Since when a card is to be a pupil's: since ever where nobody had it. None: from now on.

        One that was taken back brings home the taps that the page of cards shows, of today: who had it on days before,
        nobody asked. One that is lent is often in many hands: from now on.
        """
        self._refresh()
        free_ms = _free_since(self._holdings.get(card, []))
        if free_ms is None or free_ms == SINCE_EVER_MS:
            return free_ms
        return None if change == "temporary" else max(free_ms, midnight_ms(today_at(self._store.clock.now_ms())))

    def of(self, pupil: str) -> list[CardLine]:
        """A pupil's cards, those that are theirs now first."""
        self._refresh()
        lines = []
        for card, held in self._holdings.items():
            mine = [one for one in held if one.pupil == pupil and one.from_ms < one.to_ms]
            if mine:
                last = mine[-1]
                state = self._state(last) if last is held[-1] or last.ended is not None else "passed"
                lines.append(_line(self.name(card), last, state))
        return sorted(lines, key=lambda line: (line.state not in ("good", "temporary"), line.name))

    def open_cards(self) -> dict[str, int]:
        """How many cards each pupil has now."""
        counts: dict[str, int] = {}
        for holding in self._store.holders.holdings():
            if holding.open:
                counts[holding.pupil] = counts.get(holding.pupil, 0) + 1
        return counts

    def history(self, pupil: str) -> list[CardEvent]:
        """Everything that happened to a pupil's cards, newest first."""
        changes = [change for change in self._store.days.card_changes() if change.pupil == pupil]
        changes.sort(key=lambda change: (change.at_ms, change.record), reverse=True)
        return [self._event(change) for change in changes]

    def _event(self, change: CardChange) -> CardEvent:
        from_ms = None if change.from_ms == SINCE_EVER_MS else change.from_ms
        name, tail = self.name(change.card), tail_of(change.card)
        return CardEvent(change.record, change.at_ms, name, tail, change.change, from_ms, change.by)

    # --- classes ------------------------------------------------------------------------------------------------------

    def members(self, school_class: str, day: date) -> list[Person]:
        """Who is of a class on a day, as lists order them."""
        people = [self._store.people.find(pupil.key, day) for pupil in self._store.people.of(day, day, school_class)]
        here = [person for person in people if person is not None and person.state != "left"]
        return sorted(here, key=lambda person: (name_order(person.name), person.key))

    # --- cards of nobody ----------------------------------------------------------------------------------------------

    def unknown(self, day: date) -> list[Unknown]:
        """The cards of nobody that were seen on a day, those seen last first, at most UNKNOWN_MAX."""
        begin_ms = midnight_ms(day)
        seen: dict[str, list[TapRow]] = {}
        self._refresh()
        for tap in self._store.deskrows.nobodys(begin_ms, begin_ms + DAY_MS):
            if tap.reason not in UNREADABLE and self._is_free(tap):
                seen.setdefault(tap.card, []).append(tap)
        found = [self._unknown(text, taps) for text, taps in seen.items()]
        return sorted(found, key=lambda one: one.last_ms, reverse=True)[:UNKNOWN_MAX]

    def _is_free(self, tap: TapRow) -> bool:
        """Whether a tap's card was nobody's then, and is so still."""
        cards = self._by_text.get(tap.card, [])
        free_ms = [_free_since(self._holdings[card]) for card in cards]
        return all(since_ms is not None and since_ms <= tap.best_ms for since_ms in free_ms)

    def _unknown(self, text: str, taps: Sequence[TapRow]) -> Unknown:
        newest = max(taps, key=lambda tap: (tap.best_ms, tap.sequence))
        books = self._store.ledger.books
        places = sorted({f"{books.numbered(tap.journal).device}/{tap.point}" for tap in taps})
        return Unknown(
            f"{books.numbered(newest.journal).journal}.{newest.sequence}",
            tail_of(text),
            self.card_of(text) is not None,
            len(taps),
            min(tap.best_ms for tap in taps),
            newest.best_ms,
            tuple(places),
        )


_ENDED: Final[Mapping[str, State]] = {
    "lost": "lost",
    "returned": "returned",
    "replaced": "replaced",
    "passed": "passed",
    "issued": "passed",
    "temporary": "passed",
}


def _free_since(held: Sequence[Holding]) -> int | None:
    """Since when a card is nobody's: since ever, or since it was taken back, which an undo at a desk does since ever.

    None: it is somebody's, or was lost or replaced; then nobody can say who had it since.
    """
    if not held:
        return SINCE_EVER_MS
    return held[-1].to_ms if held[-1].ended == "returned" else None


def _line(name: str, held: Holding, state: State) -> CardLine:
    from_ms = None if held.from_ms == SINCE_EVER_MS else held.from_ms
    return CardLine(name, tail_of(held.card), state, held.pupil, from_ms, None if held.open else held.to_ms)
