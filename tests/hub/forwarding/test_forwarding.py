"""The road to the city: what each answer means; every record ends held or dead, once, by name."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from random import Random

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.city.k12records import judged, retry_after_ms
from hub.forwarding.forwarder import Forwarder
from hub.forwarding.owing import (
    BATCH_MAX,
    BURIED_MAX,
    RETRY_AFTER_MAX_MS,
    RETRYABLE_FIRST_MS,
    Answer,
    BadRequest,
    Forwarding,
    Misrouted,
    Owed,
    PerEvent,
    Result,
    RetryAfter,
    TooLarge,
    Unreachable,
)
from protocol.envelope import decode_event
from tests.hub.handmade import Gateway
from tests.hub.room import HubRoom
from tests.hub.running import until


def owed(count: int, first: int = 1) -> list[Owed]:
    return [Owed(number, "urn:s", f"j.{number}", b"{}") for number in range(first, first + count)]


def stored(batch: list[Owed]) -> PerEvent:
    return PerEvent({(one.source, one.event_id): Result("stored") for one in batch})


class Road:
    """The sender over rows as the store keeps them: a cursor and exceptions, in memory, by the same rules."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.waiting = {one.position: (0, one) for one in owed(count)}
        self.done: dict[int, str] = {}
        self.sender = Forwarding(Random(seed))
        self.now_ms = 0
        self.alarms: list[str] = []

    def step(self, city: object) -> None:
        due = [
            one
            for at_ms, one in sorted(self.waiting.values(), key=lambda w: (w[0], w[1].position))
            if at_ms <= self.now_ms
        ]
        batch = self.sender.next_batch(self.now_ms, due[:BATCH_MAX])
        if not batch:
            dues = [at_ms for at_ms, _ in self.waiting.values()]
            self.now_ms = max(self.now_ms + 1, self.sender.paused_until_ms, min(dues, default=0))
            return
        verdict = self.sender.apply(self.now_ms, batch, city(batch))  # type: ignore[operator]
        if verdict.alarm is not None:
            self.alarms.append(verdict.alarm)
        for change in verdict.changes:
            assert change.position not in self.done, "answered once, changed twice"
            _, one = self.waiting.pop(change.position)
            if change.status == "waiting":
                assert change.wait_ms > 0
                again = Owed(one.position, one.source, one.event_id, one.raw, change.attempts)
                self.waiting[change.position] = (self.now_ms + change.wait_ms, again)
            else:
                self.done[change.position] = change.status

    def drain(self, city: object, steps: int = 5_000) -> int:
        for number in range(steps):
            if not self.waiting:
                return number
            self.step(city)
        return steps


@pytest.mark.parametrize("poison", [{1}, {500}, {7, 8, 400}, set(range(100, 110)), set(range(9, 99, 3))])
@pytest.mark.parametrize("answer", [BadRequest("urn:x:bad"), TooLarge()])
def test_a_poison_record_is_found_by_halving_and_the_others_go_through(poison: set[int], answer: Answer) -> None:
    road = Road(600)
    steps = road.drain(lambda batch: answer if poison & {one.position for one in batch} else stored(batch))
    assert {position for position, status in road.done.items() if status == "dead"} == poison
    assert len(road.done) == 600 and steps < 60 * len(poison) and not road.alarms


def test_a_city_that_refuses_everything_makes_no_dead_letters_of_all() -> None:
    road = Road(200)
    for _ in range(400):
        road.step(lambda batch: BadRequest("urn:x:bad"))
    assert sum(status == "dead" for status in road.done.values()) == BURIED_MAX
    assert set(road.alarms) == {"city-refuses-all"}
    road.drain(stored)
    assert len(road.done) == 200 and sum(status == "held" for status in road.done.values()) == 200 - BURIED_MAX


