"""PC/SC readers, through pcscd and pyscard's plain calls, with a context of our own that is made anew at any fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Final

from edge.ports import CardRead, Caution, ReaderGone, Signal
from edge.readers.acr122 import Acr122Feedback
from edge.readers.aside import Aside, T, Task
from edge.readers.pcscsession import PcscCounts, PcscSession
from protocol.cardforms import PartialPlan
from protocol.errors import ReaderLost, ReaderRefused

POLL_PATIENCE_S: Final = 0.25
"""Within Reader.poll's 300 ms. A look that takes longer goes on, and the next poll waits for the same one."""
OPEN_PATIENCE_S: Final = 1.5
"""With the two closings about it within Reader.open's 3 s."""
HUNG_S: Final = 5.0
"""A single look that takes so long is no slow card any more (CCID drivers give a command 3 s): pcscd hangs."""
CLOSE_PATIENCE_S: Final = 0.5
ASK_S: Final = 0.15
"""For all that a card is asked that came: enough for an NTAG 424 DNA, and a pupil behind doesn't notice it."""

_taken: Final[dict[str, int]] = {}
"""Names of pcscd's readers -> the driver (by its id()) of this process that reads it."""
_taking: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Asking:
    """A newcomer that is being asked for more than its number, until `until_s` of time.monotonic."""

    read: CardRead
    task: Task[CardRead]
    until_s: float


class PcscReader:
    """See ports.Reader. Any PC/SC reader that knows Get Data for the UID; one card at a time, as PC/SC has it.

    libpcsclite waits without a bound for a pcscd that is stopped, starts slowly below systemd's socket, or lets us
    wait for another program's transaction; so its calls stand on a thread aside (docs/decisions/0022-pcsc.md).
    """

    pause_s = 0.0
    moments = False
    partials: tuple[PartialPlan, ...] = ()

    def __init__(self, part: str) -> None:
        """`part` of the reader's name; empty for the only one."""
        self._part = part
        self.counts = PcscCounts()
        self.feedback = Acr122Feedback()
        self._aside: Aside | None = None
        self._session: PcscSession | None = None
        self._look: Task[tuple[CardRead, ...]] | None = None
        self._look_began_s = 0.0
        self._asking: Asking | None = None
        self._reads: tuple[CardRead, ...] = ()

    @property
    def unread(self) -> int:
        """See Reader.unread: cards that tell no UID, are none of ours, or were gone too soon."""
        return self.counts.unread + self.counts.foreign + self.counts.too_short

    def open(self) -> None:
        """See Reader.open."""
        self.close()
        scard = _library()
        if self._aside is not None:
            raise ReaderLost(f"pcsc:{self._part}: pcscd has still not answered what it was asked before")
        session = PcscSession(scard, self._part, self.counts, self.feedback)
        self._aside = Aside(f"pcsc:{self._part}")
        self._session = session
        task = self._aside.do(session.open)
        if not task.wait(OPEN_PATIENCE_S):
            self.close()
            raise ReaderLost(f"pcsc:{self._part}: pcscd does not answer")
        try:
            task.result()
            self._take(session.name)
        except (ReaderLost, ReaderRefused):
            self.close()
            raise
        except Exception as problem:
            self.close()
            raise ReaderLost(f"pcsc:{self._part}: {type(problem).__name__}: {problem}") from problem

    def _take(self, name: str) -> None:
        """PC/SC shares its readers with everybody; two stations of ours would make two taps of one."""
        with _taking:
            if _taken.setdefault(name, id(self)) != id(self):
                raise ReaderRefused(
                    f"pcsc:{self._part}: another station reads {name!r}",
                    hint="Write more of each reader's name into `reader`: pcsc:NAME.",
                )

    def _give_back(self) -> None:
        with _taking:
            for name in [name for name, owner in _taken.items() if owner == id(self)]:
                del _taken[name]

    def poll(self) -> Sequence[CardRead]:
        """See Reader.poll. While pcscd lets us wait, who was there is taken to be there still."""
        if self._session is None or self._aside is None:
            raise ReaderLost("the reader is not open")
        began_s = time.monotonic()
        if self._asking is None:
            if self._look is None:
                self._look_began_s = began_s
                self._look = self._aside.do(self._session.look)
            if not self._look.wait(POLL_PATIENCE_S):
                if time.monotonic() - self._look_began_s > HUNG_S:
                    raise ReaderGone(f"pcsc:{self._part}: pcscd has not answered for {HUNG_S:.0f} s")
                return self._reads
            look, self._look = self._look, None
            self._reads = self._outcome(look)
            newcomer = self._session.newcomer
            if newcomer is None:
                return self._reads
            until_s = time.monotonic() + ASK_S
            self._asking = Asking(newcomer, self._aside.do(partial(self._session.ask, until_s)), until_s)
            self._reads = ()
        return self._asked(self._asking, began_s + POLL_PATIENCE_S)

    def _asked(self, asking: Asking, until_s: float) -> Sequence[CardRead]:
        """What a newcomer told, or in time its number alone. Before, nobody is there: the next poll goes on waiting."""
        if asking.task.wait(max(0.0, min(asking.until_s, until_s) - time.monotonic())):
            read = self._outcome(asking.task)
        elif time.monotonic() < asking.until_s:
            return ()
        else:
            read = asking.read
        self._asking = None
        self._reads = (replace(read, since_mono_ns=None, proof=None),)
        return (read,)

    def _outcome(self, task: Task[T]) -> T:
        """What a call returned that is done; raises ReaderLost."""
        try:
            return task.result()
        except ReaderLost:
            raise
        except Exception as problem:
            # pyscard raises SystemError and UnicodeDecodeError for what it doesn't understand of pcscd.
            raise ReaderGone(f"pcsc:{self._part}: {type(problem).__name__}: {problem}") from problem

    def pattern(self, name: Signal | Caution) -> None:
        """See ports.Feedback. Only an ACR122 shows anything."""
        self.feedback.pattern(name)

    def close(self) -> None:
        """See Reader.close. What still hangs gives its descriptor back when it ends; until then nothing is opened."""
        session, self._session = self._session, None
        self._look, self._asking, self._reads = None, None, ()
        self._give_back()
        if self._aside is None:
            return
        if session is not None:
            self._aside.do(session.close)
        if self._aside.end(CLOSE_PATIENCE_S):
            self._aside = None


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
