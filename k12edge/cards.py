"""`k12edge card` and `k12edge readers`: numbers explained, readers found, watched, and what they print identified."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final
from urllib.parse import quote

from edge.clock import SystemClock
from edge.ports import CardSeen
from edge.readers.opening import make_reader
from edge.readers.plugged import plugged
from edge.readers.supervisor import ReaderSupervisor
from protocol.cardforms import leaked_cascade_tag, plans, plans_for, printed, wiegand_bits
from protocol.cards import CardUid, parse_card, suspicion
from protocol.errors import CardNumberError, ReaderLost

BAUD: Final = 9600
"""What a `lines:` address has when it names none."""
TECHNOLOGIES: Final = {
    "a": "ISO 14443-A (13,56 MHz)",
    "em": "EM4100 (125 kHz)",
    "f": "FeliCa",
    "w24": "một phần / a part, Wiegand 26",
    "w32": "một phần / a part, Wiegand 34",
}
DIGITS: Final = {5: 11, 7: 15, 8: 18}
"""Decimal digits of a whole number of so many bytes, at least: its highest byte is hardly ever zero."""
DOUBTS: Final = {
    "random": "số ngẫu nhiên, đổi sau mỗi lần đọc / random, another one at each reading",
    "misread": "không phải số thẻ / no card has this number",
}


def explain(text: str, as_json: bool) -> Iterator[str]:
    """What a number may be, and every printed form of each. Raises CardNumberError."""
    found = readings(text)
    if as_json:
        yield json.dumps([_as_json(card, how) for card, how in found], ensure_ascii=False)
        return
    for number, (card, how) in enumerate(found):
        if number:
            yield ""
        yield f"{card.canonical}  {TECHNOLOGIES[card.technology]}{f'  ← {how}' if how else ''}"
        doubt = suspicion(card)
        if doubt is not None:
            yield f"  ! {DOUBTS[doubt]}"
        if leaked_cascade_tag(card):
            yield "  ! bắt đầu bằng 88: đầu đọc chỉ đưa nửa số / begins with 88: the reader shows half a number"
        for name, shown in forms(card):
            yield f"  {shown:<36} {name}"


def readings(text: str) -> list[tuple[CardUid, str]]:
    """The cards that a number may name, each with the plan that reads it so; a canonical form names one. Raises
    CardNumberError.
    """
    technology, colon, _ = text.strip().partition(":")
    if colon and technology.lower() in TECHNOLOGIES:
        return [(parse_card(text), "")]
    found: dict[CardUid, str] = {}
    for plan in plans():
        try:
            card = plan.read(text)
        except CardNumberError:
            continue
        if plan.form.name == "5d5d" and len(text.strip().partition(",")[0]) == 3:
            # Three digits and five are the other form of two decimals.
            continue
        if plan.form.name == "dec" and plan.octets not in (3, 4) and len(text.strip()) < DIGITS[plan.octets or 0]:
            # Any number fits into eight bytes; one of so few digits was made of fewer.
            continue
        if card.technology == "w32":
            # Four bytes may be all there is of a number.
            row = bytes.fromhex(card.hex)
            card = CardUid.from_bytes("a", row if plan.order == "wire" else row[::-1])
        found.setdefault(card, str(plan))
    if not found:
        raise CardNumberError(
            f"{text[:40]!r} is a card number in no form that readers print; see docs/reference/cli.md"
        )
    return list(found.items())


def forms(card: CardUid) -> Iterator[tuple[str, str]]:
    """The name and text of each printed form of a card, each text once."""
    told: set[tuple[str, str]] = set()
    for form in printed(card):
        plan = form.plan
        key = (plan.form.name, form.text)
        if key in told:
            continue
        told.add(key)
        yield str(plan), form.text
        if plan.form.name in ("w26", "w34"):
            bits = 8 * (plan.form.octets or 0)
            yield f"{plan} (bit)", wiegand_bits(int(form.text, 16), bits)


def _as_json(card: CardUid, how: str) -> dict[str, Any]:
    return {
        "card": card.canonical,
        "read_as": how or None,
        "suspicion": suspicion(card),
        "forms": [{"format": name, "text": shown} for name, shown in forms(card)],
    }


# --- readers ----------------------------------------------------------------------------------------------------------


def list_readers(as_json: bool) -> Iterator[str]:
    """What is plugged into this machine, and which addresses to try."""
    found = plugged()
    if as_json:
        yield json.dumps(
            [{"kind": at.kind, "what": at.what, "path": at.path, "addresses": list(at.addresses)} for at in found],
            ensure_ascii=False,
        )
        return
    for at in found:
        yield f"{at.kind:<9} {at.what:<16} {at.path}"
        for address in at.addresses:
            yield f"          {address}"
    if not found:
        yield "không thấy đầu đọc nào / no reader was found"


class Watch:
    """A reader opened for a person at a terminal: its keeper on a thread of its own, what it saw in a row."""

    def __init__(self, url: str) -> None:
        """Make the driver. Raises ReaderRefused."""
        self._seen: list[CardSeen] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.keeper = ReaderSupervisor(url, make_reader(url), self._see, SystemClock().mono_ns, Random())
        self._thread = threading.Thread(target=self.keeper.run, args=(self._stop,), daemon=True)

    def _see(self, seen: CardSeen) -> None:
        with self._changed:
            self._seen.append(seen)
            self._changed.notify_all()

    def __enter__(self) -> Watch:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the reader back."""
        self._stop.set()
        self._thread.join(3)

    def sightings(self, seconds: float, count: int | None) -> Iterator[CardSeen]:
        """What is seen within `seconds`, at most `count`."""
        deadline = time.monotonic() + seconds
        given = 0
        while count is None or given < count:
            with self._changed:
                left_s = deadline - time.monotonic()
                if not self._changed.wait_for(lambda given=given: len(self._seen) > given, max(0.0, left_s)):  # type: ignore[misc]
                    return
                seen = self._seen[given]
            given += 1
            yield seen


