"""What the staff's screen shows, as a value: the last pupil with what must not be eaten, numbers, lists, troubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from edge.canteen.ports import ClassTally, CounterView, Entry, Shown
from edge.kiosk.keypad import CLASSES_EACH, MENU, NOTICE_S, PIN_MIN, STEP_S, Desk, Notice, Offer
from edge.kiosk.signs import Sign, signs
from edge.kiosk.view import LOOKS, Look
from edge.kiosk.words import Language, age, say

RECENT_MAX: Final = 5
WAITING_SHOWN_MAX: Final = 2
"""Cards that wait, with a button each on the main screen; further ones are in their list, key 2."""
TROUBLES_SHOWN_MAX: Final = 2
"""In words; of further ones the codes are shown. A notice takes the room of one and of the codes, an alert of one."""
KEY_WORDS: Final = (
    "key-star",
    "key-digits",
    "key-letters",
    "key-minus",
    "key-plus",
    "key-slash",
    "key-enter",
    "key-back",
    "key-time",
)
JOURNAL_CODES: Final = ("journal-full", "journal-failed", "journal-damaged", "lane-full")
KNOWN_FAILURES: Final = (
    "pin-wrong",
    "pin-wait",
    "pin-short",
    "gone",
    "moved",
    "shift-needed",
    "no-second",
    "stray-digits",
    "slow-storage",
)


@dataclass(frozen=True, slots=True)
class LastPupil:
    """Who tapped last, in words; `attention`: staff should look. The same for each cause, and so is its sound."""

    look: Look
    shape: str
    name: str
    school_class: str
    portion: str
    alerts: tuple[str, ...]
    confirmed: str
    alone: str
    attention: bool


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a line: the token it sends, its word, and for screen readers whom it is about."""

    token: str
    word: str
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list: who, class, local time, notes in words, buttons."""

    name: str
    school_class: str
    time: str
    notes: tuple[str, ...]
    buttons: tuple[Button, ...]
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong, in words, with its code; `tone` as for a lamp: red is the device's fault."""

    code: str
    words: str
    tone: Literal["red", "amber"]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A line of the table of classes: the name in words, and its numbers."""

    school_class: str
    expected: int
    served: int
    left: int


@dataclass(frozen=True, slots=True)
class StaffScreen:
    """Everything that the staff's screen shows. `chime` grows when its one sound is due.

    `classes`: the page of their table that is open, empty at other steps.
    """

    station: str
    sitting: str
    closed: bool
    signs: tuple[Sign, ...]
    last: LastPupil | None
    numbers: tuple[tuple[str, int], ...]
    troubles: tuple[Trouble, ...]
    more_troubles: str
    waiting: tuple[Row, ...]
    waiting_more: int
    recent: tuple[Row, ...]
    desk: Desk
    notice: str
    notice_bad: bool
    notice_button: Button | None
    chime: int
    classes: tuple[ClassRow, ...] = ()


def staff_screen(view: CounterView, desk: Desk, language: Language, classes: Sequence[ClassTally] = ()) -> StaffScreen:
    """What the staff's screen of this station shows now, at the step where its desk stands.

    `classes`: the sitting's, wanted at the step `classes` alone.
    """
    sitting = view.sitting
    words = say(language, "no-sitting")
    if sitting is not None:
        named = say(language, sitting.meal)
        words = say(
            language, "sitting", meal=named, shift=sitting.shift, opens=sitting.opens, closes=sitting.closes
        ) + (f" · {sitting.hall}" if sitting.hall else "")
    tally = view.tally
    last, found = _last(view.shown, language), troubles(view, language)
    alerted = last is not None and bool(last.alerts)
    room = max(1, TROUBLES_SHOWN_MAX - (desk.notice is not None) - alerted)
    return StaffScreen(
        view.station,
        say(language, "closed") if view.closed else words,
        view.closed,
        signs(view, language),
        last,
        tuple((say(language, name), getattr(tally, name)) for name in ("expected", "served", "seconds", "left")),
        found[:room],
        "" if desk.notice is not None else " ".join(f"[{one.code}]" for one in found[room:]),
        tuple(_waiting(entry, language) for entry in view.waiting[:WAITING_SHOWN_MAX]),
        max(0, len(view.waiting) - WAITING_SHOWN_MAX),
        tuple(_recent(entry, language) for entry in view.recent[:RECENT_MAX]),
        desk,
        *_notice(desk.notice, language),
        view.shown.number if last is not None and last.attention else 0,
        _classes(classes, desk, language),
    )


# --- what is wrong ----------------------------------------------------------------------------------------------------


def troubles(view: CounterView, language: Language) -> tuple[Trouble, ...]:
    """What is wrong, the worst first; what was kept and what to do stand in its words.

    Where nothing can be written, nothing may say that cards are recorded.
    """
    found = []
    if view.failing is not None:
        found.append(Trouble(view.failing, say(language, "trouble-failing"), "red"))
    if view.reader != "ready":
        found.append(Trouble(view.reader, say(language, "trouble-reader"), "red"))
    if view.failing is None and not view.link:
        found.append(Trouble("hub-unreachable", say(language, "trouble-link"), "amber"))
    if view.failing is None and not view.sure:
        found.append(Trouble("clock-unsure", say(language, "trouble-clock"), "amber"))
    if view.tally.unheard:
        named = ", ".join(view.tally.unheard)
        words = f"{say(language, 'trouble-unheard')} ({named})"
        found.append(Trouble("counter-unheard", words, "amber"))
    return tuple(found)


# --- who tapped, and lists --------------------------------------------------------------------------------------------


def _last(shown: Shown, language: Language) -> LastPupil | None:
    if shown.shape == "idle":
        return None
    named = shown.name or say(language, "unknown-pupil")
    return LastPupil(
        LOOKS[shown.shape],
        say(language, f"shape-{shown.shape}", nth=shown.nth),
        named,
        shown.school_class,
        "" if shown.portion == "regular" else say(language, f"portion-{shown.portion}"),
        shown.alerts,
        say(language, "confirmed" if shown.confirmed else "unconfirmed") if shown.alerts else "",
        say(language, "ask") if shown.ask else say(language, "alone") if shown.alone else "",
        bool(shown.alerts)
        or shown.portion != "regular"
        # Not that other counters aren't heard: with every tray it would drown what a child must not eat.
        or shown.shape in ("refused", "alarm")
        or shown.ask,
    )


def who(entry: Entry, language: Language) -> str:
    """Whom a line is about; a card that nobody knows is told by its time."""
    return entry.name or say(language, "unknown-pupil")


def _waiting(entry: Entry, language: Language) -> Row:
    named = who(entry, language)
    label = say(language, "serve-of", name=named, time=entry.time)
    button = Button(f"serve:{entry.tap}", say(language, "serve"), label)
    return Row(named, entry.school_class, entry.time, (_reason(entry, language),), (button,))


def _recent(entry: Entry, language: Language) -> Row:
    named = who(entry, language)
    if entry.kind != "served":
        return Row(named, entry.school_class, entry.time, _notes(entry, language), ())
    buttons = []
    if flippable(entry):
        word = say(language, "to-second" if entry.repeat is not None else "to-same")
        buttons.append(Button(f"flip:{entry.tap}", word, f"{word}: {named}, {entry.time}"))
    if entry.repeat is None:
        verb = "redo" if entry.undone else "undo"
        label = say(language, f"{verb}-of", name=named, time=entry.time)
        buttons.append(Button(f"{verb}:{entry.tap}", say(language, verb), label))
    return Row(named, entry.school_class, entry.time, _notes(entry, language), tuple(buttons), entry.undone)


def flippable(entry: Entry) -> bool:
    """Whether it can be judged otherwise: a repeat may have been a second helping, a second one the same tray."""
    return entry.kind == "served" and not entry.undone and (entry.repeat is not None or entry.nth > 1)


def _notes(entry: Entry, language: Language) -> tuple[str, ...]:
    found = [say(language, "nth", nth=entry.nth)] if entry.nth > 1 and entry.repeat is None else []
    found += [say(language, "repeat")] if entry.repeat is not None else []
    found += [say(language, "maybe")] if entry.alone and entry.nth == 1 else []
    found += [say(language, f"how-{entry.how}")] if entry.how != "card" else []
    found += [say(language, "undone")] if entry.undone else []
    return tuple(found)


def _reason(entry: Entry, language: Language) -> str:
    known = ("unknown", "lost", "not-enrolled", "ambiguous", "random", "misread")
    return say(language, f"reason-{entry.reason if entry.reason in known else 'other'}")


def _classes(classes: Sequence[ClassTally], desk: Desk, language: Language) -> tuple[ClassRow, ...]:
    """The page that is open; whom the sheet knows in no class stands by that name."""
    begins = desk.page * CLASSES_EACH
    return tuple(
        ClassRow(_class_name(one, language), one.expected, one.served, one.left)
        for one in classes[begins : begins + CLASSES_EACH]
    )


def _class_name(one: ClassTally, language: Language) -> str:
    if one.more:
        return say(language, "classes-more", count=one.more)
    return one.school_class or say(language, "classes-unnamed")


# --- steps ------------------------------------------------------------------------------------------------------------


def furnished(desk: Desk, view: CounterView, classes: int = 0) -> Desk:
    """The desk with its step's lines where they are taken from the view, once, as the step begins.

    `classes`: how many there are to be told of now, at the step `classes`.

    Where the shift has to be taken and no card waits, the main screen gives way to that step until it is put off.
    """
    if not view.needs_login:
        desk = replace(desk, later=False)
    elif desk.mode == "home" and not desk.later and not view.waiting:
        desk = replace(desk, mode="shift")
    if desk.mode == "classes":
        desk = replace(desk, classes=classes)
        return replace(desk, page=min(desk.page, desk.pages - 1))
    if desk.offers or desk.mode not in ("waiting", "undo", "flip"):
        return desk
    return replace(desk, offers=_offers(desk, view))


def _offers(desk: Desk, view: CounterView) -> tuple[Offer, ...]:
    match desk.mode:
        case "waiting":
            return tuple(_offer(f"serve:{one.tap}", one, _reason_word(one)) for one in view.waiting)
        case "undo":
            mine = [one for one in view.recent if one.kind == "served" and one.repeat is None][:RECENT_MAX]
            return tuple(
                _offer(f"{'redo' if one.undone else 'undo'}:{one.tap}", one, "redo" if one.undone else "undo")
                for one in mine
            )
        case _:
            return tuple(
                _offer(f"flip:{one.tap}", one, "to-second" if one.repeat is not None else "to-same")
                for one in view.recent
                if flippable(one)
            )


def _offer(token: str, entry: Entry, note: str) -> Offer:
    return Offer(token, entry.name, entry.school_class, entry.time, (note,))


def _reason_word(entry: Entry) -> str:
    known = ("unknown", "lost", "not-enrolled", "ambiguous", "random", "misread")
    return f"reason-{entry.reason if entry.reason in known else 'other'}"


def _notice(notice: Notice | None, language: Language) -> tuple[str, bool, Button | None]:
    """Words, whether it failed, and the button that takes it back."""
    if notice is None:
        return "", False, None
    named = notice.name or say(language, "a-stranger")
    if notice.code is None and notice.came != "served":
        # What was asked for was not done where somebody else stands there: it is told as what failed is.
        return say(language, f"came-{notice.came}", name=named), notice.came == "pressed", None
    if notice.code is None:
        verb = {"name": "serve", "stranger": "serve"}.get(str(notice.verb), notice.verb)
        words = say(language, "done-late" if notice.late else f"done-{verb}", name=named, time=notice.time)
        back = {"undo": "redo", "redo": "undo"}.get(str(notice.verb))
        if back is None or notice.tap is None:
            return words, False, None
        label = say(language, f"{back}-of", name=named, time=notice.time)
        return words, False, Button(f"{back}:{notice.tap}", say(language, back), label)
    kind = notice.code if notice.code in KNOWN_FAILURES else "journal" if notice.code in JOURNAL_CODES else "other"
    words = say(language, f"failed-{kind}", name=named, count=PIN_MIN, wait=age(language, notice.wait_s))
    return f"{words} [{notice.code}]", True, None


def menu(language: Language) -> tuple[tuple[str, str], ...]:
    """Key and word of each thing to do."""
    return tuple((key, say(language, f"menu-{key}")) for key in MENU)


def key_table(language: Language) -> tuple[str, ...]:
    """The table of keys, in words."""
    return tuple(say(language, name, count=STEP_S) for name in KEY_WORDS)


assert NOTICE_S < STEP_S, "a notice goes before its step"
