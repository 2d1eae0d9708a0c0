"""The messenger over a real wire: every message once, signed, in order, tried again under its name."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hub.assembly import Assembly
from hub.clock import HubClock
from hub.config import MessagesPlan
from hub.messages.planning import HELD_MS, Facts
from hub.messages.words import Person
from hub.parents.messenger import RETRY_MAX_MS, Messenger
from hub.parents.sinks import Console, Delivery, Lines, Sink, Webhook, judged, open_sink, signature
from hub.parts import Store
from hub.store.database import Database
from hub.store.messagerows import KEPT_MS, MessageRows
from protocol.errors import ConfigError
from sim.receiver import Receiver
from tests.hub.messages.morning import Morning
from tests.hub.reports.book import at
from tests.hub.room import config_in

SECRET = b"s" * 32
PEOPLE = {"st-an": Person("An", "3/2"), "st-binh": Person("Bình", "3/2")}


class SetClock(HubClock):
    """The hub's clock, at the moment that a test says."""

    def __init__(self, clock: str) -> None:
        super().__init__("ntp", 500)
        self.ms = at(clock)
        self.error: int | None = 50

    def now_ms(self) -> int:
        return self.ms

    def mono_ms(self) -> int:
        return self.ms

    def error_ms(self) -> int | None:
        return self.error


@dataclass
class Office:
    """A messenger with its outbox, what it knows, and its receiver."""

    database: Database
    receiver: Receiver
    clock: SetClock
    morning: Morning = field(default_factory=Morning)
    people: dict[str, Person] = field(default_factory=lambda: dict(PEOPLE))
    halves: tuple[Any, ...] = ("am",)

    def __post_init__(self) -> None:
        self.rows = MessageRows(self.database)
        with self.database.transaction():
            for pupil in PEOPLE:
                self.rows.set_consent(pupil, True, "văn thư", self.clock.ms)
        self.messenger = self.started()

    def started(self, sink: Sink | None = None) -> Messenger:
        """A messenger as after a start of the hub."""
        wire = sink or Webhook(self.receiver.url, SECRET, now_s=lambda: self.clock.ms / 1000)
        return Messenger(
            "hoa-mai", self.database, self.rows, wire, self.clock, Random(1), self.look, self.people.get, gather_ms=0
        )

    def look(self, now_ms: int) -> Iterator[Facts]:
        clock = f"{(now_ms // 60_000 + 7 * 60) // 60 % 24:02}:{now_ms // 60_000 % 60:02}"
        for half in self.halves:
            for pupil in PEOPLE:
                facts = self.morning.facts(clock, half, pupil)
                if facts is not None:
                    yield facts

    def turns(self, count: int = 3) -> None:
        self.messenger.wake()
        for _ in range(count):
            self.messenger.turn()

    def states(self) -> list[tuple[str, str, int]]:
        return [
            tuple(row)
            for row in self.database.connection.execute("SELECT kind, state, attempts FROM messages ORDER BY number")
        ]

    def pass_ms(self, ms: int) -> None:
        self.clock.ms += ms


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    clock = SetClock("07:00")
    receiver = Receiver(SECRET, lambda: clock.ms / 1000)
    database = Database(tmp_path / "ledger.db")
    yield Office(database, receiver, clock)
    database.close()
    receiver.close()


def test_an_arrival_is_posted_once_signed_with_words_and_evidence(office: Office) -> None:
    office.morning.tap("06:58")
    office.turns()
    (body,) = office.receiver.taken.values()
    asked = ("school", "kind", "claim", "pupil", "given_name", "class", "place", "evidence")
    told = {name: body[name] for name in asked}
    assert told == {
        "school": "hoa-mai",
        "kind": "arrived",
        "claim": "there",
        "pupil": "st-an",
        "given_name": "An",
        "class": "3/2",
        "place": "cổng A",
        "evidence": ["j.1"],
    }
    assert body["text"]["vi"] == "An lớp 3/2 đã đến trường lúc 06:58 ngày 23/11/2026, cổng A."
    assert body["told_late"] is False and body["id"] == office.receiver.asked[0]
    assert office.states() == [("arrived", "sent", 1)]
    office.turns()
    assert len(office.receiver.asked) == 1 and office.messenger.trouble is None


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_name(office: Office) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = ["lost"]
    office.turns()
    assert office.states() == [("arrived", "waiting", 1)]
    office.pass_ms(RETRY_MAX_MS)
    office.turns()
    assert office.receiver.asked[0] == office.receiver.asked[1] and len(office.receiver.taken) == 1
    assert office.states() == [("arrived", "sent", 2)]