def watch_reader(url: str, seconds: float, count: int | None, as_json: bool) -> Iterator[str]:
    """Each card held to a reader, with every printed form. Raises ReaderRefused, ReaderLost when it never opened."""
    with Watch(url) as watch:
        for seen in watch.sightings(seconds, count):
            text = None if seen.read is None else seen.read.text
            if as_json:
                yield json.dumps({"text": text, **_as_json(seen.card, "")}, ensure_ascii=False)
                continue
            yield f"{seen.card.canonical}  {TECHNOLOGIES[seen.card.technology]}{f'  ← {text}' if text else ''}"
            doubt = suspicion(seen.card)
            if doubt is not None:
                yield f"  ! {DOUBTS[doubt]}"
            for name, shown in forms(seen.card):
                yield f"  {shown:<36} {name}"
        counts = watch.keeper.counts
    if not counts.opens:
        raise ReaderLost(f"{url}: {counts.error or 'it did not open'} within {seconds:g} s")


def identify(path: str, card: CardUid, bauds: Sequence[int], seconds: float) -> Iterator[str]:
    """The addresses under which a serial reader names a known card, the plainest first.

    The card is to be held to it again and again meanwhile; each speed is listened at for `seconds`. Raises ReaderLost
    where nothing is heard, CardNumberError where what came names another card.
    """
    from edge.readers.lines import texts_of

    heard = 0
    for baud in bauds:
        print(f"{path}, {baud} baud: chạm thẻ / touch the card …", file=sys.stderr)
        for text in texts_of(path, baud, seconds):
            heard += 1
            found = plans_for(card, text)
            for plan in found:
                yield f"lines://{quote(path)}?{plan}{f'&baud={baud}' if baud != BAUD else ''}"
            if found:
                return
    if heard:
        raise CardNumberError(f"{heard} texts came, and none names {card.canonical}: is it the card that was touched?")
    raise ReaderLost(f"{path} said nothing that is a text")
