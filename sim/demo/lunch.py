"""The demonstration's lunch: two shifts at four counters, second helpings, no hub for a while, a counter alone."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.attendance.schoolday import VIETNAM
from protocol.errors import NeedsHands
from protocol.names import folded
from sim.demo.canteen import BOXES, Canteen
from sim.demo.chain import COUNTERS
from sim.demo.crowds import Crowds, Lines
from sim.demo.kitchen import ALERT, Kitchen, shift_of
from sim.demo.screens import UNDO
from sim.demo.teller import Teller
from sim.parts import until
from sim.school import Pupil

SECONDS_EACH: Final = 2
"""Pupils of each counter's line who help themselves again at the next one."""
ALONE: Final = 3
"""Index of the counter that nobody reaches for a while."""
STRANGER: Final = Pupil("", "", "", bytes.fromhex("04F00DF00DF00D"))
"""A card of no pupil of the school."""
SERVE: Final = re.compile(r'data-press="(serve:[0-9a-f]{16}\.[0-9]+)"')


@dataclass(frozen=True, slots=True)
class Again:
    """A tray that a counter must have recorded so: of whom, at which gateway, as which helping, and alone or not."""

    pupil: str
    box: str
    nth: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Kills:
    """What strikes during a lunch; all of them empty where nothing is killed."""

    hub: Callable[[], None]
    city: Callable[[], None]
    counter: Callable[[], None]


