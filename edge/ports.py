"""The doors of the gateway on one page: what each outer part promises to the core, and what it must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from protocol.cards import CardUid
from protocol.errors import ReaderLost
from protocol.meals import ByHand, MealTap
from protocol.taps import ClockReading, TapData, TapId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Struct

    from protocol.cardforms import PartialPlan
    from protocol.taps import Draft, JsonObject

Signal = Literal["accepted", "repeated", "refused"]
Caution = Literal["wait", "alarm"]


@dataclass(frozen=True, slots=True)
class CardRead:
    """What a driver read in one look: the card's number, and what else is worth keeping of it.

    `text`: what the reader printed, and `plan`: how it was declared to print (see protocol.cardforms), where the number
    was made from a text. `since_mono_ns`: CLOCK_BOOTTIME in ns when the reader first said so, where it was asked to say
    it twice before it was believed, or for more before it was told. `kind`: what the card says of its type, such as
    `sak=20,ats=067577810280`, at most taps.TYPE_CHARACTERS_MAX; no secret. `proof`: the query of its SUN address as it
    was read, at most rawread.PROOF_CHARACTERS_MAX, once for each time that the card comes; for the hub alone.
    """

    card: CardUid
    text: str | None = None
    plan: str | None = None
    since_mono_ns: int | None = None
    kind: str | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A card that came into a reader's field: the number, CLOCK_BOOTTIME in ns when it was first seen, the read.

    `listed`: of a part of a number, the text under which releases list it for this reader (PartialPlan.listed).
    """

    card: CardUid
    seen_mono_ns: int
    read: CardRead | None = None
    listed: str | None = None


Came = Literal["served", "repeated", "pressed"]
"""What a serving by hand came to: a tray; the same tray as one before, written and not counted; or nothing was written,
since a press before it, or the card's own answer, is this one's."""


@dataclass(frozen=True, slots=True)
class HandSeen:
    """A sighting by hand: a person at a counter asks for a serving, which takes its turn like a card.

    `whom`: what stands for a card (CardKey.keyed_hand): the pupil's key, or a name of its own for a `stranger`.
    `student`: the pupil, None for a stranger. `seen_mono_ns`: CLOCK_BOOTTIME when it was asked. `answered(code, tap,
    came)` is called once, from any thread, and must not block: with the record's id and what it came to, or the code of
    why there is none.
    """

    hand: ByHand
    whom: str
    student: str | None
    seen_mono_ns: int
    answered: Callable[[str | None, str | None, Came], None]


@dataclass(frozen=True, slots=True)
class Plate:
    """What a counter believes before it writes a serving: `meal`, None outside of all; `again`: the same tray."""

    meal: MealTap | None
    again: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """A card seen at a station, not judged: where, which number, and the clock at first sight."""

    station: str
    card: CardUid
    clock: ClockReading


@dataclass(frozen=True, slots=True)
class Recorded:
    """Proof that a record is on the disk. Only Journal.append makes one; Signals.show asks for it."""

    tap: TapId
    station: str
    card: str
    signal: Signal


@dataclass(frozen=True, slots=True)
class Warning_:
    """Something a person should notice that promises nothing: `wait` or `alarm`, with the error's code."""

    caution: Caution
    station: str | None
    card: str | None
    code: str


class ReaderGone(ReaderLost):
    """The reader's line itself has ended (unplugged): looking again before reopening is no use."""


