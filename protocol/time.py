"""Effective time: what time it truly was when a record was made, as an interval that holds the truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

DRIFT_PPM: Final = 100
"""How far CLOCK_BOOTTIME may run from true time: the crystal tolerance of a Raspberry Pi class board, rounded up."""

Quality = Literal["anchored", "estimated", "bounded"]


class Anchor(msgspec.Struct, frozen=True):
    """One moment of a boot whose true time is known: at `mono` (ms of CLOCK_BOOTTIME) it was `wall_ms` +- `err`.

    `source`: `ntp`, `hub`, or `declared` (a person).
    """

    boot: str
    mono: int
    wall_ms: int
    err: int
    source: str


class Effective(msgspec.Struct, frozen=True):
    """When it was, in Unix ms.

    `anchored`: by an anchor of the same boot. `estimated`: by nothing yet, an anchor may still come; `best` is the
    device's own wall clock. `bounded`: no anchor, but certain moments before and after. Bounds are None where open.
    """

    best_ms: int
    not_before_ms: int | None
    not_after_ms: int | None
    quality: Quality


def error_at(anchor: Anchor, mono: int) -> int:
    """The bound in ms at CLOCK_BOOTTIME `mono`: the anchor's own plus the drift between, rounded up."""
    return anchor.err + -(-abs(mono - anchor.mono) * DRIFT_PPM // 1_000_000)


def time_by(anchor: Anchor, mono: int) -> Effective:
    """The effective time of a record made at `mono` ms of the anchor's boot, by this anchor."""
    moment, bound = anchor.wall_ms + (mono - anchor.mono), error_at(anchor, mono)
    return Effective(moment, moment - bound, moment + bound, "anchored")


def effective_time(
    boot: str,
    mono: int,
    stated_ms: int,
    anchors: Iterable[Anchor],
    *,
    before_ms: int | None = None,
    after_ms: int | None = None,
) -> Effective:
    """The effective time of a record made at `mono` ms of boot `boot`.

    Of the anchors of that boot the one with the smallest bound at `mono` counts (then the earliest, so that every
    keeper decides alike). Without one, `before_ms` is the last certain moment before that boot, `after_ms` the first
    certain one after it, and `stated_ms` what the device believed.
    """
    mine = [anchor for anchor in anchors if anchor.boot == boot]
    if mine:
        best = (
            mine[0]
            if len(mine) == 1
            else min(mine, key=lambda anchor: (error_at(anchor, mono), anchor.mono, anchor.wall_ms))
        )
        return time_by(best, mono)
    if before_ms is None and after_ms is None:
        return Effective(stated_ms, None, None, "estimated")
    guess = stated_ms
    if before_ms is not None and guess < before_ms:
        guess = before_ms
    if after_ms is not None and guess > after_ms:
        guess = after_ms
    return Effective(guess, before_ms, after_ms, "bounded" if after_ms is not None else "estimated")
