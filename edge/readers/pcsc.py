"""PC/SC readers, through pcscd and pyscard's plain calls, with a context of our own that is made anew at any fault."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from edge.ports import CardRead, ReaderGone
from edge.readers.aside import Aside, Task
from edge.readers.pcscwords import GET_UID, card_of, choose_reader
from protocol.cardforms import PartialPlan
from protocol.cards import CardUid
from protocol.errors import ReaderLost, ReaderRefused

LOOK_MS: Final = 100
"""pcscd is asked to tell of a change for so long: the bound of what a stop, or a second try, waits for."""
POLL_PATIENCE_S: Final = 0.25
"""Within Reader.poll's 300 ms. A look that takes longer goes on, and the next poll waits for the same one."""
OPEN_PATIENCE_S: Final = 1.5
"""With the two closings about it within Reader.open's 3 s."""
HUNG_S: Final = 5.0
"""A single look that takes so long is no slow card any more (CCID drivers give a command 3 s): pcscd hangs."""
CLOSE_PATIENCE_S: Final = 0.5
COUNT_MASK: Final = 0xFFFF0000
"""Where pcscd counts a reader's comings and goings of cards in its state (pcsclite.h, SCARD_READERSTATE)."""
TRIES_MAX: Final = 10
"""Looks at which a card that lies there without having told its UID is asked again: about a second."""

log = logging.getLogger("k12edge.pcsc")


@dataclass(slots=True)
class PcscCounts:
    """Cards that came and gave no number, by why; kept over reopenings."""

    unread: int = 0
    foreign: int = 0
    too_short: int = 0


