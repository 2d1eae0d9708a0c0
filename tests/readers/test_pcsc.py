"""The PC/SC driver, pyscard and libpcsclite included, against Debian's pcscd and its virtual reader."""

from __future__ import annotations

import gc
import logging
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead, CardSeen, ReaderGone
from edge.readers.aside import Aside
from edge.readers.opening import make_reader
from edge.readers.pcsc import HUNG_S, PcscReader
from edge.readers.pcscwords import STANDARDS, card_of, choose_reader, data_of, historical_bytes, kind_of
from edge.readers.supervisor import ReaderSupervisor
from protocol.cards import CardUid, suspicion
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.pcsccard import (
    FELICA,
    GET_UID,
    ISO14443B,
    ISO15693,
    OK,
    Slot,
    SlotCard,
    made_atr,
    storage_atr,
    uid_card,
)
from sim.emulators.pcscdaemon import Pcscd

NAME = "K12 Gate 00 00"
URL = "pcsc:k12%20gate%2000%2000"
A, B = CardUid("a", "04A1B2C3D4E580"), CardUid("a", "DEADBEEF")
ACS_FELICA = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
"""ACM1252U-Y3 reference manual 1.03, 5.2.6."""
ACS_FELICA_212 = bytes.fromhex("3B8F8001804F0CA00000030603F011000000008A")
"""ACR122T API 2.02, 7.3."""
DESFIRE = made_atr(b"\x80")
"""The historical byte of a MIFARE DESFire's ATS (AN10833)."""


def lay(slot: Slot, card: CardUid | SlotCard) -> None:
    slot.show(card if isinstance(card, SlotCard) else uid_card(bytes.fromhex(card.hex)))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    with Pcscd(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def slot(daemon: Pcscd) -> Slot:
    return daemon.slots[0]


@pytest.fixture
def reader(daemon: Pcscd) -> Iterator[PcscReader]:
    reader = make_reader(URL)
    assert isinstance(reader, PcscReader)
    reader.open()
    yield reader
    reader.close()


def poll_until(reader: PcscReader, what: Callable[[tuple[CardRead, ...]], bool], within_s: float = 5) -> int:
    """Poll until `what` holds of the reads; how many polls it took."""
    deadline, polls = time.monotonic() + within_s, 0
    while True:
        assert time.monotonic() < deadline, reader.counts
        polls += 1
        if what(tuple(reader.poll())):
            return polls


def sees(card: CardUid) -> Callable[[tuple[CardRead, ...]], bool]:
    return lambda reads: reads == (CardRead(card),)


class Kept:
    """A supervised reader on its thread and what it saw."""

    def __init__(self, url: str = URL) -> None:
        self.seen: list[CardSeen] = []
        self.changed = threading.Condition()
        self.stop = threading.Event()
        self.keeper = ReaderSupervisor("r", make_reader(url), self._see, time.monotonic_ns, random.Random(1))
        self.thread = threading.Thread(target=self.keeper.run, args=(self.stop,))
        self.thread.start()

    def _see(self, seen: CardSeen) -> None:
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()

    def await_cards(self, *cards: CardUid, within_s: float = 5) -> None:
        with self.changed:
            self.changed.wait_for(lambda: len(self.seen) >= len(cards), within_s)
        assert [seen.card for seen in self.seen] == list(cards), self.keeper.counts

    def close(self) -> None:
        self.stop.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def kept(daemon: Pcscd) -> Iterator[Kept]:
    kept = Kept()
    try:
        assert kept.keeper.ready.wait(5)
        yield kept
    finally:
        kept.close()


def await_error(kept: Kept, code: str | None) -> None:
    deadline = time.monotonic() + 8
    while kept.keeper.counts.error != code:
        assert time.monotonic() < deadline, kept.keeper.counts
        time.sleep(0.01)


# --- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "atr", "canonical"),
    [
        ("DEADBEEF", storage_atr(0x03), "a:DEADBEEF"),
        ("04A1B2C3D4E580", storage_atr(0x03, 0x0003), "a:04A1B2C3D4E580"),
        ("0102030405060708090A", storage_atr(0x02), "a:0102030405060708090A"),
        ("04A1B2C3D4E580", DESFIRE, "a:04A1B2C3D4E580"),
        ("0807FE21", made_atr(b"\x78\x80\x70\x02"), "a:0807FE21"),
        ("01010601CB095703", storage_atr(FELICA, 0x003B), "f:01010601CB095703"),
        ("01010601CB095703", ACS_FELICA_212, "f:01010601CB095703"),
        ("01010601CB095703", made_atr(bytes.fromhex("0443FD 01010601CB095703 07")), "f:01010601CB095703"),
    ],
)
def test_a_card_is_what_its_atr_and_its_answer_say(
    slot: Slot, reader: PcscReader, uid: str, atr: bytes, canonical: str
) -> None:
    slot.show(uid_card(bytes.fromhex(uid), atr))
    poll_until(reader, lambda reads: [read.card.canonical for read in reads] == [canonical])
    if canonical.startswith("a:08"):
        assert suspicion(reader.poll()[0].card) == "random"