@pytest.mark.parametrize("mood", [500, 502, 503, 429, 301, 302, 307, 401, 403, 404, 410, 405])
def test_whatever_a_receiver_says_the_message_stays_owed_until_it_is_taken(office: Office, mood: int) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = [mood]
    office.receiver.headers = {"location": office.receiver.url} if mood < 400 else {"retry-after": "1"}
    office.turns()
    assert office.receiver.taken == {} and len(office.receiver.asked) == 1, "no redirect is followed"
    assert office.states()[0][1] == "waiting" and office.messenger.trouble is not None
    office.turns()
    assert len(office.receiver.asked) == 1, "it is left alone for a while"
    for _ in range(3):
        office.pass_ms(RETRY_MAX_MS)
        office.turns()
    assert office.states()[0][1] == "sent" and len(office.receiver.taken) == 1 and office.messenger.trouble is None


@pytest.mark.parametrize("mood", [400, 413, 415, 422])
def test_a_message_that_is_refused_stops_no_other(office: Office, mood: int) -> None:
    office.morning.tap("06:58")
    office.morning.tap("06:59", pupil="st-binh")
    office.receiver.moods = [mood]
    office.turns()
    assert office.states() == [("arrived", "refused", 1), ("arrived", "sent", 1)]
    office.turns()
    assert len(office.receiver.asked) == 2


def test_a_message_that_makes_the_receiver_fail_stops_no_other(office: Office) -> None:
    office.morning.tap("06:58")
    office.morning.tap("06:59", pupil="st-binh")
    bad = None
    for _ in range(12):
        office.receiver.moods = [500] if bad is None or _next_is(office, bad) else []
        office.turns(1)
        bad = bad or (office.receiver.asked[0] if office.receiver.asked else None)
        office.pass_ms(1_500)
    assert [state for _, state, _ in office.states()][1] == "sent"


def _next_is(office: Office, key: str) -> bool:
    found = office.database.connection.execute(
        "SELECT key FROM messages WHERE state = 'waiting' AND next_ms <= ? ORDER BY number", (office.clock.ms,)
    ).fetchone()
    return found is not None and found[0] == key


def test_without_a_receiver_nothing_counts_as_heard_and_what_is_wrong_is_taken_back(office: Office) -> None:
    office.receiver.close()
    office.morning.tap("06:58")
    office.turns()
    assert office.states() == [("arrived", "waiting", 0)] and office.messenger.trouble == "messages-unreachable"
    office.morning.say("absent", "07:00")
    office.pass_ms(HELD_MS)
    office.turns()
    assert office.states() == [("arrived", "cancelled", 0), ("not-recorded", "waiting", 0)]


def test_a_correction_goes_behind_what_it_corrects(office: Office) -> None:
    office.morning.tap("06:58")
    office.turns()
    office.morning.say("absent", "07:00")
    office.pass_ms(HELD_MS)
    office.turns()
    kinds = [office.receiver.taken[key]["kind"] for key in office.receiver.asked]
    assert kinds == ["arrived", "corrected"]
    assert office.receiver.taken[office.receiver.asked[1]]["corrects"] == "arrived"


def test_a_pupil_s_later_message_waits_for_the_earlier_one(office: Office) -> None:
    office.morning.tap("06:58")
    office.morning.tap("06:59", "out")
    office.receiver.moods = [500]
    office.turns(1)
    office.pass_ms(RETRY_MAX_MS)
    office.turns(5)
    assert [office.receiver.taken[key]["kind"] for key in office.receiver.asked[1:]] == ["arrived", "left"]


def test_while_an_earlier_one_is_put_off_a_pupil_s_later_ones_are_held_and_others_go(office: Office) -> None:
    office.receiver.close()
    office.morning.tap("06:58")
    office.morning.tap("06:59", "out")
    office.morning.tap("06:59", pupil="st-binh")
    office.turns()
    with office.database.transaction():
        first = office.database.connection.execute("SELECT min(number) FROM messages").fetchone()[0]
        office.rows.put_off(first, office.clock.ms + 60_000, "x", attempted=False)
        office.database.connection.execute("UPDATE messages SET next_ms = 0 WHERE number <> ?", (first,))
        assert [(one.message.pupil, one.message.kind) for one in office.rows.take(office.clock.ms)] == [
            ("st-binh", "arrived")
        ]


