"""The numeric keypad's language: what each key does at each step of the staff's screen, as a pure function.

Touch speaks it too: a button sends a key, or the token of what it acts on (`undo:TAP`), so that nothing can be done by
the one that the other can't do. Rules of the room: `*` always leads to the main screen, or from there to the table of
keys; Backspace goes one step back; a digit that chooses, chooses a numbered line on the screen; nothing is done by
a key on the main screen but opening a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from edge.canteen.ports import Done
from edge.ports import Came

Mode = Literal["home", "menu", "name", "waiting", "stranger", "undo", "flip", "shift", "classes"]
Verb = Literal["serve", "undo", "redo", "flip", "name", "stranger", "login", "logout"]

MENU: Final[dict[str, Mode]] = {
    "1": "name",
    "2": "waiting",
    "3": "stranger",
    "4": "undo",
    "5": "flip",
    "6": "shift",
    "7": "classes",
}
"""Key on the main screen and in the menu -> the step that it opens."""
OF_A_LINE: Final[tuple[Verb, ...]] = ("serve", "undo", "redo", "flip", "name")
"""What buttons do to a line that they name: the token is the verb, a colon, and the line's id."""
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)
LINES_EACH: Final = 6
"""Numbered lines on one page of a list; with 64 px each they fit beside an on-screen keyboard at 1024x600."""
FOUND_MAX: Final = 48
"""Pupils that a search offers, on pages of six: a class is no larger. Where there are more it says so."""
CLASSES_EACH: Final = 24
"""Classes on one page of their table, in two columns: nothing there is to be touched."""
TYPED_MAX: Final = 24
PIN_MIN: Final = 6
PIN_MAX: Final = 12
KEY_CHARACTERS_MAX: Final = 96
"""A token: a verb and a record's or pupil's name."""
STEP_S: Final = 30
"""Without a key for so long, a step goes back to the main screen; what was typed is forgotten."""
NOTICE_S: Final = 8
LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
DIGITS: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Offer:
    """A numbered line that a digit chooses: the `token` that it stands for, and what the line says.

    `time`: local HH:MM:SS or empty; `notes`: names of words.
    """

    token: str
    name: str
    school_class: str = ""
    time: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be asked of the counter: `of` is a record's name, a pupil's key, or a PIN.

    `answers`: the record of the waiting card that a serving by name is for.
    """

    verb: Verb
    of: str = field(default="", repr=False)
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What came of the last act: `code` None where it was done; `name`, `time`: of whom; `tap` to redo or undo.

    `wait_s`: in how many seconds a PIN is looked at again. `came`: what a serving by hand came to.
    `later`: of one that waits for the disk, what came of it, None until then; `late`: it came so.
    """

    verb: Verb | None
    code: str | None = None
    name: str = ""
    time: str = ""
    tap: str | None = None
    wait_s: int = 0
    came: Came = "served"
    later: Callable[[], Done | None] | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the staff's screen of a station stands. `offers` were taken when the step began: no number moves under
    a finger. `choosing`: a search is typed, digits choose. `later`: the login was put off. `at_ms`: the last key.

    `naming`: of the waiting cards, the one that a digit chooses is served by name; `of`: its record, in the search.
    `more`: the search found further ones. `classes`: how many the table of classes has, whose numbers are the newest at
    every look.
    """

    mode: Mode = "home"
    typed: str = field(default="", repr=False)
    choosing: bool = False
    page: int = 0
    offers: tuple[Offer, ...] = ()
    notice: Notice | None = None
    later: bool = False
    at_ms: int = 0
    naming: bool = False
    of: str = ""
    more: bool = False
    classes: int = 0

    @property
    def pages(self) -> int:
        """How many pages the list has, at least one."""
        lines, each = (self.classes, CLASSES_EACH) if self.mode == "classes" else (len(self.offers), LINES_EACH)
        return max(1, -(-lines // each))

    @property
    def lines(self) -> tuple[Offer, ...]:
        """The lines on the page that is shown, numbered from 1."""
        return self.offers[self.page * LINES_EACH : (self.page + 1) * LINES_EACH]


def home(desk: Desk, notice: Notice | None = None) -> Desk:
    """Back on the main screen, with nothing typed."""
    return Desk(notice=notice, later=desk.later, at_ms=desk.at_ms)


def press(desk: Desk, key: str, now_ms: int) -> tuple[Desk, Act | None]:
    """The desk after a key, and what it asks for; a key that means nothing here changes nothing.

    Keys: digits, letters, `+ - * / .`, space, `Enter`, `Backspace`, `Escape`; from touch alone, because a finger sees
    what it means: tokens, `open-` with a key of MENU, `page+`, `page-`, and `moved` (the list moved under it).
    `now_ms` of CLOCK_BOOTTIME.
    """
    desk = replace(desk, notice=None, at_ms=now_ms)
    verb, colon, of = key.partition(":")
    if verb == "serve" and of and desk.mode == "waiting" and desk.naming:
        return _find(desk, of), None
    if colon:
        return desk, _act(desk, verb, of) if verb in OF_A_LINE and of else None
    if key.startswith("open-"):
        return _open(desk, key.removeprefix("open-")), None
    if key in ("page+", "page-"):
        return _turned(desk, 1 if key == "page+" else -1), None
    if key == "moved":
        return replace(desk, notice=Notice(None, "moved")), None
    if key in ("*", "Escape"):
        return _star(desk), None
    match desk.mode:
        case "home" | "menu":
            if desk.mode == "menu" and key == "Backspace":
                return home(desk), None
            return _open(desk, key), None
        case "name" if not desk.choosing:
            return _typing(desk, key), None
        case "shift":
            return _shift(desk, key)
        case "stranger":
            return _stranger(desk, key)
        case _:
            return _choosing(desk, key)


def _star(desk: Desk) -> Desk:
    if desk.mode == "home":
        return replace(home(desk), mode="menu")
    return replace(home(desk), later=desk.later or desk.mode == "shift")


def _open(desk: Desk, key: str) -> Desk:
    return replace(home(desk), mode=MENU[key]) if key in MENU else desk


def _typing(desk: Desk, key: str) -> Desk:
    if key == "Backspace":
        return replace(desk, typed=desk.typed[:-1], page=0) if desk.typed else home(desk)
    if key in ("Enter", "+"):
        return replace(desk, choosing=bool(desk.typed.strip()), page=0)
    character = " " if key in ("-", " ") else key.lower()
    if len(character) != 1 or not (character in LETTERS or character in DIGITS or character in " /."):
        return desk
    return replace(desk, typed=(desk.typed + character).lstrip()[:TYPED_MAX], page=0)


def _choosing(desk: Desk, key: str) -> tuple[Desk, Act | None]:
    if key == "Backspace":
        return (replace(desk, choosing=False, page=0) if desk.mode == "name" else home(desk)), None
    if key in ("+", "-"):
        return _turned(desk, 1 if key == "+" else -1), None
    if key in DIGITS and 1 <= int(key) <= len(desk.lines):
        verb, _, of = desk.lines[int(key) - 1].token.partition(":")
        return (_find(desk, of), None) if desk.naming else (desk, _act(desk, verb, of))
    if desk.mode == "waiting" and key == "/":
        return replace(desk, naming=not desk.naming), None
    return desk, None


def _act(desk: Desk, verb: str, of: str) -> Act:
    answers = desk.of if verb == "name" else ""
    return Act(verb, of, answers)  # type: ignore[arg-type]  # Tokens are made of verbs, and held to them.


def _find(desk: Desk, of: str) -> Desk:
    """A waiting card's pupil is known by sight: the search whose choice answers that card."""
    return replace(home(desk), mode="name", of=of)


