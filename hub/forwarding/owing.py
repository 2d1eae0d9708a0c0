"""Forwarding: what the city is owed next, and what each of its answers means for every record. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from random import Random

Status = Literal["held", "dead", "waiting"]

BATCH_MAX: Final = 500
RETRY_FIRST_MS: Final = 1_000
RETRY_MAX_MS: Final = 60_000
RETRYABLE_FIRST_MS: Final = 30_000
RETRYABLE_MAX_MS: Final = 3_600_000
"""An `unknown-student` waits for the city's own data entry, which takes hours, not seconds."""
UNANSWERED_FIRST_MS: Final = 1_000
UNANSWERED_MAX_MS: Final = 300_000
"""A record that an answer left out, or that makes the city fail, is tried again without standing before others."""
WAIT_FIRST_MS: Final = max(RETRYABLE_FIRST_MS, UNANSWERED_FIRST_MS)
WAIT_MAX_MS: Final = max(RETRYABLE_MAX_MS, UNANSWERED_MAX_MS)
"""No record waits longer: this after its first try, doubled by each further one, at most that."""
MISROUTED_MS: Final = 60_000
RETRY_AFTER_MIN_MS: Final = 200
"""A `Retry-After: 0` must not make a loop without a pause."""
RETRY_AFTER_MAX_MS: Final = 3_600_000
BURIED_MAX: Final = 20
"""Single records refused as bad requests, one after the other: then it is the city that refuses, not they."""
FAILURES_MAX: Final = 3
"""Failures of one batch in a row, then it is halved: one record may be what makes the city fail."""
STEADY: Final = 8
"""Answers to batches that were halved so, before they grow again: a thin line carries no larger ones in time."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A record that the city has not answered: its place in the ledger, its name, how often it was tried."""

    position: int
    source: str
    event_id: str
    raw: bytes
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """The city's word on one event. `retryable` and `problem` (the type) go with `rejected`."""

    status: Literal["stored", "duplicate", "rejected"]
    problem: str | None = None
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class PerEvent:
    """An answer in the contract's form: results by (source, id); an event may be missing from it."""

    results: dict[tuple[str, str], Result]


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: the same in halves."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """400, 415, 422: something in the batch isn't taken; it is looked for."""

    problem: str


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """429 or 503 with a time."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, 5xx, 202, a wrong body, a refused token: nothing is known of any event.

    `answered`: the city did answer, so that what was sent may be the reason.
    """

    reason: str
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Misrouted:
    """3xx, 403, 404, 410: the address or the permission is wrong; a person must look."""

    status: int


Answer = PerEvent | TooLarge | BadRequest | RetryAfter | Unreachable | Misrouted


@dataclass(frozen=True, slots=True)
class Change:
    """What is now known of one record: `held`, `dead` with a problem, or `waiting` for `wait_ms` from now."""

    position: int
    status: Status
    wait_ms: int = 0
    attempts: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means: durable changes, to be written before the next step, and an alarm's code if any."""

    changes: tuple[Change, ...] = ()
    alarm: str | None = None


