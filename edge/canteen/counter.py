"""The counter: what the screens of a gateway's canteen stations see and ask. See canteen.ports.Counter and Hears."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, get_args

import nacl.exceptions
import nacl.pwhash

from edge.canteen.census import NO_MEAL, MealKey
from edge.canteen.finding import Finder
from edge.canteen.hatch import Hatch
from edge.canteen.ports import ClassTally, CounterView, Done, Neighbours
from edge.canteen.servings import Serving
from edge.canteen.sheetstore import SheetStore
from edge.canteen.shifts import Shifts
from edge.canteen.sittings import made_ms
from edge.ports import Came, HandSeen, Warning_
from protocol.countersheet import Eater
from protocol.envelope import clock_data, unix_ms_of
from protocol.errors import BadMessage, K12EdgeError
from protocol.meals import ByHand, Face
from protocol.records import MealRated, TapCorrection
from protocol.served import Told
from protocol.taps import TapData, TapId, parse_tap_id

if TYPE_CHECKING:
    import msgspec

    from edge.backlog import Backlog
    from edge.journal import SqliteJournal
    from edge.lane import Lane
    from edge.ports import Clock
    from protocol.roster import Release

ANSWER_S: Final = 20.0
"""How long a press waits for its turn; a failing card's fsync takes 5 s. It may be written later all the same."""
PINS_MAX: Final = 32
"""PINs that one attempt is held against; each costs some 50 ms of a core."""
PIN_CHARACTERS_MAX: Final = 64
CorrectionWord = Literal["undone", "done", "second", "repeat"]
NOBODY: Final = "-"
"""Who is named where nobody has taken the shift."""