def test_a_record_that_makes_the_city_fail_stops_no_other_and_is_never_buried() -> None:
    road = Road(600)

    def city(batch: list[Owed]) -> Answer:
        return Unreachable("status 500", True) if any(one.position == 77 for one in batch) else stored(batch)

    for _ in range(400):
        road.step(city)
    assert set(road.waiting) == {77} and set(road.done.values()) == {"held"}
    road.drain(stored)
    assert road.done[77] == "held"


def test_a_line_that_carries_only_small_batches_in_time_is_not_tried_with_large_ones_again_and_again() -> None:
    road, late = Road(10_000), []

    def city(batch: list[Owed]) -> Answer:
        late.append(len(batch) > 130)
        return Unreachable("ReadTimeout", True) if late[-1] else stored(batch)

    road.drain(city)
    assert set(road.done.values()) == {"held"} and len(road.done) == 10_000
    assert sum(late) <= 10_000 // 125 // 8 * 3 + 6
    road = Road(10_000)
    road.sender = Forwarding(Random(1))
    tries = [0]

    def mended(batch: list[Owed]) -> Answer:
        tries[0] += 1
        return Unreachable("ReadTimeout", True) if tries[0] <= 6 else stored(batch)

    road.drain(mended)
    assert tries[0] <= 6 + 8 + 3 + 10_000 // 500, "full batches again once the line carries them"


def test_a_city_that_is_away_changes_nothing_and_is_asked_ever_more_seldom() -> None:
    road = Road(100)
    asked: list[int] = []

    def away(batch: list[Owed]) -> Answer:
        asked.append(road.now_ms)
        assert len(batch) == 100
        return Unreachable("ConnectError")

    while road.now_ms < 3_600_000:
        road.step(away)
    assert len(road.waiting) == 100 and not road.done and 60 <= len(asked) <= 140
    assert max(b - a for a, b in pairwise(asked)) <= 60_000


def test_an_event_left_out_of_every_answer_delays_no_other() -> None:
    road = Road(50)

    def city(batch: list[Owed]) -> Answer:
        return stored([one for one in batch if one.position != 5])

    for _ in range(60):
        road.step(city)
    assert set(road.waiting) == {5} and road.waiting[5][1].attempts > 5
    assert road.sender.paused_until_ms <= road.now_ms, "what others wait for doesn't grow by it"


def test_waits_that_the_city_asks_for_are_kept_and_bounded() -> None:
    sender = Forwarding(Random(1))
    batch = owed(3)
    for asked_ms, wait_ms in ((5_000, 5_000), (10**12, RETRY_AFTER_MAX_MS), (0, 200)):
        sender.apply(0, batch, RetryAfter(asked_ms))
        assert not sender.next_batch(wait_ms - 1, batch) and sender.next_batch(wait_ms, batch)
    assert sender.apply(0, batch, Misrouted(307)).alarm == "city-misrouted"
    assert not sender.next_batch(59_999, batch) and sender.next_batch(60_000, batch)


answers = st.sampled_from(["stored", "half", "none", "202", "400", "413", "429", "503", "307", "lost", "retryable"])


@settings(max_examples=60, deadline=None)
@given(moods=st.lists(answers, max_size=60), seed=st.integers(0, 1000))
def test_whatever_the_city_does_each_record_ends_held_exactly_once(moods: list[str], seed: int) -> None:
    road, holds = Road(40, seed), set()

    def city(batch: list[Owed]) -> Answer:
        mood = moods.pop() if moods else "stored"
        if mood in ("stored", "half", "lost"):
            taken = batch[::2] if mood == "half" else batch
            answer = PerEvent(
                {
                    (one.source, one.event_id): Result("duplicate" if one.position in holds else "stored")
                    for one in taken
                }
            )
            holds.update(one.position for one in batch)
            return Unreachable("ReadError", True) if mood == "lost" else answer
        return {
            "none": PerEvent({("urn:other", "x.1"): Result("stored")}),
            "202": Unreachable("status 202", True),
            "400": BadRequest("urn:x") if len(batch) > 1 else Unreachable("status 500", True),
            "413": TooLarge() if len(batch) > 1 else Unreachable("status 500", True),
            "429": RetryAfter(100),
            "503": Unreachable("status 503", True),
            "307": Misrouted(307),
            "retryable": PerEvent({(o.source, o.event_id): Result("rejected", "unknown-student", True) for o in batch}),
        }[mood]

    road.drain(city)
    assert set(road.done) == set(range(1, 41)) == holds and set(road.done.values()) == {"held"}


