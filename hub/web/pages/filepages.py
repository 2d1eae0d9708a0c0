"""The page of files for the city: lay the next number, see what was laid, say by name that it was sent."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form, Path, Query
from fastapi.responses import RedirectResponse, Response

from hub.city.files import NUMBER_MAX, FilesRefused
from hub.reporting.cityfolder import TO_CHARACTERS_MAX, AlreadySent, CityFolder
from hub.reporting.making import ReportRefused
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.handing import MEDIA
from hub.web.pages.cardpages import name_of
from hub.web.pages.reportpages import month_of
from hub.web.registry import N_
from hub.web.visits import Visitor
from protocol.envelope import unix_ms_of

SHOWN_MAX: Final = 24
"""Two school years of months."""
Number = Annotated[int, Form(ge=1, le=NUMBER_MAX)]
SAID: Final = {
    "made": N_("Đã lập bộ tệp mới. Hãy gửi cho thành phố, rồi ghi là đã gửi."),
    "sent": N_("Đã ghi là đã gửi, có tên và giờ."),
    "already": N_("Đã có lời ghi là bộ tệp này đã gửi tới nơi đó; không ghi thêm."),
    "refused": N_("Không ghi được: thiếu nơi nhận, hoặc tệp không còn đúng như khi lập. Hãy lập bộ tệp mới."),
    "not-made": N_("Không lập được bộ tệp: hãy chọn một tháng đã bắt đầu, và xem thư mục tệp của máy chủ."),
}


def add_file_pages(web: Web) -> None:
    """`/city/files`."""

    @web.page("/city/files")
    def files(visit: Visitor, said: Annotated[str, Query(max_length=20)] = "") -> Response:
        on = web.store.config.city.files_dir is not None
        sets = CityFolder(web.store).all(SHOWN_MAX) if on else []
        told = SAID.get(said)
        return web.show(
            visit,
            "files.html",
            on=on,
            sets=sets,
            waits=sum(1 for one in sets if not one.sent),
            said=said,
            told=None if told is None else web.say(visit, told),
            month=f"{visit.today:%Y-%m}",
            to_max=TO_CHARACTERS_MAX,
            ms=unix_ms_of,
        )

    @web.form("/city/files/make", "files", "files for the city made")
    def make(visit: Visitor, month: Annotated[str, Form(max_length=7)] = "") -> Response:
        try:
            made = CityFolder(web.store).make(name_of(visit), *month_of(visit, month or None))
        except (ReportRefused, FilesRefused, Refusal, ValueError):
            visit.failed(FilesRefused.code)
            return RedirectResponse("/city/files?said=not-made", 303)
        visit.note("files for the city made", str(made.number))
        return RedirectResponse("/city/files?said=made", 303)

    @web.form("/city/files/sent", "files", "files for the city sent")
    def sent(visit: Visitor, number: Number, to: Annotated[str, Form(max_length=TO_CHARACTERS_MAX)] = "") -> Response:
        try:
            CityFolder(web.store).sent(name_of(visit), number, to)
        except AlreadySent:
            return RedirectResponse("/city/files?said=already", 303)
        except FilesRefused:
            visit.failed(FilesRefused.code)
            return RedirectResponse("/city/files?said=refused", 303)
        visit.note("files for the city sent", str(number))
        return RedirectResponse("/city/files?said=sent", 303)

    @web.file("/city/files/{number}/{name}", "reports", "file for the city taken", of="object")
    def taken(
        visit: Visitor,
        number: Annotated[int, Path(ge=1, le=NUMBER_MAX)],
        name: Annotated[str, Path(max_length=100)],
    ) -> Response:
        # They hold the whole school, and a month sheet says why something was corrected.
        visit.must(None, f"{number} {name}")
        visit.must(None, f"{number} {name}", "see-reasons")
        return _handed(web, number, name)


def _handed(web: Web, number: int, name: str) -> Response:
    try:
        octets = CityFolder(web.store).octets(number, name)
    except FilesRefused as problem:
        raise Refusal(404, "status-404", str(problem)) from problem
    kind = name.rpartition(".")[2]
    headers = {"content-disposition": f'attachment; filename="{number:06}-{name}"'}
    return Response(octets, media_type=MEDIA.get(kind, "application/octet-stream"), headers=headers)