def test_what_waited_too_long_is_ended_and_never_sent(office: Office) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = [500]
    office.turns()
    office.clock.ms = at("10:30")
    office.turns()
    assert office.states() == [("arrived", "expired", 1)] and len(office.receiver.asked) == 1


def test_what_waited_is_told_late_when_it_goes_out(office: Office) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = [500]
    office.turns()
    office.clock.ms = at("08:00")
    office.turns()
    (body,) = office.receiver.taken.values()
    assert body["told_late"] is True and "tin này đến muộn" in body["text"]["vi"]


def test_consent_is_asked_again_before_each_sending(office: Office) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = [500]
    office.turns()
    with office.database.transaction():
        office.rows.set_consent("st-an", False, "mẹ An", office.clock.ms)
    assert office.states() == [("arrived", "cancelled", 1)]
    office.morning.consents.discard("st-an")
    office.pass_ms(RETRY_MAX_MS)
    office.turns()
    assert office.states() == [("arrived", "cancelled", 1)] and len(office.receiver.asked) == 1
    assert not office.rows.consent("st-an") and not office.rows.consent("st-la"), "no row is no consent"


def test_a_consent_taken_back_beside_the_plan_ends_what_waits(office: Office) -> None:
    office.morning.tap("06:58")
    office.receiver.moods = [500]
    office.turns()
    office.database.connection.execute("DELETE FROM consents WHERE pupil_key = 'st-an'")
    office.pass_ms(RETRY_MAX_MS)
    office.messenger.turn()
    assert office.states()[0][1] == "cancelled"


def test_a_pupil_who_is_no_longer_known_is_not_written_about(office: Office) -> None:
    office.morning.tap("06:58")
    del office.people["st-an"]
    office.turns()
    assert office.states()[0][1] == "cancelled" and office.receiver.asked == []


def test_without_a_clock_nothing_is_told(office: Office) -> None:
    office.morning.tap("06:58")
    office.clock.error = None
    office.turns()
    assert office.states() == [] and office.messenger.trouble == "clock-unset"
    office.clock.error = 50
    office.turns()
    assert office.states() == [("arrived", "sent", 1)]


def test_a_hub_that_was_killed_while_it_sent_sends_again_under_the_same_name(office: Office) -> None:
    class Killed(Exception):
        pass

    class Dying:
        def send(self, key: str, body: bytes, text: str) -> Delivery:
            Webhook(office.receiver.url, SECRET, now_s=lambda: office.clock.ms / 1000).send(key, body, text)
            raise Killed

        def close(self) -> None: ...

    office.morning.tap("06:58")
    office.messenger = office.started(Dying())
    office.turns(1)
    assert office.states() == [("arrived", "waiting", 1)], "the attempt was counted before it was made"
    office.messenger = office.started()
    office.turns()
    assert len(office.receiver.taken) == 1 and office.receiver.asked[0] == office.receiver.asked[1]
    assert office.states() == [("arrived", "sent", 2)]


def test_the_thread_runs_until_it_is_stopped(office: Office) -> None:
    office.morning.tap("06:58")
    taken = threading.Event()

    class Heard(Console):
        def send(self, key: str, body: bytes, text: str) -> Delivery:
            taken.set()
            return Delivery("taken")

    messenger = office.started(Heard(io.StringIO()))
    thread = threading.Thread(target=messenger.run)
    thread.start()
    assert taken.wait(10)
    messenger.stop()
    thread.join(10)
    assert not thread.is_alive() and messenger.progress > 0


def test_ended_messages_are_kept_for_a_quarter(office: Office) -> None:
    office.morning.tap("06:58")
    office.turns()
    with office.database.transaction():
        assert office.rows.forget(office.clock.ms + KEPT_MS) == 0
        assert office.rows.counts() == {"sent": 1}
        assert office.rows.forget(office.clock.ms + KEPT_MS + 1) == 1


# --- sinks ------------------------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_turned_away_and_stays_owed(office: Office) -> None:
    office.receiver.secret = b"x" * 32
    office.morning.tap("06:58")
    office.turns()
    assert office.receiver.turned_away == 1 and office.messenger.trouble == "messages-misrouted"


