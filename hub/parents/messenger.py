"""The messenger: one thread that plans messages to parents, sends what waits, and writes each answer down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from hub.messages.planning import MESSAGE_KINDS, Facts, plan
from hub.messages.words import LANGUAGES, Person, text_of, told_late
from hub.store.messagerows import MessageRows, Waiting
from protocol.envelope import rfc3339
from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from random import Random

    from hub.clock import HubClock
    from hub.parents.sinks import Delivery, Sink
    from hub.store.database import Database

log = logging.getLogger("k12edge.messenger")

LOOK_MS: Final = 15_000
"""Between two looks at what is known, unless something new is told: the final time passes without a record."""
GATHER_MS: Final = 3_000
"""Between two looks at least: in a crowd each tap would have the whole day looked at."""
RETRY_FIRST_MS: Final = 1_000
RETRY_MAX_MS: Final = 60_000
MISROUTED_MS: Final = 60_000
WAIT_MAX_MS: Final = 3_600_000
FORGET_MS: Final = 3_600_000
CLOCK_UNSET: Final = "clock-unset"


class Messenger:
    """See the room. What must survive a crash stands in the rows; a message is sent again under its own name.

    `look` gives what is known of each half-day that may need a word now; `person`: what a message may say of a pupil,
    None for one who is no longer known.
    """

    def __init__(
        self,
        school: str,
        database: Database,
        rows: MessageRows,
        sink: Sink,
        clock: HubClock,
        rng: Random,
        look: Callable[[int], Iterable[Facts]],
        person: Callable[[str], Person | None],
        kinds: Collection[str] = MESSAGE_KINDS,
        gather_ms: int = GATHER_MS,
    ) -> None:
        """Nothing is sent yet."""
        self._gather_ms = gather_ms
        self._school, self._database, self._rows, self._sink = school, database, rows, sink
        self._clock, self._rng, self._look, self._person, self._kinds = clock, rng, look, person, kinds
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._news = True
        self._looked_ms = self._forgot_ms = -(1 << 60)
        self._paused_until_ms = 0
        self._failures = 0
        self.trouble: str | None = None
        """A code while messages can't go out, for the status."""
        self.progress = 0
        """Turns taken and messages handed over: the watchdog's pulse."""

    def wake(self) -> None:
        """Something new is known."""
        self._news = True
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the answer under way."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopping.is_set():
            wait_ms = self.turn()
            if wait_ms:
                self._wake.wait(wait_ms / 1000)
                self._wake.clear()
        self._sink.close()

    def turn(self) -> int:
        """Plan, and send what is due; the ms to wait before the next turn, unless something new comes."""
        self.progress += 1
        try:
            return self._turn()
        except K12EdgeError as problem:
            log.error("the outbox can't be used: %s", problem)
        except Exception as problem:
            # A fault of ours mustn't silence the school for good; what waits stands in its rows.
            log.exception("messages failed")
            self._database.met(problem)
        return RETRY_FIRST_MS

    def _turn(self) -> int:
        mono_ms = self._clock.mono_ms()
        if self._clock.error_ms() is None:
            # Without a clock nothing can be told from what happened years ago.
            self._note(CLOCK_UNSET)
            return LOOK_MS
        if mono_ms - self._looked_ms >= (self._gather_ms if self._news else LOOK_MS):
            self._plan(mono_ms)
        if mono_ms < self._paused_until_ms:
            return min(LOOK_MS, self._paused_until_ms - mono_ms)
        now_ms = self._clock.now_ms()
        with self._database.lock:
            due_ms = self._rows.next_due_ms()
        if due_ms is None or due_ms > now_ms:
            wait_ms = self._gather_ms if self._news else LOOK_MS
            return wait_ms if due_ms is None else max(20, min(wait_ms, due_ms - now_ms))
        with self._database.transaction():
            self._rows.end_stale(now_ms)
            batch = self._rows.take(now_ms)
        self._send(batch)
        return 0 if batch and mono_ms >= self._paused_until_ms else RETRY_FIRST_MS

    def _plan(self, mono_ms: int) -> None:
        """Queue what follows from what is known. What is taken back can't be sent meanwhile: this thread sends."""
        self._news = False
        now_ms = self._clock.now_ms()
        known = list(self._look(now_ms))
        with self._database.transaction():
            for facts in known:
                session = facts.marked.session
                told = self._rows.told(facts.marked.pupil.key, session.day, session.half)
                # Where one message follows another, both are planned before anything is sent.
                new = self._rows.apply(plan(facts, told, now_ms, self._kinds), now_ms)
                self._news = self._news or new > 0
            if mono_ms - self._forgot_ms >= FORGET_MS:
                self._rows.forget(now_ms)
                self._forgot_ms = mono_ms
        self._looked_ms = mono_ms

    def _send(self, batch: list[Waiting]) -> None:
        """Hand over one after the other; what is left of the batch after a failure was not attempted."""
        answers: list[tuple[Waiting, Delivery | None]] = []
        failed = False
        for waiting in batch:
            answer = None if failed or self._stopping.is_set() else self._hand_over(waiting)
            failed = failed or (answer is not None and answer.outcome not in ("taken", "refused"))
            answers.append((waiting, answer))
        now_ms = self._clock.now_ms()
        with self._database.transaction():
            for waiting, answer in answers:
                self._write(waiting, answer, now_ms)
        for _, answer in answers:
            if answer is not None:
                self._judge(answer)

    def _hand_over(self, waiting: Waiting) -> Delivery | None:
        self.progress += 1
        message, now_ms = waiting.message, self._clock.now_ms()
        with self._database.lock:
            person = self._person(message.pupil) if self._rows.consent(message.pupil) else None
        if person is None or now_ms >= message.valid_until_ms:
            # Ended by the next turn, which looks at consent and age; who is no longer known, is here.
            if person is None:
                with self._database.transaction():
                    self._rows.end(waiting.number, "cancelled", "no consent, or no such pupil", now_ms)
            return None
        texts = {language: text_of(message, person, now_ms, language) for language in LANGUAGES}
        body = {
            "id": message.key,
            "school": self._school,
            "kind": message.kind,
            "claim": message.claim,
            "excused": message.excused,
            "pupil": message.pupil,
            "given_name": person.given,
            "class": person.school_class,
            "day": message.day.isoformat(),
            "half": message.half,
            "time": rfc3339(message.at_ms),
            "about": message.about,
            "told_late": told_late(message, now_ms),
            "valid_until": rfc3339(message.valid_until_ms),
            "place": message.place,
            "by": message.by,
            "minutes": message.minutes,
            "corrects": message.first_kind,
            "evidence": message.evidence,
            "text": texts,
        }
        return self._sink.send(message.key, msgspec.json.encode(body), texts["vi"])

    def _write(self, waiting: Waiting, answer: Delivery | None, now_ms: int) -> None:
        if answer is None:
            self._rows.put_off(waiting.number, now_ms, "", attempted=False)
        elif answer.outcome == "taken":
            self._rows.end(waiting.number, "sent", answer.detail, now_ms)
        elif answer.outcome == "refused":
            log.warning("the receiver refused a message: %s", answer.detail)
            self._rows.end(waiting.number, "refused", answer.detail, now_ms)
        else:
            # It alone may be what makes the receiver fail: others go before it.
            until_ms = now_ms + self._jittered(waiting.attempts)
            self._rows.put_off(waiting.number, until_ms, answer.detail, attempted=answer.left)

    def _judge(self, answer: Delivery) -> None:
        mono_ms = self._clock.mono_ms()
        match answer.outcome:
            case "taken" | "refused":
                self._failures, self._paused_until_ms = 0, 0
                self._note(None)
            case "wait":
                self._paused_until_ms = mono_ms + max(RETRY_FIRST_MS, min(answer.wait_ms, WAIT_MAX_MS))
                self._note("messages-wait")
            case "misrouted":
                self._paused_until_ms = mono_ms + MISROUTED_MS
                self._note("messages-misrouted", answer.detail)
            case _:
                self._paused_until_ms = mono_ms + self._jittered(self._failures)
                self._failures += 1
                self._note("messages-unreachable", answer.detail)

    def _jittered(self, times: int) -> int:
        whole_ms = min(RETRY_MAX_MS, RETRY_FIRST_MS << min(times, 16))
        return whole_ms // 2 + self._rng.randrange(whole_ms // 2 + 1)

    def _note(self, trouble: str | None, detail: str = "") -> None:
        if trouble != self.trouble:
            if trouble is None:
                log.info("messages go out")
            else:
                log.warning("messages can't go out now: %s %s", trouble, detail)
        self.trouble = trouble
