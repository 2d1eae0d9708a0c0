"""Claims: what a gateway's watermark records say, on the true time line. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from hub.attendance.coverage import Blind, Claim
from protocol.envelope import Event, decode_data, unix_ms_of
from protocol.errors import BadMessage
from protocol.records import DeviceAlarm, DeviceWatermark, LogGap
from protocol.time import Effective

_stations = msgspec.json.Decoder(dict[str, str])
_blind = msgspec.json.Decoder(list[tuple[str, int, int | None]])


class WatermarkRow(NamedTuple):
    """A row of the table `watermarks`, its journal by its id: what `Claim` says, as the ledger's file keeps it.

    `error_ms` is None where nothing vouches for the clock. `stations`: JSON, station -> kind. `blind`: JSON list of
    [station, since_ms, until_ms or null].
    """

    journal: str
    sequence: int
    complete_to_ms: int
    error_ms: int | None
    stations: str
    blind: str


def watermark_of(event: Event, effective: Effective) -> WatermarkRow | None:
    """What a `device.watermark` record claims; None for any other, or one that can't be understood.

    `effective`: when the record truly was made; what it says of other times moves along.
    """
    if event.name != "device.watermark":
        return None
    try:
        data = decode_data(event, DeviceWatermark)
        moved_ms = effective.best_ms - unix_ms_of(event.time)
        complete_to_ms = unix_ms_of(data.complete_to) + moved_ms
        blind = [
            (
                one.station,
                unix_ms_of(one.since) + moved_ms,
                None if one.until is None else unix_ms_of(one.until) + moved_ms,
            )
            for one in data.blind
        ]
    except BadMessage:
        return None
    sure = effective.not_before_ms is not None and effective.not_after_ms is not None
    error_ms = effective.best_ms - effective.not_before_ms if sure and effective.not_before_ms is not None else None
    tap = event.tap
    return WatermarkRow(
        *(tap.journal, tap.sequence, complete_to_ms, error_ms, _text(dict(data.stations)), _text(blind)),
    )


GONE: Final = re.compile(r"([0-9a-f]{16}): records ([0-9]{1,12}) to ([0-9]{1,12}) were synced\b")
"""How a gateway's `records-gone` names them (edge/waterline.py)."""


def loss_of(event: Event) -> tuple[str, int, int] | None:
    """Which records of which journal a gateway says are gone for good: what it couldn't read, or a card that lied."""
    try:
        if event.name == "log.gap":
            gap = decode_data(event, LogGap)
            return gap.journal, gap.first, gap.last
        if event.name == "device.alarm":
            alarm = decode_data(event, DeviceAlarm)
            found = GONE.match(alarm.detail) if alarm.code == "records-gone" else None
            return None if found is None else (found[1], int(found[2]), int(found[3]))
    except BadMessage:
        pass
    return None


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def claim_of(row: WatermarkRow) -> Claim:
    """The claim that a row keeps."""
    blind = () if row.blind == "[]" else tuple(Blind(*one) for one in _blind.decode(row.blind))
    at_ms = row.complete_to_ms
    stations = _stations.decode(row.stations)
    return Claim(row.journal, row.sequence, at_ms, row.complete_to_ms, row.error_ms, stations, blind)