def test_the_signature_is_that_of_hmac_sha256_over_time_and_body() -> None:
    # openssl: printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    assert signature(b"key", "1700000000", b"{}") == (
        "v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    )


def test_a_file_gets_a_line_each_for_its_owner_alone(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "messages.jsonl")
    for number in range(3):
        assert lines.send(str(number), json.dumps({"id": number}).encode(), "x").outcome == "taken"
    found = (tmp_path / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in found] == [0, 1, 2]
    assert os.stat(tmp_path / "messages.jsonl").st_mode & 0o077 == 0
    assert Lines(tmp_path / "no" / "folder").send("k", b"{}", "x").outcome == "again"


def test_a_terminal_gets_the_words(tmp_path: Path) -> None:
    out = io.StringIO()
    assert Console(out).send("0123456789abcdef", b"{}", "An đã đến").outcome == "taken"
    assert out.getvalue() == "[01234567] An đã đến\n"
    out.close()
    assert Console(out).send("k", b"{}", "x").outcome == "again"


def test_an_answer_that_trickles_is_taken_by_its_status(office: Office) -> None:
    webhook = Webhook(office.receiver.url, SECRET, now_s=lambda: office.clock.ms / 1000)
    webhook.whole_s = 0.1
    office.receiver.moods = ["trickle"]
    assert webhook.send("k", b"{}", "x").outcome == "taken" and office.receiver.taken == {"k": {}}


def test_a_hub_with_a_sink_has_a_messenger_and_a_wrong_secret_keeps_it_from_starting(tmp_path: Path) -> None:
    for sink, has in (({}, False), ({"sink": "file", "file": str(tmp_path / "m")}, True)):
        store = Store(config_in(tmp_path, messages=sink))
        assembly = Assembly(store.config, store, None, lambda: None)
        assert (assembly.messenger is not None) is has
        if assembly.messenger is not None:
            assembly.messenger.turn()
            assert assembly.messenger.progress == 1 and not (tmp_path / "m").exists(), "nobody consented"
        store.database.close()
    webhook = {"sink": "webhook", "url": "https://h/x", "secret_file": str(tmp_path / "none")}
    store = Store(config_in(tmp_path, messages=webhook))
    with pytest.raises(ConfigError, match="can't be read"):
        Assembly(store.config, store, None, lambda: None)
    store.database.close()


def test_an_address_that_nobody_has_is_no_answer() -> None:
    found = Webhook("http://127.0.0.1:9/x", SECRET).send("k", b"{}", "x")
    assert (found.outcome, found.left) == ("again", False)
    assert judged(202, {}, 0.0).outcome == "taken"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"sink": "webhook"}, "url and sink"),
        ({"sink": "webhook", "url": "https://h/x"}, "secret_file and sink"),
        ({"sink": "webhook", "url": "http://10.0.0.2/x", "secret_file": "/s"}, "must begin with https"),
        ({"sink": "file"}, "file and sink"),
        ({"sink": "none", "url": "https://h/x"}, "url and sink"),
        ({"kinds": ["arrived", "corrected"]}, "'corrected' is not one of"),
        ({"sink": "zalo"}, "is not one of"),
    ],
)
def test_sinks_are_configured_whole_or_not_at_all(tmp_path: Path, table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config_in(tmp_path, messages=table)


def test_a_sink_is_opened_as_configured_and_a_secret_is_nobody_else_s(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    plan = config_in(tmp_path, messages={"sink": "webhook", "url": "https://h/x", "secret_file": str(secret)}).messages
    wrong = ((None, 0, "can't be read"), (b"short", 0o600, "32 to 512"), (SECRET, 0o644, "only its owner"))
    for octets, mode, told in wrong:
        if octets is not None:
            secret.write_bytes(octets)
            secret.chmod(mode)
        with pytest.raises(ConfigError, match=told):
            open_sink(plan)
    secret.write_bytes(SECRET + b"\n")
    secret.chmod(0o600)
    opened = open_sink(plan)
    assert isinstance(opened, Webhook)
    opened.close()
    assert open_sink(MessagesPlan("none", None, None, None, ())) is None
    assert isinstance(open_sink(MessagesPlan("file", None, None, tmp_path / "m", ())), Lines)
    assert isinstance(open_sink(MessagesPlan("console", None, None, None, ())), Console)
