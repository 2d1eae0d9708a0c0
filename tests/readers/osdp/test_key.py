"""An OSDP reader's key: right, wrong, missing, changed, or in a file that others may read."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import osdp_sys
import pytest

from edge.ports import CardRead
from edge.readers.osdp import read_key
from protocol.cards import CardUid
from protocol.errors import ReaderInsecure, ReaderKeyWrong, ReaderLost, ReaderRefused
from sim.emulators.osdppd import OsdpPd
from sim.road import Road
from tests.contracts.watching import Watch, opened, watching
from tests.edge.room import data_of, events
from tests.hub.running import until
from tests.patience import within
from tests.readers.osdp.door import CARD, KEY, OTHER_KEY, UID, key_file, polled, reader_of


def test_with_the_right_key_cards_come_through_the_secure_channel(pd: OsdpPd, kept: Watch) -> None:
    sent: list[bytes] = []
    put = pd._put
    pd._put = lambda octets: (sent.append(octets), put(octets))[1]  # type: ignore[method-assign]
    kept.await_ready()
    pd.show(56, UID)
    kept.await_count(1, within_s=15)
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
    with watching(reader_of(pd)) as kept:
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
        assert time.monotonic() - began_s < within(8), "libosdp's 300 s don't count"
        pd.show(32, bytes.fromhex("DEADBEEF"))
        kept.await_count(1, within_s=15)
        assert kept.cards() == [CardUid("a", "DEADBEEF")]


def test_the_error_says_what_is_wrong(pd: OsdpPd) -> None:
    reader = reader_of(pd)
    pd.become("secure", OTHER_KEY)
    with pytest.raises(ReaderKeyWrong, match="another key than"):
        opened(reader)
    pd.become("install")
    with pytest.raises(ReaderInsecure, match="default key"):
        opened(reader)
    pd.become("plain")
    with pytest.raises(ReaderInsecure, match="no Secure Channel"):
        opened(reader)
    with pytest.raises(ReaderLost, match="not open"):
        reader.poll()


def test_a_key_that_is_changed_while_cards_are_read_is_an_alarm(pd: OsdpPd, kept: Watch) -> None:
    kept.await_ready()
    pd.become("secure", OTHER_KEY)
    kept.await_error("reader-key-wrong")
    key_file(pd.link.parent, OTHER_KEY.hex())
    kept.await_error(None)
    pd.show(56, UID)
    kept.await_count(1, within_s=15)


def test_tries_with_a_wrong_key_use_one_context_of_libosdp(pd: OsdpPd) -> None:
    """It loses memory with each, and a wrong key may stand for a whole summer."""
    reader = reader_of(pd)
    pd.become("secure", OTHER_KEY)
    contexts = []
    for _ in range(3):
        with pytest.raises(ReaderKeyWrong):
            opened(reader)
        assert reader._resting is not None
        contexts.append(reader._resting[1])
    assert contexts[0] is contexts[1] is contexts[2]
    pd.become("secure", KEY)
    opened(reader)
    assert reader._panel is contexts[0]
    pd.show(56, UID)
    assert [read.card for read in polled(reader, bool)] == [CARD]
    reader.close()


def test_our_key_never_leaves_for_a_reader_in_install_mode(pd: OsdpPd) -> None:
    pd.become("install")
    reader = reader_of(pd)
    for _ in range(3):
        with pytest.raises(ReaderInsecure):
            opened(reader)
    assert all(told["command"] != osdp_sys.CMD_KEYSET for told in pd.commands)


def test_what_is_wrong_with_a_key_file_is_told_once_each(pd: OsdpPd, caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(pd)
    key_file(pd.link.parent, mode=0o644)
    with watching(reader) as kept:
        kept.await_error("reader-refused")
        key_file(pd.link.parent, "not a key")
        deadline = time.monotonic() + 10
        while len(caplog.records) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        key_file(pd.link.parent)
        kept.await_error(None)
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
    path = str(key_file(tmp_path, text))
    with pytest.raises(ReaderRefused) as refused:
        read_key(path)
    # The file's own name may have these digits by chance.
    assert not text or text not in str(refused.value).replace(path, "")


def test_key_files_as_people_write_them(tmp_path: Path) -> None:
    for text, mode in ((KEY.hex() + "\n", 0o600), (KEY.hex().upper(), 0o400)):
        assert read_key(str(key_file(tmp_path, text, mode))) == KEY
    with pytest.raises(ReaderRefused, match="can't be read"):
        read_key(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ReaderRefused):
        read_key(str(tmp_path / "pipe"))


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
        until(lambda: signals.exists() and '"reader-key-wrong"' in signals.read_text(encoding="utf-8"), "a signal")

        def written() -> bool:
            alarms = [data_of(event) for event in events(tmp_path / "g") if event.name == "device.alarm"]
            return any(alarm["code"] == "reader-key-wrong" and "station cua" in alarm["detail"] for alarm in alarms)

        # People see it first; the record follows.
        until(written, "the alarm's record")
    finally:
        part.stop()
        pd.close()
