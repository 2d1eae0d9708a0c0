"""Origins: of every gateway with a counter, whether all that it saw until a meal's end is in the hub's ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final

from hub.attendance.coverage import DeviceFacts, Waiver, reach
from hub.incidents.pack import Origin
from hub.incidents.stood import CANTEEN, Running, Span, began_of, came_between, may_count, moment, unseen
from hub.reports.words import moment_text

NOBODY: Final = "*"
"""Named where there is no gateway that has, or may have, a counter."""


def counter_origins(
    known: Iterable[DeviceFacts],
    kinds: Mapping[str, Set[str]],
    waivers: Sequence[Waiver],
    from_ms: int,
    until_ms: int,
    now_ms: int,
    hours: Sequence[Span] | None = None,
) -> Iterator[Origin]:
    """Every gateway that has, or may have, a counter; one that a person doesn't wait for isn't complete by that.

    `kinds`: device -> the kinds of stations that its taps came from on these days. `hours`: when the meals were served;
    a counter that wasn't there, on, and seeing in all of them isn't complete. None: nobody asks that.
    """
    nobody = True
    for device in known:
        if not _may_count(device, kinds.get(device.device, set())) or (
            device.retired_ms is not None and device.retired_ms < from_ms
        ):
            continue
        nobody = False
        stood_ms = None if hours is None else _stood(device)
        if stood_ms is not None and stood_ms >= until_ms:
            yield Origin(device.device, False, None, (("not-yet", moment(stood_ms)),), late=True)
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
        late = False
        if hours is not None:
            dark = unseen(hours, _runs(device), device.claims, stood_ms)
            late = not words and [code for code, _ in dark] == ["not-yet"] and came_between(hours, stood_ms or 0)
            words += dark
            if stood_ms is None and not words and device.since_ms > from_ms:
                # It has a run of a time that nobody knows, and nobody had accepted it then.
                words.append(("clock-unsure", ""))
        yield Origin(device.device, not words, told.through_ms, tuple(dict.fromkeys(words)), late)
    if nobody and hours is not None:
        yield Origin(NOBODY, False, None, (("none-accepted", ""),))


def _runs(device: DeviceFacts) -> list[Running]:
    """Its journals as runs."""
    return [
        Running(
            one.journal,
            one.first_ms,
            one.opened_ms,
            one.ended_ms,
            None if one.previous is None else one.previous[0],
            one.heard_ms,
        )
        for one in device.chapters
    ]


def _stood(device: DeviceFacts) -> int | None:
    """When it was there at the earliest: accepted, or with its first record; None where no clock says it."""
    began_ms = began_of(_runs(device))
    return None if began_ms is None else min(began_ms, device.since_ms)


def _may_count(device: DeviceFacts, kinds: Set[str]) -> bool:
    """Whether a device has a counter as far as anybody knows; one that never spoke may have."""
    if CANTEEN in kinds:
        return True
    return not kinds if not device.claims else may_count(device.claims)
