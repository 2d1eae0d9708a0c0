"""Origins: of every gateway with a counter, whether all that it saw until a meal's end is in the hub's ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final

from hub.attendance.coverage import DeviceFacts, Waiver, reach
from hub.incidents.pack import Origin
from hub.reports.words import moment_text

CANTEEN: Final = "canteen"


def counter_origins(
    known: Iterable[DeviceFacts],
    kinds: Mapping[str, Set[str]],
    waivers: Sequence[Waiver],
    from_ms: int,
    until_ms: int,
    now_ms: int,
) -> Iterator[Origin]:
    """Every gateway that has, or may have, a counter; one that a person doesn't wait for isn't complete by that.

    `kinds`: device -> the kinds of stations that its taps came from on these days.
    """
    for device in known:
        if not _may_count(device, kinds.get(device.device, set())) or (
            device.retired_ms is not None and device.retired_ms < from_ms
        ):
            continue
        told = reach(device, waivers, from_ms)
        words: list[tuple[str, str]] = []
        if now_ms < until_ms:
            words.append(("open-meal", ""))
        if told.through_ms is None or told.through_ms < until_ms:
            words.append((told.why, "–" if told.through_ms is None else moment_text(told.through_ms)))
            words += [
                ("waived", waiver.by)
                for waiver in waivers
                if waiver.device == device.device and waiver.through_ms >= until_ms
            ]
        words += [("flawed", flaw) for flaw, since_ms in told.flaws if since_ms < until_ms and flaw == "records-lost"]
        yield Origin(device.device, not words, told.through_ms, tuple(dict.fromkeys(words)))


def _may_count(device: DeviceFacts, kinds: Set[str]) -> bool:
    """Whether a device has a counter as far as anybody knows; one that never spoke may have."""
    if CANTEEN in kinds:
        return True
    if not device.claims:
        return not kinds
    return any(CANTEEN in claim.stations.values() for claim in device.claims)
