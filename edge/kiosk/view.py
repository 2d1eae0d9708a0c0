"""What a pupil's screen shows, as a value: so little that payment, diet, reason and counter can't be told from it.

Every field comes from what is named in `pupil_screen`, nothing else; tests hold the rendered bytes to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edge.canteen.ports import CounterView, Shown
from edge.kiosk.words import Language, say

SHOWN_MS: Final = 3_000
"""UX: back to idle in 3 s, or at once on the next tap."""
WAIT_MS: Final = 10_000
"""A `wait` is followed by another signal; where none came for so long, nobody stands there any more."""

Look = Literal["idle", "accepted", "second", "repeated", "referred", "wait", "fault"]
LOOKS: Final[dict[str, Look]] = {
    "idle": "idle",
    "accepted": "accepted",
    "second": "second",
    "repeated": "repeated",
    "refused": "referred",
    "wait": "wait",
    "alarm": "fault",
}
NAMED: Final = ("accepted", "second", "repeated")
"""Only who was recorded is named: a lost card has a name and an unknown one hasn't, and both look the same."""


@dataclass(frozen=True, slots=True)
class PupilScreen:
    """A pupil's screen: its look (which is colour and shape), the words, at most a given name and a class.

    `offline`: the amber line besides. `beat`: 0 or 1, changes with each signal, so that the same words twice are seen
    to be new.
    """

    look: Look
    words: str
    more: str = ""
    name: str = ""
    school_class: str = ""
    offline: str = ""
    beat: int = 0


def pupil_screen(view: CounterView, language: Language, pupil: str = "con") -> PupilScreen:
    """What the pupils' screen of this station shows now. `pupil`: how staff speak to them."""
    shown, offline = view.shown, "" if view.link else say(language, "offline", pupil)
    if view.failing is not None:
        # Whether the hub is heard is no matter now, and that cards are recorded would not be so.
        return _fault(language, pupil, "fault", "")
    look = LOOKS[shown.shape] if lasts_ms(shown, view.now_mono_ms) > 0 else "idle"
    beat = shown.number % 2
    if look == "fault":
        return _fault(language, pupil, "fault", offline, beat)
    if look == "idle" and view.reader != "ready":
        return _fault(language, pupil, "reader-missing", offline)
    if look in NAMED:
        return PupilScreen(
            look, say(language, look, pupil), "", given_name(shown.name), shown.school_class, offline, beat
        )
    return PupilScreen(look, say(language, look, pupil), offline=offline, beat=0 if look == "idle" else beat)


def lasts_ms(shown: Shown, now_mono_ms: int) -> int:
    """How long what was shown still stands on the pupils' screen; 0 where it doesn't."""
    if shown.shape == "idle":
        return 0
    return max(0, shown.mono_ms + (WAIT_MS if shown.shape == "wait" else SHOWN_MS) - now_mono_ms)


def given_name(name: str) -> str:
    """The last word of a Vietnamese name; empty of an empty one."""
    return name.split()[-1] if name.split() else ""


def _fault(language: Language, pupil: str, name: str, offline: str, beat: int = 0) -> PupilScreen:
    """Red belongs to devices: it says that the pupil eats all the same."""
    more = say(language, f"{name}-more", pupil)
    return PupilScreen("fault", say(language, name, pupil), more, offline=offline, beat=beat)