def _turned(desk: Desk, by: int) -> Desk:
    """Another page of the list, no further than it goes."""
    return replace(desk, page=min(max(desk.page + by, 0), desk.pages - 1))


def _stranger(desk: Desk, key: str) -> tuple[Desk, Act | None]:
    """Enter serves one; not at the end of a PIN that was begun on the main screen with a 3."""
    if key in DIGITS:
        return replace(desk, typed=(desk.typed + key)[:PIN_MAX]), None
    if key == "Enter" and desk.typed:
        return replace(desk, typed="", notice=Notice("stranger", "stray-digits")), None
    return (home(desk), None) if key == "Backspace" else (desk, Act("stranger") if key == "Enter" else None)


def _shift(desk: Desk, key: str) -> tuple[Desk, Act | None]:
    """Digits type a PIN; Enter takes the shift by it, or, with nothing typed, gives it back."""
    if key == "Backspace":
        return (replace(desk, typed=desk.typed[:-1]) if desk.typed else home(desk)), None
    if key in DIGITS:
        return replace(desk, typed=(desk.typed + key)[:PIN_MAX]), None
    if key != "Enter":
        return desk, None
    if not desk.typed:
        return desk, Act("logout")
    if len(desk.typed) < PIN_MIN:
        return replace(desk, notice=Notice("login", "pin-short")), None
    return replace(desk, typed=""), Act("login", desk.typed)


def rested(desk: Desk, now_ms: int) -> Desk:
    """The desk when nobody has pressed a key for a while: steps end, notices go."""
    idle_ms = now_ms - desk.at_ms
    if desk.mode != "home" and idle_ms >= STEP_S * 1000:
        return home(desk)
    if desk.notice is not None and idle_ms >= NOTICE_S * 1000:
        return replace(desk, notice=None)
    return desk