# --- the rows ---------------------------------------------------------------------------------------------------------


def drive(room: HubRoom, city: object, now_ms: int) -> None:
    """One step of the forwarder over the real rows."""
    rows, sender = room.store.forward, Forwarding(Random(1))
    with room.store.database.transaction():
        rows.release_anchored()
        rows.bring_near(now_ms)
        window = rows.window(now_ms, BATCH_MAX)
        batch = list(window.owed)
        changes = sender.apply(now_ms, batch, city(batch)).changes if batch else ()  # type: ignore[operator]
        rows.write(window, batch, changes, now_ms)


def test_rows_survive_a_hub_killed_between_two_answers(tmp_path: Path) -> None:
    gateway = Gateway()
    run = gateway.run(9)
    room = HubRoom(tmp_path / "hub")
    room.known(gateway)
    room.batch(gateway, gateway.batch(run))
    now_ms = room.store.clock.now_ms()
    drive(room, lambda batch: stored(batch[:4]), now_ms)
    book = room.store.ledger.books.find(run.journal)
    assert book is not None and len(book.city_held) == 3, "the hub's own first record and three of the gateway's"
    room.close()
    room = HubRoom(tmp_path / "hub")
    sent: list[str] = []

    def city(batch: list[Owed]) -> Answer:
        sent.extend(one.event_id for one in batch)
        return stored(batch)

    drive(room, city, now_ms + 600_000)
    assert sorted(name for name in sent if name.startswith(run.journal)) == sorted(
        f"{run.journal}.{number}" for number in range(4, 11)
    )
    assert room.status.whole()["city"]["backlog"] == 0
    room.close()


