"""A typed number: what a reader that poses as a keyboard types, from key events to a finished line. Pure.

| meets | the line under way |
|---|---|
| a digit, a letter A-F, a separator going down | grows by it; beyond LINE_CHARACTERS_MAX it is no number |
| any other key going down, or a digit with shift | is no number |
| Enter or Tab going down | is finished |
| a key that repeats or goes up, a lock, any other event | stays |
| SYN_DROPPED: the kernel threw events away | is no number, whatever follows until its end |
| a key going down in the report after that | is no number, whatever follows until its end |
| PAUSE_NS without a key going down | is forgotten |
| `opened`: the device was opened in the middle of whatever it types | is no number, whatever follows until its end |

Keys lie as on a US keyboard, as such readers type unless told otherwise. Letters count as capitals however shift and
caps lock stand: hexadecimal has no case, and a reader may hold either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from protocol.cardforms import TEXT_CHARACTERS_MAX

LINE_CHARACTERS_MAX: Final = TEXT_CHARACTERS_MAX
PAUSE_NS: Final = 500_000_000
"""Half a line is forgotten after so long. At USB's 8 or 10 ms a report a reader has some 20 ms between two keys and
types ten digits in 0.1-0.3 s; two pupils are further apart. No shorter, as what follows a pause is believed."""

EV_SYN: Final = 0x00
EV_KEY: Final = 0x01
SYN_REPORT: Final = 0
SYN_DROPPED: Final = 3
UP: Final = 0
DOWN: Final = 1
"""Types, codes and values of events: linux/input-event-codes.h and the kernel's Documentation/input/event-codes.rst."""

_TOP_ROW: Final = {2: "1", 3: "2", 4: "3", 5: "4", 6: "5", 7: "6", 8: "7", 9: "8", 10: "9", 11: "0"}
_KEYPAD: Final = {
    **{79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9", 82: "0"},
    **{74: "-", 121: ","},
}
_LETTERS: Final = {30: "A", 48: "B", 46: "C", 32: "D", 18: "E", 33: "F"}
PLAIN: Final = {**_TOP_ROW, **_KEYPAD, **_LETTERS, 12: "-", 51: ",", 57: " "}
"""Key code to character. The forms of protocol.cardforms know no other separators; a dot stands in none of them."""
SHIFTED: Final = {**_KEYPAD, **_LETTERS, 39: ":", 57: " "}
"""The same while shift is held: the top row would be signs, the semicolon's key is a colon."""
ENDS: Final = frozenset((28, 96, 15))
"""Enter, the keypad's Enter, Tab."""
SHIFTS: Final = frozenset((42, 54))
LOCKS: Final = frozenset((58, 69, 70))
"""Caps, num and scroll lock: readers press them to find or set a state that doesn't matter here."""

Fault = Literal[
    "",
    "a key that stands in no number",
    "a line that doesn't end",
    "events that the kernel had to drop",
    "it may have begun before the reader was opened",
]


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One event of an input device: CLOCK_BOOTTIME in ns, and type, code and value as the kernel gives them."""

    time_ns: int
    kind: int
    code: int
    value: int


@dataclass(frozen=True, slots=True)
class TypedLine:
    """A line that was ended: when its first key went down, and its text, or why it is no number."""

    began_ns: int
    text: str
    fault: Fault = ""


class KeyDecoder:
    """See the room. `dropped`: how often the kernel dropped events; `forgotten`: half lines that a pause ended."""

    def __init__(self) -> None:
        """No key was pressed yet."""
        self.dropped = self.forgotten = 0
        self._last_ns = 0
        self._skipping = False
        self._begin_anew()

    def opened(self, time_ns: int) -> None:
        """Begin anew; the rest of a line that somebody else, or nobody, read the beginning of is no line."""
        self._skipping = False
        self._begin_anew()
        self._last_ns = time_ns
        self._spoil(time_ns, "it may have begun before the reader was opened")

    def _begin_anew(self) -> None:
        # Shift goes with its line: a reader presses it anew, and a release that was lost holds nothing for ever.
        self._began_ns: int | None = None
        self._text = ""
        self._fault: Fault = ""
        self._shifts: frozenset[int] = frozenset()

    def step(self, event: KeyEvent) -> TypedLine | None:
        """Take one event; the line that it ends, if it ends one."""
        if event.kind == EV_SYN and event.code == SYN_DROPPED:
            self._drop(event.time_ns)
        elif self._skipping:
            # What stands between the drop and the next report is a part of a report (event-codes.rst). A key in it is
            # one of a number, perhaps long after the drop: the rest of that number is none.
            if event.kind == EV_KEY and event.value == DOWN and event.code not in LOCKS:
                self._pause(event.time_ns)
                self._spoil(event.time_ns, "events that the kernel had to drop")
            self._skipping = (event.kind, event.code) != (EV_SYN, SYN_REPORT)
        elif event.kind == EV_KEY and event.value == UP:
            self._shifts -= {event.code}
        elif event.kind == EV_KEY and event.value == DOWN and event.code not in LOCKS:
            return self._down(event.time_ns, event.code)
        return None

    def _drop(self, time_ns: int) -> None:
        # The rest of a number is a number, too, and another pupil's, perhaps.
        self._pause(time_ns)
        self.dropped += 1
        self._skipping = True
        self._shifts = frozenset()
        self._spoil(time_ns, "events that the kernel had to drop")

    def _down(self, time_ns: int, code: int) -> TypedLine | None:
        self._pause(time_ns)
        if code in SHIFTS:
            self._shifts |= {code}
        elif code in ENDS:
            return self._end()
        else:
            character = (SHIFTED if self._shifts else PLAIN).get(code)
            if character is None:
                self._spoil(time_ns, "a key that stands in no number")
            elif len(self._text) >= LINE_CHARACTERS_MAX:
                self._spoil(time_ns, "a line that doesn't end")
            elif not self._fault:
                self._began_ns = time_ns if self._began_ns is None else self._began_ns
                self._text += character
        return None

    def _pause(self, time_ns: int) -> None:
        # Time that runs backwards is no time of one line either.
        if not 0 <= time_ns - self._last_ns <= PAUSE_NS:
            self.forgotten += self._began_ns is not None
            self._begin_anew()
        self._last_ns = time_ns

    def _spoil(self, time_ns: int, fault: Fault) -> None:
        self._began_ns = time_ns if self._began_ns is None else self._began_ns
        self._text, self._fault = "", self._fault or fault

    def _end(self) -> TypedLine | None:
        began_ns, text, fault = self._began_ns, self._text, self._fault
        self._begin_anew()
        # Enter alone: some readers end a line with two.
        return None if began_ns is None else TypedLine(began_ns, text, fault)
