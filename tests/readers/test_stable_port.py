"""A port that comes back under another name is found again; another device under its old name is never taken for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge.readers.stableport import StablePort
from protocol.errors import ReaderLost
from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.osdppd import OsdpPd
from sim.emulators.pn532 import FieldCard, Pn532Emulator
from tests.contracts.watching import watching


class Udev:
    """The folders that udev keeps, and the kernel's names beside them."""

    def __init__(self, folder: Path) -> None:
        self.dev = folder / "dev"
        self.folders = [str(folder / name) for name in ("by-path", "by-id")]
        for made in (self.dev, *map(Path, self.folders)):
            made.mkdir()

    def plug(self, kernel: str, socket: str, name: str) -> str:
        (self.dev / kernel).write_bytes(b"")
        for folder, link in zip(self.folders, (socket, name), strict=True):
            place = Path(folder) / link
            place.unlink(missing_ok=True)
            place.symlink_to(self.dev / kernel)
        return str(self.dev / kernel)

    def unplug(self, kernel: str) -> None:
        (self.dev / kernel).unlink()
        for folder in self.folders:
            for link in Path(folder).iterdir():
                if link.is_symlink() and os.readlink(link) == str(self.dev / kernel):
                    link.unlink()


@pytest.fixture
def udev(tmp_path: Path) -> Udev:
    return Udev(tmp_path)


def test_the_same_socket_under_another_name(udev: Udev) -> None:
    path = udev.plug("ttyUSB0", "usb-1.2", "CH340")
    port = StablePort(path, udev.folders)
    assert port.find() == path
    port.opened(path)
    udev.unplug("ttyUSB0")
    with pytest.raises(ReaderLost, match=r"ttyUSB0 can't be opened: .*usb-1\.2 is not there"):
        port.find()
    udev.plug("ttyUSB1", "usb-1.2", "CH340")
    found = port.find()
    assert os.path.realpath(found) == str(udev.dev / "ttyUSB1")
    port.opened(found)
    assert port.find() == found


def test_another_device_with_the_old_name_is_not_taken(udev: Udev) -> None:
    path = udev.plug("ttyUSB0", "usb-1.2", "CH340")
    port = StablePort(path, udev.folders)
    port.opened(path)
    udev.unplug("ttyUSB0")
    udev.plug("ttyUSB0", "usb-1.3", "FTDI-7")
    with pytest.raises(ReaderLost, match="another device"):
        port.find()
    udev.plug("ttyUSB1", "usb-1.2", "CH340")
    found = port.find()
    port.opened(found)
    assert os.path.realpath(found) == os.path.realpath(port.find()) == str(udev.dev / "ttyUSB1")


def test_a_device_that_udev_has_not_named_yet_is_not_taken_for_the_old_one(udev: Udev) -> None:
    path = udev.plug("ttyUSB0", "usb-1.2", "CH340")
    port = StablePort(path, udev.folders)
    port.opened(path)
    udev.unplug("ttyUSB0")
    (udev.dev / "ttyUSB0").write_bytes(b"")
    with pytest.raises(ReaderLost, match="is not there"):
        port.find()


def test_unplugged_while_it_is_opened_it_keeps_the_names_by_which_it_was_found(udev: Udev) -> None:
    path = udev.plug("ttyUSB0", "usb-1.2", "CH340")
    port = StablePort(path, udev.folders)
    assert port.find() == path
    udev.unplug("ttyUSB0")
    port.opened(path)
    udev.plug("ttyUSB1", "usb-1.2", "CH340")
    assert os.path.realpath(port.find()) == str(udev.dev / "ttyUSB1")


def test_moved_to_another_socket_it_is_found_by_its_serial_number(udev: Udev) -> None:
    path = udev.plug("ttyUSB0", "usb-1.2", "FTDI-7")
    port = StablePort(path, udev.folders)
    port.opened(path)
    udev.unplug("ttyUSB0")
    udev.plug("ttyUSB1", "usb-1.4", "FTDI-7")
    assert os.path.realpath(port.find()) == str(udev.dev / "ttyUSB1")


