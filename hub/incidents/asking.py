"""What may be asked of an incident: a meal, a lot, all meals of some hours; and who is ticked ill or well. Pure."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from hub.incidents.pack import Asked, Diner, Menu
from hub.meals.sittings import (
    DAY_MS,
    GRACE_AFTER_MS,
    GRACE_BEFORE_MS,
    MealPlans,
    day_of,
    midnight_of,
    plan_on,
    sittings_of,
)
from protocol.errors import Refused
from protocol.meals import MEALS, Meal
from protocol.names import folded, spelled

NO_NAME: Final = re.compile(r"[^a-z0-9]+")
"""What has no place in a file's name."""
HOURS_MAX: Final = 240
"""Food poisoning shows within three days; ten leave room for whoever asks late."""
HOURS: Final = 72
HOUR_MS: Final = 3_600_000
ILL_BYTES_MAX: Final = 1024 * 1024
LOT_CHARACTERS_MAX: Final = 80
TICKS: Final[Mapping[str, bool]] = {
    "": True,
    "ill": True,
    "ốm": True,
    "om": True,
    "x": True,
    "1": True,
    "well": False,
    "khỏe": False,
    "khoẻ": False,
    "khoe": False,
    "0": False,
}
"""What may stand behind a pupil; nothing means ill."""
HEADERS: Final = frozenset(
    (
        *("ma", "ma hs", "ma hoc sinh", "hoc sinh", "khoa", "khoa noi bo"),
        *("key", "internal key", "code", "pupil", "pupil code", "pupil key", "student", "id"),
    )
)
"""What a header begins with, without its marks; any other first line that is no pupil's is a mistyped one."""


Kind = Literal["meal", "lot", "hours"]
MEAL_STEMS: Final[Mapping[Meal, str]] = {
    "breakfast": "bua-sang",
    "lunch": "bua-trua",
    "snack": "bua-xe",
    "dinner": "bua-toi",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked: a `meal` of a day, a `lot` until a day, all meals of so many hours before a day's end, or now.

    Versions of a pack are counted for each scope by its `key`.
    """

    kind: Kind
    day: date
    meal: Meal | None = None
    lot: str = ""
    hours: int = 0

    @property
    def key(self) -> str:
        """The same for what is asked again."""
        match self.kind:
            case "meal":
                return f"meal {self.meal} {self.day.isoformat()}"
            case "lot":
                return f"lot {spelled(self.lot).casefold()}"
            case "hours":
                return f"hours {self.hours} {self.day.isoformat()}"

    def stem(self, number: int, *, drill: bool) -> str:
        """The name of its files, without what they are: `su-co-bua-trua-2026-11-23-ban-1`; an exercise says so."""
        begin = "dien-tap" if drill else "su-co"
        match self.kind:
            case "meal":
                assert self.meal is not None
                what = f"{MEAL_STEMS[self.meal]}-{self.day.isoformat()}"
            case "lot":
                what = f"lo-{_lot_stem(self.lot)}"
            case "hours":
                what = f"{self.hours}-gio-{self.day.isoformat()}"
        return f"{begin}-{what}-ban-{number}"


def _lot_stem(lot: str) -> str:
    """A lot within a file's name; where its spelling is lost, with what tells it from others spelled alike."""
    text = spelled(lot).casefold()
    plain = NO_NAME.sub("-", folded(lot)).strip("-")[:40]
    return plain if plain == text else f"{plain or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


class IncidentRefused(Refused):
    """The incident pack that was asked for can't be made."""

    code = "incident-refused"
    hint = "Give --meal and --date, --lot, or --last-hours; and for --ill a file with a pupil a line."


def scope_of(words: Mapping[str, str | None], today: date) -> Scope:
    """What somebody asks, by `meal` and `date` (today), or `lot`, or `last_hours`. Raises IncidentRefused."""
    given = [name for name in ("meal", "lot", "last_hours") if words.get(name)]
    if len(given) != 1:
        raise IncidentRefused("exactly one of meal, lot and hours must be given")
    text = words[given[0]] or ""
    day = day_from(words.get("date") or today.isoformat())
    match given[0]:
        case "meal":
            return Scope("meal", day, meal=meal_of(text))
        case "lot":
            if len(text) > LOT_CHARACTERS_MAX or not spelled(text):
                raise IncidentRefused("a lot has 1 to {most} characters", most=LOT_CHARACTERS_MAX)
            return Scope("lot", day, lot=spelled(text))
        case _:
            return Scope("hours", day, hours=hours_of(text))


def meal_of(text: str) -> Meal:
    """A meal by its name. Raises IncidentRefused."""
    found = next((meal for meal in MEALS if meal == text), None)
    if found is None:
        raise IncidentRefused("{text!r} is no meal; there are {meals}", text=text[:40], meals=", ".join(MEALS))
    return found


def day_from(text: str) -> date:
    """An ISO day. Raises IncidentRefused."""
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise IncidentRefused("{text!r} is no day such as 2026-11-23", text=text[:20]) from problem


def hours_of(text: str) -> int:
    """How many hours back. Raises IncidentRefused."""
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= HOURS_MAX):
        raise IncidentRefused("{text!r} is not 1 to {most} hours", text=text[:20], most=HOURS_MAX)
    return int(text)


