"""Recalling: the day's book, repeat windows and corrections, brought back from the journal after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from protocol.envelope import Event, decode_data, decode_event, unix_ms_of
from protocol.errors import BadMessage
from protocol.records import TapCorrection
from protocol.taps import TAP_TYPES, TapData

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.canteen.counter import GatewayCounter
    from edge.station import Station
    from protocol.taps import ClockReading

RECORDS_MAX: Final = 20_000
"""Read back at most; a gateway's busiest day has some 5,000."""
DAY_MS: Final = 20 * 3_600_000
"""How far back from the newest record: from any moment of a day to before its breakfast."""


def recall(
    counter: GatewayCounter,
    reader: BookReader,
    count: int,
    stations: Sequence[Station],
    now: ClockReading,
    *,
    late: bool = False,
) -> None:
    """Bring back what the newest records say, `count` at least, on this boot's line.

    `late`: a damaged file's records came back while others were written. What is known already stays as it is.
    """
    events = list(_events(_of_the_day(reader, count)))
    words = dict(_words(events))
    newest = {word.tap: word.why for word in words.values()}
    for event in events:
        if event.id in words:
            # In its place: which helping a record was is of what counted then.
            word = words[event.id]
            counter.recall_word(word.tap, word.why, late=late)
        if event.name not in TAP_TYPES:
            continue
        if newest.get(event.id) not in ("undone", "repeat"):
            # What was taken back leaves no window: the next touch counts.
            for station in stations:
                station.remember(event, now.mono_ms, now.best_ms, now.boot)
        try:
            data = decode_data(event, TapData)
        except BadMessage:
            continue
        same_boot = data.clock.boot == now.boot
        at_ms = data.clock.mono if same_boot else now.mono_ms - (now.best_ms - unix_ms_of(event.time))
        counter.recall(event.tap, data, at_ms, late=late)


def _words(events: Sequence[Event]) -> Iterator[tuple[str, TapCorrection]]:
    """Our corrections of servings, by their own records."""
    for event in events:
        if event.name == "meal.correction":
            with suppress(BadMessage):
                word = decode_data(event, TapCorrection)
                if word.source == event.source:
                    yield event.id, word


def _of_the_day(reader: BookReader, count: int) -> list[bytes]:
    """The newest records, `count` and then more of them until they reach back a day."""
    while True:
        lines = reader.newest(count)
        if len(lines) < count or count >= RECORDS_MAX:
            return lines
        ends = [event for raw in (lines[0], lines[-1]) for event in _events([raw])]
        if len(ends) == 2 and unix_ms_of(ends[1].time) - unix_ms_of(ends[0].time) > DAY_MS:
            return lines
        count = min(RECORDS_MAX, count * 4)


def _events(lines: Sequence[bytes]) -> Iterator[Event]:
    for raw in lines:
        try:
            event = decode_event(raw)
            unix_ms_of(event.time)
        except BadMessage:
            continue
        yield event