def test_a_stable_name_stays_the_word(udev: Udev) -> None:
    udev.plug("ttyUSB0", "usb-1.2", "CH340")
    name = f"{udev.folders[0]}/usb-1.2"
    port = StablePort(name, udev.folders)
    port.opened(name)
    udev.unplug("ttyUSB0")
    udev.plug("ttyUSB3", "usb-1.4", "CH340")
    assert port.find() == name, "who names a socket means the socket"


def test_without_udev_the_path_is_all_there_is(tmp_path: Path) -> None:
    path = str(tmp_path / "tty")
    port = StablePort(path, [str(tmp_path / "nowhere")])
    assert port.find() == path
    port.opened(path)
    assert port.find() == path


def _link(folder: Path, target: Path) -> None:
    folder.mkdir(exist_ok=True)
    draft = folder / "new"
    draft.symlink_to(os.path.realpath(target))
    draft.rename(folder / "usb-1.2")


def test_readers_go_on_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "by-path"
    monkeypatch.setattr(StablePort.__init__, "__defaults__", ((str(folder),),))
    printer = Printer(tmp_path / "ttyUSB0")
    _link(folder, tmp_path / "ttyUSB0")
    with watching(f"lines://{os.path.realpath(tmp_path / 'ttyUSB0')}?format=id12") as watch:
        printer.await_listener()
        printer.unplug()
        (folder / "usb-1.2").unlink()
        printer = Printer(tmp_path / "ttyUSB1")
        _link(folder, tmp_path / "ttyUSB1")
        printer.await_listener()
        # What comes within the first moment may be the end of a number.
        for _ in range(40):
            printer.frame("0A00B6ED7726")
            if watch.seen:
                break
            time.sleep(0.05)
        watch.await_count(1)
    printer.unplug()
    with Bench() as bench:
        chip: Pn532Emulator = bench.add(tmp_path / "ttyUSB2")
        _link(folder, tmp_path / "ttyUSB2")
        with watching(f"pn532://{os.path.realpath(tmp_path / 'ttyUSB2')}") as watch:
            assert watch.keeper.ready.wait(10)
            bench.do(chip.unplug)
            other = bench.add(tmp_path / "ttyUSB3")
            _link(folder, tmp_path / "ttyUSB3")
            other.place(FieldCard(bytes.fromhex("DEADBEEF")))
            watch.await_count(1)


def test_an_osdp_reader_goes_on_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "by-path"
    monkeypatch.setattr(StablePort.__init__, "__defaults__", ((str(folder),),))
    key_file = tmp_path / "khoa"
    key_file.write_text("00112233445566778899AABBCCDDEEFF\n", encoding="ascii")
    key_file.chmod(0o600)
    pd = OsdpPd(tmp_path / "ttyUSB0", bytes.fromhex(key_file.read_text(encoding="ascii")))
    _link(folder, tmp_path / "ttyUSB0")
    try:
        url = f"osdp://{os.path.realpath(pd.link)}?address=0&key-file={key_file}&baud=115200"
        with watching(url) as watch:
            assert watch.keeper.ready.wait(10)
            pd.unplug()
            (folder / "usb-1.2").unlink()
            pd.link = tmp_path / "ttyUSB1"
            pd.plug()
            _link(folder, pd.link)
            pd.show(32, bytes.fromhex("DEADBEEF"))
            watch.await_count(1)
    finally:
        pd.close()


def test_adapters_that_share_a_name_do_not_take_each_others_place(udev: Udev) -> None:
    one, other = udev.plug("ttyUSB0", "usb-1.2", "CH340"), udev.plug("ttyUSB1", "usb-1.3", "CH340")
    first, second = StablePort(one, udev.folders), StablePort(other, udev.folders)
    first.opened(first.find())
    # The name of the make leads to the second one now; the first is looked for by it when it is unplugged.
    first._names.append(f"{udev.folders[1]}/CH340")
    (udev.dev / "ttyUSB0").unlink()
    (Path(udev.folders[0]) / "usb-1.2").unlink()
    # ttyUSB1 is the other station's reader.
    with pytest.raises(ReaderLost):
        first.find()
    assert os.path.realpath(second.find()) == str(udev.dev / "ttyUSB1")