class Ending(Protocol):
    """How a process is asked to end. See k12edge/ending.py for why it is no threading.Event."""

    asked: bool

    def poke(self) -> None:
        """Let `wait` return; from any thread."""

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when an end is asked for, at a `poke`, or after `timeout_s`."""


class Clock(Protocol):
    """The only way to the time. CLOCK_BOOTTIME counts through sleep and never steps."""

    def read(self) -> ClockReading:
        """The clock now, with its provenance and error bound; never raises, never blocks."""

    def reading_at(self, mono_ns: int) -> ClockReading:
        """The reading that `read` would have given when CLOCK_BOOTTIME was `mono_ns` (of this boot)."""

    def mono_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""


class Reader(Protocol):
    """One card reader on one thread. Implementers import no other driver, never beep, never touch storage.

    A driver's life: `open` (raise ReaderLost when it may work later, ReaderRefused when it never will) -> `poll`
    again and again -> `close`. Any exception but these two that escapes a driver is treated as ReaderLost.

    `pause_s`: seconds that its keeper lets pass between two looks; 0 where `poll` itself waits for the reader to speak.
    `moments`: it tells of a card once, when it comes, and nothing of how long it stays.
    `partials`: the parts of numbers that it may hand over (cardforms.PartialPlan); the hub tells whose they are.
    `unread`: how often since the start something came that gave no number; counts up, also over reopenings.
    """

    @property
    def pause_s(self) -> float:
        """See the class."""

    @property
    def moments(self) -> bool:
        """See the class."""

    @property
    def partials(self) -> tuple[PartialPlan, ...]:
        """See the class."""

    @property
    def unread(self) -> int:
        """See the class."""

    def open(self) -> None:
        """Take the device exclusively and make it ready; at most 3 s. Raises ReaderLost, ReaderRefused."""

    def poll(self) -> Sequence[CardRead]:
        """Every card in the field now, possibly none; at most 300 ms. Raises ReaderLost, ReaderGone.

        One look that fails is met by looking again, several in a row by reopening.
        """

    def close(self) -> None:
        """Give up every descriptor; never raises, may be called twice."""


class Journal(Protocol):
    """The gateway's append-only book. See edge/journal.py for the trick."""

    def append(
        self, draft: Draft, station: str, card: str, signal: Signal, show: Callable[[Recorded], None] | None = None
    ) -> Recorded:
        """Commit one record with fsync, `show` it, and return its name for life.

        Threads may call at once; those that come while a commit runs share the next one, and whoever made it shows
        them all. When `show` is called, and when this returns, the record survives a power cut. When it raises
        (JournalFull, JournalFailed) nothing of the draft is stored, and nothing is shown. `show` must not raise.
        """

    def note(self, kind: str, data: JsonObject | Struct) -> TapId:
        """Commit a record that stands for no signal (an anchor, an alarm, a head)."""


class Meals(Protocol):
    """What a canteen's station asks and tells about meals. See edge/canteen/hatch.py.

    Called on the lane's thread between two signals: nothing here waits for a disk, a network or a screen, and nothing
    takes longer on a day with many servings. Nothing here can refuse food: there is no such answer.
    """

    def takes_shift(self, station: str, cards: Sequence[str]) -> bool:
        """Whether one of these keyed ids is a staff card, whose holder has the shift from now on: it is no serving.

        Asked only of cards of which the roster says nothing.
        """

    def pressed(self, station: str, asked: HandSeen) -> str | None:
        """The record that answers this press already: of the press just before, or of the card it is to answer."""

    def judge(
        self, station: str, student: str | None, card: str, clock: ClockReading, window_ms: int, of: str | None = None
    ) -> Plate:
        """What a touch that may be accepted is: which meal, which helping, or the same tray again.

        `of`: the record of the card that a stranger showed, by which they are judged.
        """

    def noted(self, tap: TapId, data: TapData, asked: HandSeen | None) -> None:
        """A record of this station is on the disk, and was signalled."""

    def failed(self, code: str) -> None:
        """A record could not be written."""


class Signals(Protocol):
    """Light, beep and screen. An implementation never raises and never blocks longer than one write."""

    def show(self, recorded: Recorded) -> None:
        """Tell the person that the tap is recorded."""

    def warn(self, warning: Warning_) -> None:
        """Tell that something is wrong or slow; promises nothing."""


@runtime_checkable
class Feedback(Protocol):
    """A lamp and a buzzer that play patterns: on a gateway's pins, or a reader's own, which its driver then offers.

    An implementation takes the pattern down and returns; its own thread plays it, and a newer one cuts it off. A driver
    that offers this is told of its own station's signals, from any thread, also while it is lost or closed.
    """

    def pattern(self, name: Literal["accepted", "repeated", "refused", "wait", "alarm"]) -> None:
        """Play the pattern of a signal (edge/patterns.py); never raises, never blocks."""


class Link(Protocol):
    """The wire to the hub; bytes in, bytes out. QoS 1, clean session, resubscribed at each connect."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand over one message; False when there is no connection or the window is full. Promises nothing."""

    def start(self, on_message: Callable[[str, bytes, bool], None], on_state: Callable[[bool], None]) -> None:
        """Connect and stay connected; `on_message(topic, payload, retained)`, `on_state(connected)`."""

    def stop(self) -> None:
        """Disconnect cleanly; at most 1 s."""
