"""Readers that print numbers, emulated on pseudo-terminals: every form, every wire, and what must not be believed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ports import CardRead, ReaderGone
from edge.readers.lines import BAD_IN_ROW, PAUSE_S, QUIET_S, TWICE_NS, LineSplitter, LinesReader, Twice
from edge.readers.opening import make_reader
from protocol.cardforms import printed
from protocol.cards import CardUid, parse_card
from protocol.errors import ReaderLost, ReaderRefused
from sim.emulators.lines import REPEAT_S, Printer
from sim.emulators.wires import WIRES, Wire
from tests.contracts.watching import CLOCK, watching

EM = parse_card("em:0A00B6ED77")
FRAME = "0A00B6ED7726"


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[Printer]:
    made = Printer(tmp_path / "đầu đọc")
    yield made
    made.unplug()


def _listening(printer: Printer) -> None:
    printer.await_listener()
    time.sleep(2 * QUIET_S)  # Before a line was quiet for a moment, what comes may be the end of a number.


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize("text", ["a:DEADBEEF", "a:04A1B2C3D4E580", "em:0A00B6ED77"])
def test_every_printed_form_of_a_card_arrives_over_every_wire(printer: Printer, wire: Wire, text: str) -> None:
    printer.wire = wire
    card = parse_card(text)
    forms = {str(form.plan): form for form in printed(card)}
    # One of each form; the rest differ in order and part alone, which tests/protocol/test_cardforms.py has.
    chosen = {form.plan.form.name: form for form in reversed(forms.values())}
    for form in chosen.values():
        with watching(f"lines://{printer.link}?{form.plan}") as watch:
            _listening(printer)
            for _ in range(2 if form.plan.form.name == "rdm6300" else 1):
                if form.plan.form.name in ("rdm6300", "id12"):
                    printer.say(b"\x02" + form.text.encode("ascii") + b"\r\n\x03")
                else:
                    printer.say(form.text + "\r\n")
            watch.await_count(1)
            seen = watch.seen[0]
            assert seen.card in (card, *(part.of(card) for part in form.plan.partials()))
            assert seen.read is not None and (seen.read.text, seen.read.plan) == (form.text, str(form.plan))


def test_a_card_held_to_a_module_is_one_tap_and_dated_when_it_was_first_said(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=rdm6300") as watch:
        _listening(printer)
        began_ns = CLOCK.mono_ns()
        printer.frame(FRAME)
        first_ns = CLOCK.mono_ns()
        for _ in range(int(3 / REPEAT_S)):
            time.sleep(REPEAT_S)
            printer.frame(FRAME)
        assert watch.cards() == [EM]
        assert began_ns <= watch.seen[0].seen_mono_ns <= first_ns + 20_000_000


def test_a_number_that_a_module_says_once_is_a_ghost(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=rdm6300") as watch:
        _listening(printer)
        for number in range(20):
            octets = bytes((0x0A, 0, 0, number, number ^ 0x5A))
            printer.frame((octets + bytes((octets[0] ^ octets[3] ^ octets[4],))).hex().upper())
        printer.frame(FRAME)
        printer.frame(FRAME)
        watch.await_count(1)
        assert watch.cards() == [EM]


def test_a_module_that_says_a_number_once_is_believed_where_it_is_made_so(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=id12") as watch:
        _listening(printer)
        printer.say(b"\x02" + FRAME.encode() + b"\r\n\x03")
        watch.await_count(1)
        assert watch.cards() == [EM]


def test_a_wrong_checksum_parity_or_width_is_no_card_and_the_next_number_is(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=8h10d") as watch:
        _listening(printer)
        for bad in ("9999999999", "12 34", "DEADBEEF", "0" * 5_000, "12345678901", "", "\x00\x00"):
            printer.say(bad + "\r\n")
        printer.say("0169552957\r\n")
        watch.await_count(1)
        assert watch.cards() == [CardUid("w32", "0A1B2C3D")]


@pytest.mark.parametrize(("query", "card"), [("format=hex", CardUid("a", "DEADBEEF")), ("format=rdm6300", EM)])
def test_a_line_that_is_never_quiet_is_read_from_its_first_end_on(printer: Printer, query: str, card: CardUid) -> None:
    stop = threading.Event()

    def hum() -> None:
        while not stop.wait(QUIET_S / 2):
            printer.say(b"\xff")

    humming = threading.Thread(target=hum)
    humming.start()
    try:
        with watching(f"lines://{printer.link}?{query}") as watch:
            printer.await_listener()
            time.sleep(0.1)
            number = b"\x02" + FRAME.encode() + b"\x03" if card == EM else b"DEADBEEF\r\n"
            for _ in range(40):
                printer.say(b"\r\n" + number)
                if watch.seen:
                    break
                time.sleep(0.05)
            watch.await_cards(card)
    finally:
        stop.set()
        humming.join()


def test_the_end_of_a_number_that_began_before_the_line_was_opened_is_none(printer: Printer) -> None:
    reader = make_reader(f"lines://{printer.link}?format=dec")
    reader.open()
    printer.say("52957\r\n")
    assert reader.poll() == ()
    time.sleep(2 * QUIET_S)
    printer.say("0169552957\r\n")
    assert [read.card for read in reader.poll()] == [CardUid("w32", "0A1B2C3D")]
    reader.close()


def test_a_number_cut_by_a_replugging_is_none(printer: Printer) -> None:
    reader = make_reader(f"lines://{printer.link}?format=dec")
    reader.open()
    time.sleep(2 * QUIET_S)
    printer.say("0169552957\r\n0169")
    assert [read.card for read in reader.poll()] == [CardUid("w32", "0A1B2C3D")]
    printer.unplug()
    with pytest.raises(ReaderGone):
        reader.poll()
    printer.plug()
    reader.open()
    printer.say("552957\r\n")
    assert reader.poll() == (), "neither alone nor behind what came before"
    reader.close()


def test_two_numbers_that_came_together_are_two_cards_in_their_order(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=hex") as watch:
        _listening(printer)
        printer.say("DEADBEEF\r\n04A1B2C3D4E580\r\n")
        watch.await_count(2)
        assert [card.hex for card in watch.cards()] == ["DEADBEEF", "04A1B2C3D4E580"]


def test_the_same_number_again_after_half_a_second_is_another_tap(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=hex") as watch:
        _listening(printer)
        printer.say("DEADBEEF\r\n")
        time.sleep(0.1)
        printer.say("DEADBEEF\r\n")
        time.sleep(0.6)
        printer.say("DEADBEEF\r\n")
        watch.await_count(2)
        assert len(watch.cards()) == 2


def test_a_line_that_ends_is_gone_and_three_hundred_of_them_leave_no_descriptor(printer: Printer) -> None:
    reader = make_reader(f"lines://{printer.link}?format=hex&baud=115200")
    reader.open()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(300):
        printer.unplug()
        with pytest.raises(ReaderGone):
            reader.poll()
        with pytest.raises(ReaderLost):
            reader.open()
        printer.plug()
        reader.open()
    assert len(os.listdir("/proc/self/fd")) == before
    reader.close()


def test_a_line_at_the_wrong_speed_is_told_once(printer: Printer, caplog: pytest.LogCaptureFixture) -> None:
    with watching(f"lines://{printer.link}?format=dec") as watch:
        _listening(printer)
        for _ in range(3 * BAD_IN_ROW):
            printer.say(b"\x9a\xf3\x12\xe0\r\n")
        printer.say("0169552957\r\n")
        watch.await_count(1)
    told = [record.getMessage() for record in caplog.records if "baud=" in record.getMessage()]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("lines:///dev/x", "wants format="),
        ("lines:///dev/x?format=w27", "known are"),
        ("lines:///dev/x?format=hex&baud=9601", "1200, 2400"),
        ("lines:///dev/x?format=hex&bauds=9600", "no option bauds"),
        ("lines:relative?format=hex", "absolute path"),
        ("lines:///dev/x?format=hex&order=big", "wire or reversed"),
    ],
)
def test_an_address_that_cannot_work_says_what_can(url: str, said: str) -> None:
    with pytest.raises(ReaderRefused, match=said):
        make_reader(url)


# --- the pure parts ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=10), st.booleans())
def test_however_a_stream_is_cut_the_texts_are_the_same_and_bounded(raw: bytes, cuts: list[int], framed: bool) -> None:
    whole = LineSplitter(framed=framed).feed(raw)
    splitter = LineSplitter(framed=framed)
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [text for at, end in pairwise(edges) for text in splitter.feed(raw[at:end])]
    assert pieces == whole
    assert all(text is None or len(text) <= 80 for text in whole)
    assert len(splitter._text) <= 80
    end = b"\x02DEADBEEF\x03" if framed else b"\r\nDEADBEEF\r\n"
    assert splitter.feed(end)[-1] == "DEADBEEF", "the next whole text is read, whatever came before"


@pytest.mark.parametrize(
    ("framed", "came", "texts"),
    [
        (False, b"12\r\n34\n\r\n", ["12", "34"]),
        (False, b"\x00\xff12\x80\x01\r\n", ["12"]),
        (False, b"1\xff2\r\n1\x002\r\n34\r\n", [None, None, "34"]),
        (False, b"0" * 81 + b"\r\n12\r\n", [None, "12"]),
        (False, b"56\x0212\x03", ["12"]),
        (True, b"34\x0212\r\n\x03", ["12"]),
        (True, b"\x0234\x0212\x03", ["12"]),
        (True, b"\x021\xff2\x03\x0234\x03", [None, "34"]),
        (True, b"\x02" + b"0" * 81 + b"\x03", [None]),
        (True, b"12\r\n\x03", []),
    ],
)
def test_what_came_is_cut_where_texts_begin_and_end(framed: bool, came: bytes, texts: list[str | None]) -> None:
    splitter = LineSplitter(framed=framed)
    assert splitter.feed(came) == texts
    assert len(splitter._text) <= 80


def test_a_number_is_believed_when_it_comes_again_soon() -> None:
    a, b = (CardRead(CardUid("em", text)) for text in ("0A00B6ED77", "0A00B6ED78"))
    twice = Twice()
    assert twice.heard(a, 0) is None
    assert twice.heard(b, 1) is None
    assert twice.heard(a, 2) is None
    assert twice.heard(a, TWICE_NS + 3) is None
    believed = twice.heard(a, TWICE_NS + 10)
    assert believed is not None and believed.since_mono_ns == TWICE_NS + 3


def test_what_is_not_open_is_lost() -> None:
    reader = make_reader("lines:///dev/x?format=hex")
    assert isinstance(reader, LinesReader)
    with pytest.raises(ReaderLost):
        reader.poll()


def test_half_a_number_is_forgotten_after_a_pause_and_never_joined_to_the_next(printer: Printer) -> None:
    with watching(f"lines://{printer.link}?format=hex") as watch:
        _listening(printer)
        printer.say("04A1B2")
        time.sleep(PAUSE_S + 0.15)
        printer.say("DEADBEEF\r\n")
        watch.await_count(1)
        assert watch.cards() == [CardUid("a", "DEADBEEF")]
    splitter = LineSplitter(framed=False)
    assert splitter.feed(b"1234") == []
    assert splitter.feed(b"567890\r\n", PAUSE_S) == ["1234567890"], "a slow adapter's pause is none"
    assert splitter.feed(b"1234") == []
    assert splitter.feed(b"567890\r\n", PAUSE_S + 0.001) == [None, "567890"]
