"""The keyboard driver over evdev: what it takes from a reader that types, from the console, and from the kernel."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.ports import CardRead, ReaderGone
from edge.readers.keyboard import UNTYPED, KeyboardReader, TypedCounts
from edge.readers.opening import make_reader
from protocol.cardforms import FORMS, NumberPlan, number_plan, printed, wiegand_bits
from protocol.cards import CardUid
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.keyboard import (
    ENTER,
    KEY,
    KEYPAD,
    LETTERS,
    MOUSE_KEYS,
    SIGNS,
    SYN,
    TOP_ROW,
    TypingReader,
    press,
    typing,
)
from tests.contracts.watching import watching
from tests.patience import within
from tests.preloading import PRELOADED

emulated = pytest.mark.preloaded_input
NUMBER = "04A1B2C3D4E580"
CARD = CardUid("a", NUMBER)


@pytest.fixture
def wedge(tmp_path: Path) -> Iterator[TypingReader]:
    made = TypingReader(tmp_path / "usb-Wedge-event-kbd")
    yield made
    made.unplug()


def driver(path: object, plan: NumberPlan | None = None) -> KeyboardReader:
    return KeyboardReader(str(path), plan or number_plan("hex"))


def opened(reader: KeyboardReader, wedge: TypingReader) -> None:
    """Open it, and end what may be the rest of a line."""
    reader.open()
    wedge.send(*press(ENTER))
    polled(reader, lambda _: reader.counts.refused + reader.counts.forgotten > 0)
    reader.counts = TypedCounts()


@pytest.fixture
def reader(wedge: TypingReader) -> Iterator[KeyboardReader]:
    made = driver(wedge.link)
    if PRELOADED:  # Else the test is about to be handed to a child, and here is no such device.
        opened(made, wedge)
    yield made
    made.close()


def polled(reader: KeyboardReader, until: Callable[[Sequence[CardRead]], bool], within_s: float = 10) -> list[CardRead]:
    reads: list[CardRead] = []
    deadline_s = time.monotonic() + within_s
    while not until(reads):
        assert time.monotonic() < deadline_s, reads
        reads += reader.poll()
    return reads


def next_line(reader: KeyboardReader, count: int = 1) -> list[str]:
    return [read.text or "" for read in polled(reader, lambda reads: len(reads) >= count)]


def drained(reader: KeyboardReader) -> list[CardRead]:
    """All that waits."""
    reads: list[CardRead] = []
    while select.select([reader._device.fd], [], [], 0)[0]:
        reads += reader.poll()
    return reads


# --- numbers ----------------------------------------------------------------------------------------------------------

FIFO, UINPUT = "a FIFO under sim/preload/input.c", "the kernel's uinput"
SOURCES = [pytest.param(FIFO, marks=emulated), *([UINPUT] if os.access("/dev/uinput", os.W_OK) else [])]
"""Where a machine can make input devices the kernel's own is met too; the FIFO everywhere."""


@pytest.mark.parametrize("source", SOURCES)
def test_a_typed_number_is_one_read_with_its_text_and_plan(source: str, tmp_path: Path) -> None:
    device: Any = None
    if source == UINPUT:
        from evdev import UInput

        device = UInput(name="k12edge-test")
        link = Path(device.device.path)

        def send(*reports: list[tuple[int, int, int]]) -> None:
            for report in reports:
                for event in report:
                    device.write(*event)
    else:
        wedge = TypingReader(tmp_path / "wedge")
        link, send = wedge.link, wedge.send
    reader = driver(link)
    try:
        reader.open()
        send(*press(ENTER))
        before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        send(*typing(NUMBER))
        (read,) = polled(reader, bool)
        assert (read.card, read.text, read.plan) == (CARD, NUMBER, "format=hex")
        assert read.since_mono_ns is not None
        # The kernel dates in microseconds.
        assert before_ns - 1_000 <= read.since_mono_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        assert drained(reader) == []
    finally:
        reader.close()
        if device is not None:
            device.close()


@emulated
def test_every_form_that_can_be_typed_names_its_card(wedge: TypingReader) -> None:
    cards = [CARD, CardUid("a", "DEADBEEF"), CardUid("em", "0A00B6ED77"), CardUid("f", "0123456789ABCDEF")]
    typed = {one for card in cards for one in printed(card) if one.plan.form.name not in UNTYPED}
    assert {one.plan.form.name for one in typed} == set(FORMS) - set(UNTYPED)
    known = {*TOP_ROW, *KEYPAD, *LETTERS, *SIGNS} - {"."}
    for one in typed:
        assert set(one.text) <= known
        reader = make_reader(f"keyboard://{wedge.link}?{one.plan}")
        assert isinstance(reader, KeyboardReader)
        opened(reader, wedge)
        wedge.type(one.text, gap_s=0)
        (read,) = polled(reader, bool)
        assert (read.card, read.text, read.plan) == (one.plan.read(one.text), one.text, str(one.plan))
        assert reader.partials or not read.card.partial
        reader.close()


