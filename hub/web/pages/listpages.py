"""Forms of other lists than pupils: a file looked at first, then taken whole by whoever its matter belongs to."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import Form, UploadFile
from fastapi.responses import Response

from hub.attendance.timetable import WEEKDAYS
from hub.days.office import EntryRefused
from hub.desks.otherlists import TAKEN
from hub.lists.faults import ListRefused
from hub.lists.telling import leaves_out, takes
from hub.lists.templates import TEMPLATES
from hub.lists.yeardays import DAYS_GONE
from hub.papers import wrapped
from hub.web.doorman import person_of
from hub.web.ground import Web
from hub.web.pages.calendarpages import WEEKDAY_WORDS
from hub.web.pages.cardpages import name_of
from hub.web.pages.userpages import qr_svg
from hub.web.registry import KIB, N_
from hub.web.uploads import KEPT_MS, Upload, Uploads
from hub.web.visits import Visit, Visitor
from protocol.errors import NeedsHands

FILE_BYTES_MAX: Final = 4 * KIB * KIB
BODY_MAX: Final = FILE_BYTES_MAX + 64 * KIB
FILE_NAME_MAX: Final = 120
Kind = Literal["staff", "leave", "consent", "calendar", "timetable", "boarding", "diet", "menus"]
Asked = Annotated[Kind, Form()]
Word = Annotated[str, Form(max_length=40)]
EFFECTS: Final = {
    "new": N_("mới"),
    "moved": N_("chuyển lớp hoặc ngày cuối"),
    "same": N_("như cũ"),
    "withdrawn": N_("đã rút, không ghi lại"),
    "given": N_("đồng ý nhận tin"),
    "taken_back": N_("không đồng ý hoặc rút lại"),
    "older": N_("ký trước lời đang có hiệu lực, không ghi"),
    "other": N_("mục đích khác, không giữ ở đây"),
    "versions": N_("phiên bản thời khóa biểu"),
}
GUARDS: Final = {
    DAYS_GONE: N_("Có ngày nghỉ hoặc ngày học bù sẽ bị bỏ vì không có trong tệp; muốn giữ thì ghi thêm vào tệp."),
}
BACK: Final = {"consent": "/messages/consent", "calendar": "/calendar", "timetable": "/calendar", "staff": "/users"}
TITLE: Final = N_("Xem trước danh sách")
DONE: Final = N_("Đã nhận danh sách")


def add_list_pages(web: Web) -> None:
    """What `/roster`, `/messages/consent` and others send lists to."""
    uploads = Uploads(FILE_BYTES_MAX)

    @web.form("/lists/preview", "account", "list checked", of="object", body_max=BODY_MAX)
    def preview(visit: Visitor, file: UploadFile, kind: Asked, day: Word = "") -> Response:
        visit.must(None, kind, TAKEN[kind])
        octets = file.file.read(FILE_BYTES_MAX + 1)
        name, mono_ms = _plain(file.filename or ""), web.store.clock.mono_ms()
        owner = person_of(visit).name
        secret = uploads.keep(owner, name, octets, mono_ms)
        return _shown(web, visit, kind, Upload(owner, name, octets, mono_ms), secret, day)

    @web.form("/lists/apply", "account", "list taken", of="object")
    def apply(
        visit: Visitor,
        kind: Asked,
        secret: Word = "",
        day: Word = "",
        confirm: Annotated[list[str] | None, Form(max_length=len(GUARDS))] = None,
    ) -> Response:
        visit.must(None, kind, TAKEN[kind])
        upload = uploads.find(person_of(visit).name, secret, web.store.clock.mono_ms())
        if upload is None:
            return web.show_problem(visit, 409, "file-gone")
        try:
            given = ",".join(one for one in confirm or [] if one in GUARDS)
            found = web.store.listdesk.take(_words(visit, kind, upload, day) | {"confirm": given}, write=True)
        except (NeedsHands, ListRefused) as problem:
            return _refused(web, visit, kind, problem)
        if found["written"] is None:
            return _shown(web, visit, kind, upload, secret, day, 200 if found["unchanged"] else 409)
        uploads.drop(secret)
        visit.note("list taken", found["written"])
        slips = [{**slip, "code": qr_svg(slip["link"])} for slip in found["slips"]]
        return web.show(
            visit, "listtaken.html", title=web.say(visit, DONE), found=found, slips=slips, back=_back(kind),
            effects=_effects(web, visit, found),
        )  # fmt: skip


def _shown(web: Web, visit: Visit, kind: Kind, upload: Upload, secret: str, day: str, http: int = 200) -> Response:
    try:
        found = web.store.listdesk.take(_words(visit, kind, upload, day), write=False)
    except (NeedsHands, ListRefused) as problem:
        return _refused(web, visit, kind, problem)
    return web.show(
        visit, "listpreview.html", http, title=web.say(visit, TITLE), found=found, secret=secret, kind=kind, day=day,
        what=TEMPLATES[kind].title[0 if visit.language == "vi" else 1], problem=None, back=_back(kind),
        ready=takes(found, frozenset(found["guards"])), minutes=KEPT_MS // 60_000,
        effects=_effects(web, visit, found), days=_days(found), hours=_hours(found), left_out=leaves_out(found),
        guards={guard: web.say(visit, text) for guard, text in GUARDS.items()},
    )  # fmt: skip


def _refused(web: Web, visit: Visit, kind: Kind, problem: NeedsHands) -> Response:
    told = str(problem)
    if isinstance(problem, ListRefused):
        told = problem.fault.vi if visit.language == "vi" else problem.fault.en
    http = 422 if isinstance(problem, EntryRefused) else 400
    return web.show(
        visit, "listpreview.html", http, title=web.say(visit, TITLE), problem=told, found=None, back=_back(kind),
        what="", effects=[],
    )  # fmt: skip


def _words(visit: Visit, kind: Kind, upload: Upload, day: str) -> dict[str, str | None]:
    return {
        "list": kind,
        "file": upload.name,
        "paper": wrapped(upload.octets),
        "day": day or None,
        "by": name_of(visit),
    }


def _effects(web: Web, visit: Visit, found: dict[str, Any]) -> list[tuple[str, int]]:
    return [(web.say(visit, EFFECTS[effect]), count) for effect, count in (found["effects"] or {}).items()]


def _days(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The holidays and make-up days that go and come, as a page shows them."""
    weekdays: dict[str | None, str] = dict(zip(WEEKDAYS, WEEKDAY_WORDS, strict=True))
    return [
        {
            **one,
            "first": date.fromisoformat(one["first"]),
            "last": date.fromisoformat(one["last"]),
            "taught_as": weekdays.get(one["taught_as"]),
        }
        for one in found["days"]
    ]


def _hours(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The half-days whose hours change, as a page shows them."""
    return [{**one, "days": [date.fromisoformat(day) for day in one["days"]]} for one in found["hours"]]


def _back(kind: Kind) -> str:
    return BACK.get(kind, "/roster")


def _plain(name: str) -> str:
    """A file's name as it is shown: printable, without folders, short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:FILE_NAME_MAX] or "-"