def test_a_card_that_stays_is_in_every_look_and_asked_once(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    for _ in range(8):
        assert tuple(reader.poll()) == (CardRead(A),)
    assert slot.asked == 1
    slot.remove()
    poll_until(reader, lambda reads: not reads)


def test_a_card_that_stays_is_one_tap_and_a_second_coming_another(slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    time.sleep(1.2)  # Longer than presence follows a card that isn't seen any more.
    kept.await_cards(A)
    slot.remove()
    time.sleep(0.8)
    lay(slot, A)
    kept.await_cards(A, A)
    assert kept.keeper.counts.faults == 0


def test_a_card_taken_away_as_soon_as_it_was_read_is_seen(slot: Slot, kept: Kept) -> None:
    expected = []
    for number in range(10):
        card = CardUid("a", f"04{number:012X}")
        lay(slot, card)
        assert slot.powered.wait(5)
        asked = slot.asked
        deadline = time.monotonic() + 5
        while slot.asked == asked and len(kept.seen) <= number:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        slot.remove()
        expected.append(card)
        kept.await_cards(*expected)


@pytest.mark.parametrize(
    ("uid", "atr", "why"),
    [
        ("E00401501A2B3C4D", storage_atr(ISO15693, 0x0014), "ISO 15693"),
        ("DEADBEEF", storage_atr(ISO14443B), "type B"),
        ("0A00B6ED77", storage_atr(0x40), "another standard"),
        ("0A00B6ED77", storage_atr(0x03), "no UID of ours"),
        ("01010601CB095703", storage_atr(0x03), "no UID of ours"),
    ],
)
def test_what_is_no_card_of_ours_is_refused_without_its_number(
    slot: Slot, reader: PcscReader, caplog: pytest.LogCaptureFixture, uid: str, atr: bytes, why: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        slot.show(uid_card(bytes.fromhex(uid), atr))
        poll_until(reader, lambda reads: reader.counts.foreign == 1)
        for _ in range(3):
            assert reader.poll() == ()
        assert slot.asked == 1, "there is nothing to ask it again"
        lay(slot, A)
        poll_until(reader, sees(A))
    assert reader.counts.foreign == 1
    assert why in caplog.text
    for text in (uid, A.hex, str(list(bytes.fromhex(uid)))[1:-1]):
        assert text.lower() not in caplog.text.lower()


@pytest.mark.parametrize(
    "answer", [b"\x6a\x81", b"\x63\x00", b"\x90", b"\x04\xa1\xb2", b"\x90\x00", bytes(range(250)), b"\x6c\x07"]
)
def test_an_answer_without_a_uid_is_asked_again_for_a_second(slot: Slot, reader: PcscReader, answer: bytes) -> None:
    slot.show(SlotCard(storage_atr(0x03), {GET_UID: answer}))
    poll_until(reader, lambda reads: reader.counts.unread == 1)
    assert 3 <= slot.asked <= 11
    asked = slot.asked
    reader.poll()
    assert slot.asked == asked
    lay(slot, A)
    poll_until(reader, sees(A))


def test_a_card_that_answers_only_at_the_third_time_is_read(slot: Slot, reader: PcscReader) -> None:
    card = SlotCard(storage_atr(0x03), {GET_UID: b"\x63\x00"})
    slot.show(card)
    poll_until(reader, lambda reads: slot.asked == 2)
    card.answers[GET_UID] = bytes.fromhex(A.hex) + OK
    poll_until(reader, sees(A))
    assert reader.counts.unread == 0


@pytest.mark.parametrize("atr", [b"", b"\x3b", b"\x3b\x00", bytes(33), b"\xff" * 33, b"\x3b\x8f\x80\x01\x80\x4f"])
def test_a_card_without_an_atr_worth_the_name_ends_nothing(slot: Slot, kept: Kept, atr: bytes) -> None:
    slot.show(uid_card(bytes.fromhex(B.hex), atr))
    time.sleep(0.3)  # Time in which it may be met, or not: that is the daemon's affair.
    lay(slot, A)
    deadline = time.monotonic() + 5
    while A not in [seen.card for seen in kept.seen]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert kept.keeper.counts.faults == 0


def test_a_card_pulled_out_in_the_middle_of_the_exchange_is_no_fault(slot: Slot, kept: Kept) -> None:
    for _ in range(5):
        lay(slot, SlotCard(storage_atr(0x03), {}, pulled_at=GET_UID))
        assert slot.left.wait(5)
    lay(slot, A)
    kept.await_cards(A)
    assert kept.keeper.counts.faults == 0


def test_cards_that_change_places_between_two_looks(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    slot.remove()
    lay(slot, B)
    assert slot.told.wait(5)
    assert tuple(reader.poll()) == (CardRead(B),), "the change is told at once, not the card that was there"
    assert reader.counts.too_short == 0


def test_cards_that_change_places_where_pcscd_began_with_a_card(tmp_path: Path) -> None:
    """pcscd's count of comings and goings is 0 then, and libpcsclite takes 0 for no count."""
    daemon = Pcscd(tmp_path, late_ms=300)
    slot, reader = daemon.slots[0], PcscReader("00 00")
    lay(slot, A)
    with daemon:
        assert slot.powered.wait(5)
        reader.open()
        poll_until(reader, sees(A))
        session = reader._session
        assert session is not None and session._state >> 16 == 0
        slot.remove()
        lay(slot, B)
        assert slot.told.wait(5)
        poll_until(reader, sees(B), within_s=2)
        reader.close()


def test_a_card_that_came_and_went_between_two_looks_is_counted(slot: Slot, reader: PcscReader) -> None:
    reader.poll()
    lay(slot, A)
    assert slot.told.wait(5)
    slot.remove()
    assert slot.empty.wait(5)
    poll_until(reader, lambda reads: reader.counts.too_short == 1)
    assert reader.poll() == ()


# --- pcscd ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("brisk", [True, False])
def test_pcscd_restarted_goes_on_and_a_card_that_stayed_is_one_tap(
    tmp_path: Path, how: signal.Signals, brisk: bool
) -> None:
    with Pcscd(tmp_path, brisk=brisk) as daemon:
        kept, slot = Kept(), daemon.slots[0]
        try:
            lay(slot, A)
            kept.await_cards(A)
            for _ in range(2):
                asked = slot.asked
                daemon.kill(how)
                daemon.start()
                deadline = time.monotonic() + 5
                while slot.asked == asked:
                    assert time.monotonic() < deadline, "the card that stayed is read anew"
                    time.sleep(0.01)
            lay(slot, B)
            kept.await_cards(A, B)
            assert kept.keeper.counts.losses == 2
        finally:
            kept.close()


def test_pcscd_away_for_a_while_is_a_lost_reader_and_comes_back(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    daemon.kill()
    await_error(kept, "reader-lost")
    lay(slot, A)
    time.sleep(1.5)  # It is looked for in vain several times.
    daemon.start()
    kept.await_cards(A)
    assert kept.keeper.counts.error is None


def test_a_socket_that_outlives_pcscd_makes_nobody_wait_for_long(tmp_path: Path) -> None:
    """Below systemd the socket stays: libpcsclite waits in it for as long as no daemon comes."""
    with Pcscd(tmp_path, activated=True) as daemon:
        reader = PcscReader("00 00")
        reader.open()
        lay(daemon.slots[0], A)
        poll_until(reader, sees(A))
        daemon.kill()
        with pytest.raises(ReaderGone):
            poll_until(reader, lambda reads: False)
        reader.close()
        threads = threading.active_count()
        for _ in range(3):
            began_s = time.monotonic()
            with pytest.raises(ReaderLost):
                reader.open()
            with pytest.raises(ReaderLost):
                reader.poll()
            assert time.monotonic() - began_s < 3
            assert threading.active_count() <= threads + 1
        daemon.start()
        deadline = time.monotonic() + 5
        while True:
            try:
                reader.open()
                break
            except ReaderLost:
                assert time.monotonic() < deadline
        poll_until(reader, sees(A))
        reader.close()


def test_a_pcscd_that_hangs_holds_up_no_poll_and_no_other_reader(daemon: Pcscd, slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    before = len(os.listdir("/proc/self/fd"))
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        stopped_s, polls = time.monotonic(), 0
        while True:
            try:
                reads = reader.poll()
            except ReaderGone:
                break
            assert tuple(reads) == (CardRead(A),), "nobody can say that it left"
            polls += 1
        assert polls > 8, "at most 250 ms each, on a machine that runs"
        assert HUNG_S - 0.5 < time.monotonic() - stopped_s < HUNG_S + 2
        began_s = time.monotonic()
        reader.close()
        with pytest.raises(ReaderLost):
            reader.open()
        assert time.monotonic() - began_s < 3
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    deadline = time.monotonic() + 5
    while True:
        try:
            reader.open()
            break
        except ReaderLost:
            assert time.monotonic() < deadline
    poll_until(reader, sees(A))
    assert len(os.listdir("/proc/self/fd")) == before


HOLDER = """
import sys
from smartcard import scard
code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, _ = scard.SCardConnect(context, sys.argv[1], int(sys.argv[2]), 3)
if sys.argv[3] == "transaction":
    code = scard.SCardBeginTransaction(card)
print(code, flush=True)
sys.stdin.read(1)
scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
"""


@pytest.mark.parametrize(("share", "how"), [("1", "alone"), ("2", "transaction")])
def test_a_card_that_another_program_holds_is_read_when_it_is_free(
    slot: Slot, reader: PcscReader, share: str, how: str
) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, NAME, share, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"0\n"
        reader.close()
        reader.open()
        began_s = time.monotonic()
        assert poll_until(reader, lambda reads: time.monotonic() - began_s > 2) > 4
        holder.stdin.close()
    poll_until(reader, sees(A))
    assert reader.counts.unread == 0


def test_another_program_at_the_card_makes_no_second_tap_and_is_not_disturbed(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, NAME, "2", "shared"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        while not select.select([holder.stdout], [], [], 0)[0]:
            assert tuple(reader.poll()) == (CardRead(A),)
        for _ in range(3):
            reader.poll()
        assert slot.asked == 1, "that somebody uses it is no coming"
        # pcscd itself switches a card off that nobody uses; from here on one does.
        disturbed = slot.disturbed
        reader.close()
        reader.open()
        poll_until(reader, sees(A))
        for _ in range(3):
            reader.poll()
        assert (slot.asked, slot.disturbed) == (2, disturbed)
        holder.stdin.close()
    for _ in range(5):
        assert tuple(reader.poll()) == (CardRead(A),)
    assert slot.asked == 2, "nor that nobody does any more"


def test_a_reader_that_stops_answering_pcscd_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    daemon.unplug()
    await_error(kept, "reader-lost")
    time.sleep(0.5)  # Meanwhile it is looked for in vain.
    daemon.replug()
    await_error(kept, None)
    lay(slot, B)
    kept.await_cards(A, B)


def test_a_reader_that_pcscd_has_not_any_more_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Kept) -> None:
    lay(slot, A)
    kept.await_cards(A)
    plugged = daemon.config.rename(daemon.config.parent.with_name("unplugged.conf"))
    daemon.kill(signal.SIGTERM)
    daemon.start()
    await_error(kept, "reader-lost")
    with pytest.raises(ReaderLost, match="it has: none"):
        make_reader(URL).open()
    plugged.rename(daemon.config)
    daemon.kill(signal.SIGTERM)
    daemon.start()
    lay(slot, B)
    kept.await_cards(A, B, within_s=10)


def test_a_name_that_pcscd_does_not_know_any_more_ends_the_line(reader: PcscReader) -> None:
    session = reader._session
    assert session is not None
    session._name = "K12 Kitchen 00 00"
    with pytest.raises(ReaderGone, match="0x80100009"):
        reader.poll()


def test_two_slots_are_two_readers_that_do_not_disturb_each_other(daemon: Pcscd, kept: Kept) -> None:
    other = Kept("pcsc:K12%20Gate%2000%2001")
    try:
        assert other.keeper.ready.wait(5)
        lay(daemon.slots[0], A)
        kept.await_cards(A)
        lay(daemon.slots[1], B)
        other.await_cards(B)
        kept.await_cards(A)
    finally:
        other.close()


def test_a_name_that_several_readers_share_is_refused_with_the_list(daemon: Pcscd) -> None:
    for url in ("pcsc:", "pcsc:K12", "pcsc:gate%2000"):
        with pytest.raises(ReaderRefused) as refused:
            make_reader(url).open()
        assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(refused.value)
        assert "NAME" in refused.value.hint
    with pytest.raises(ReaderLost) as lost:
        make_reader("pcsc:Kitchen").open()
    assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(lost.value)


def test_names_are_chosen_by_part_and_never_guessed() -> None:
    acs, other = "ACS ACR122U PICC Interface 00 00", "ACS ACR122U PICC Interface 01 00"
    assert choose_reader([acs], "") == acs
    assert choose_reader([acs, other], "01 00") == other
    assert choose_reader(["Gate", "Gate 2"], "gate") == "Gate", "a whole name is meant before a part"
    for names, part in (([acs, other], ""), ([acs, other], "acr122u")):
        with pytest.raises(ReaderRefused):
            choose_reader(names, part)
    for names, part in (([], ""), ([], "x"), ([acs], "x")):
        with pytest.raises(ReaderLost):
            choose_reader(names, part)


def test_nothing_is_left_open_after_many_openings(slot: Slot, reader: PcscReader) -> None:
    lay(slot, A)
    poll_until(reader, sees(A))
    reader.close()
    gc.collect()
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(300):
        reader.open()
        if number % 10 == 0:
            poll_until(reader, sees(A))
        reader.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert threading.active_count() == threads


def test_nothing_is_left_open_after_restarts_of_pcscd(tmp_path: Path) -> None:
    with Pcscd(tmp_path) as daemon:
        reader = PcscReader("00 00")
        descriptors: set[int] = set()
        for number in range(12):
            reader.open()
            reader.poll()
            daemon.kill(signal.SIGKILL if number % 2 else signal.SIGTERM)
            with pytest.raises(ReaderGone):
                poll_until(reader, lambda reads: False)
            for _ in range(3):
                with pytest.raises(ReaderLost):
                    reader.open()
            descriptors.add(_own_descriptors())
            daemon.start()
        assert len(descriptors) == 1
        reader.close()


def _own_descriptors() -> int:
    """Without the pipe of a daemon that was just ended, which its log's thread closes when it comes to it."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.lexists(link) and not os.readlink(link).startswith("pipe:") for link in links)


def test_without_pyscard_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "smartcard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "smartcard", None)
    reader = make_reader("pcsc:")
    with pytest.raises(ReaderRefused, match=r"pip install 'k12edge\[pcsc\]'"):
        reader.open()
    with pytest.raises(ReaderLost):
        reader.poll()
    reader.close()


def test_the_doctor_asks_pcscd(daemon: Pcscd, tmp_path: Path) -> None:
    def examined(address: str) -> str:
        config = tmp_path / "g.toml"
        config.write_text(
            f'[gateway]\nid = "g"\nschool = "s1"\ndata_dir = "{tmp_path}"\n'
            f'[[station]]\nname = "cong"\nkind = "gate"\nreader = "{address}"\n',
            encoding="utf-8",
        )
        words = [sys.executable, "-m", "k12edge", "doctor", "--config", str(config)]
        return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout

    assert f"ok   station cong: {URL} is there" in examined(URL)
    assert "LOOK station cong: pcsc:Kitchen" in examined("pcsc:Kitchen")


# --- words ------------------------------------------------------------------------------------------------------------


def test_historical_bytes_lie_behind_as_many_interface_bytes_as_are_announced() -> None:
    assert historical_bytes(storage_atr(0x03)) == bytes.fromhex("804F0CA00000030603000100000000")
    assert historical_bytes(bytes.fromhex("3BF2 11223344 4142")) == b""
    assert historical_bytes(bytes.fromhex("3BF2 11223301 4142")) == b"AB"
    assert historical_bytes(bytes.fromhex("3B00")) == b""
    assert kind_of(ACS_FELICA).felica and kind_of(ACS_FELICA_212).felica


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_atr_and_no_answer_raises_or_makes_a_number_of_nothing(atr: bytes, answer: bytes) -> None:
    _held(atr, answer)


@given(
    st.binary(max_size=12),
    st.sampled_from([b"\x90\x00", b"\x6a\x81", b"\x63\x00", b"\x90", b""]),
    st.sampled_from([*STANDARDS, 0x40, 0xFF]),
    st.integers(0, 0xFFFF),
    st.integers(0, 20),
)
def test_nearly_right_atrs_and_answers(uid: bytes, word: bytes, standard: int, name: int, cut: int) -> None:
    atr = storage_atr(standard, name)
    _held(atr[: len(atr) - cut], uid + word)


def _held(atr: bytes, answer: bytes) -> None:
    card = card_of(atr, answer)
    if isinstance(card, CardUid):
        assert answer[-2:] == b"\x90\x00" and data_of(answer) == bytes.fromhex(card.hex)
        assert card.technology == ("f" if len(card.hex) == 16 else "a")


@given(st.lists(st.text(max_size=20), max_size=20), st.text(max_size=10))
def test_whatever_readers_are_called_one_is_chosen_or_none(names: list[str], part: str) -> None:
    try:
        assert choose_reader(names, part) in names
    except (ReaderLost, ReaderRefused):
        return


def test_a_call_that_raises_tells_its_asker_and_the_thread_goes_on() -> None:
    aside = Aside("t")

    def fails() -> int:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")

    broken, good = aside.do(fails), aside.do(lambda: 7)
    assert broken.wait(5) and good.wait(5)
    with pytest.raises(UnicodeDecodeError):
        broken.result()
    assert good.result() == 7
    assert aside.end(5) and aside.end(5)
