"""The decoder of typed lines: sequences as event devices give them, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.readers.keydecoder import LINE_CHARACTERS_MAX, PAUSE_NS, KeyDecoder, KeyEvent, TypedLine
from sim.emulators.keyboard import ENTER, KEYPAD_ENTER, TAB, press, typing

MS = 1_000_000
START_MS = 60_000.0

# As `evtest` shows them: milliseconds, type, code, value. Types: 0 SYN, 1 KEY, 4 MSC, 17 LED.
TOP_ROW_AND_TWO_ENTERS = """
  0    4  4  458783   # MSC_SCAN: HID usage 0x07001f, the key of 2
  0    1  3  1        # KEY_2 down
  0    0  0  0        # SYN_REPORT
  8    1  3  0        # KEY_2 up
  8    0  0  0
 16    1  11 1        # KEY_0 down
 16    0  0  0
 24    1  11 0        # up
 24    1  8  1        # KEY_7 down in the same report
 24    0  0  0
 32    1  8  0
 32    0  0  0
 40    1  28 1        # KEY_ENTER down: the line ends
 40    0  0  0
 48    1  28 0
 48    0  0  0
 56    1  28 1        # and once more, as "CR LF": an empty line is none
 56    0  0  0
 64    1  28 0
 64    0  0  0
"""
CAPITALS = """
  0    1  58 1        # KEY_CAPSLOCK down: some readers set it for the line,
  0    0  0  0
  8    1  58 0
  8    17 1  1        # and its lamp answers (LED_CAPSL)
  8    0  0  0
 16    1  42 1        # KEY_LEFTSHIFT down
 16    1  32 1        # KEY_D
 16    0  0  0
 24    1  32 0
 24    1  18 1        # KEY_E
 24    0  0  0
 32    1  18 0
 32    1  39 1        # KEY_SEMICOLON with shift: a colon
 32    0  0  0
 40    1  39 0
 40    1  42 0        # shift up
 40    0  0  0
 48    1  30 1        # KEY_A without shift
 48    0  0  0
 56    1  30 0
 56    1  2  1        # KEY_1
 56    0  0  0
 64    1  2  0
 64    1  15 1        # KEY_TAB: the line ends
 64    0  0  0
 72    1  15 0
 72    1  58 1        # caps lock back
 72    0  0  0
 80    1  58 0
 80    0  0  0
"""
KEYPAD = """
  0    1  69 1        # KEY_NUMLOCK
  0    0  0  0
  8    1  69 0
  8    0  0  0
 16    1  71 1        # KEY_KP7
 16    0  0  0
 24    1  71 0
 24    1  121 1       # KEY_KPCOMMA
 24    0  0  0
 32    1  121 0
 32    1  82 1        # KEY_KP0
 32    0  0  0
 40    1  82 0
 40    1  96 1        # KEY_KPENTER: the line ends
 40    0  0  0
"""
HELD_KEY = """
  0    1  5  1        # KEY_4 down
  0    0  0  0
250    1  5  2        # held: the kernel repeats it
250    0  0  1
283    1  5  2
283    0  0  1
300    1  5  0
300    0  0  0
310    1  28 1        # KEY_ENTER
310    0  0  0
"""
DROPPED = """
  0    1  2  1        # KEY_1 down
  0    0  0  0
  8    1  2  0
  8    0  0  0
100    0  3  0        # SYN_DROPPED: the buffer was full
100    1  28 1        # a part of a report whose beginning was lost: not to be believed
100    0  0  0        # up to here
108    1  9  1        # KEY_8: the rest of the line is a number, too, but another one
108    0  0  0
116    1  28 1        # KEY_ENTER
116    0  0  0
124    1  28 0
124    0  0  0
132    1  10 1        # KEY_9: the next line
132    0  0  0
140    1  28 1
140    0  0  0
"""
DROPPED_BETWEEN_LINES = """
  0    0  3  0        # SYN_DROPPED when no line is under way, as the kernel puts in when a clock is chosen