@emulated
def test_what_is_no_number_is_no_card_is_counted_and_not_told(
    wedge: TypingReader, caplog: pytest.LogCaptureFixture
) -> None:
    reader = driver(wedge.link, number_plan("w26"))
    opened(reader, wedge)
    caplog.clear()
    good = wiegand_bits(0xADBEEF, 24)
    wrong_parity = "10"[int(good[0])] + good[1:]
    with caplog.at_level(logging.DEBUG):
        for text in (wrong_parity, "123", "12345678", "", good):
            wedge.type(text, gap_s=0)
        wedge.send(*typing("12")[:-2], [(KEY, 16, 1), (SYN, 0, 0)], *typing("34"))
        (read,) = polled(reader, lambda _: reader.counts.refused == 4)
    assert read.text == good
    assert (reader.counts.numbers, reader.counts.refused, reader.counts.dropped) == (1, 4, 0)
    told = caplog.text
    assert "parity" in told and wedge.link.name in told
    assert not [text for text in (wrong_parity, good, "12345678", "1234") if text in told]
    # At the first, second and fourth: a reader that is set otherwise doesn't fill the log.
    assert len([record for record in caplog.records if record.name == "k12edge.keyboard"]) == 3
    reader.close()


@emulated
def test_two_lines_of_one_look_are_two_reads_in_their_order(wedge: TypingReader, reader: KeyboardReader) -> None:
    wedge.type("DEADBEEF", gap_s=0)
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader, 2) == ["DEADBEEF", NUMBER]


@emulated
def test_a_number_is_dated_when_it_was_typed_however_late_it_is_read(
    wedge: TypingReader, reader: KeyboardReader
) -> None:
    began_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wedge.type(NUMBER)
    typed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    time.sleep(0.3)  # The gateway's process stands still.
    (read,) = polled(reader, bool)
    assert read.since_mono_ns is not None and began_ns - 1_000 <= read.since_mono_ns <= typed_ns


# --- the device -------------------------------------------------------------------------------------------------------


@emulated
def test_nothing_is_typed_elsewhere_while_it_is_open_and_nothing_old_is_read(wedge: TypingReader) -> None:
    wedge.type("DEADBEEF", gap_s=0)
    assert wedge.elsewhere == 1
    reader = driver(wedge.link)
    opened(reader, wedge)
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader) == [NUMBER]
    assert wedge.elsewhere == 1
    reader.close()
    wedge.type("DEADBEEF", gap_s=0)
    assert wedge.elsewhere == 2


@emulated
def test_a_reader_that_another_program_holds_is_lost_and_says_so(wedge: TypingReader, reader: KeyboardReader) -> None:
    other = driver(wedge.link)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ReaderLost, match="grabbed by another program") as told:
        other.open()
    assert len(os.listdir("/proc/self/fd")) == descriptors, told
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader) == [NUMBER]
    reader.close()
    other.open()
    other.close()


@emulated
def test_a_holder_that_is_killed_holds_nothing(wedge: TypingReader) -> None:
    script = (
        "import sys; from edge.readers.opening import make_reader\n"
        "reader = make_reader(sys.argv[1]); reader.open(); print('open', flush=True)\n"
        "while True: reader.poll()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, f"keyboard://{wedge.link}?format=hex"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"open\n"
    wedge.send(*typing(NUMBER)[:-2])
    child.send_signal(signal.SIGKILL)
    child.wait(5)
    child.stdout.close()
    reader = driver(wedge.link)
    reader.open()
    opened_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    # For all that is known the rest of the line that the dead one had begun.
    wedge.type("0123ABCD", gap_s=0, at_ns=opened_ns)
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader) == [NUMBER]
    reader.close()


@emulated
def test_unplugged_it_is_gone_and_found_again_under_its_name_without_half_a_line(
    wedge: TypingReader, reader: KeyboardReader
) -> None:
    wedge.send(*typing("DEAD")[:-2])
    assert drained(reader) == []
    node = os.readlink(wedge.link)
    unplug = threading.Timer(0.02, wedge.unplug)
    unplug.start()
    began_s = time.monotonic()
    with pytest.raises(ReaderGone):
        polled(reader, lambda _: False, within_s=5)
    assert time.monotonic() - began_s < within(2)
    with pytest.raises(ReaderGone):
        reader.poll()
    reader.close()
    with pytest.raises(ReaderLost):
        reader.open()
    wedge.plug()
    assert os.readlink(wedge.link) != node
    opened(reader, wedge)
    wedge.type("BEEF0123", gap_s=0)
    assert next_line(reader) == ["BEEF0123"]


