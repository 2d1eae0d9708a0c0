"""The pages of a counter as HTML: templates filled from values of view.py and staffview.py, and nothing else."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge.canteen.ports import ClassTally, CounterView
from edge.kiosk.keypad import CLASSES_EACH, FOUND_MAX, LINES_EACH, PIN_MIN, Desk
from edge.kiosk.signs import shift_by
from edge.kiosk.staffview import key_table, menu, staff_screen
from edge.kiosk.view import pupil_screen
from edge.kiosk.words import Language, say
from protocol.meals import FACES

HERE: Final = pathlib.Path(__file__).parent
Theme = Literal["auto", "light", "dark"]
Page = Literal["pupil", "staff", "rate"]
PAGES: Final[tuple[Page, ...]] = ("pupil", "staff", "rate")
LETTER_ROWS: Final = ("1234567890", "qwertyuiop", "asdfghjkl/", "zxcvbnm.")


@dataclass(frozen=True, slots=True)
class Visit:
    """How a page is shown: in which language and theme; `secret`: what its posts bring; `run`: whose answer it is."""

    language: Language = "vi"
    theme: Theme = "auto"
    secret: str = ""
    run: str = ""


def pupil_html(view: CounterView, language: Language, pupil: str = "con") -> str:
    """The changing part of the pupils' page."""
    return _render("pupilscreen.html", language, pupil, screen=pupil_screen(view, language, pupil))


def staff_html(view: CounterView, desk: Desk, language: Language, classes: Sequence[ClassTally] = ()) -> str:
    """The changing part of the staff's page: parts with ids, each exchanged only where it changed."""
    more = {"menu": menu(language), "keys": key_table(language), "letters": LETTER_ROWS}
    return _render(
        "staffscreen.html",
        language,
        "con",
        screen=staff_screen(view, desk, language, classes),
        desk=desk,
        each=LINES_EACH,
        half=CLASSES_EACH // 2,
        pin_min=PIN_MIN,
        found_max=FOUND_MAX,
        shift_by=shift_by(view),
        of_time=next((one.time for one in view.waiting if one.tap == desk.of), ""),
        **more,
    )


def rate_html(language: Language, pupil: str = "con") -> str:
    """The three faces."""
    return _render("ratescreen.html", language, pupil, faces=FACES)


def failed_html(page: Page, language: Language, pupil: str = "con") -> str:
    """The changing part where it could not be made: the device's fault, told as such; the next look makes it anew."""
    return _render("failedscreen.html", language, pupil, page=page, code="screen-failed")


def page_html(page: Page, station: str, inner: str, visit: Visit, pupil: str = "con") -> str:
    """A whole page around its changing part."""
    return _render(f"{page}.html", visit.language, pupil, station=station, inner=inner, visit=visit, page=page)


def start_html(stations: list[str], visit: Visit, code: str | None = None) -> str:
    """Where the screens are; with `code`, after a page that could not be shown."""
    known = code if code == "station-unknown" else "other"
    return _render(
        "start.html", visit.language, "con", stations=stations, visit=visit, pages=PAGES, code=code, error=known
    )


def _render(template: str, language: Language, pupil: str, **values: Any) -> str:
    return _environment(language, pupil).get_template(template).render(**values)


@lru_cache(8)
def _environment(language: Language, pupil: str) -> Environment:
    """One for each language and way to speak; everything is escaped, what is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    def t(name: str, **values: object) -> str:
        return say(language, name, pupil, **values)

    made.globals.update(t=t, language=language)
    return made