def meals_between(plans: MealPlans, from_ms: int, until_ms: int) -> list[Asked]:
    """Every planned meal that was served, at least in part, between two moments, oldest first."""
    found: dict[Asked, None] = {}
    for number in range((until_ms - from_ms) // DAY_MS + 2):
        day = day_of(from_ms + number * DAY_MS)
        for one in sittings_of(plan_on(plans, day), day):
            if one.opens_ms - GRACE_BEFORE_MS < until_ms and from_ms < one.closes_ms + GRACE_AFTER_MS:
                found[one.day, one.meal] = None
    return sorted(found, key=lambda asked: (asked[0], MEALS.index(asked[1])))


def hours_before(scope: Scope, now_ms: int) -> tuple[int, int]:
    """From when to when the hours of a scope are: they end with its day, or now."""
    until_ms = min(now_ms, midnight_of(scope.day) + DAY_MS)
    return until_ms - scope.hours * HOUR_MS, until_ms


def meals_with_lot(menus: Mapping[Asked, Menu], lot: str) -> list[Asked]:
    """Every meal in which food of this lot was served. Raises IncidentRefused where there is none."""
    wanted = spelled(lot).casefold()
    found = [asked for asked, menu in menus.items() if any(spelled(one).casefold() == wanted for one in menu.lots)]
    if not found:
        raise IncidentRefused(
            "no menu names the lot {lot!r}", lot=lot, hint="Look at the menus' lots, or ask by meal and date."
        )
    return sorted(found, key=lambda asked: (asked[0], MEALS.index(asked[1])))


def ticks_from(name: str, octets: bytes, roll: Mapping[str, Diner]) -> dict[str, bool]:
    """Who is ill (True) or well (False): a line a pupil, by key or school code, and behind it `ill` or `well`.

    A header is passed over, see HEADERS. Raises IncidentRefused naming the line.
    """
    if len(octets) > ILL_BYTES_MAX:
        raise IncidentRefused(
            "{name} has {count:,} bytes, at most {most:,} are read", name=name, count=len(octets), most=ILL_BYTES_MAX
        )
    try:
        lines = octets.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as problem:
        raise IncidentRefused("{name} isn't UTF-8", name=name) from problem
    by_code = {diner.code: key for key, diner in roll.items() if diner.code}
    found: dict[str, bool] = {}
    for number, whom, word in _lines(lines):
        key = whom if whom in roll else by_code.get(whom)
        if key is None and number == 1 and folded(whom) in HEADERS:
            continue
        if key is None or spelled(word).casefold() not in TICKS:
            raise IncidentRefused(
                "{name}, line {number}: {whom!r} {word!r} is no pupil who is ill or well",
                name=name,
                number=number,
                whom=whom[:40],
                word=word[:20],
            )
        ill = TICKS[spelled(word).casefold()]
        if found.setdefault(key, ill) != ill:
            raise IncidentRefused(
                "{name}, line {number}: {whom!r} is ill and well", name=name, number=number, whom=whom[:40]
            )
    return found


def ticked(ill: Mapping[str, bool], roll: Mapping[str, Diner]) -> dict[str, bool]:
    """Who is ill or well, by key. Raises IncidentRefused naming who is no pupil: nobody who is ill is left out."""
    unknown = sorted(ill.keys() - roll.keys())
    if unknown:
        raise IncidentRefused("{whom!r} is no pupil who is ill or well", whom=unknown[0][:40])
    return dict(ill)


def _lines(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(lines, 1):
        cells = next(csv.reader([line.replace("\t", ",").replace(";", ",")]), [])
        if cells and cells[0].strip():
            yield number, cells[0].strip(), cells[1].strip() if len(cells) > 1 else ""