def test_the_cursor_passes_nothing_that_was_not_answered(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    room.batch(gateway, gateway.batch(gateway.run(5)))
    cursor = room.store.forward.cursor()
    drive(room, lambda batch: PerEvent({}), room.store.clock.now_ms())
    assert room.store.forward.cursor() == cursor
    assert len(room.store.forward.window(room.store.clock.now_ms(), BATCH_MAX).owed) == 7


def test_the_cursor_passes_only_what_a_smaller_batch_took_along(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(9)
    room.batch(gateway, gateway.batch(run))
    rows, sender, now_ms = room.store.forward, Forwarding(Random(1)), room.store.clock.now_ms()
    with room.store.database.transaction():
        window = rows.window(now_ms, BATCH_MAX)
        batch = list(window.owed[:4])
        rows.write(window, batch, sender.apply(now_ms, batch, stored(batch)).changes, now_ms)
    left = rows.window(now_ms, BATCH_MAX).owed
    assert [one.event_id for one in left] == [f"{run.journal}.{number}" for number in range(4, 11)]


def test_records_without_a_certain_time_wait_for_their_anchor_then_go(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub", hold_s=900)
    gateway = room.known(Gateway())
    run = gateway.run(3, err_ms=None)
    room.batch(gateway, gateway.batch(run))
    sent: list[str] = []

    def city(batch: list[Owed]) -> Answer:
        sent.extend(one.event_id for one in batch)
        return stored(batch)

    now_ms = room.store.clock.now_ms()
    drive(room, city, now_ms)
    assert not [name for name in sent if name.startswith(run.journal)]
    assert room.status.whole()["city"]["held_back"] == 4
    anchor = {"boot": run.boot, "mono": 1, "wall": "2026-11-23T07:00:00.000+07:00", "err": 20, "source": "hub"}
    run.add("boot.anchored", anchor, err_ms=None)
    room.batch(gateway, gateway.batch(run, 5))
    drive(room, city, now_ms)
    assert sorted(name for name in sent if name.startswith(run.journal)) == [f"{run.journal}.{n}" for n in range(1, 6)]
    # Without an anchor they go when the time is up.
    other = gateway.run(1, err_ms=None)
    other.boot = "00000000"
    lost = Gateway("bep")
    room.known(lost)
    late = lost.run(1, err_ms=None)
    room.batch(lost, lost.batch(late))
    drive(room, city, now_ms)
    assert not [name for name in sent if name.startswith(late.journal)]
    drive(room, city, room.store.clock.now_ms() + 900_001)
    assert len([name for name in sent if name.startswith(late.journal)]) == 2
    room.close()


def test_a_dead_letter_is_resent_or_closed_by_a_person(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    run = gateway.run(1)
    room.batch(gateway, gateway.batch(run))
    refusal = Result("rejected", "urn:x:invalid-event")
    now_ms = room.store.clock.now_ms()
    drive(room, lambda batch: PerEvent({(o.source, o.event_id): refusal for o in batch}), now_ms)
    dead = room.status.beside("dead-letters", 0, 10)
    assert [one["detail"] for one in dead] == ["urn:x:invalid-event"] * 3
    with room.store.database.transaction():
        assert room.store.forward.resend(dead[1]["number"]) and not room.store.forward.resend(999)
        assert room.store.forward.close(dead[2]["number"], "thử nghiệm") and not room.store.forward.close(999, "x")
    drive(room, stored, now_ms)
    assert len(room.status.beside("dead-letters", 0, 10)) == 1
    book = room.store.ledger.books.find(run.journal)
    assert book is not None and list(book.city_held) == [(1, 1)] and list(book.city_dead) == [(2, 2)]


# --- a wall clock that is set -----------------------------------------------------------------------------------------

YEAR_MS = 365 * 86_400_000


def test_rows_of_a_clock_a_year_ahead_wait_their_own_time_once_it_is_right(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub", hold_s=900)
    gateway = room.known(Gateway())
    other = room.known(Gateway("bep"))
    run, undated = gateway.run(1), other.run(1, err_ms=None)
    now_ms = room.store.clock.now_ms()
    room.store.clock.now_ms = lambda: now_ms + YEAR_MS  # type: ignore[method-assign]
    room.batch(gateway, gateway.batch(run))
    room.batch(other, other.batch(undated, 1, 1))
    refusal = Result("rejected", "unknown-student", True)
    drive(room, lambda batch: PerEvent({(o.source, o.event_id): refusal for o in batch}), now_ms + YEAR_MS)
    room.batch(other, other.batch(undated, 2))
    room.close()
    room = HubRoom(tmp_path / "hub", hold_s=900)
    sent: list[str] = []

    def city(batch: list[Owed]) -> Answer:
        sent.extend(one.event_id for one in batch)
        return stored(batch)

    drive(room, city, now_ms)
    due_ms = room.store.forward.next_due_ms()
    assert due_ms is not None and now_ms < due_ms <= now_ms + RETRYABLE_FIRST_MS
    dues = room.store.database.connection.execute("SELECT due_ms FROM forward_exceptions WHERE state = 'held-back'")
    assert [due_ms for (due_ms,) in dues] == [now_ms + 900_000] * 2
    drive(room, city, now_ms + RETRYABLE_FIRST_MS)
    assert {f"{run.journal}.1", f"{run.journal}.2"} <= set(sent) and undated.journal not in {
        name.partition(".")[0] for name in sent
    }
    drive(room, city, now_ms + RETRYABLE_FIRST_MS + 900_000)
    assert {f"{undated.journal}.1", f"{undated.journal}.2"} <= set(sent)
    assert room.status.whole()["city"]["backlog"] == 0
    room.close()


def test_a_clock_set_back_makes_no_pause_longer(room: HubRoom) -> None:
    gateway = room.known(Gateway())
    room.batch(gateway, gateway.batch(gateway.run(2)))
    clock = room.store.clock
    true_ms, ahead_ms = clock.now_ms, [3_600_000]
    clock.now_ms = lambda: true_ms() + ahead_ms[0]  # type: ignore[method-assign]
    answers: list[Answer] = [Unreachable("status 500", answered=True)]
    whole = threading.Event()

    class City:
        def submit(self, batch: list[bytes]) -> Answer:
            if answers:
                return answers.pop()
            whole.set()
            names = [(event.source, event.id) for event in map(decode_event, batch)]
            return PerEvent({name: Result("stored") for name in names})

        def close(self) -> None:
            return

    store, sender = room.store, Forwarding(Random(1))
    forwarder = Forwarder(store.ledger, store.forward, sender, City(), clock, lambda *_: None)  # type: ignore[arg-type]
    thread = threading.Thread(target=forwarder.run)
    thread.start()
    try:
        until(lambda: forwarder.trouble, "the pause begins")
        ahead_ms[0] = 0
        assert whole.wait(20), "the city is asked again after the pause"
    finally:
        forwarder.stop()
        thread.join(20)


# --- answers as HTTP says them ----------------------------------------------------------------------------------------


def said(status: int, body: bytes = b"", **headers: str) -> Answer:
    return judged(status, httpx2.Headers({name.replace("_", "-"): value for name, value in headers.items()}), body, 0.0)


def test_only_a_200_with_results_speaks_of_events() -> None:
    one = b'{"results":[{"source":"s","id":"i","status":"stored"}]}'
    assert said(200, one) == PerEvent({("s", "i"): Result("stored")})
    for status, body in ((202, one), (201, one), (204, b""), (200, b"<html>"), (200, b"{}"), (200, b'{"results":7}')):
        assert isinstance(said(status, body), Unreachable)
    assert said(413) == TooLarge()
    assert said(422, b'{"type":"urn:x:bad"}') == BadRequest("urn:x:bad")
    assert isinstance(said(400, b"\xff"), BadRequest)
    for status in (301, 302, 307, 308, 403, 404, 410):
        assert said(status, location="http://127.0.0.1:9/") == Misrouted(status)
    assert said(429) == RetryAfter(5_000) and said(503, retry_after="7") == RetryAfter(7_000)
    assert isinstance(said(503), Unreachable) and isinstance(said(401), Unreachable)


def test_an_event_answered_in_two_ways_is_not_answered() -> None:
    body = (
        b'{"results":[{"source":"s","id":"i","status":"stored"},{"source":"s","id":"i","status":"rejected"},'
        b'{"source":"s","id":"k","status":"stored"},{"source":"s","id":"k","status":"duplicate"}]}'
    )
    assert said(200, body) == PerEvent({("s", "k"): Result("stored")})


def test_problem_types_decide_what_may_be_tried_again() -> None:
    def result(problem: str) -> Result:
        body = b'{"results":[{"source":"s","id":"i","status":"rejected","problem":%s}]}' % problem.encode()
        answer = said(200, body)
        assert isinstance(answer, PerEvent)
        return answer.results["s", "i"]

    assert result('{"type":"urn:k12edge:problem:unknown-student"}').retryable
    assert result('{"type":"https://city.example/problems/unknown-student"}').retryable
    assert result('{"type":"urn:x:busy","retryable":true}').retryable
    assert result('{"type":"urn:x:invalid"}') == Result("rejected", "urn:x:invalid")
    assert not result("null").retryable


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("120", 120_000),
        (" 3 ", 3_000),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60_000),
        ("Thu, 01 Jan 1960 00:01:00 GMT", 0),
        ("soon", 5_000),
        ("²", 5_000),
        ("-5", 5_000),
        ("Mon, 99 Foo 9999 00:00:00 GMT", 5_000),
        ("9" * 30, 999_999_999_000),
    ],
)
def test_retry_after_in_both_forms_and_in_none(text: str, wait_ms: int) -> None:
    assert retry_after_ms(text, 0.0) == wait_ms
