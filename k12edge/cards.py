"""`k12edge card` and `k12edge readers`: numbers explained, readers found, watched, and what they print identified."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from edge.clock import SystemClock
from edge.ports import CardSeen
from edge.readers.opening import SCHEMES, make_reader
from edge.readers.plugged import plugged
from edge.readers.supervisor import ReaderSupervisor
from protocol.cardforms import leaked_cascade_tag, plans, plans_for, printed, wiegand_bits
from protocol.cards import CardUid, parse_card, suspicion
from protocol.errors import CardNumberError, ReaderLost, ReaderRefused

BAUD: Final = 9600
"""What a `lines:` address has when it names none."""
DECLARATIONS: Final = frozenset({"format", "order", "bytes", "part"})
"""What an address declares of the numbers that a reader gives."""
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

    def must_have_opened(self, within_s: float) -> None:
        """Raise what kept the reader from opening, if it never did: ReaderRefused, ReaderLost."""
        if not self.keeper.counts.opens:
            last = self.keeper.keeping.last
            if last is not None and last.refused:
                raise ReaderRefused(last.text)
            why = "it did not answer" if last is None else last.text
            raise ReaderLost(f"{self.keeper.name} did not open within {within_s:g} s: {why}")

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
    watch.must_have_opened(seconds)


def identify(where: str, card: CardUid, bauds: Sequence[int], seconds: float) -> Iterator[str]:
    """The addresses under which a reader names a known card, the plainest first.

    `where`: a serial port or input device, or an address without its form (`keyboard:`, `lines:`, `osdp:` and its key).
    The card is to be held to it again and again meanwhile; a serial port is listened at for `seconds` at each speed.
    Raises ReaderLost where nothing is heard, CardNumberError where what came names another card, ReaderRefused.
    """
    scheme, _, rest = where.partition(":")
    path = unquote(rest.partition("?")[0].removeprefix("//"))
    options = dict(parse_qsl(rest.partition("?")[2], keep_blank_values=True))
    if scheme in SCHEMES and options.keys() & DECLARATIONS:
        raise ReaderRefused(f"leave {', '.join(sorted(options.keys() & DECLARATIONS))} out: that is to be found out")
    if scheme == "osdp":
        found = _sent(where, card, seconds)
    elif scheme == "keyboard" or os.path.realpath(where).startswith("/dev/input/"):
        found = _typed(path if scheme == "keyboard" else where, card, seconds)
    elif scheme == "lines":
        found = _printed_at(path, card, _speeds(options, bauds), seconds)
    elif scheme not in SCHEMES:
        found = _printed_at(where, card, bauds, seconds)
    else:
        raise ReaderRefused(
            f"{scheme} readers tell a card's whole number, nothing is to be found out",
            hint=f"k12edge readers watch {where} shows it.",
        )
    heard = 0
    for addresses in found:
        heard += 1
        yield from addresses
        if addresses:
            return
    if heard:
        raise CardNumberError(f"{heard} reads came, and none names {card.canonical}: is it the card that was touched?")
    raise ReaderLost(f"{where} said nothing")


def _speeds(options: Mapping[str, str], bauds: Sequence[int]) -> Sequence[int]:
    """Those of the address before those of the command line."""
    named = options.get("baud", "")
    return [int(named)] if named.isascii() and named.isdigit() else bauds


def _touch(where: str) -> None:
    print(f"{where}: chạm thẻ / touch the card …", file=sys.stderr)


def _printed_at(path: str, card: CardUid, bauds: Sequence[int], seconds: float) -> Iterator[list[str]]:
    from edge.readers.lines import texts_of

    for baud in bauds:
        _touch(f"{path}, {baud} baud")
        speed = f"&baud={baud}" if baud != BAUD else ""
        for text in texts_of(path, baud, seconds):
            yield [f"lines://{quote(path)}?{plan}{speed}" for plan in plans_for(card, text)]


def _typed(path: str, card: CardUid, seconds: float) -> Iterator[list[str]]:
    from edge.readers.keyboard import UNTYPED, texts_of

    _touch(path)
    for text in texts_of(path, seconds):
        plans = [plan for plan in plans_for(card, text) if plan.form.name not in UNTYPED]
        yield [f"keyboard://{quote(path)}?{plan}" for plan in plans]


def _sent(url: str, card: CardUid, seconds: float) -> Iterator[list[str]]:
    """Of an OSDP reader the length tells the form; found out is the byte order, and which part it sends."""
    from edge.readers.osdpcards import declarations_for

    _touch(url)
    with Watch(url) as watch:
        for seen in watch.sightings(seconds, None):
            assert seen.read is not None and seen.read.text is not None, "an OSDP read keeps its bits"
            words = declarations_for(card, seen.read.text)
            yield ["&".join((url, *word)) for word in words]
        unread = watch.keeper.counters().unread
    watch.must_have_opened(seconds)
    for _ in range(unread):
        yield []