class Lunch:
    """See the room. `handed`: pupil -> trays that were handed out; `expected`: how some must be recorded."""

    def __init__(self, canteen: Canteen, kitchen: Kitchen, crowds: Crowds, teller: Teller) -> None:
        """Nobody has come yet."""
        self._canteen, self._kitchen, self._crowds, self._teller = canteen, kitchen, crowds, teller
        eaters = kitchen.eaters()
        self._shifts = [[pupil for pupil in eaters if shift_of(pupil) == number] for number in (1, 2)]
        self.handed: Counter[str] = Counter(pupil.key for pupil in eaters)
        self.expected: list[Again] = []
        self.undone: Pupil = self._shifts[1][0]
        """Whom somebody served by mistake, before they came."""
        self.unsettled = 0

    def accepted(self) -> Counter[str]:
        """Pupil -> how many records of them were accepted, also the one that was taken back."""
        return self.handed + Counter([self.undone.key])

    # --- the first shift ----------------------------------------------------------------------------------------------

    def first(self, kills: Kills | None) -> None:
        """The first shift; the hub and its broker die in the middle, and stay away while lunch goes on."""
        allergic, forgot = self._kitchen.allergic, self._forgetful()
        lines = self._crowds.lines(COUNTERS, (one for one in self._shifts[0] if one not in (allergic, forgot)))
        self._crowds.run(lines, [] if kills is None else [(0.4, kills.hub)])
        self._canteen.await_hearing(COUNTERS)
        self._seconds(lines)
        self._allergy(allergic)
        self._by_name(forgot)
        self._mistake(self.undone)
        self._stranger()
        if kills is not None and self._canteen.status() is not None:
            raise NeedsHands("the hub was to be gone, and answers")

    def _forgetful(self) -> Pupil:
        """Somebody of the first shift who left the card at home."""
        return next(one for one in reversed(self._shifts[0]) if one != self._kitchen.allergic)

    def _seconds(self, lines: Lines) -> None:
        """Some go to the next counter for more; it knows, hub or not."""
        again: dict[str, Sequence[Pupil]] = {}
        for at, counter in enumerate(COUNTERS):
            further = (at + 1) % len(COUNTERS)
            again[COUNTERS[further]] = chosen = lines[counter][:SECONDS_EACH]
            self.expected += [Again(pupil.key, BOXES[further], 2, alone=False) for pupil in chosen]
            self.handed.update(pupil.key for pupil in chosen)
        self._crowds.run(again)
        count = sum(map(len, again.values()))
        self._teller.say(
            f"   {count} em ăn thêm ở quầy khác, quầy biết ngay / second helpings at other counters, known"
        )

    def _allergy(self, pupil: Pupil) -> None:
        """What a child must not eat stands before staff, and nowhere else."""
        screens = self._canteen.screens[COUNTERS[1]]
        self._crowds.run({COUNTERS[1]: [pupil]})
        until(lambda: ALERT in screens.page("staff"), f"staff doesn't see {ALERT!r}")
        if ALERT in screens.page("pupil"):
            raise NeedsHands(f"{ALERT!r} stands on the pupils' page")
        self._teller.say("   Dị ứng: chỉ màn hình của cô thấy / an allergy: on the staff's screen alone")

    def _by_name(self, pupil: Pupil) -> None:
        """Serve a pupil without a card, by the screen's search."""
        self._served(COUNTERS[2], pupil)
        self._teller.say("   1 em quên thẻ, lấy suất theo tên / a forgotten card, served by name")

    def _served(self, counter: str, pupil: Pupil) -> str:
        typed = folded(f"{pupil.name.split(maxsplit=1)[1]} {pupil.school_class}")
        return self._canteen.screens[counter].press("*", "Escape", "1", *typed, "Enter", f"name:{pupil.key}")

    def _mistake(self, pupil: Pupil) -> None:
        """Serve somebody who isn't there, and take it back; they eat later as if nothing had been."""
        screens = self._canteen.screens[COUNTERS[0]]
        found = UNDO.search(self._served(COUNTERS[0], pupil))
        if found is None:
            raise NeedsHands("a serving by name can't be taken back on the screen")
        screens.press(f"undo:{found[1]}")
        self._teller.say("   1 lượt bấm nhầm, đã hoàn tác / a slip of the hand, taken back")

    def _stranger(self) -> None:
        """A card that nobody knows is referred to staff, who serve it with one touch."""
        screens = self._canteen.screens[COUNTERS[3]]
        self._crowds.run({COUNTERS[3]: [STRANGER]})
        until(lambda: SERVE.search(screens.page("staff")) is not None, "no card waits for staff")
        waiting = SERVE.search(screens.page("staff"))
        assert waiting is not None
        screens.press(waiting[1])
        self._teller.say("   1 thẻ lạ, cô bấm một chạm / a card nobody knows, served with one touch")

    # --- the second shift ---------------------------------------------------------------------------------------------

    def await_second(self, border: datetime) -> None:
        """Until the second shift's hour has come."""
        wait_s = (border - datetime.now(VIETNAM)).total_seconds()
        if wait_s > 0:
            time.sleep(wait_s)

    def second(self, kills: Kills | None) -> None:
        """The second shift; one counter hears nobody, and nobody hears it, until all have eaten."""
        apart = kills is not None
        if apart:
            self._canteen.isolate(BOXES[ALONE])
            self._canteen.await_hearing(COUNTERS[:ALONE], (BOXES[ALONE],))
            self._teller.say(f"   {BOXES[ALONE]} đứng một mình / alone: không mạng, không quầy khác / no network")
        lines = self._crowds.lines(COUNTERS, self._shifts[1])
        self._crowds.run(lines, [] if kills is None else [(0.3, kills.city), (0.6, kills.counter)])
        if apart:
            self._unknown(lines)
            self._canteen.rejoin(BOXES[ALONE])
        self._canteen.await_hearing(COUNTERS)

    def _unknown(self, lines: Lines) -> None:
        """Who ate elsewhere is a first one there, marked as perhaps a second; and the other way round."""
        there = lines[COUNTERS[0]][:SECONDS_EACH]
        back = lines[COUNTERS[ALONE]][:SECONDS_EACH]
        self._crowds.run({COUNTERS[ALONE]: there, COUNTERS[1]: back})
        self.expected += [Again(pupil.key, BOXES[ALONE], 1, alone=True) for pupil in there]
        self.expected += [Again(pupil.key, BOXES[1], 1, alone=True) for pupil in back]
        self.handed.update(pupil.key for pupil in (*there, *back))
        self.unsettled = len(there) + len(back)
        self._teller.say(f"   {self.unsettled} suất đánh dấu chưa xác nhận / trays marked as perhaps second ones")
