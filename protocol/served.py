"""The word of a counter: what it served lately, said to the other counters by way of the broker, and directly.

The same signed bytes travel both ways. Nothing is counted by it at the hub, which has the records themselves: it is
there so that a second helping is known at the next counter within a second.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from protocol.countersheet import COUNTERS_MAX
from protocol.errors import BadMessage
from protocol.meals import SHIFTS_MAX, Meal

SERVINGS_MAX: Final = 200
"""Servings in one word; a counter serves some 400 a meal."""
WORD_BYTES_MAX: Final = 48 * 1024
"""A signed word; it must fit one datagram (65,507 bytes of UDP over IPv4)."""

PLACE_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader takes exactly (RFC 8259, 6)."""

Short = Annotated[str, msgspec.Meta(max_length=80)]
Place = Annotated[int, msgspec.Meta(ge=1, le=PLACE_MAX)]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A serving as counters tell it. `place`: its number in the teller's sequence of servings and withdrawals, from 1.

    `tap`: the record's name; `card`: keyed; `student`: as believed, or None; `day`, `meal`: which it counts for;
    `taken_back`: it didn't happen after all. `shift`: of the moment at the teller's, which counts wherever and whenever
    it is heard; a counter of an earlier version says none, and then the hearer's own moment has to do. `same_ms`: it is
    taken back since a person said that it was the tray of another record, and by that alone: when it was served, Unix
    ms; a counter of an earlier version says none, and such a serving never stands for the other.
    """

    place: Place
    tap: Short
    card: Short
    student: Short | None
    day: Short
    meal: Meal
    taken_back: bool = False
    shift: Annotated[int, msgspec.Meta(ge=1, le=SHIFTS_MAX)] | None = None
    same_ms: Annotated[int, msgspec.Meta(ge=0, le=PLACE_MAX)] | None = None


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of dev/<device>/served, signed by the device's key.

    `run`: the journal of the teller's process, so places begin anew with it. `number`: grows with each word of a run.
    `through`: the newest place there is; `forgotten`: what lies at or below it is of days past, and told no more.
    `told`: some servings, by place without a hole. `heard`: device -> [run, number, place] of each other counter: the
    newest word heard of it, which proves that this word is no recording, and to where everything is held.
    """

    run: Short
    number: Place
    through: Annotated[int, msgspec.Meta(ge=0, le=PLACE_MAX)]
    told: list[Told] = []
    heard: dict[str, tuple[Short, int, int]] = {}
    forgotten: Annotated[int, msgspec.Meta(ge=0, le=PLACE_MAX)] = 0


_decoder = msgspec.json.Decoder(Word)


def decode_word(body: bytes) -> Word:
    """Read a word and hold it to its bounds; raises BadMessage."""
    if len(body) > WORD_BYTES_MAX:
        raise BadMessage(f"a counter's word has {len(body)} bytes, at most {WORD_BYTES_MAX} are read")
    try:
        word = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a counter's word: {problem}") from problem
    if len(word.told) > SERVINGS_MAX or len(word.heard) > COUNTERS_MAX:
        raise BadMessage(f"a word tells of more than {SERVINGS_MAX} servings, or hears over {COUNTERS_MAX} counters")
    if word.forgotten > word.through:
        raise BadMessage("a word forgets more than there is")
    if any(told.place != word.told[0].place + after for after, told in enumerate(word.told)):
        raise BadMessage("a word's servings have a hole")
    if word.told and not word.forgotten < word.told[0].place <= word.told[-1].place <= word.through:
        raise BadMessage("a word tells of places that there are not")
    return word