class PcscReader:
    """See ports.Reader. Any PC/SC reader that knows Get Data for the UID; one card at a time, as PC/SC has it.

    libpcsclite waits without a bound for a pcscd that is stopped, starts slowly below systemd's socket, or lets us
    wait for another program's transaction; so its calls stand on a thread aside (docs/decisions/0022-pcsc.md).
    """

    pause_s = 0.0
    partials: tuple[PartialPlan, ...] = ()

    def __init__(self, part: str) -> None:
        """`part` of the reader's name; empty for the only one."""
        self._part = part
        self.counts = PcscCounts()
        self._aside: Aside | None = None
        self._session: PcscSession | None = None
        self._look: Task[tuple[CardRead, ...]] | None = None
        self._look_began_s = 0.0
        self._reads: tuple[CardRead, ...] = ()

    def open(self) -> None:
        """See Reader.open."""
        self.close()
        scard = _library()
        if self._aside is not None:
            raise ReaderLost(f"pcsc:{self._part}: pcscd has still not answered what it was asked before")
        session = PcscSession(scard, self._part, self.counts)
        self._aside = Aside(f"pcsc:{self._part}")
        self._session = session
        task = self._aside.do(session.open)
        if not task.wait(OPEN_PATIENCE_S):
            self.close()
            raise ReaderLost(f"pcsc:{self._part}: pcscd does not answer")
        try:
            task.result()
        except (ReaderLost, ReaderRefused):
            self.close()
            raise
        except Exception as problem:
            self.close()
            raise ReaderLost(f"pcsc:{self._part}: {type(problem).__name__}: {problem}") from problem

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll. While pcscd lets us wait, who was there is taken to be there still."""
        if self._session is None or self._aside is None:
            raise ReaderLost("the reader is not open")
        if self._look is None:
            self._look_began_s = time.monotonic()
            self._look = self._aside.do(self._session.look)
        if not self._look.wait(POLL_PATIENCE_S):
            if time.monotonic() - self._look_began_s > HUNG_S:
                raise ReaderGone(f"pcsc:{self._part}: pcscd has not answered for {HUNG_S:.0f} s")
            return self._reads
        look, self._look = self._look, None
        try:
            self._reads = look.result()
        except ReaderLost:
            raise
        except Exception as problem:
            # pyscard raises SystemError and UnicodeDecodeError for what it doesn't understand of pcscd.
            raise ReaderGone(f"pcsc:{self._part}: {type(problem).__name__}: {problem}") from problem
        return self._reads

    def close(self) -> None:
        """See Reader.close. What still hangs gives its descriptor back when it ends; until then nothing is opened."""
        session, self._session = self._session, None
        self._look, self._reads = None, ()
        if self._aside is None:
            return
        if session is not None:
            self._aside.do(session.close)
        if self._aside.end(CLOSE_PATIENCE_S):
            self._aside = None


class PcscSession:
    """One context with pcscd, and one reader watched in it. All its calls come from one thread."""

    def __init__(self, scard: Any, part: str, counts: PcscCounts) -> None:
        """`scard`: pyscard's module."""
        self._scard, self._part, self._counts = scard, part, counts
        self._context: Any = None
        self._name = ""
        self._state = 0
        self._coming: int | None = None
        self._card: CardUid | None = None
        self._tries_left = 0

    def open(self) -> None:
        """Meet pcscd and find the reader. Raises ReaderLost, ReaderRefused."""
        code, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if code != self._scard.SCARD_S_SUCCESS:
            raise ReaderLost(f"pcscd can't be reached: {self._said(code)}")
        self._context = context
        code, names = self._scard.SCardListReaders(context, [])
        if code not in (self._scard.SCARD_S_SUCCESS, self._scard.SCARD_E_NO_READERS_AVAILABLE):
            raise ReaderLost(f"pcscd doesn't tell its readers: {self._said(code)}")
        self._name = choose_reader(names, self._part)
        self._standing(*self._scard.SCardGetStatusChange(context, 0, [(self._name, 0)]))
        log.info("pcsc:%s is %r", self._part, self._name)

    def close(self) -> None:
        """Give the context up; libpcsclite closes its descriptor also when pcscd is gone."""
        context, self._context = self._context, None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    def look(self) -> tuple[CardRead, ...]:
        """Wait for a change, at most LOOK_MS, and read the card that came with it. Raises ReaderGone."""
        scard = self._scard
        code, told = scard.SCardGetStatusChange(self._context, LOOK_MS, [(self._name, self._state)])
        if code != scard.SCARD_E_TIMEOUT:
            self._follow(self._standing(code, told))
        elif (told[0][1] ^ self._state) & COUNT_MASK:
            # As long as the count is 0 (a card lay there when pcscd started) libpcsclite holds it against nothing, and
            # a card that another took the place of is no change to it. What it tells is right all the same.
            self._follow(told[0][1])
        elif self._tries_left:
            self._tries_left -= 1
            self._read()
        return () if self._card is None else (CardRead(self._card),)

    def _standing(self, code: int, told: Sequence[tuple[str, int, Sequence[int]]]) -> int:
        """The state that pcscd told of the reader. Raises ReaderGone where it has none, whatever the reason."""
        scard = self._scard
        if code != scard.SCARD_S_SUCCESS:
            raise ReaderGone(f"{self._name}: {self._said(code)}")
        state: int = told[0][1]
        if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE):
            raise ReaderGone(f"{self._name} does not answer pcscd")
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
                log.info("%s: a card was gone before it could be read", self._name)
        self._coming, self._card, self._tries_left = (count if present else None), None, 0
        if present:
            self._tries_left = TRIES_MAX
            self._read()

    def _read(self) -> None:
        """Ask the card for its UID; one that was pulled out meanwhile, or doesn't answer, is no error here."""
        told = self._exchange()
        card = None if told is None else card_of(*told)
        if isinstance(card, CardUid):
            self._card, self._tries_left = card, 0
        elif card is not None:
            self._counts.foreign += 1
            self._tries_left = 0
            log.warning("%s: a card is none of ours: %s", self._name, card)
        elif not self._tries_left:
            self._counts.unread += 1
            log.warning("%s: a card lies there that tells no UID", self._name)

    def _exchange(self) -> tuple[bytes, bytes] | None:
        """The ATR of the card that lies there and its answer; None where it is gone, silent, or held by others."""
        scard = self._scard
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, card, protocol = scard.SCardConnect(self._context, self._name, scard.SCARD_SHARE_SHARED, protocols)
        if code != scard.SCARD_S_SUCCESS:
            log.debug("%s: the card can't be met: %s", self._name, self._said(code))
            if code == scard.SCARD_E_SHARING_VIOLATION:
                # Another program has it for itself; it is asked for as long as it lies there.
                self._tries_left += 1
            return None
        try:
            header = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
            # Asked of this connection: the card that was announced may have made room for another.
            code, _, _, _, atr = scard.SCardStatus(card)
            if code == scard.SCARD_S_SUCCESS:
                code, answer = scard.SCardTransmit(card, header, list(GET_UID))
        finally:
            # Left powered, so that another program finds the card as it was.
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
        if code != scard.SCARD_S_SUCCESS:
            log.debug("%s: the card doesn't answer: %s", self._name, self._said(code))
            return None
        return bytes(atr), bytes(answer)

    def _said(self, code: int) -> str:
        text = "no word"
        with contextlib.suppress(Exception):
            text = str(self._scard.SCardGetErrorMessage(code))
        return f"{text.strip()} (0x{code & 0xFFFFFFFF:08X})"


def _library() -> ModuleType:
    try:
        from smartcard import scard
    except ImportError as problem:
        raise ReaderRefused(
            f"PC/SC readers need pyscard ({problem}): pip install 'k12edge[pcsc]'",
            hint="Run pip install 'k12edge[pcsc]', and install pcscd.",
        ) from problem
    module: ModuleType = scard
    return module
