"""The page of the roster: who is of the school, a list brought as a file, what it would change, and its taking."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Annotated, Final, Literal

from fastapi import Form, Query, UploadFile
from fastapi.responses import RedirectResponse, Response

from hub.cards.listed import CARDS_PASSED
from hub.desks.otherlists import TAKEN
from hub.lists.changes import Change, Plan
from hub.lists.faults import ListRefused
from hub.lists.known import class_on
from hub.lists.telling import Document, takes
from hub.lists.templates import TEMPLATES
from hub.papers import wrapped
from hub.web.doorman import person_of
from hub.web.ground import Web
from hub.web.pages.cardpages import name_of, reached
from hub.web.registry import KIB, N_
from hub.web.uploads import KEPT_MS, Upload, Uploads
from hub.web.visits import Visit, Visitor
from protocol.names import class_order, name_order

FILE_BYTES_MAX: Final = 16 * KIB * KIB
BODY_MAX: Final = FILE_BYTES_MAX + 64 * KIB
NAMES_SHOWN: Final = 200
"""Of each kind; a new school year has more, and is looked at by its classes."""
FILE_NAME_MAX: Final = 120
GUARDS: Final = {
    "empty": N_("Tệp không có học sinh nào."),
    "many-gone": N_("Rất nhiều học sinh sẽ rời trường hoặc thiếu trong tệp."),
    "many-moved": N_("Rất nhiều học sinh sẽ chuyển lớp."),
    "many-renamed": N_("Rất nhiều học sinh sẽ có tên khác."),
    CARDS_PASSED: N_("Có thẻ đang của em này sẽ thành thẻ của em khác."),
}
BAD: Final = {
    "another-person": N_("mã này là của người khác, theo tên và ngày sinh"),
    "id-taken": N_("mã này đã là của học sinh khác"),
    "matched-twice": N_("hai dòng cùng nói về một học sinh"),
    "unclear": N_("tên này là của nhiều học sinh"),
    "unknown-pupil": N_("không có học sinh này ở trường"),
}
CARDS: Final = {
    "new": N_("Thẻ mới"),
    "passed": N_("Thẻ chuyển sang em khác"),
    "gone": N_("Thẻ thu về"),
    "kept": N_("Thẻ không có trong tệp, vẫn giữ"),
    "lost": N_("Thẻ đã báo mất, vẫn bị từ chối"),
    "replaced": N_("Thẻ đã thay, vẫn bị từ chối"),
    "staff": N_("Thẻ của người đứng quầy, không gắn cho học sinh"),
    "same": N_("Thẻ như cũ"),
}
"""What a roster with cards does to them."""
KINDS: Final = {
    "new": N_("Học sinh mới"),
    "moved": N_("Chuyển lớp"),
    "updated": N_("Cập nhật"),
    "returns": N_("Trở lại"),
    "left": N_("Rời trường"),
    "missing": N_("Thiếu trong tệp, được giữ lại"),
}
Missing = Annotated[Literal["keep", "leave"], Form()]
Word = Annotated[str, Form(max_length=40)]


def add_roster_pages(web: Web) -> None:
    """`/roster`."""
    uploads = Uploads(FILE_BYTES_MAX)

    @web.page("/roster")
    def roster(visit: Visitor, said: Annotated[str, Query(max_length=20)] = "") -> Response:
        with web.store.database.lock:
            people, pull = web.store.people.all(), web.store.sync.report()
        counts = Counter(person.state for person in people)
        sizes = Counter(person.school_class for person in people if person.state != "left")
        classes = sorted(sizes.items(), key=lambda entry: class_order(entry[0]))
        latest = visit.today + timedelta(days=400)
        return web.show(
            visit,
            "roster.html",
            counts=counts,
            classes=classes,
            reach=reached(web),
            said=said,
            latest=latest,
            pull=pull,
            others=[
                (kind, TEMPLATES[kind].title[0 if visit.language == "vi" else 1])
                for kind, right in TAKEN.items()
                if visit.allows(right, None)
            ],
            from_city=pull is not None or web.store.config.city.roster_url is not None,
        )

    @web.form("/roster/preview", "roster", "roster checked", body_max=BODY_MAX)
    def preview(
        visit: Visitor, file: UploadFile, day: Word = "", part: Word = "", missing: Missing = "keep"
    ) -> Response:
        octets = file.file.read(FILE_BYTES_MAX + 1)
        mono_ms = web.store.clock.mono_ms()
        upload = Upload(person_of(visit).name, _plain(file.filename or ""), octets, mono_ms)
        secret = uploads.keep(upload.owner, upload.name, octets, mono_ms)
        return _previewed(web, visit, upload, secret, _words(visit, upload, day, part, missing))

    @web.form("/roster/apply", "roster", "roster taken")
    def apply(
        visit: Visitor,
        secret: Word = "",
        day: Word = "",
        part: Word = "",
        missing: Missing = "keep",
        confirm: Annotated[list[str] | None, Form(max_length=len(GUARDS))] = None,
    ) -> Response:
        upload = uploads.find(person_of(visit).name, secret, web.store.clock.mono_ms())
        if upload is None:
            return web.show_problem(visit, 409, "file-gone")
        words = _words(visit, upload, day, part, missing)
        words["confirm"] = ",".join(one for one in confirm or [] if one in GUARDS)
        try:
            found = web.store.listdesk.take(words, write=True)
        except ListRefused as problem:
            return _refused(web, visit, problem)
        if found["written"] is None:
            return _previewed(web, visit, upload, secret, words, 200 if found["unchanged"] else 409)
        uploads.drop(secret)
        visit.note("roster taken", found["written"])
        return RedirectResponse("/roster?said=taken", 303)


def _plain(name: str) -> str:
    """A file's name as it is shown: printable, without folders, short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:FILE_NAME_MAX] or "-"