@emulated
def test_kept_open_it_goes_on_after_it_was_unplugged(wedge: TypingReader) -> None:
    with watching(f"keyboard://{wedge.link}?format=hex") as watch:
        for number in range(1, 4):
            wedge.await_held()
            wedge.send(*press(ENTER))
            wedge.type(f"DEADBE{number:02X}")
            watch.await_count(number)
            wedge.unplug()
            wedge.plug()
        assert [card.hex for card in watch.cards()] == ["DEADBE01", "DEADBE02", "DEADBE03"]


@emulated
def test_a_number_read_in_the_look_that_finds_it_unplugged_is_handed_over(
    wedge: TypingReader, reader: KeyboardReader
) -> None:
    wedge.type(NUMBER, gap_s=0)
    device, looks = reader._device, [0]

    class UnpluggedAtTheThirdRead:
        fd = device.fd
        close = device.close

        def read(self) -> Any:
            looks[0] += 1
            if looks[0] > 2:
                wedge.unplug()
            return device.read()

    reader._device = UnpluggedAtTheThirdRead()
    assert [read.text for read in reader.poll()] == [NUMBER]
    with pytest.raises(ReaderGone):
        reader.poll()


@emulated
@pytest.mark.parametrize("what", ["a mouse", "a file", "a folder", "/dev/null"])
def test_what_is_no_keyboard_is_refused_and_its_descriptor_given_back(what: str, tmp_path: Path) -> None:
    path = Path(what) if what.startswith("/") else tmp_path / "thing"
    if what == "a mouse":
        TypingReader(path, MOUSE_KEYS)
    elif what == "a folder":
        path.mkdir()
    elif what == "a file":
        path.touch()
    reader = driver(path)
    with pytest.raises(ReaderRefused):
        reader.open()
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ReaderRefused) as told:
        reader.open()
    assert len(os.listdir("/proc/self/fd")) == descriptors, told
    reader.close()


@emulated
def test_events_that_the_kernel_dropped_cost_their_line_and_make_no_other_number(
    wedge: TypingReader, reader: KeyboardReader
) -> None:
    """The process stands still until the buffer is full: the lines before are read, the one that is cut isn't."""
    lines = 0
    while not wedge._overflowed:
        wedge.type("DEADBEEF", gap_s=0)
        lines += 1
    whole = [read.text for read in drained(reader)]
    assert whole == ["DEADBEEF"] * (lines - 1)
    wedge.type("BEEF0123", gap_s=0)  # Begun by the drop, therefore not to be believed.
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader) == [NUMBER]
    assert (reader.counts.dropped, reader.counts.refused) == (1, 1)


STUCK = """
import os, sys, time
from sim.emulators.keyboard import EVENT, KEY, SYN
report = EVENT.pack(0, 0, KEY, 2, 2) + EVENT.pack(0, 0, SYN, 0, 1)
node, until_s = os.open(sys.argv[1], os.O_WRONLY), time.monotonic() + 3
while time.monotonic() < until_s:
    os.write(node, report * 80)
"""


@emulated
def test_a_key_that_is_stuck_holds_no_look_for_ever(wedge: TypingReader, reader: KeyboardReader) -> None:
    """Another process repeats it as fast as the FIFO takes it, for three seconds: there is always more to read."""
    child = subprocess.Popen([sys.executable, "-c", STUCK, os.readlink(wedge.link)])
    looks = 0
    while child.poll() is None:
        # Its own time: how long the machine lets it wait is another matter.
        began_s = time.thread_time()
        assert reader.poll() == []
        assert time.thread_time() - began_s < 0.2
        looks += 1
    assert child.returncode == 0 and looks > 10
    drained(reader)
    wedge.send(*press(ENTER))
    wedge.type(NUMBER, gap_s=0)
    assert next_line(reader) == [NUMBER]


def test_without_its_library_it_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(ReaderRefused, match=r"pip install 'k12edge\[keyboard\]'"):
        driver(tmp_path / "x").open()


def test_parts_of_numbers_are_declared() -> None:
    reader = make_reader("keyboard:///dev/input/by-id/x?format=3d5d&order=reversed")
    assert [str(part) for part in reader.partials] == ["w24-reversed-first"]
    assert make_reader("keyboard:///x?format=10h13d").partials == ()
    assert reader.pause_s == 0


@pytest.mark.parametrize(
    "address",
    [
        "x?format=hex",
        "///x",
        "///x?format=",
        "///x?format=morse",
        "///x?format=rdm6300",
        "///x?format=id12",
        "///x?format=hex&baud=9600",
        "///x?format=hex&order=lsb",
        "///x?format=w26&bytes=4",
        "///x?format=3d5d&part=middle",
    ],
)
def test_an_address_that_can_never_work_is_refused(address: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(f"keyboard:{address}")
