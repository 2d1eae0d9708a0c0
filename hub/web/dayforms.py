"""Forms of the school day: days in addresses, reasons, words of marks, answers with or without a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import Form, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import Field

from hub.attendance.knowndays import FIRST_DAY, LAST_DAY
from hub.web.registry import N_

if TYPE_CHECKING:
    from hub.web.ground import Web
    from hub.web.visits import Visit

Half = Literal["am", "pm"]
AskedDay = Annotated[
    date | None, Query(ge=FIRST_DAY, le=LAST_DAY, description=f"{FIRST_DAY} to {LAST_DAY}; absent: today")
]
"""A day that can be asked for; office.Office is stricter with what is entered."""
KnownDay = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
"""The same in a body."""
AskedHalf = Annotated[Half | None, Query()]
FormDay = Annotated[date | None, Form(ge=FIRST_DAY, le=LAST_DAY)]
FormHalf = Annotated[Half, Form()]
FormKey = Annotated[str, Form(max_length=80)]
BACKS: Final = ("/roll", "/class")

REASONS: Final = {
    "slip": N_("bấm nhầm"),
    "card": N_("quên thẻ hoặc thẻ hỏng"),
    "parents": N_("phụ huynh báo sau"),
    "paper": N_("nhập bù từ giấy"),
    "other": N_("lý do khác"),
}
"""Why something that was said before is changed. Nothing of a pupil's health stands in a reason."""
FLAGS: Final = {
    "tapped": N_("có quẹt thẻ"),
    "leave-but-tapped": N_("có đơn nghỉ nhưng quẹt thẻ"),
    "late-uncertain": N_("có thể muộn, đồng hồ chưa chắc"),
    "leaving-uncertain": N_("có thể đã về, hãy xem lại"),
    "time-uncertain": N_("giờ chưa chắc"),
    "no-arrival": N_("chỉ thấy lúc ra"),
    "way-uncertain": N_("quẹt giữa hai buổi, không rõ vào hay ra"),
    "ambiguous-card": N_("thẻ của hai học sinh"),
    "waived": N_("một cổng chưa đủ, không chờ nữa"),
    "evidence-flawed": N_("có lúc đầu đọc không ghi được, có thể em đã đến"),
}
MARKS: Final = {
    "present": N_("Có mặt"),
    "late": N_("Muộn"),
    "left-early": N_("Về sớm"),
    "absent": N_("Vắng, chưa rõ"),
    "excused": N_("Có phép (P)"),
    "unexcused": N_("Không phép (K)"),
    "not-known": N_("Chưa biết"),
    "withdrawn": N_("bỏ lời ghi"),
}
HALVES: Final = {"am": N_("Sáng"), "pm": N_("Chiều")}


def by_script(request: Request) -> bool:
    """Whether a page's script asks, which wants JSON and stays where it is."""
    return "application/json" in request.headers.get("accept", "")


def done(request: Request, text: str, undo: tuple[str, Mapping[str, str]] | None, back: str) -> Response:
    """What was done, in words, and how it is taken back: for the script; without one, the page again."""
    if not by_script(request):
        return RedirectResponse(back, 303)
    way: dict[str, Any] | None = None if undo is None else {"path": undo[0], "fields": dict(undo[1])}
    return JSONResponse({"text": text, "undo": way})


def back_to(path: str, school_class: str | None, day: date, half: str, pupil: str = "") -> str:
    """The page that a form came from, at the row of its pupil."""
    path = path if path in BACKS else BACKS[0]
    place = f"#p-{quote(pupil, safe='')}" if pupil else ""
    return f"{path}?class={quote(school_class or '', safe='/')}&day={day.isoformat()}&half={half}{place}"


def shown_names(web: Web, names: set[str]) -> dict[str, str]:
    """Login names as people know them."""
    found = {}
    for name in names - {"", "-"}:
        user = web.store.users.find(name)
        found[name] = name if user is None else user.person.shown or name
    return found


def words(web: Web, visit: Visit, table: Mapping[str, str]) -> dict[str, str]:
    """A table of texts in the visitor's language."""
    return {key: web.say(visit, text) for key, text in table.items()}


def day_words(web: Web, visit: Visit) -> dict[str, Callable[..., Any] | dict[str, str]]:
    """The words of marks, flags and halves, for a template."""
    return {
        "marks": words(web, visit, MARKS),
        "flags": words(web, visit, FLAGS),
        "halves": words(web, visit, HALVES),
        "reasons": words(web, visit, REASONS),
    }