def _words(visit: Visit, upload: Upload, day: str, part: str, missing: str) -> dict[str, str | None]:
    return {
        "file": upload.name,
        "paper": wrapped(upload.octets),
        "day": day or None,
        "part": "True" if part else None,
        "missing": missing,
        "by": name_of(visit),
    }


def _refused(web: Web, visit: Visit, problem: ListRefused) -> Response:
    words = problem.fault.vi if visit.language == "vi" else problem.fault.en
    return web.show(visit, "rosterpreview.html", 400, title=web.say(visit, TITLE), problem=words, found=None)


TITLE: Final = N_("Xem trước danh sách")


def _previewed(
    web: Web, visit: Visit, upload: Upload, secret: str, words: dict[str, str | None], http: int = 200
) -> Response:
    try:
        found, made = web.store.listdesk.compared(words)
    except ListRefused as problem:
        return _refused(web, visit, problem)
    confirmed = frozenset((words.get("confirm") or "").split(","))
    return web.show(
        visit, "rosterpreview.html", http, title=web.say(visit, TITLE), problem=None, found=found, secret=secret,
        day=words["day"] or "", part=words["part"] or "", missing=words["missing"], confirmed=confirmed,
        kinds=[(kind, web.say(visit, text), _names(made, kind)) for kind, text in KINDS.items()],
        guards={guard: web.say(visit, text) for guard, text in GUARDS.items()},
        bad=[(bad.line.where, web.say(visit, BAD[bad.reason])) for bad in made.bad],
        cards=_cards(web, visit, found), ready=_could(found), minutes=KEPT_MS // 60_000,
    )  # fmt: skip


def _cards(web: Web, visit: Visit, found: Document) -> list[tuple[str, int, list[int]]]:
    """What becomes of cards: in words, how many, and rows of the file."""
    told = found["cards"]
    if told is None:
        return []
    return [
        (web.say(visit, CARDS[effect]), count, [one["row"] for one in told["lines"] if one["effect"] == effect])
        for effect, count in told["counts"].items()
        if count
    ]


def _could(found: Document) -> bool:
    """Whether the list could be taken, once its guards are confirmed."""
    return takes(found, frozenset(GUARDS))


def _names(made: Plan, kind: str) -> list[tuple[str, str, str]]:
    """Name, class before and class after of whom a kind of change concerns, in the order of lists."""
    if kind == "missing":
        rows = [(pupil.name, class_on(pupil, made.day) or "", "") for pupil in made.missing]
    else:
        rows = [_row(change, made.day) for change in made.changes if change.kind == kind]
    rows.sort(key=lambda row: (class_order(row[2] or row[1]), name_order(row[0])))
    return rows[:NAMES_SHOWN]


def _row(change: Change, day: date) -> tuple[str, str, str]:
    before = "" if change.before is None else class_on(change.before, day) or ""
    later = max([day, *(piece.first for piece in change.after.enrolments)])
    after = "" if change.kind == "left" else class_on(change.after, later) or ""
    return change.after.name, before, after
