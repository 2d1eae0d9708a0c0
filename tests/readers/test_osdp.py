"""The OSDP driver, libosdp and pyserial included, against libosdp's own reader on a real pseudo-terminal."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import osdp_sys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead, CardSeen, Feedback, ReaderGone
from edge.readers.opening import make_reader
from edge.readers.osdp import SILENT_S, OsdpReader, read_key
from edge.readers.osdpcards import bit_plans
from edge.readers.osdpfeedback import PATTERNS, STALE_S, OsdpFeedback
from edge.readers.osdpwire import Handshake, Replies, check
from edge.readers.supervisor import ReaderSupervisor
from protocol.cardforms import PartialPlan, number_plan, wiegand_bits
from protocol.cards import CardUid
from protocol.errors import CardNumberError, ReaderInsecure, ReaderKeyWrong, ReaderLost, ReaderRefused
from sim.emulators.osdppd import LineFaults, OsdpPd
from sim.road import Road
from tests.edge.room import data_of, events
from tests.hub.running import until

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
OTHER_KEY = bytes.fromhex("F0E1D2C3B4A5968778695A4B3C2D1E0F")
UID = bytes.fromhex("04A1B2C3D4E580")
CARD = CardUid("a", "04A1B2C3D4E580")


@pytest.fixture
def pd(tmp_path: Path) -> Iterator[OsdpPd]:
    with OsdpPd(tmp_path / "cổng 1", KEY, address=9) as made:
        yield made


def key_file(folder: Path, text: str = KEY.hex(), mode: int = 0o600) -> Path:
    path = folder / "key"
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def reader_of(pd: OsdpPd, options: str = "") -> OsdpReader:
    path = key_file(pd.link.parent)
    made = make_reader(f"osdp://{pd.link}?address={pd.address}&key-file={path}&baud=115200{options}")
    assert isinstance(made, OsdpReader)
    return made


def polled(reader: OsdpReader, until: Callable[[list[CardRead]], bool], within_s: float = 10) -> list[CardRead]:
    reads: list[CardRead] = []
    deadline = time.monotonic() + within_s
    while not until(reads):
        assert time.monotonic() < deadline, reads
        reads += reader.poll()
    return reads


class Kept:
    """A supervised reader on its thread and what it saw."""

    def __init__(self, reader: OsdpReader) -> None:
        self.seen: list[CardSeen] = []
        self.changed = threading.Condition()
        self.stop = threading.Event()
        self.keeper = ReaderSupervisor("r", reader, self._see, time.monotonic_ns, Random(1))
        self.thread = threading.Thread(target=self.keeper.run, args=(self.stop,))
        self.thread.start()

    def _see(self, seen: CardSeen) -> None:
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()

    def await_count(self, count: int, within_s: float = 15) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, within_s), (self.seen, self.keeper.counts)

    def await_error(self, code: str | None, within_s: float = 10) -> None:
        deadline = time.monotonic() + within_s
        while self.keeper.counts.error != code or (code is None and not self.keeper.ready.is_set()):
            assert time.monotonic() < deadline, self.keeper.counts
            time.sleep(0.005)

    def close(self) -> None:
        self.stop.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def kept(pd: OsdpPd) -> Iterator[Kept]:
    made = Kept(reader_of(pd))
    try:
        yield made
    finally:
        made.close()


# --- the key --------------------------------------------------------------------------------------------------------


def test_with_the_right_key_cards_come_through_the_secure_channel(pd: OsdpPd, kept: Kept) -> None:
    sent: list[bytes] = []
    put = pd._put
    pd._put = lambda octets: (sent.append(octets), put(octets))[1]  # type: ignore[method-assign]
    assert kept.keeper.ready.wait(5)
    pd.show(56, UID)
    kept.await_count(1)
    assert kept.seen[0].card == CARD
    assert kept.seen[0].read == CardRead(CARD, "04A1B2C3D4E580", "format=hex")
    assert sent and UID not in b"".join(sent), "the number is not readable on the line"


@pytest.mark.parametrize(
    ("mode", "key", "code"),
    [
        ("secure", OTHER_KEY, "reader-key-wrong"),
        ("install", KEY, "reader-insecure"),
        ("plain", KEY, "reader-insecure"),
    ],
)
def test_a_reader_without_our_key_is_an_alarm_no_card_of_it_is_taken_and_it_heals(
    pd: OsdpPd, mode: str, key: bytes, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    pd.become(mode, key)  # type: ignore[arg-type]
    kept = Kept(reader_of(pd))
    try:
        kept.await_error(code)
        assert not kept.keeper.ready.is_set()
        pd.show(56, UID)
        tries = pd.asked
        while pd.asked < tries + 4:
            time.sleep(0.01)
        assert kept.keeper.counts.error == code
        assert kept.seen == []
        warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warned) == 1, "told once, not with each try"
        began_s = time.monotonic()
        pd.become("secure", KEY)
        kept.await_error(None)
        assert time.monotonic() - began_s < 8, "libosdp's 300 s don't count"
        pd.show(32, bytes.fromhex("DEADBEEF"))
        kept.await_count(1)
        assert [seen.card for seen in kept.seen] == [CardUid("a", "DEADBEEF")]
    finally:
        kept.close()


def test_the_error_says_what_is_wrong(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    pd.become("secure", OTHER_KEY)
    with pytest.raises(ReaderKeyWrong, match="another key than"):
        reader.open()
    pd.become("install")
    with pytest.raises(ReaderInsecure, match="default key"):
        reader.open()
    pd.become("plain")
    with pytest.raises(ReaderInsecure, match="no Secure Channel"):
        reader.open()
    with pytest.raises(ReaderLost, match="not open"):
        reader.poll()


def test_a_key_that_is_changed_while_cards_are_read_is_an_alarm(pd: OsdpPd, kept: Kept) -> None:
    assert kept.keeper.ready.wait(5)
    pd.become("secure", OTHER_KEY)
    kept.await_error("reader-key-wrong")
    key_file(pd.link.parent, OTHER_KEY.hex())
    kept.await_error(None)
    pd.show(56, UID)
    kept.await_count(1)


def test_tries_with_a_wrong_key_use_one_context_of_libosdp(pd: OsdpPd) -> None:
    """It loses memory with each, and a wrong key may stand for a whole summer."""
    reader = reader_of(pd)
    pd.become("secure", OTHER_KEY)
    contexts = []
    for _ in range(3):
        with pytest.raises(ReaderKeyWrong):
            reader.open()
        assert reader._resting is not None
        contexts.append(reader._resting[1])
    assert contexts[0] is contexts[1] is contexts[2]
    pd.become("secure", KEY)
    reader.open()
    assert reader._panel is contexts[0]
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_our_key_never_leaves_for_a_reader_in_install_mode(pd: OsdpPd) -> None:
    pd.become("install")
    reader = reader_of(pd)
    for _ in range(3):
        with pytest.raises(ReaderInsecure):
            reader.open()
    assert all(told["command"] != osdp_sys.CMD_KEYSET for told in pd.commands)


def test_what_is_wrong_with_a_key_file_is_told_once_each(pd: OsdpPd, caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(pd)
    key_file(pd.link.parent, mode=0o644)
    kept = Kept(reader)
    try:
        kept.await_error("reader-refused")
        key_file(pd.link.parent, "not a key")
        deadline = time.monotonic() + 10
        while len(caplog.records) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        key_file(pd.link.parent)
        kept.await_error(None)
    finally:
        kept.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "chmod 600" in told[0] and "32 hex digits" in told[1]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o700, 0o604])
def test_a_key_that_others_may_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, mode=mode)
    with pytest.raises(ReaderRefused, match=f"chmod 600 {path}"):
        read_key(str(path))


@pytest.mark.parametrize(
    "text", ["", "00", KEY.hex() + "00", "zz" * 16, "303132333435363738393a3b3c3d3e3f", "00" * 16, KEY.hex()[:31]]
)
def test_what_is_no_key_of_its_own_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReaderRefused) as refused:
        read_key(str(key_file(tmp_path, text)))
    assert not text or text not in str(refused.value)


def test_key_files_as_people_write_them(tmp_path: Path) -> None:
    for text, mode in ((KEY.hex() + "\n", 0o600), (KEY.hex().upper(), 0o400)):
        assert read_key(str(key_file(tmp_path, text, mode))) == KEY
    with pytest.raises(ReaderRefused, match="can't be read"):
        read_key(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ReaderRefused):
        read_key(str(tmp_path / "pipe"))


# --- the line -------------------------------------------------------------------------------------------------------


def test_unplugged_is_gone_and_plugged_again_reads_on(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.open()
    pd.unplug()
    with pytest.raises(ReaderGone):
        polled(reader, lambda reads: False)
    with pytest.raises(ReaderLost):
        reader.open()
    pd.plug()
    reader.open()
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_a_card_whose_reader_is_unplugged_just_then_is_not_lost(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.open()
    wire = reader._channel.wire
    assert wire is not None
    pd.show(56, UID)
    while not reader._came:
        reader._turn(wire, 0.1)
    pd.unplug()
    assert [read.card for read in reader.poll()] == [CARD]
    with pytest.raises(ReaderGone):
        polled(reader, lambda reads: False)
    reader.close()


def test_three_hundred_times_unplugged_and_back_leak_no_descriptor_and_no_thread(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(300):
        reader.open()
        if number % 3 == 0:
            pd.unplug()
            with pytest.raises(ReaderGone):
                polled(reader, lambda reads: False)
            pd.plug()
        if number % 2:
            reader.close()
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


def test_a_silent_reader_is_lost_and_found_again(pd: OsdpPd, kept: Kept) -> None:
    assert kept.keeper.ready.wait(5)
    pd.faults = LineFaults(silent=1.0)
    kept.await_error("reader-lost", within_s=SILENT_S + 5)
    pd.faults = LineFaults()
    kept.await_error(None)
    pd.show(56, UID)
    kept.await_count(1)


@pytest.mark.parametrize(
    "faults", [LineFaults(noise=0.5), LineFaults(broken=0.3), LineFaults(noise=0.2, broken=0.2, silent=0.02)]
)
def test_a_noisy_line_neither_loses_nor_doubles_nor_invents_a_card(pd: OsdpPd, kept: Kept, faults: LineFaults) -> None:
    assert kept.keeper.ready.wait(5)
    pd.faults = faults
    cards = [bytes((4, 0, 0, 0, 0, 0, number)) for number in range(1, 9)]
    for number, uid in enumerate(cards, 1):
        pd.show(56, uid)
        kept.await_count(number)
    assert [bytes.fromhex(seen.card.hex) for seen in kept.seen] == cards


def test_a_broken_reply_with_a_card_is_asked_for_again_at_once(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.open()
    took_s: list[float] = []
    for _ in range(3):
        pd.break_next = 3
        began_s = time.monotonic()
        pd.show(56, UID)
        assert [read.card for read in polled(reader, bool)] == [CARD]
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.6, "libosdp itself waits for a second"
    reader.close()


def test_a_process_that_stood_still_for_a_while_has_not_lost_its_reader(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.open()
    reader.poll()
    time.sleep(SILENT_S + 0.2)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_a_bad_line_is_never_taken_for_a_wrong_key(pd: OsdpPd) -> None:
    reader, opened, codes = reader_of(pd), 0, list[str]()
    pd.faults = LineFaults(silent=0.1, broken=0.3, short=0.05, noise=0.3)
    while min(opened, len(codes)) < 3:
        try:
            reader.open()
            opened += 1
        except ReaderLost as problem:
            codes.append(problem.code)
        reader.close()
    assert set(codes) == {"reader-lost"}


def test_a_line_that_chatters_without_being_asked_holds_nothing_up(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.open()
    rng, began_s = Random(1), time.monotonic()
    for _ in range(20):
        pd.say(rng.randbytes(3_000))
        reader.poll()
    assert time.monotonic() - began_s < 20 * 0.3
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_another_address_answers_nothing(pd: OsdpPd) -> None:
    reader = make_reader(f"osdp://{pd.link}?address=8&key-file={key_file(pd.link.parent)}&baud=115200")
    began_s = time.monotonic()
    with pytest.raises(ReaderLost, match="no OSDP reader answers as 8") as lost:
        reader.open()
    assert lost.value.code == "reader-lost"
    assert time.monotonic() - began_s < 3
    reader.close()


def test_no_reply_however_false_ends_the_driver_or_passes_for_a_card(pd: OsdpPd) -> None:
    rng, told = Random(7), 0

    def lie(command: bytes, true: bytes) -> bytes:
        nonlocal told
        told += 1
        if true and rng.random() < 0.5:
            return true
        # A sound check, the right address and mostly the right number: libosdp has to make sense of the rest.
        control = (command[command[0] == 0xFF :][4] & 3 if rng.random() < 0.9 else rng.randrange(4)) | 0x04
        block = bytes((rng.choice((2, 3, 9)), rng.randrange(0x10, 0x1A), rng.randrange(2)))
        secured = rng.random() < 0.4
        code = rng.choice(
            (0x40, 0x41, 0x45, 0x46, 0x48, 0x49, 0x4A, 0x4B, 0x50, 0x51, 0x53, 0x54, 0x76, 0x78, 0x79, 0x7A, 0x90)
        )
        body = (
            (block if secured else b"") + bytes((code,)) + rng.randbytes(rng.choice((0, 1, 3, 7, 12, 16, 32, 60, 120)))
        )
        return reply(pd.address, body, control | (0x08 if secured else 0))

    reader = reader_of(pd)
    pd.lie = lie
    lost = 0
    while told < 150:
        try:
            reader.open()
            for _ in range(5):
                assert reader.poll() == ()
        except ReaderLost:
            lost += 1
        reader.close()
    assert lost
    pd.lie = None
    reader.open()
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


# --- what comes over it ---------------------------------------------------------------------------------------------


def octets_of(bits: str) -> bytes:
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def test_wiegand_and_whole_numbers_by_their_length(pd: OsdpPd) -> None:
    reader = reader_of(pd, "&order=reversed")
    reader.open()
    sent = [
        (26, octets_of(wiegand_bits(0xBEADDE, 24)), True),
        (34, octets_of("1110111101010110110111110111011110"), True),
        (40, bytes.fromhex("77EDB6000A"), False),
        (64, bytes.fromhex("0807060504030201"), False),
        (80, bytes(range(10, 0, -1)), False),
    ]
    reads: list[CardRead] = []
    for number, (bits, data, wiegand) in enumerate(sent, 1):
        pd.show(bits, data, wiegand=wiegand)
        reads += polled(reader, bool)
        assert len(reads) == number
    assert [read.card.canonical for read in reads] == [
        "w24:BEADDE",
        "w32:DEADBEEF",
        "em:0A00B6ED77",
        "f:0102030405060708",
        "a:0102030405060708090A",
    ]
    assert reads[0].plan == "format=w26&order=reversed" and len(reads[0].text or "") == 26
    assert reads[2].text == "77EDB6000A"
    assert set(reader.partials) == {PartialPlan(3, "reversed", "first"), PartialPlan(4, "reversed", "first")}
    reader.close()


def test_what_is_no_card_is_passed_over_and_no_number_is_logged(pd: OsdpPd, caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(pd)
    reader.open()
    with caplog.at_level(logging.DEBUG):
        bad = octets_of(wiegand_bits(0xBEADDE, 24).translate({48: 49, 49: 48}))
        for bits, data in (
            (37, bytes.fromhex("DEADBEEF12")),
            (26, bad),
            (8, b"\xde"),
            (1, b"\x80"),
            (512, b"\xde" * 64),
        ):
            pd.show(bits, data)
        pd.show(56, UID)
        assert [read.card for read in polled(reader, bool)] == [CARD]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 5 and "37 bits" in told[0] and "parity" in told[1]
    assert not any(word in line.upper() for line in told for word in ("DEAD", "BEAD", "DEDE", "04A1"))
    reader.close()


@given(st.sampled_from([4, 5, 7, 8, 10]).flatmap(lambda octets: st.binary(min_size=octets, max_size=octets)))
def test_whole_numbers_come_as_they_are_on_the_air(uid: bytes) -> None:
    assert bytes.fromhex(bit_plans().read(8 * len(uid), uid).card.hex) == uid
    assert bytes.fromhex(bit_plans(order="reversed").read(8 * len(uid), uid[::-1]).card.hex) == uid


@given(st.sampled_from([24, 32]), st.data())
def test_parts_match_the_cards_that_they_are_of_and_a_changed_bit_is_no_card(width: int, data: st.DataObject) -> None:
    uid = data.draw(st.binary(min_size=7, max_size=7))
    order = data.draw(st.sampled_from(["wire", "reversed"]))
    plans = bit_plans(order=order)
    (plan,) = [plan for plan in plans.partials() if plan.octets * 8 == width]
    part = plan.of(CardUid.from_bytes("a", uid))
    assert part is not None
    bits = wiegand_bits(int(part.hex, 16), width)
    read = plans.read(width + 2, octets_of(bits))
    assert (read.card, read.text) == (part, bits)
    assert number_plan(f"w{width + 2}", order).read(read.text or "") == part
    at = data.draw(st.integers(0, width + 1))
    with pytest.raises(CardNumberError):
        plans.read(width + 2, octets_of(bits[:at] + str(1 - int(bits[at])) + bits[at + 1 :]))


@given(st.integers(0, 1100), st.binary(max_size=140), st.sampled_from(["", "3", "4", "5", "7", "8"]))
def test_any_read_is_a_card_or_a_refusal_without_its_number(bits: int, data: bytes, octets: str) -> None:
    plans = bit_plans(octets=octets or None)
    read, said = None, ""
    try:
        read = plans.read(bits, data)
    except CardNumberError as problem:
        said = str(problem).lower()
    if read is None:
        assert said and (len(data) < 3 or data.hex() not in said)
        return
    assert len(data) == -(-bits // 8)
    if octets:
        assert len(read.card.hex) == 2 * int(octets)
    if read.card.partial:
        assert len(read.card.hex) // 2 in {partial.octets for partial in plans.partials()}


def test_what_an_address_declares() -> None:
    assert set(bit_plans("w26").by_bits) == {26}
    assert set(bit_plans("w34").by_bits) == {34}
    assert set(bit_plans("hex").by_bits) == {32, 40, 56, 64, 80}
    assert set(bit_plans(octets="3").by_bits) == {24, 26}
    assert bit_plans("hex", part="last").read(32, b"\xde\xad\xbe\xef").card.canonical == "w32:DEADBEEF"
    assert bit_plans("hex", octets="7").partials() == ()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "address=1",
        "key-file=/k",
        "address=127&key-file=/k",
        "address=-1&key-file=/k",
        "address=x&key-file=/k",
        "address=1&key-file=relative",
        "address=1&key-file=/k&baud=1200",
        "address=1&key-file=/k&format=dec",
        "address=1&key-file=/k&order=up",
        "address=1&key-file=/k&bytes=6",
        "address=1&key-file=/k&bytes=7&part=last",
        "address=1&key-file=/k&format=w26&bytes=7",
        "address=1&key-file=/k&secure=no",
    ],
)
def test_an_address_that_can_never_work_is_refused(query: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(f"osdp:///dev/ttyX?{query}")
    with pytest.raises(ReaderRefused):
        make_reader("osdp://relative?address=1&key-file=/k")


# --- frames and handshakes, pure ------------------------------------------------------------------------------------


def reply(address: int, body: bytes, control: int = 0x04) -> bytes:
    head = bytes((0x53, 0x80 | address, 7 + len(body), 0, control)) + body
    return head + check(head)


def command(address: int, body: bytes, control: int = 0x04) -> bytes:
    head = bytes((0x53, address, 7 + len(body), 0, control)) + body
    return head + check(head)


@given(st.binary(max_size=60), st.lists(st.integers(1, 7), max_size=40), st.integers(0, 126))
def test_a_whole_reply_is_found_behind_noise_and_others_are_not(noise: bytes, cuts: list[int], address: int) -> None:
    mine = reply(address, b"\x40")
    replies, line = Replies(address), noise + command(address, b"\x60") + reply((address + 1) % 127, b"\x40") + mine
    found: list[bytes] = []
    while line:
        size = cuts.pop() if cuts else len(line)
        replies.feed(line[:size])
        line = line[size:]
        while (frame := replies.take()) is not None:
            found.append(frame)
    # Noise may hold the head of a long frame that is still waited for; it is dropped before the next command.
    assert found in ([mine], []) and (found or len(replies) > 0)


def test_a_reply_with_a_wrong_check_is_told_and_dropped() -> None:
    replies, mine = Replies(5), reply(5, b"\x40")
    replies.feed(mine[:-1] + bytes((mine[-1] ^ 1,)))
    assert replies.take() is None and replies.broken
    replies.clear()
    replies.feed(mine)
    assert replies.take() == mine and not replies.broken
    head = bytes((0x53, 0x85, 7, 0, 0, 0x40))
    replies.feed(head + bytes((-sum(head) & 0xFF,)))
    assert replies.take() is not None, "a checksum of one byte, as old readers send"


SECURE = b"\x46\x09\x01\x00"


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ([], "silent"),
        ([b"\x45" + bytes(12)], "silent"),
        ([b"\x46\x04\x01\x00"], "plain"),
        ([b"\x46\x09\x00\x00"], "plain"),
        ([SECURE], "silent"),
        ([SECURE, b"\x41\x03"], "plain"),
        ([SECURE, b"\x41\x05"], "plain"),
        ([SECURE, b"\x41\x06"], "other key"),
        ([SECURE, b"\x41"], "other key"),
        ([SECURE, b"\x03\x12\x01\x76" + bytes(32)], "other key"),
        ([SECURE, b"\x03\x12\x00\x76" + bytes(32)], "default key"),
    ],
)
def test_what_a_failed_handshake_tells(replies: list[bytes], verdict: str) -> None:
    handshake = Handshake()
    for body in replies:
        secured = body[0] == 3
        asked = command(5, b"\x62\x00") if body[0] in (0x45, 0x46) else command(5, b"\x03\x11\x01\x76" + bytes(8), 0x0C)
        handshake.sent(asked)
        handshake.came(reply(5, body, 0x0C if secured else 0x04))
    assert handshake.verdict() == verdict


def test_a_reader_that_has_proven_our_key_and_falls_silent_has_no_other() -> None:
    handshake = Handshake()
    handshake.came(reply(5, SECURE))
    handshake.sent(command(5, b"\x03\x11\x01\x76" + bytes(8), 0x0C))
    handshake.came(reply(5, b"\x03\x12\x01\x76" + bytes(32), 0x0C))
    handshake.sent(command(5, b"\x03\x13\x01\x77" + bytes(16), 0x0C))
    assert handshake.verdict() == "silent"
    handshake.came(reply(5, b"\x41\x06"))
    assert handshake.verdict() == "other key", "it doesn't take our proof"


@given(st.binary(min_size=7, max_size=60))
def test_no_frame_upsets_the_handshake(octets: bytes) -> None:
    handshake = Handshake()
    handshake.sent(octets)
    handshake.came(octets)
    assert handshake.verdict() in ("silent", "plain", "default key", "other key")


# --- lamp and buzzer ------------------------------------------------------------------------------------------------


def told(pd: OsdpPd, reader: OsdpReader, count: int) -> list[dict[str, object]]:
    polled(reader, lambda reads: len(pd.commands) >= count)
    return pd.commands[:count]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_reaches_the_readers_lamp_and_buzzer(pd: OsdpPd, name: str) -> None:
    reader = reader_of(pd)
    feedback: Feedback = reader.feedback
    reader.open()
    thread = threading.Thread(target=feedback.pattern, args=(name,))
    thread.start()
    thread.join(5)
    lamp, sound = told(pd, reader, 2)
    pattern = PATTERNS[name]
    assert lamp["command"] == osdp_sys.CMD_LED and lamp["temporary"] is True
    assert (lamp["on_count"], lamp["off_count"], lamp["timer_count"]) == (
        pattern.lamp_on_ds,
        pattern.lamp_off_ds,
        pattern.lamp_ds,
    )
    assert lamp["on_color"] == getattr(osdp_sys, f"LED_COLOR_{pattern.colour}")
    assert sound["command"] == osdp_sys.CMD_BUZZER
    assert (sound["on_count"], sound["rep_count"]) == (pattern.sound_on_ds, pattern.sounds)
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_patterns_differ_in_rhythm_alone() -> None:
    lamps = {(p.lamp_on_ds, p.lamp_off_ds, p.lamp_ds) for p in PATTERNS.values()}
    sounds = {(p.sound_on_ds, p.sound_off_ds, p.sounds) for p in PATTERNS.values()}
    assert len(lamps) == len(sounds) == len(PATTERNS) == 5


def test_the_newest_pattern_is_shown_and_a_stale_one_never(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    reader.feedback.pattern("wait")
    reader.feedback.pattern("accepted")
    reader.open()
    lamp, _ = told(pd, reader, 2)
    assert lamp["timer_count"] == PATTERNS["accepted"].lamp_ds
    reader.close()
    slow = OsdpFeedback()
    slow.pattern("accepted")
    time.sleep(STALE_S + 0.05)
    assert slow.take() is None and not slow.wanted.is_set()
    slow.pattern("nonsense")  # type: ignore[arg-type]
    assert slow.take() is None


def test_a_reader_that_refuses_its_lamp_reads_on_and_is_not_told_again(pd: OsdpPd, kept: Kept) -> None:
    reader = kept.keeper._reader
    assert isinstance(reader, OsdpReader)
    pd.refuses = {osdp_sys.CMD_LED}
    kept.await_error(None)
    deadline = time.monotonic() + 10
    reader.feedback.pattern("accepted")
    while kept.keeper.counts.opens == 1:
        assert time.monotonic() < deadline, "a declined command takes the reader off line; it is opened again"
        time.sleep(0.005)
    kept.await_error(None)
    reader.feedback.pattern("accepted")
    pd.show(56, UID)
    kept.await_count(1)
    while not any(told["command"] == osdp_sys.CMD_BUZZER for told in pd.commands):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert kept.keeper.counts.opens == 2


# --- the library ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [False, True])
def test_a_missing_or_another_library_is_refused_with_the_command_that_helps(tmp_path: Path, other: bool) -> None:
    if other:
        # What `pip install osdp` leaves behind, where libosdp isn't: the same import name, another library.
        (tmp_path / "osdp").mkdir()
        (tmp_path / "osdp" / "__init__.py").write_text("")
        (tmp_path / "osdp-0.1.0.dist-info").mkdir()
        (tmp_path / "osdp-0.1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: osdp\nVersion: 0.1.0\n"
        )
    script = (
        "import sys; sys.modules['osdp_sys'] = None\n"
        "from edge.readers.opening import make_reader\n"
        "from protocol.errors import ReaderRefused\n"
        f"reader = make_reader('osdp:///dev/ttyX?address=1&key-file={key_file(tmp_path)}')\n"
        "try:\n    reader.open()\nexcept ReaderRefused as refused:\n    print(refused)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "pip install 'k12edge[osdp]'" in ran.stdout
    assert ("pip uninstall osdp" in ran.stdout) == other


def test_a_wrong_key_is_an_alarm_that_people_see(tmp_path: Path) -> None:
    key_file = tmp_path / "gate.key"
    key_file.write_text("00112233445566778899AABBCCDDEEFF\n", encoding="ascii")
    key_file.chmod(0o600)
    pd = OsdpPd(tmp_path / "cua", bytes.fromhex("FF" * 8 + "00112233445566AA"), address=0)
    road = Road(tmp_path, with_city=False)
    part = road.add_gateway("g", {"cua": ("gate", f"osdp://{pd.link}?address=0&key-file={key_file}&baud=115200")})
    part.start()
    try:
        signals = road.signals_of("g")
        until(lambda: signals.exists() and '"reader-key-wrong"' in signals.read_text(encoding="utf-8"), "an alarm")
        alarms = [data_of(event) for event in events(tmp_path / "g") if event.name == "device.alarm"]
        assert any(alarm["code"] == "reader-key-wrong" and "station cua" in alarm["detail"] for alarm in alarms)
    finally:
        part.stop()
        pd.close()
