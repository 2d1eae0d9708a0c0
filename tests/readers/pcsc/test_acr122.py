"""An ACR122U's lamp and buzzer, over the card that lies there or the reader itself."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.patterns import PATTERNS as edge_patterns
from edge.ports import Caution, Feedback, ReaderGone, Signal
from edge.readers import acr122
from edge.readers.acr122 import GREEN, PATTERNS, QUIET, RED, Acr122Feedback, commands_of, lamp_command
from edge.readers.opening import make_reader
from edge.readers.pcsc import PcscReader
from protocol.cards import CardUid
from sim.emulators.pcsccard import GET_UID, OK, Slot, SlotCard, storage_atr
from sim.emulators.pcscdaemon import Pcscd
from tests.contracts.watching import watching
from tests.patience import within
from tests.readers.pcsc.gate import HOLDER, URL, A, B, lay, poll_until, sees

ACR122U = "ACS ACR122U PICC Interface"
TAKEN = b"\x90\x02"
"""Done, and the lamp is green now."""


def panel_card(card: CardUid = A) -> SlotCard:
    """A card in an ACR122U, which takes the commands for its lamp, its buzzer and its own beep itself."""
    own = [QUIET, *(command for pattern in PATTERNS.values() for command in commands_of(pattern))]
    return SlotCard(storage_atr(0x03), {GET_UID: bytes.fromhex(card.hex) + OK} | dict.fromkeys(own, TAKEN))


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("accepted", ["FF00400C0400000000", "FF0040AC0402010101"]),
        ("repeated", ["FF00400C0400000000", "FF0040AC0401010201"]),
        ("refused", ["FF00400C0400000000", "FF0040FC0401020201"]),
        ("wait", ["FF00400F0400000000"]),
        ("alarm", ["FF00400C0400000000", "FF00405C0402010301"]),
    ],
)
def test_the_commands_of_each_signal(name: Signal | Caution, commands: list[str]) -> None:
    assert [command.hex().upper() for command in commands_of(PATTERNS[name])] == commands


def test_signals_are_told_apart_by_rhythm_and_none_keeps_the_reader_from_reading_for_a_second() -> None:
    rhythms = {(p.lit_ds, p.dark_ds, p.times) for p in PATTERNS.values()}
    assert len(rhythms) == len(PATTERNS) == len(edge_patterns)
    assert all((p.lit_ds + p.dark_ds) * p.times < 10 for p in PATTERNS.values())
    for name, steps in edge_patterns.items():
        assert PATTERNS[name].sounds == any(step.buzzer for step in steps)
        assert PATTERNS[name].times in (0, sum(step.buzzer for step in steps)), "as many sounds as everywhere"


def test_a_lamp_command_as_the_manual_has_it() -> None:
    assert lamp_command(RED | GREEN, RED | GREEN).hex() == "ff00400f0400000000"
    assert lamp_command(RED, RED).hex() == "ff0040050400000000"
    assert lamp_command(RED | GREEN, 0, RED, (5, 5, 2, 1)).hex() == "ff00405c0405050201"


def test_the_newest_signal_is_shown_once_and_a_stale_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Acr122Feedback()
    feedback.pattern("wait")
    feedback.pattern("accepted")
    assert feedback.take() == commands_of(PATTERNS["accepted"])
    assert feedback.take() == ()
    feedback.pattern("nonsense")  # type: ignore[arg-type]
    assert feedback.take() == ()
    monkeypatch.setattr(acr122, "STALE_S", -0.001)
    feedback.pattern("accepted")
    assert feedback.take() == ()


@pytest.fixture
def acr(tmp_path: Path) -> Iterator[Pcscd]:
    """An ACR122U behind a driver that takes no commands without a card, as libccid is delivered."""
    with Pcscd(tmp_path, ACR122U) as daemon:
        yield daemon


def reader_at(daemon: Pcscd) -> PcscReader:
    reader = make_reader("pcsc:" + daemon.name.replace(" ", "%20") + "%2000%2000")
    assert isinstance(reader, PcscReader)
    reader.open()
    return reader


def heard(slot: Slot) -> list[bytes]:
    return [command for command in slot.heard if command[:2] == b"\xff\x00"]


def test_signals_reach_lamp_and_buzzer_over_the_card_that_lies_there(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    feedback: Feedback = reader
    assert isinstance(reader, Feedback)
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    assert heard(slot) == [QUIET], "its own beep first"
    expected = [QUIET]
    for name in PATTERNS:
        thread = threading.Thread(target=feedback.pattern, args=(name,))
        thread.start()
        thread.join(5)
        expected += commands_of(PATTERNS[name])
        count = len(expected)
        poll_until(reader, lambda reads, count=count: len(heard(slot)) >= count)  # type: ignore[misc]
        assert sees(A)(tuple(reader.poll()))
    assert heard(slot) == expected
    assert list(slot.heard).count(GET_UID) == 1, "the card was read once"
    lay(slot, panel_card(B))
    poll_until(reader, sees(B))
    reader.poll()
    assert heard(slot) == expected, "its own beep is switched off once"
    reader.close()


def test_while_a_signal_is_played_polls_keep_their_time_and_the_card_stays(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    refused, accepted = commands_of(PATTERNS["refused"]), commands_of(PATTERNS["accepted"])
    reader.pattern("refused")
    for played in (refused[-1], accepted[-1]):
        while slot.heard[-1] != played:
            poll_began_s = time.monotonic()
            assert sees(A)(tuple(reader.poll()))
            assert time.monotonic() - poll_began_s < within(0.3)
        for name in ("repeated", "alarm", "accepted"):
            reader.pattern(name)  # type: ignore[arg-type]
    assert heard(slot) == [QUIET, *refused, *accepted], "what came meanwhile has given way to the newest"
    slot.show(panel_card(B))
    poll_until(reader, sees(B))
    reader.close()


def test_a_reader_of_another_name_is_told_nothing(slot: Slot, reader: PcscReader) -> None:
    slot.show(panel_card())
    poll_until(reader, sees(A))
    for name in PATTERNS:
        reader.pattern(name)
        reader.poll()
    slot.remove()
    reader.pattern("accepted")
    poll_until(reader, lambda reads: not reads)
    assert list(slot.heard) == [GET_UID]


def test_without_a_card_a_signal_goes_to_the_reader_itself_where_its_driver_takes_it(tmp_path: Path) -> None:
    with Pcscd(tmp_path, ACR122U, escapes=True) as daemon:
        reader, slot = reader_at(daemon), daemon.slots[0]
        poll_until(reader, lambda reads: bool(daemon.escaped))
        assert daemon.escaped == [QUIET], "before the first card"
        slot.show(panel_card())
        poll_until(reader, sees(A))
        slot.remove()
        poll_until(reader, lambda reads: not reads)
        reader.pattern("refused")
        reader.poll()
        assert daemon.escaped == [QUIET, *commands_of(PATTERNS["refused"])]
        assert heard(slot) == []
        slot.show(panel_card(B))
        poll_until(reader, sees(B))
        reader.close()


def test_where_the_driver_takes_none_without_a_card_it_is_told_once_and_reading_goes_on(
    acr: Pcscd, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="k12edge"):
        reader, slot = reader_at(acr), acr.slots[0]
        for _ in range(3):
            reader.pattern("accepted")
            began_s = time.monotonic()
            assert reader.poll() == ()
            assert time.monotonic() - began_s < within(0.3)
        slot.show(panel_card())
        poll_until(reader, sees(A))
        reader.pattern("accepted")
        poll_until(reader, lambda reads: len(heard(slot)) >= 3)
        assert heard(slot) == [QUIET, *commands_of(PATTERNS["accepted"])]
        reader.close()
    assert caplog.text.count("only while a card lies there") == 1


def test_a_reader_that_refuses_its_commands_reads_on_and_is_asked_for_silence_with_each_card(acr: Pcscd) -> None:
    slot = acr.slots[0]
    with watching("pcsc:acr122u%20picc%20interface%2000%2000") as kept:
        kept.await_ready()
        for number, card in enumerate((A, B), 1):
            lay(slot, card)
            kept.await_cards(*(A, B)[:number])
            kept.keeper._reader.pattern("accepted")  # type: ignore[attr-defined]
            deadline = time.monotonic() + 5
            while len(heard(slot)) < 3 * number:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(0.3)  # Some looks more, at which it isn't asked again.
            assert heard(slot).count(QUIET) == number
        assert kept.keeper.counts.faults == 0


def test_a_signal_that_another_programs_transaction_held_up_is_not_shown(acr: Pcscd) -> None:
    reader, slot = reader_at(acr), acr.slots[0]
    slot.show(panel_card())
    poll_until(reader, sees(A))
    poll_until(reader, lambda reads: bool(heard(slot)))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, f"{ACR122U} 00 00", "2", "transaction"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"0\n"
        reader.pattern("accepted")
        began_s = time.monotonic()
        while time.monotonic() - began_s < acr122.STALE_S + 0.3:
            poll_began_s = time.monotonic()
            assert sees(A)(tuple(reader.poll()))
            assert time.monotonic() - poll_began_s < within(0.3)
        holder.stdin.close()
    while reader._look is not None:
        reader.poll()
    assert heard(slot) == [QUIET]
    reader.pattern("repeated")
    poll_until(reader, lambda reads: len(heard(slot)) > 1)
    assert heard(slot)[1:] == [*commands_of(PATTERNS["repeated"])][: len(heard(slot)) - 1]
    reader.close()


def test_a_signal_for_a_reader_that_is_lost_or_closed_is_no_fault(daemon: Pcscd) -> None:
    reader = make_reader(URL)
    assert isinstance(reader, PcscReader)
    reader.pattern("accepted")
    reader.open()
    daemon.kill()
    reader.pattern("alarm")
    with pytest.raises(ReaderGone):
        poll_until(reader, lambda reads: False)
    reader.close()
    reader.pattern("alarm")