class GatewayCounter:
    """See the room. Nothing here but `heard` and what `hatch` does runs on a lane."""

    def __init__(
        self,
        hatch: Hatch,
        store: SheetStore,
        shifts: Shifts,
        journal: SqliteJournal,
        clock: Clock,
        *,
        source: str,
        roster: Callable[[], Release | None],
        readers: Callable[[], Mapping[str, str]],
        urgent: Callable[[], None],
    ) -> None:
        """`source`: of our records; `readers`: station -> `ready` or a code; `urgent`: send at once."""
        self.hatch, self.store, self._shifts = hatch, store, shifts
        self._journal, self._clock, self._source = journal, clock, source
        self._roster, self._readers, self._urgent = roster, readers, urgent
        self._lanes: dict[str, Lane] = {}
        self._backlog: Backlog | None = None
        self._correcting, self._logging_in, self._indexing = threading.Lock(), threading.Lock(), threading.Lock()
        self._finder: tuple[object, object, Finder] | None = None
        self._seen: dict[str, object] = {}
        if store.current is not None:
            hatch.lay(store.current)

    def open(self, lanes: Sequence[Lane], backlog: Backlog) -> None:
        """Take what was made after us: the lanes of our stations, and the delivery's backlog."""
        self._lanes = {lane.station.plan.name: lane for lane in lanes if lane.station.plan.kind == "canteen"}
        for name, lane in self._lanes.items():
            self.hatch.place(name, lane.station.forget)
        self._backlog = backlog

    # --- what screens see -----------------------------------------------------------------------------------------

    def stations(self) -> Sequence[str]:
        """See Counter.stations."""
        return self.hatch.stations()

    def view(self, station: str) -> CounterView:
        """See Counter.view."""
        clock = self._clock.read()
        here = self.hatch.look(station, clock)
        sheet, release = self.hatch.sheet, self._roster()
        standing = None if self._backlog is None else self._backlog.now
        sure, holder = clock.err_ms is not None, self._shifts.holder(station)

        def age_s(since_ms: int | None) -> int | None:
            return None if not since_ms or not sure else max(0, clock.best_ms - since_ms) // 1000

        return CounterView(
            station=station,
            now_mono_ms=clock.mono_ms,
            sitting=here.sitting,
            closed=here.closed,
            shown=here.shown,
            tally=here.tally,
            recent=here.recent,
            waiting=here.waiting,
            sheet_day=None if sheet is None else sheet.day,
            sheet_age_s=age_s(made_ms(sheet)),
            roster=None if release is None else release.release,
            roster_age_s=age_s(_released_ms(release)),
            link=standing is not None and standing.link,
            unsent=0 if standing is None else standing.unsent,
            oldest_age_s=None if standing is None else age_s(standing.oldest_ms),
            reader=self._readers().get(station, "ready"),
            sure=sure,
            failing=self.hatch.failing(),
            shift_by=holder,
            needs_login=holder is None and self._has_staff(),
            shift_name="" if sheet is None or holder is None else sheet.staff.get(holder, ""),
            pins=sheet is not None and bool(sheet.pins),
        )

    def classes(self, station: str) -> Sequence[ClassTally]:
        """See Counter.classes."""
        return self.hatch.classes(station, self._clock.read())

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """See Counter.listen."""
        return self.hatch.listen(heard)

    def find(self, words: str, limit: int = 8) -> Sequence[Eater]:
        """See Counter.find."""
        finder = self._index()
        key = self._meal(self.stations()[0])
        return finder.find(words, limit, lambda eater: self.hatch.expects(key, eater.student))

    def _index(self) -> Finder:
        """Of the sheet's pupils, and of those whom only the roster knows: somebody may have come today."""
        sheet, census, release = self.hatch.sheet, self.hatch.census, self._roster()
        with self._indexing:
            if self._finder is None or self._finder[0] is not census or self._finder[1] is not release:
                rows = (
                    {} if release is None else {row[0]: Eater(row[0], row[1], row[2]) for row in release.cards.values()}
                )
                rows |= {} if sheet is None else {eater.student: eater for eater in sheet.eaters}
                self._finder = census, release, Finder(rows.values())
            return self._finder[2]

    def _meal(self, station: str) -> MealKey:
        sitting = self.hatch.sitting(station, self._clock.read())
        return NO_MEAL if sitting is None else (sitting.day, sitting.meal)

    # --- serving by hand ------------------------------------------------------------------------------------------

    def serve_name(self, station: str, student: str, by: str, of: str | None = None) -> Done:
        """See Counter.serve_name."""
        if not self._index().knows(student):
            return Done("pupil-unknown")
        return self._ask(station, ByHand("name", _by(by), self._referred(station, of)), student, student)

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        """See Counter.serve_stranger."""
        of = self._referred(station, of)
        # Without a card each is somebody else; the press's own name keeps them apart.
        whom = of or f"stranger:{station}:{self._clock.mono_ns()}"
        return self._ask(station, ByHand("stranger", _by(by), of), whom, None)

    def _referred(self, station: str, of: str | None) -> str | None:
        """The waiting card's newest record; whatever else that was, somebody stands there and eats."""
        return None if of is None or parse_tap_id(of) is None else self.hatch.newest(station, of)

    def _ask(self, station: str, hand: ByHand, whom: str, student: str | None) -> Done:
        """Send it through the lane, and wait for what comes of it."""
        lane = self._lanes[station]
        answered, given_up, answer = threading.Event(), threading.Event(), list[Done]()

        def hear(code: str | None, tap: str | None, came: Came) -> None:
            answer.append(Done(code, tap, came=came))
            answered.set()
            if given_up.is_set():
                self.hatch.changed(station)

        lane.put(HandSeen(hand, whom, student, self._clock.mono_ns(), hear))
        if answered.wait(ANSWER_S):
            return answer[0]
        given_up.set()
        return Done("slow-storage", later=lambda: answer[0] if answer else None)

    # --- corrections ----------------------------------------------------------------------------------------------

    def undo(self, tap: str, by: str) -> Done:
        """See Counter.undo."""
        with self._correcting:
            serving = self.hatch.serving(tap)
            if serving is None:
                return Done("serving-unknown")
            if serving.undone or (serving.same and serving.again):
                return Done()
            return self._correct(serving, "undone", by)

    def redo(self, tap: str, by: str) -> Done:
        """See Counter.redo."""
        with self._correcting:
            serving = self.hatch.serving(tap)
            if serving is None:
                return Done("serving-unknown")
            if not serving.undone:
                return Done()
            return self._correct(serving, "done", by)

    def flip(self, tap: str, by: str) -> Done:
        """See Counter.flip. A first helping is nobody's second, and stays one; so is what stands for one taken back."""
        with self._correcting:
            serving = self.hatch.serving(tap)
            if serving is None:
                return Done("serving-unknown")
            if serving.same and not (serving.stands or serving.undone):
                return self._correct(serving, "second", by)
            if serving.undone or self.hatch.nth(serving) < 2:
                return Done("no-second")
            return self._correct(serving, "repeat", by)

    def _correct(self, serving: Serving, why: CorrectionWord, by: str) -> Done:
        """Write it down, and only then have it count."""
        if self._has_staff() and self._shifts.holder(serving.station) is None:
            return Done("shift-needed")
        word = TapCorrection(
            serving.tap,
            self._source,
            serving.student,
            serving.student,
            serving.card,
            why,
            "",
            _by(by),
            clock_data(self._clock.read()),
        )
        done = self._written("meal.correction", word)
        if done.code is None:
            self.hatch.correct(serving, why)
        return done

    def rate(self, station: str, face: Face) -> Done:
        """See Counter.rate. Outside of every meal there is nothing to rate."""
        clock = self._clock.read()
        sitting = self.hatch.sitting(station, clock)
        if sitting is None or face not in get_args(Face):
            return Done("no-meal")
        return self._written("meal.rated", MealRated(station, sitting.day, sitting.meal, face, clock_data(clock)))

    def _written(self, kind: str, data: msgspec.Struct) -> Done:
        try:
            tap = self._journal.note(kind, data)
        except K12EdgeError as problem:
            self.hatch.failed(problem.code)
            return Done(problem.code)
        self._urgent()
        return Done(None, str(tap))

    # --- shifts ---------------------------------------------------------------------------------------------------

    def _has_staff(self) -> bool:
        sheet = self.hatch.sheet
        return sheet is not None and bool(sheet.pins or sheet.cards)

    def log_in(self, station: str, pin: str) -> Done:
        """See Counter.log_in. One PIN is looked at at a time, whatever several fingers or pages ask."""
        with self._logging_in:
            sheet, now_ms = self.hatch.sheet, self._clock.mono_ns() // 1_000_000
            if sheet is None or not sheet.pins:
                return Done("pin-wrong" if self._has_staff() else None)
            wait_ms = self._shifts.wait_ms(station, now_ms)
            if wait_ms > 0:
                return Done("pin-wait", wait_s=-(-wait_ms // 1000))
            self._shifts.trying(station, now_ms)
            who = next((who for who, hashed in list(sheet.pins.items())[:PINS_MAX] if _is_pin(hashed, pin)), None)
            if who is None:
                return Done("pin-wrong", wait_s=-(-self._shifts.wait_ms(station, now_ms) // 1000))
            self._shifts.right(station)
            self.take_shift(station, who)
            self._shifts.save()
        self.hatch.changed(station)
        return Done()

    def log_out(self, station: str) -> Done:
        """See Counter.log_out."""
        self._shifts.end(station)
        self._shifts.save()
        self.hatch.changed(station)
        return Done()

    def take_shift(self, station: str, who: str) -> None:
        """It is `who`'s from now on; written down at the next look, since a lane may call."""
        self._shifts.begin(station, who, self._clock.mono_ns() // 1_000_000, self._meal(station))

    def _dismissed(self, station: str) -> bool:
        """End the shift of somebody whom the sheet no longer lets have one; True where it ended."""
        sheet, holder = self.hatch.sheet, self._shifts.holder(station)
        if sheet is None or holder is None or holder in sheet.pins or holder in sheet.cards.values():
            return False
        return self._shifts.end(station, holder)

    # --- told by the gateway --------------------------------------------------------------------------------------

    def hear_sheet(self, payload: bytes) -> bool:
        """A sheet came from the hub; on the delivery's thread. Raises BadMessage, OSError: the old one stays."""
        if not self.store.take(payload):
            return False
        assert self.store.current is not None
        self.hatch.lay(self.store.current)
        for station in self.stations():
            if self._dismissed(station):
                self.hatch.changed(station)
        self._shifts.save()
        return True

    def join(self, neighbours: Neighbours) -> None:
        """Take the exchange with other counters; today's servings are told to it."""
        self.hatch.join(neighbours, self._clock.read())

    def heard(self, device: str, told: Sequence[Told]) -> None:
        """See Hears.heard."""
        self.hatch.heard(device, told, self._clock.read())

    def keys(self) -> dict[str, str]:
        """See Hears.keys."""
        return self.hatch.others.keys

    def warned(self, warning: Warning_) -> None:
        """A signal that promises nothing was given."""
        self.hatch.warned(warning, self._clock.mono_ns() // 1_000_000)

    def recall(self, tap: TapId, data: TapData, at_ms: int, *, late: bool) -> None:
        """Bring back a record from before a restart; `at_ms` on this boot's line. See Hatch.recall."""
        self.hatch.recall(str(tap), data, at_ms, late=late)

    def recall_word(self, tap: str, why: str, *, late: bool) -> None:
        """Bring back a correction from before a restart. See Hatch.recall_word."""
        self.hatch.recall_word(tap, why, late=late)

    def tend(self) -> None:
        """Every few seconds, on no lane: end shifts, write them down, tell of what changes by itself."""
        clock = self._clock.read()
        self.hatch.others.is_alone(clock.mono_ms)
        for station in self.stations():
            sitting = self.hatch.sitting(station, clock)
            key = NO_MEAL if sitting is None else (sitting.day, sitting.meal)
            ended = self._shifts.look(station, clock.mono_ms, key) or self._dismissed(station)
            link = self._backlog is not None and self._backlog.now.link
            release = self._roster()
            seen = (
                sitting,
                link,
                self._readers().get(station),
                clock.err_ms is None,
                self.hatch.failing(),
                self.hatch.others.unheard(),
                None if release is None else release.release,
            )
            if ended or seen != self._seen.get(station):
                self._seen[station] = seen
                self.hatch.changed(station)
        self._shifts.save()

    def close(self) -> None:
        """Write down whose shifts they are."""
        self._shifts.save()


def _by(by: str) -> str:
    return by.strip()[:64] or NOBODY


def _is_pin(hashed: str, pin: str) -> bool:
    """Whether an argon2id hash (RFC 9106) is that of a PIN; the library lets other threads run meanwhile."""
    try:
        return nacl.pwhash.verify(hashed.encode(), pin[:PIN_CHARACTERS_MAX].encode())
    except (nacl.exceptions.CryptoError, ValueError, TypeError):
        return False


def _released_ms(release: Release | None) -> int | None:
    """When a release was made, by its name `r-20261122T180011Z-8812`; None where it has another."""
    try:
        t = "" if release is None else release.release.split("-")[1]
        return unix_ms_of(f"{t[:4]}-{t[4:6]}-{t[6:11]}:{t[11:13]}:{t[13:]}")
    except (BadMessage, IndexError):
        return None