class Forwarding:
    """The sender's state: batch size, pause. What must survive a crash stands in the records' own rows.

    `mono_ms` is a clock that only grows: a pause is as long as it is, however the wall clock is set meanwhile.
    """

    def __init__(self, rng: Random) -> None:
        """Full batches, no pause."""
        self._rng = rng
        self.size = BATCH_MAX
        """How many records are submitted at once now; nobody needs to read more."""
        self._steady = 0
        self._failures = 0
        self._buried = 0
        self.paused_until_ms = 0
        self.pause_reason: str | None = None

    def next_batch(self, mono_ms: int, owed: Sequence[Owed]) -> list[Owed]:
        """What to submit now: the first of `owed`, as many as are taken at once; [] while paused."""
        if mono_ms < self.paused_until_ms:
            return []
        return list(owed[: self.size])

    def apply(self, mono_ms: int, batch: Sequence[Owed], answer: Answer) -> Verdict:
        """What the answer to a batch means."""
        match answer:
            case PerEvent(results):
                return self._judge(mono_ms, batch, results)
            case TooLarge() if len(batch) > 1:
                self.size = max(1, len(batch) // 2)
                return Verdict()
            case TooLarge():
                return self._bury(mono_ms, batch[0], "urn:k12edge:problem:too-large")
            case BadRequest() if len(batch) > 1:
                # Halving finds the poison in log2 steps; the sound half goes through on the way.
                self.size = max(1, len(batch) // 2)
                return Verdict()
            case BadRequest(problem):
                return self._bury(mono_ms, batch[0], problem)
            case RetryAfter(after_ms):
                self._pause(mono_ms, max(RETRY_AFTER_MIN_MS, min(after_ms, RETRY_AFTER_MAX_MS)), "asked to wait")
                return Verdict()
            case Misrouted(status):
                self._pause(mono_ms, MISROUTED_MS, f"status {status}")
                return Verdict(alarm="city-misrouted")
            case Unreachable(reason, answered):
                return self._failed(mono_ms, batch, reason, answered=answered)

    def _judge(self, mono_ms: int, batch: Sequence[Owed], results: dict[tuple[str, str], Result]) -> Verdict:
        changes: list[Change] = []
        unanswered: list[Owed] = []
        for owed in batch:
            result = results.get((owed.source, owed.event_id))
            if result is None:
                unanswered.append(owed)
            elif result.status in ("stored", "duplicate"):
                changes.append(Change(owed.position, "held"))
            elif result.retryable:
                wait_ms = self._jittered(RETRYABLE_FIRST_MS, RETRYABLE_MAX_MS, owed.attempts)
                changes.append(Change(owed.position, "waiting", wait_ms, owed.attempts + 1, result.problem))
            else:
                changes.append(Change(owed.position, "dead", 0, owed.attempts + 1, result.problem or "rejected"))
        if changes:
            self._recovered()
            self._buried = 0
            self._grow()
        elif any(owed.attempts == 0 for owed in unanswered):
            # An answer about none of what was sent is no answer.
            return self._failed(mono_ms, batch, "an answer about no event", answered=True)
        return Verdict((*changes, *(self._put_off(owed, "unanswered") for owed in unanswered)))

    def _put_off(self, owed: Owed, problem: str) -> Change:
        wait_ms = self._jittered(UNANSWERED_FIRST_MS, UNANSWERED_MAX_MS, owed.attempts)
        return Change(owed.position, "waiting", wait_ms, owed.attempts + 1, problem)

    def _bury(self, mono_ms: int, owed: Owed, problem: str) -> Verdict:
        if self._buried >= BURIED_MAX:
            # A city that takes nothing (a broken release, a gateway before it) must not make dead letters of all.
            self._back_off(mono_ms, f"everything is refused: {problem}"[:200])
            return Verdict((self._put_off(owed, problem),), "city-refuses-all")
        self._buried += 1
        self._recovered()
        self.size = min(BATCH_MAX, self.size * 2)
        return Verdict((Change(owed.position, "dead", 0, owed.attempts + 1, problem),))

    def _failed(self, mono_ms: int, batch: Sequence[Owed], reason: str, *, answered: bool) -> Verdict:
        self._back_off(mono_ms, reason)
        if not answered or self._failures % FAILURES_MAX:
            return Verdict()
        self._steady = STEADY
        if len(batch) > 1:
            self.size = max(1, len(batch) // 2)
            return Verdict()
        # Alone it failed as often: the others go before it. It stays owed, nothing is known against it.
        return Verdict((self._put_off(batch[0], reason[:100]),))

    def _grow(self) -> None:
        if self._steady:
            self._steady -= 1
        else:
            self.size = min(BATCH_MAX, self.size * 2)

    def _recovered(self) -> None:
        self._failures = 0
        self.paused_until_ms = 0
        self.pause_reason = None

    def _back_off(self, mono_ms: int, reason: str) -> None:
        self._pause(mono_ms, self._jittered(RETRY_FIRST_MS, RETRY_MAX_MS, self._failures), reason)
        self._failures += 1

    def _pause(self, mono_ms: int, pause_ms: int, reason: str) -> None:
        self.paused_until_ms = mono_ms + pause_ms
        self.pause_reason = reason

    def _jittered(self, first_ms: int, most_ms: int, times: int) -> int:
        whole_ms: int = min(most_ms, first_ms * (1 << min(times, 16)))
        return whole_ms // 2 + self._rng.randrange(whole_ms // 2 + 1)
