"""pcscd restarted, hung, away, held by other programs or without its reader: the driver loses and leaks nothing."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge.ports import ReaderGone
from edge.readers.aside import Aside
from edge.readers.opening import make_reader
from edge.readers.pcsc import HUNG_S, PcscReader
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.pcsccard import Slot
from sim.emulators.pcscdaemon import Pcscd
from tests.contracts.watching import Watch, watching
from tests.patience import within
from tests.readers.pcsc.gate import HOLDER, NAME, URL, A, B, lay, poll_until, sees


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("brisk", [True, False])
def test_pcscd_restarted_goes_on_and_a_card_that_stayed_is_one_tap(
    tmp_path: Path, how: signal.Signals, brisk: bool
) -> None:
    with Pcscd(tmp_path, brisk=brisk) as daemon:
        slot = daemon.slots[0]
        with watching(URL) as kept:
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


def test_pcscd_away_for_a_while_is_a_lost_reader_and_comes_back(daemon: Pcscd, slot: Slot, kept: Watch) -> None:
    daemon.kill()
    kept.await_error("reader-lost", within_s=8)
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
            assert time.monotonic() - began_s < within(3)
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
            assert sees(A)(tuple(reads)), "nobody can say that it left"
            polls += 1
        assert polls > 8, "at most 250 ms each, on a machine that runs"
        assert HUNG_S - 0.5 < time.monotonic() - stopped_s < HUNG_S + 2
        began_s = time.monotonic()
        reader.close()
        with pytest.raises(ReaderLost):
            reader.open()
        assert time.monotonic() - began_s < within(3)
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
            assert sees(A)(tuple(reader.poll()))
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
        assert sees(A)(tuple(reader.poll()))
    assert slot.asked == 2, "nor that nobody does any more"


def test_a_reader_that_stops_answering_pcscd_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Watch) -> None:
    lay(slot, A)
    kept.await_cards(A)
    daemon.unplug()
    kept.await_error("reader-lost", within_s=8)
    time.sleep(0.5)  # Meanwhile it is looked for in vain.
    daemon.replug()
    kept.await_error(None, within_s=8)
    lay(slot, B)
    kept.await_cards(A, B)


def test_a_reader_that_pcscd_has_not_any_more_is_lost_and_found_again(daemon: Pcscd, slot: Slot, kept: Watch) -> None:
    lay(slot, A)
    kept.await_cards(A)
    plugged = daemon.config.rename(daemon.config.parent.with_name("unplugged.conf"))
    daemon.kill(signal.SIGTERM)
    daemon.start()
    kept.await_error("reader-lost", within_s=8)
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
    session.name = "K12 Kitchen 00 00"
    with pytest.raises(ReaderGone, match="0x80100009"):
        reader.poll()


def test_two_slots_are_two_readers_that_do_not_disturb_each_other(daemon: Pcscd, kept: Watch) -> None:
    with watching("pcsc:K12%20Gate%2000%2001") as other:
        other.await_ready()
        lay(daemon.slots[0], A)
        kept.await_cards(A)
        lay(daemon.slots[1], B)
        other.await_cards(B)
        kept.await_cards(A)


def test_a_name_that_several_readers_share_is_refused_with_the_list(daemon: Pcscd) -> None:
    for url in ("pcsc:", "pcsc:K12", "pcsc:gate%2000"):
        with pytest.raises(ReaderRefused) as refused:
            make_reader(url).open()
        assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(refused.value)
        assert "NAME" in refused.value.hint
    with pytest.raises(ReaderLost) as lost:
        make_reader("pcsc:Kitchen").open()
    assert "'K12 Gate 00 00', 'K12 Gate 00 01'" in str(lost.value)


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


def test_a_reader_that_another_station_reads_is_refused_until_that_one_lets_go(reader: PcscReader, slot: Slot) -> None:
    other = make_reader("pcsc:gate%2000%2000")
    for _ in range(2):
        with pytest.raises(ReaderRefused, match="another station reads"):
            other.open()
    lay(slot, A)
    poll_until(reader, sees(A))
    reader.close()
    other.open()
    poll_until(other, sees(A))  # type: ignore[arg-type]
    other.close()