5000   1  2  1        # KEY_1 long after it: in the report that is not to be believed
5000   0  0  0
5008   1  9  1        # KEY_8: the rest of that number is none
5008   0  0  0
5016   1  28 1        # KEY_ENTER
5016   0  0  0
5100   1  10 1        # KEY_9: the next line
5100   0  0  0
5108   1  28 1
5108   0  0  0
"""


def events(table: str) -> list[KeyEvent]:
    rows = [line.partition("#")[0].split() for line in table.strip().splitlines()]
    return [
        KeyEvent(int((START_MS + float(ms)) * MS), int(kind), int(code), int(value)) for ms, kind, code, value in rows
    ]


def decoded(decoder: KeyDecoder, stream: list[KeyEvent]) -> list[TypedLine]:
    return [line for event in stream if (line := decoder.step(event)) is not None]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (TOP_ROW_AND_TWO_ENTERS, [(0, "207", "")]),
        (CAPITALS, [(16, "DE:A1", "")]),
        (KEYPAD, [(16, "7,0", "")]),
        (HELD_KEY, [(0, "4", "")]),
        (DROPPED, [(0, "", "events that the kernel had to drop"), (132, "9", "")]),
        (DROPPED_BETWEEN_LINES, [(5000, "", "events that the kernel had to drop"), (5100, "9", "")]),
    ],
    ids=["top row, two enters", "capitals, tab", "keypad", "held key", "dropped", "dropped between lines"],
)
def test_sequences_of_readers(table: str, lines: list[tuple[int, str, str]]) -> None:
    found = decoded(KeyDecoder(), events(table))
    assert [(line.began_ns, line.text, line.fault) for line in found] == [
        (int((START_MS + ms) * MS), text, fault) for ms, text, fault in lines
    ]


def at(reports: list[list[tuple[int, int, int]]], from_ms: float, gap_ms: float = 8) -> list[KeyEvent]:
    return [
        KeyEvent(int((from_ms + number * gap_ms) * MS), *event)
        for number, report in enumerate(reports)
        for event in report
    ]


def texts(*parts: list[KeyEvent]) -> list[str]:
    decoder = KeyDecoder()
    return [line.text or line.fault for part in parts for line in decoded(decoder, part)]


@pytest.mark.parametrize("end", [ENTER, KEYPAD_ENTER, TAB])
@pytest.mark.parametrize("text", ["0123456789", "abcdef", "ABCDEF", "aBcDeF", "04:A1:b2", "12 34-56", "173,48879"])
def test_every_character_of_a_number(text: str, end: int) -> None:
    assert texts(at(typing(text, end), 1_000)) == [text.upper()]


def test_both_rows_of_digits_are_the_same() -> None:
    assert texts(at(typing("9876543210", keypad=True), 1_000)) == ["9876543210"]


@pytest.mark.parametrize("code", [1, 14, 16, 29, 34, 52, 56, 57 + 200, 0x110, 0x2FF])
def test_any_other_key_makes_a_line_no_number(code: int) -> None:
    spoilt = [*typing("12")[:-2], *press(code), *typing("34")]
    assert texts(at(spoilt, 1_000), at(typing("56"), 3_000)) == ["a key that stands in no number", "56"]


@pytest.mark.parametrize("code", [2, 11, 12, 51])
def test_shift_with_a_digit_or_a_sign_is_another_sign(code: int) -> None:
    assert texts(at([*press(code, shift=True), *typing("34")], 1_000)) == ["a key that stands in no number"]


def test_a_key_held_through_a_line_or_let_go_late_types_once() -> None:
    rolled = [[(1, 2, 1), (0, 0, 0)], [(1, 3, 1), (0, 0, 0)], [(1, 2, 0), (1, 3, 0), (0, 0, 0)], *press(ENTER)]
    assert texts(at(rolled, 1_000)) == ["12"]


def test_half_a_line_is_forgotten_after_a_pause_and_not_before() -> None:
    half = typing("12")[:-2]
    last_down_ms = 1_000 + 2 * 8
    pause_ms = PAUSE_NS / MS
    assert texts(at(half, 1_000), at(typing("34"), last_down_ms + pause_ms)) == ["1234"]
    assert texts(at(half, 1_000), at(typing("34"), last_down_ms + pause_ms + 1)) == ["34"]
    decoder = KeyDecoder()
    decoded(decoder, at(half, 1_000) + at(typing("34"), 5_000))
    assert decoder.forgotten == 1


def test_a_spoilt_line_without_an_end_is_forgotten_after_a_pause() -> None:
    assert texts(at(press(16), 1_000), at(typing("34"), 3_000)) == ["34"]
    assert texts(at([[(0, 3, 0)], [(0, 0, 0)]], 1_000), at(typing("34"), 3_000)) == ["34"]


def test_a_shift_whose_release_was_lost_spoils_one_line_only() -> None:
    lost = [[(1, 42, 1), (0, 0, 0)], *typing("a1")]
    assert texts(at(lost, 1_000), at(typing("34"), 1_200)) == ["a key that stands in no number", "34"]


def test_a_line_as_long_as_the_longest_form_is_read_and_no_longer_one() -> None:
    assert texts(at(typing("1" * LINE_CHARACTERS_MAX), 1_000)) == ["1" * LINE_CHARACTERS_MAX]
    long = typing("1" * (LINE_CHARACTERS_MAX + 1))
    assert texts(at(long, 1_000), at(typing("2"), 9_000)) == ["a line that doesn't end", "2"]


def test_a_line_after_one_that_lost_events_needs_no_pause() -> None:
    decoder = KeyDecoder()
    lines = decoded(decoder, at([[(0, 3, 0)], [(0, 0, 0)], *typing("12")], 1_000) + at(typing("34"), 1_100))
    assert [line.text for line in lines] == ["", "34"]
    assert decoder.dropped == 1


def test_the_rest_of_a_line_that_began_before_the_opening_is_no_number() -> None:
    for begun in ([], typing("12")[:-2], [*typing("12")[:-2], [(0, 3, 0)]]):
        decoder = KeyDecoder()
        decoded(decoder, at(begun, 1_000))
        decoder.opened(1_050 * MS)
        lines = decoded(decoder, at(typing("34"), 1_060) + at(typing("56"), 1_160))
        assert [line.text for line in lines] == ["", "56"]
        assert lines[0].fault == "it may have begun before the reader was opened"


def test_a_line_that_begins_a_pause_after_the_opening_is_a_whole_one() -> None:
    decoder = KeyDecoder()
    decoder.opened(1_000 * MS)
    assert [line.text for line in decoded(decoder, at(typing("34"), 1_501))] == ["34"]


EVENTS = st.builds(
    KeyEvent,
    st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2_000 * MS),
    st.sampled_from((0, 1, 4, 17)) | st.integers(0, 0xFFFF),
    st.sampled_from((0, 3, 2, 11, 28, 30, 42, 54, 96, 15, 58, 82)) | st.integers(0, 0xFFFF),
    st.sampled_from((0, 1, 2)) | st.integers(-(2**31), 2**31 - 1),
)


@given(st.lists(EVENTS, max_size=300), st.sampled_from(["", *"1A9"]))
def test_whatever_comes_it_neither_raises_nor_grows_and_reads_the_next_line(
    garbage: list[KeyEvent], first: str
) -> None:
    decoder = KeyDecoder()
    for event in garbage:
        line = decoder.step(event)
        assert line is None or (bool(line.text) != bool(line.fault) and len(line.text) <= LINE_CHARACTERS_MAX)
        assert len(decoder._text) <= LINE_CHARACTERS_MAX and decoder._shifts <= {42, 54}
    # A drop's own report may still be open: the next report closes it. Then a pause, and a good line.
    last_ns = max([0, *(event.time_ns for event in garbage)])
    decoder.step(KeyEvent(last_ns, 0, 0, 0))
    good = at(typing(f"{first}0B:4"), last_ns / MS + PAUSE_NS / MS + 1_000)
    assert [line.text for line in decoded(decoder, good)] == [f"{first}0B:4"]


@given(st.lists(st.sampled_from([*range(2, 12), 30, 48, 15, 28, 42, 58, 16]), max_size=200))
def test_a_line_is_exactly_what_went_down_since_the_last_end(codes: list[int]) -> None:
    """Keys pressed and let go in a steady rhythm: cut at the ends, only lines of digits and A, B are numbers."""
    characters = {**{code: "1234567890"[code - 2] for code in range(2, 12)}, 30: "A", 48: "B"}
    expected, line = [], list[int]()
    for code in codes:
        if code in (15, 28):
            if line:
                expected.append("".join(characters.get(each, "?") for each in line))
            line = []
        elif code not in (42, 58):
            line.append(code)
    found = texts(at([report for code in codes for report in press(code)], 1_000))
    wanted = [text if "?" not in text and len(text) <= LINE_CHARACTERS_MAX else None for text in expected]
    assert [text if " " not in text else None for text in found] == wanted
