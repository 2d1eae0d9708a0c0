"""The hub under power cuts: the real one recorded with broker, gateways and city; what a receipt named stays."""

from __future__ import annotations

import gzip
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from protocol.receipts import JournalMarks, Mark, Receipt, encode_receipt
from protocol.signing import Identity, sign_message
from protocol.topics import device_topic
from sim.powercut.disk import Disk
from sim.powercut.gateway import Sizes
from sim.powercut.hub import HubCut, hub_after_a_kill, hub_first_boot, hub_migration, keys_import
from sim.powercut.ledgerjudge import HubJudge
from sim.powercut.outcome import READY_S_MAX, Outcome
from sim.powercut.overheard import Overheard
from sim.powercut.recording import Sent, Step, Sync
from sim.powercut.replay import replay
from sim.road import SCHOOL

SEED = 20261125
SMALL = Sizes(taps=4, stations=1, every=3)
"""One of three points, drawn by the seed; the campaign cuts at each."""


@pytest.mark.parametrize("story", [hub_first_boot, hub_after_a_kill, hub_migration])
def test_no_cut_of_a_hub_breaks_a_receipt(story: Callable[[Path, int, Sizes], Outcome], tmp_path: Path) -> None:
    outcome = story(tmp_path, SEED, SMALL)
    print(outcome)
    assert outcome.problems() == []
    assert outcome.ready_s < READY_S_MAX
    assert outcome.states > 100 and outcome.more["receipts"] > 3


def test_keys_are_imported_whole_or_not_at_all(tmp_path: Path) -> None:
    outcome = keys_import(tmp_path, SEED, SMALL)
    assert outcome.problems() == []
    assert outcome.states > 20


# --- the checkers turn red --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[HubCut, list[Step], HubJudge]:
    cut = HubCut(tmp_path_factory.mktemp("hub"), 7, Sizes(3, 1))
    try:
        steps = cut.run(signal.SIGTERM, record=True)
        return cut, steps, cut.judge(frozenset())
    finally:
        cut.stop()


def _replayed(run: tuple[HubCut, list[Step], HubJudge], steps: list[Step] | None = None, **changes: object) -> Outcome:
    cut, recorded, judge = run
    # One of eight points of its later half shows what is looked for.
    where = {"cut_from": len(recorded) // 2, "every": 8}
    return replay(steps or recorded, Disk(), cut.data, replace(judge, **changes), seed=7, **where)


def test_a_hub_that_did_not_sync_would_be_caught(run: tuple[HubCut, list[Step], HubJudge]) -> None:
    assert _replayed(run).kept
    unsynced = [Sync(step.path, 0) if isinstance(step, Sync) and "-wal" in step.path else step for step in run[1]]
    assert _replayed(run, unsynced).lost


def test_a_receipt_before_its_commit_would_be_caught(run: tuple[HubCut, list[Step], HubJudge]) -> None:
    early: list[Step] = []
    for step in run[1]:
        if isinstance(step, Sent):
            syncs = [number for number, earlier in enumerate(early) if isinstance(earlier, Sync)]
            early.insert(max(0, syncs[-1] - 3) if syncs else 0, step)
        else:
            early.append(step)
    assert _replayed(run, early).lost


def test_a_city_mark_ahead_of_the_city_would_be_caught(run: tuple[HubCut, list[Step], HubJudge]) -> None:
    posts = [step for step in run[1] if isinstance(step, Sent) and b"gzip" in step.data]
    assert posts
    sockets = {step.path for step in posts}
    # As if nothing had been sent to the city: each of its marks is then ahead of it.
    silent = [step for step in run[1] if not (isinstance(step, Sent) and step.path in sockets)]
    found = _replayed(run, silent).corrupt
    assert any("never sent" in one for one in found)


def test_a_record_that_no_gateway_wrote_would_be_caught(run: tuple[HubCut, list[Step], HubJudge]) -> None:
    missing = f"{run[0].uneven.journal}.2"
    known = {name: raw for name, raw in run[2].truth.items() if name != missing}
    assert any(missing in one for one in _replayed(run, truth=known).phantom)


def test_another_hub_key_would_be_caught(run: tuple[HubCut, list[Step], HubJudge]) -> None:
    assert any("another key" in one for one in _replayed(run, key="-").corrupt)


def test_receipts_and_events_are_taken_out_of_a_stream_in_pieces() -> None:
    identity = Identity(bytes(32), bytes(32))
    topic = device_topic(SCHOOL, "cong", "receipt")
    body = Receipt("0" * 16, {"a" * 16: JournalMarks(Mark(3, "A" * 43))})
    payload = sign_message(identity, topic, encode_receipt(body))
    rest = len(topic).to_bytes(2, "big") + topic.encode("ascii") + b"\x00\x07" + payload
    # CONNECT, then PUBLISH with quality of service 1: its length in two bytes of seven bits (MQTT 3.1.1, 2.2.3).
    stream = b"\x10\x02ab" + bytes((0x32, len(rest) & 127 | 128, len(rest) >> 7)) + rest
    zipped = gzip.compress(msgspec.json.encode([{"id": "a.1"}, {"id": "a.2"}]))
    post = b"POST /k12edge/v1/events HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    post += b"Content-Length: %d\r\n\r\n" % len(zipped) + zipped
    heard = Overheard()
    found = []
    for at in range(max(len(stream), len(post))):
        for path, octets in (("one", stream), ("two", post)):
            found += list(heard.hear(Sent(path, octets[at : at + 1])))
    assert sorted(map(str, found)) == sorted(map(str, [body, ["a.1", "a.2"]]))
