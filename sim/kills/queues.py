"""Queues of pupils as files for a gateway's `replay:` readers, so that real gateways fill real journals fast."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

from sim.reckoning import answers_in

GAP_MS: Final = 6
HOLD_MS: Final = 3
"""Faster than any school, so that the journal sets the pace; where it can't, a full lane gives an alarm, no signal."""
EVERYBODY_TAPPED: Final = "# everybody has tapped\n"


class Queues:
    """The stations of one gateway. No card comes twice, so that every tap is accepted."""

    def __init__(self, folder: Path, gateway: str, stations: int, rng: Random) -> None:
        """Files appear with `line_up`; `called` counts the pupils in them so far."""
        self._files = [folder / f"{gateway}-queue-{number}.txt" for number in range(stations)]
        self._rng = rng
        self.called = 0
        self.stations = {f"{gateway}-{number}": ("gate", f"replay:{file}") for number, file in enumerate(self._files)}

    def line_up(self, taps: int, *, gap_ms: int = GAP_MS, then: int = 0, then_gap_ms: int = 0) -> None:
        """Spread `taps` over the stations, one each `gap_ms`, to be played by the gateway's next start.

        `then` come more at the first station, each `then_gap_ms` after the one before.
        """
        for number, file in enumerate(self._files):
            count = taps // len(self._files) + (number < taps % len(self._files))
            lines = [self._line(gap_ms) for _ in range(count)]
            if number == 0:
                lines += [self._line(then_gap_ms) for _ in range(then)]
            file.write_text("".join(lines) or EVERYBODY_TAPPED, encoding="ascii")
            self.called += len(lines)

    def _line(self, gap_ms: int) -> str:
        return f"{gap_ms} a:04{self._rng.randbytes(6).hex().upper()} {HOLD_MS}\n"

    def served(self, signals: Path, count: int | None = None) -> bool:
        """Whether everybody who was called (or `count`) got a signal, or an alarm because the lane was full."""
        wanted = self.called if count is None else count
        if not signals.exists():
            return wanted == 0
        return answers_in(signals) + signals.read_bytes().count(b'"lane-full"') >= wanted
