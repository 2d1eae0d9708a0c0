"""A session with pcscd: one reader watched in a context of its own, and the cards that come to it asked."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from edge.ports import CardRead, ReaderGone
from edge.readers.acr122 import QUIET, STALE_S, Acr122Feedback, is_acr122
from edge.readers.ndeffile import read_query
from edge.readers.newcomers import Newcomers
from edge.readers.pcscwords import GET_ATS, GET_UID, ats_of, card_of, choose_reader, computes, type_of
from edge.readers.seldom import seldom
from protocol.cards import CardUid
from protocol.errors import ReaderLost

LOOK_MS: Final = 100
"""pcscd is asked to tell of a change for so long: the bound of what a stop, or a second try, waits for."""
COUNT_MASK: Final = 0xFFFF0000
"""Where pcscd counts a reader's comings and goings of cards in its state (pcsclite.h, SCARD_READERSTATE)."""
LOOK_BRIEF_MS: Final = 20
"""While a signal is expected at a reader that shows it itself: it waits for the end of a look."""
SIGNAL_S: Final = 0.5
"""After a card was told its signal is expected for so long; a record takes some 10 ms, a slow one 180 and more."""
ESCAPE: Final = 1
"""The number of IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE (libccid, SCARDCONTROL): the reader itself is meant, no card."""
TRIES_MAX: Final = 10
"""Looks at which a card that lies there without having told its UID is asked again: about a second."""

log = logging.getLogger("k12edge.pcsc")


@dataclass(slots=True)
class PcscCounts:
    """Cards that came and gave no number, by why; kept over reopenings."""

    unread: int = 0
    foreign: int = 0
    too_short: int = 0


@dataclass(frozen=True, slots=True)
class Met:
    """A connection with the card that lies there. It ends with that card: another one never answers over it."""

    handle: Any
    header: Any
    atr: bytes


class Held(OSError):
    """Another program has the card for itself."""


