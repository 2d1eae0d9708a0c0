"""The parser of typed card numbers: events of a keyboard, and what must hold of the lines that they make."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

from edge.readers.keydecoder import (
    DOWN,
    ENDS,
    EV_KEY,
    EV_SYN,
    LINE_CHARACTERS_MAX,
    LOCKS,
    PAUSE_NS,
    PLAIN,
    SHIFTED,
    SHIFTS,
    SYN_DROPPED,
    SYN_REPORT,
    UP,
    KeyDecoder,
    KeyEvent,
    TypedLine,
)
from sim.fuzz.mutator import Mutator, sound_bytes
from sim.fuzz.parser import Parser, must


class TypedKeys(Parser):
    """`typed`: events of a keyboard, four bytes each: time in steps of 4 ms, type, code, value."""

    name = "typed"
    refusals = ()
    EVENTS_MAX = 80
    BACKWARDS = 250
    """A time step of so much or more goes backwards."""

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        typed = [self.keys(text) for text in ("0169552957", "DE:AD:BE:EF", "173,48879")]
        whole = self.keys("222,44510", released=True)
        shifted = self.event(EV_KEY, 42, DOWN) + self.keys("DEADBEEF") + self.event(EV_KEY, 42, UP)
        # The kernel drops events within a number, between two, and at the end of one that nobody read.
        drop = self.event(EV_SYN, SYN_DROPPED, 0)
        dropped = [whole[:40] + drop + whole, self.event(EV_KEY, 28, UP) + drop + self.event(EV_SYN, 1, 0, 200) + whole]
        others = [self.event(EV_KEY, 58, DOWN) + self.keys("3735928559"), self.event(EV_KEY, 28, DOWN, 200)]
        self._mutator = Mutator(list(map(sound_bytes, [*typed, whole, shifted, *dropped, *others])))
        # As many keys as a line may have, and one more.
        self._endless = Mutator([sound_bytes(self.keys("7" * (LINE_CHARACTERS_MAX + more))) for more in (0, 1)])
        self._sound = {text: self._events(self.keys(text)) for text in ("573", "A9")}

    @staticmethod
    def event(kind: int, code: int, value: int, step: int = 1) -> bytes:
        """One event."""
        return bytes((step, kind, code, value))

    @classmethod
    def keys(cls, text: str, *, released: bool = False) -> bytes:
        """A text as a reader types it, Enter at its end, each key in a report of its own."""
        codes = {character: code for code, character in reversed(SHIFTED.items())}
        codes |= {character: code for code, character in reversed(PLAIN.items())}
        made = b""
        for code in (*(codes[character] for character in text), 28):
            for value in (DOWN, UP) if released else (DOWN,):
                made += cls.event(EV_KEY, code, value) + cls.event(EV_SYN, SYN_REPORT, 0, 0)
        return made

    @classmethod
    def _events(cls, octets: bytes) -> list[tuple[int, int, int, int]]:
        """Time in steps, type, code, value of each."""
        return [(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]) for at in range(0, len(octets) - 3, 4)]

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        raw = self._mutator.mutated(rng)
        kind = rng.random()
        if kind > 0.98:
            return self._endless.mutated(rng)[: 12 * self.EVENTS_MAX]
        if kind < 0.3:
            raw += self._mutator.mutated(rng)
        return raw[: 4 * self.EVENTS_MAX]

    def take(self, octets: bytes) -> int:
        """See Parser."""
        decoder, now_ns, lines = KeyDecoder(), PAUSE_NS, 0
        decoder.opened(now_ns)
        oracle = _Typed(now_ns)
        for step, kind, code, value in self._events(octets):
            now_ns += 4_000_000 * (step if step < self.BACKWARDS else self.BACKWARDS - step - 1)
            event = KeyEvent(now_ns, kind, code, value)
            line = decoder.step(event)
            oracle.judge(event, line)
            lines += line is not None
        self._resynchronises(decoder, now_ns)
        return lines

    def _resynchronises(self, decoder: KeyDecoder, now_ns: int) -> None:
        """Whatever was typed, after a pause a number is read; one more is spent where the kernel dropped events."""
        texts: list[str] = []
        for typed in self._sound.values():
            now_ns += 2 * PAUSE_NS
            for step, kind, code, value in typed:
                now_ns += 4_000_000 * step
                line = decoder.step(KeyEvent(now_ns, kind, code, value))
                if line is not None:
                    texts.append(line.text)
        first, second = self._sound
        must(texts in ([first, second], ["", second]), "a typed number is not found again, or a part of it")


class _Typed:
    """What must hold of a line, from its events alone: every key since the last end or pause stands in it, or none."""

    def __init__(self, opened_ns: int) -> None:
        self._last_ns, self._began_ns = opened_ns, opened_ns
        self._keys, self._spoilt, self._skipping = 0, True, False

    def judge(self, event: KeyEvent, line: TypedLine | None) -> None:
        dropped = event.kind == EV_SYN and event.code == SYN_DROPPED
        down = event.kind == EV_KEY and event.value == DOWN and event.code not in LOCKS
        if not dropped and not down:
            must(line is None, "a line ends without a key")
            self._skipping &= (event.kind, event.code) != (EV_SYN, SYN_REPORT)
            return
        if not 0 <= event.time_ns - self._last_ns <= PAUSE_NS:
            self._keys, self._spoilt = 0, False
        self._last_ns = event.time_ns
        if dropped or self._skipping:
            must(line is None, "a line ends in a report that lacks its beginning")
            self._spoilt = self._skipping = True
        elif event.code in ENDS:
            if line is not None and not line.fault:
                must(not self._spoilt, "a number of which a part is missing")
                must(0 < len(line.text) == self._keys <= LINE_CHARACTERS_MAX, "keys are missing, or there are more")
                must(set(line.text) <= _TYPED, "a character that stands in no number")
                must(line.began_ns <= event.time_ns, "a line that begins behind its end")
            must(line is None or not line.fault or not line.text, "a line that is none has a text")
            self._keys, self._spoilt = 0, False
        else:
            must(line is None, "a line ends within")
            self._keys += event.code not in SHIFTS


_TYPED: Final = frozenset((*PLAIN.values(), *SHIFTED.values()))
