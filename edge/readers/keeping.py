"""Keeping a reader: when it is opened, looked at and given up, which sightings its looks make, what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from edge.ports import CardRead, CardSeen, Reader, ReaderGone
from edge.readers.presence import Presence
from edge.watermark import UNSEEING_NS
from protocol.errors import K12EdgeError, ReaderRefused

if TYPE_CHECKING:
    from random import Random

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0
FAULTS_IN_ROW_MAX: Final = 5
"""Looks that fail in a row before the reader is reopened; a single lost frame isn't worth it."""
STUCK_NS: Final = 4_000_000_000
"""A driver opens within 3 s and looks within 0.3 s (ports.Reader); one that doesn't return for so long is stuck."""


AWAY_MAX: Final = 16
"""Spans without a look that are remembered; the watermark tells of them within minutes."""


@dataclass(slots=True)
class ReaderCounts:
    """What happened since the start; `error` is the code of the last fault, None while all is well."""

    opens: int = 0
    losses: int = 0
    polls: int = 0
    faults: int = 0
    sightings: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What people should hear of a reader: the error's code, what happened, whether a person has to mend it."""

    code: str
    text: str
    refused: bool


class Keeping:
    """Pure: no thread, no device; time (CLOCK_BOOTTIME in ns) and chance are given. ReaderSupervisor follows it.

    `last`: for what the reader was given up; no exception, which would hold on to the device.

    A reader's life: `wait_s` -> open, `opened` -> poll, `looked` or `missed` again and again -> `given_up` for what was
    raised, and from the beginning. Around each of the driver's calls stand `calling` and `returned`; `handed` follows
    when those whom a look showed are in the lane, `closed` when the driver is.
    """

    def __init__(self, reader: Reader, rng: Random, began_ns: int = 0) -> None:
        """It isn't open. Of the driver only what it says of itself is asked."""
        self._partials, self._rng = reader.partials, rng
        self._presence = Presence(moments=reader.moments)
        self._backoff_s = 0.0
        self._faults = 0
        self._called_ns: int | None = None
        self.looked_ns = began_ns
        self.open_ns: int | None = None
        self.away: tuple[tuple[int, int], ...] = ()
        self.last: News | None = None
        self.counts = ReaderCounts()

    def wait_s(self) -> float:
        """How long to wait before the reader is opened: 0 at first, then longer with each try that showed nothing."""
        return self._backoff_s * (0.75 + self._rng.random() / 2)

    def calling(self, now_ns: int) -> None:
        """The driver is called now."""
        self._called_ns = now_ns

    def returned(self) -> None:
        """The driver's call has ended, however it did."""
        self._called_ns = None

    def is_stuck(self, now_ns: int) -> bool:
        """Whether the driver has not returned from a call for longer than it may take."""
        called_ns = self._called_ns
        return called_ns is not None and now_ns - called_ns > STUCK_NS

    def opened(self, now_ns: int) -> None:
        """The reader is ready."""
        self._faults = 0
        self.open_ns = now_ns
        self.counts.opens += 1
        self._presence.reopened(now_ns)

    def looked(self, now_ns: int, reads: Sequence[CardRead]) -> tuple[CardSeen, ...]:
        """A look told this: who came with it."""
        self._faults, self._backoff_s = 0, 0.0
        self.counts.polls += 1
        self.counts.error = None
        seen = tuple(map(self._as_listed, self._presence.step(now_ns, reads)))
        self.counts.sightings += len(seen)
        return seen

    def handed(self, now_ns: int) -> None:
        """Whom the look that ended at `now_ns` showed is in the lane; see edge.watermark.Sight."""
        if now_ns - self.looked_ns > UNSEEING_NS:
            self.away = (*self.away, (self.looked_ns, now_ns))[-AWAY_MAX:]
        self.looked_ns = now_ns

    def closed(self) -> None:
        """The driver is closed: what it saw and didn't hand over is gone."""
        self.open_ns = None

    def missed(self, problem: Exception) -> bool:
        """A look failed. Whether the reader is to be given up for it."""
        self._faults += 1
        self.counts.faults += 1
        return self._faults >= FAULTS_IN_ROW_MAX or isinstance(problem, ReaderGone)

    def given_up(self, problem: Exception) -> News | None:
        """It is closed for this, and opened again after `wait_s`. What is to be told: each once, not with each try."""
        self._backoff_s = min(BACKOFF_MAX_S, 2 * self._backoff_s) or BACKOFF_FIRST_S
        code = problem.code if isinstance(problem, K12EdgeError) else "reader-lost"
        news = News(code, str(problem), isinstance(problem, ReaderRefused))
        if self.counts.error is None:
            self.counts.losses += 1
        # Whoever mends a refusal is told what else is wrong.
        before, self.last = self.last, news
        known = self.counts.error == code and (not news.refused or news == before)
        self.counts.error = code
        return None if known else news

    def _as_listed(self, seen: CardSeen) -> CardSeen:
        card = seen.card
        plan = next((plan for plan in self._partials if card.partial and 2 * plan.octets == len(card.hex)), None)
        return seen if plan is None else replace(seen, listed=plan.listed(card))