class PcscSession:
    """One context with pcscd, and one reader watched in it. All its calls come from one thread.

    `name`: how pcscd calls the reader, once it is open. `newcomer`: a card that just came and computes; whoever looked
    asks it next, with `ask`.
    """

    def __init__(self, scard: Any, part: str, counts: PcscCounts, feedback: Acr122Feedback) -> None:
        """`scard`: pyscard's module; `feedback`: what an ACR122 is to show."""
        self._scard, self._part, self._counts = scard, part, counts
        self._context: Any = None
        self.name = ""
        self._state = 0
        self._coming: int | None = None
        self._seen: CardRead | None = None
        self._tries_left = 0
        self._newcomers = Newcomers()
        self._met: Met | None = None
        self.newcomer: CardRead | None = None
        self._feedback = feedback
        self._shows = self._escapes = False
        self._quiet = False
        self._quiet_tried: int | None = -1
        self._signal_until_s = 0.0

    def open(self) -> None:
        """Meet pcscd and find the reader. Raises ReaderLost, ReaderRefused."""
        code, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if code != self._scard.SCARD_S_SUCCESS:
            raise ReaderLost(f"pcscd can't be reached: {self._said(code)}")
        self._context = context
        code, names = self._scard.SCardListReaders(context, [])
        if code not in (self._scard.SCARD_S_SUCCESS, self._scard.SCARD_E_NO_READERS_AVAILABLE):
            raise ReaderLost(f"pcscd doesn't tell its readers: {self._said(code)}")
        self.name = choose_reader(names, self._part)
        self._shows = self._escapes = is_acr122(self.name)
        self._standing(*self._scard.SCardGetStatusChange(context, 0, [(self.name, 0)]))
        log.info("pcsc:%s is %r", self._part, self.name)

    def close(self) -> None:
        """Give the context up; libpcsclite closes its descriptor also when pcscd is gone."""
        self._leave()
        context, self._context = self._context, None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    def look(self) -> tuple[CardRead, ...]:
        """Wait for a change, at most LOOK_MS, and read the card that came with it. Raises ReaderGone.

        Before that, show the signal that a person waits for.
        """
        scard = self._scard
        self._leave()
        self._signal()
        wait_ms = LOOK_BRIEF_MS if self._shows and time.monotonic() < self._signal_until_s else LOOK_MS
        code, told = scard.SCardGetStatusChange(self._context, wait_ms, [(self.name, self._state)])
        if code != scard.SCARD_E_TIMEOUT:
            self._follow(self._standing(code, told))
        elif (told[0][1] ^ self._state) & COUNT_MASK:
            # As long as the count is 0 (a card lay there when pcscd started) libpcsclite holds it against nothing, and
            # a card that another took the place of is no change to it. What it tells is right all the same.
            self._follow(told[0][1])
        elif self._tries_left:
            self._tries_left -= 1
            self._read()
        if self._seen is None:
            return ()
        self._newcomers.stayed(time.clock_gettime_ns(time.CLOCK_BOOTTIME), (self._seen.card,))
        return (self._seen,)

    def ask(self, until_s: float) -> CardRead:
        """The newcomer with its ATS and proof, as far as it gave them until then; never raises.

        One command that hangs may last longer: until the reader's driver gives it up, some seconds.
        """
        read, met = self.newcomer, self._met
        assert read is not None and met is not None, "who looked asks the newcomer of that look"

        def transmit(command: bytes) -> bytes:
            if time.monotonic() >= until_s:
                raise TimeoutError("no time is left to ask a card")
            return self._transmit(met, command)

        try:
            kind = type_of(met.atr, read.card, ats_of(met.atr, transmit(GET_ATS)))
            read = replace(read, kind=kind)
            read = replace(read, proof=read_query(transmit))
        except Exception as problem:
            # Whatever it was, the number is known and is told; the next look finds out whether the line has ended.
            log.debug("%s: a card gives no proof: %s", self.name, problem)
        self._seen = CardRead(read.card, kind=read.kind)
        self._leave()
        return read

    def _standing(self, code: int, told: Sequence[tuple[str, int, Sequence[int]]]) -> int:
        """The state that pcscd told of the reader. Raises ReaderGone where it has none, whatever the reason."""
        scard = self._scard
        if code != scard.SCARD_S_SUCCESS:
            raise ReaderGone(f"{self.name}: {self._said(code)}")
        state: int = told[0][1]
        if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE):
            raise ReaderGone(f"{self.name} does not answer pcscd")
        changed: int = scard.SCARD_STATE_CHANGED
        return state & ~changed

    def _follow(self, state: int) -> None:
        """Go along with a change. The upper 16 bits count comings and goings, also those between two looks."""
        before, self._state = self._state, state
        present, count = bool(state & self._scard.SCARD_STATE_PRESENT), state & COUNT_MASK
        if present and count == self._coming:
            # Only somebody else's connection came or went.
            return
        if before:
            was_present = bool(before & self._scard.SCARD_STATE_PRESENT)
            changes = ((count - before) & COUNT_MASK) >> 16
            if changes > was_present + present or (was_present and self._tries_left):
                self._counts.too_short += 1
                log.info("%s: a card was gone before it could be read", self.name)
        self._coming, self._seen, self._tries_left = (count if present else None), None, 0
        if present:
            self._tries_left = TRIES_MAX
            self._read()

    def _read(self) -> None:
        """Ask the card for its UID; one that was pulled out meanwhile, or doesn't answer, is no error here."""
        met = card = None
        try:
            met = self._meet()
            card = card_of(met.atr, self._transmit(met, GET_UID))
        except OSError as problem:
            log.debug("%s: the card doesn't answer: %s", self.name, problem)
            # One that another program has for itself is asked for as long as it lies there.
            self._tries_left += isinstance(problem, Held)
        if isinstance(card, CardUid):
            assert met is not None
            self._tries_left = 0
            self._signal_until_s = time.monotonic() + SIGNAL_S
            self._seen = CardRead(card, kind=type_of(met.atr, card))
            now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            if self._newcomers.came(now_ns, (card,)) and computes(met.atr, card):
                self.newcomer = replace(self._seen, since_mono_ns=now_ns)
                return
        elif card is not None:
            self._counts.foreign += 1
            self._tries_left = 0
            if seldom(self._counts.foreign):
                log.warning("%s: a card is none of ours, number %d: %s", self.name, self._counts.foreign, card)
        elif not self._tries_left:
            self._counts.unread += 1
            if seldom(self._counts.unread):
                log.warning("%s: a card lies there that tells no UID, number %d", self.name, self._counts.unread)
        self._leave()

    def _meet(self) -> Met:
        """Connect with the card that lies there, until `_leave`. Raises OSError where it is gone, or held by others."""
        scard = self._scard
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, handle, protocol = scard.SCardConnect(self._context, self.name, scard.SCARD_SHARE_SHARED, protocols)
        if code != scard.SCARD_S_SUCCESS:
            raise (Held if code == scard.SCARD_E_SHARING_VIOLATION else OSError)(self._said(code))
        header = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        self._met = Met(handle, header, b"")
        # Asked of this connection: the card that was announced may have made room for another.
        code, _, _, _, atr = scard.SCardStatus(handle)
        if code != scard.SCARD_S_SUCCESS:
            raise OSError(self._said(code))
        self._met = replace(self._met, atr=bytes(atr))
        return self._met

    def _leave(self) -> None:
        """End the connection with a card. It is left powered, so that another program finds it as it was."""
        met, self._met, self.newcomer = self._met, None, None
        if met is not None:
            self._scard.SCardDisconnect(met.handle, self._scard.SCARD_LEAVE_CARD)

    def _transmit(self, met: Met, command: bytes) -> bytes:
        """What the card answers; raises OSError where it doesn't."""
        code, answer = self._scard.SCardTransmit(met.handle, met.header, list(command))
        if code != self._scard.SCARD_S_SUCCESS:
            raise OSError(self._said(code))
        return bytes(answer)

    def _signal(self) -> None:
        """Have an ACR122 show what it is to show, and keep its own beep off; never raises: reading goes on."""
        if not self._shows:
            return
        commands = self._feedback.take()
        if not self._quiet and self._quiet_tried != self._coming:
            # Once with each card, until it is done.
            self._quiet_tried = self._coming
            commands = QUIET, *commands
        if not commands:
            return
        try:
            done = self._show(commands)
            self._quiet = self._quiet or (done and commands[0] == QUIET)
        except Exception as problem:
            log.debug("%s: lamp and buzzer can't be switched: %s", self.name, problem)
        self._leave()

    def _show(self, commands: Sequence[bytes]) -> bool:
        """Send commands to the reader itself; whether it took the first. Over the card that lies there, if one does."""
        began_s = time.monotonic()
        if self._coming is not None:
            try:
                met = self._meet()
                if time.monotonic() - began_s > STALE_S:
                    # So long another program's transaction kept us waiting; it would be taken for the next pupil's.
                    return False
                first, *_ = [self._transmit(met, command) for command in commands]
                return first[-2:-1] == b"\x90"
            except OSError:
                # It has just left, or another program has it.
                self._leave()
        return self._escapes and self._escape(commands)

    def _escape(self, commands: Sequence[bytes]) -> bool:
        """The same without a card, where the reader's driver allows it."""
        scard = self._scard
        code, handle, _ = scard.SCardConnect(self._context, self.name, scard.SCARD_SHARE_DIRECT, 0)
        if code != scard.SCARD_S_SUCCESS:
            return False
        self._met = Met(handle, None, b"")
        for command in commands:
            code, _ = scard.SCardControl(handle, scard.SCARD_CTL_CODE(ESCAPE), list(command))
            if code != scard.SCARD_S_SUCCESS:
                self._escapes = False
                log.info("%s: its lamp and buzzer work only while a card lies there: %s", self.name, self._said(code))
                return False
        return True

    def _said(self, code: int) -> str:
        text = "no word"
        with contextlib.suppress(Exception):
            text = str(self._scard.SCardGetErrorMessage(code))
        return f"{text.strip()} (0x{code & 0xFFFFFFFF:08X})"
