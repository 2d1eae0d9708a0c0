"""Every form, page and program's door of meals, taken from the routes, against forged, huge, old and odd ones.

A new route is in every table here by itself; what its fields are filled with is told by their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any, Final
from zipfile import ZipFile

import httpx2 as httpx
import pytest
from fastapi.routing import APIRoute
from pypdf import PdfReader

from hub.access.rights import MATRIX
from hub.web.registry import Rule
from hub.web.site import make_app
from tests.hub.web.dayhub import DAY
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

MONTH: Final = f"{DAY:%Y-%m}"
PUPIL: Final = "st-3-2-1"
STRUCK: Final = '=HYPERLINK("http://x.example")<script>window.struck=1</script>'
AUDIT: Final = ("audit", "users", "login_links", "sessions", "sqlite_sequence")
NAMING_PUPILS: Final = {"pupil", "pupils", "served", "act", "tap", "complaint"}
ODD_DAYS: Final = ("0001-01-01", "9999-12-31", "2026-02-30", "-100000000000", "x" * 300, "\u202e2026-11-26")
ODD_MONTHS: Final = ("0000-00", "2026-13", "9999-12", "2026-1", "2026-11-26", "x" * 300, "\u202e2026-11")
NOT_ONCE: Final = {"/meals/adjust", "/incident/make", "/meals/lock", "/meals/paper"}
"""A page's adjustment is one more each time, as the hand that writes it means it; each pack and provisional lock is a
version of its own; of a class's paper list the newest is the whole of it."""


def routes() -> list[APIRoute]:
    nothing: Any = None
    found = [route for route in make_app(nothing, nothing).routes if isinstance(route, APIRoute)]
    return [route for route in found if re.match(r"/(v1/)?(meals|incident)", route.path)]


def rule_of(route: APIRoute) -> Rule:
    rule: Rule = route.endpoint.rule  # type: ignore[attr-defined]
    return rule


ROUTES = routes()
FORMS = [route for route in ROUTES if "POST" in route.methods and not rule_of(route).api]
DOORS = [route for route in ROUTES if route.methods & {"POST", "PUT", "DELETE"} and rule_of(route).api]
LOOKS = [route for route in ROUTES if "GET" in route.methods and not route.path.endswith("/events")]
VALUES: dict[str, Any] = {
    "day": DAY.isoformat(), "date": DAY.isoformat(), "last": (DAY + timedelta(days=1)).isoformat(), "meal": "lunch",
    "meals": "lunch", "weekdays": "0", "month": MONTH, "pupil": PUPIL, "pupils": PUPIL, "served": PUPIL,
    "portion": "porridge", "lock": "provisional", "of": CLASS, "count": "1", "why": "done", "says": "con ăn đủ",
    "alerts": "lạc", "confirmed": "1", "id": "co-hoa", "shown": "Cô Hoa", "pin": "480215", "card": "", "dish": "Cá kho",
    "lot": "L-1", "supplier": "Chợ", "sample": "M-1", "kind": "meal", "scope": f"{DAY} lunch", "number": "1",
    "how": "page", "closed": "1", "mode": "class", "tap": "", "act": "", "complaint": "", "seen": "11:20",
    "filled_by": "", "gone": "", "ends": "", "drill": "1", "ill": "", "all": "", "format": "csv", "hours": "72",
    "half": "am", "provisional": "07:00", "final": "08:00", "money": "08:00", "second": "count", "opens": "10:30",
    "closes": "11:10", "hall": "Nhà ăn", "whom": "", "stations": "",
}  # fmt: skip


def names(route: APIRoute) -> list[str]:
    return [str(one.alias) for one in route.dependant.body_params]


def filled(route: APIRoute, **more: str) -> dict[str, Any]:
    """A form as a person fills it in. A field that isn't told of here has a 1."""
    told = {name: VALUES.get(name, "1") for name in names(route)}
    if route.path == "/meals/settle":
        told["why"] = "undone"
    if route.path == "/meals/plan":
        told["day"] = VALUES["last"]  # A lock that has passed today can't be planned otherwise.
    # A browser sends no empty body as a form.
    return {name: value for name, value in (told | more).items() if value != ""} or {"nothing": "1"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    with meal_hub(tmp_path_factory.mktemp("forms") / "hub") as made:
        made.serve("st-3-2-0", "11:15")
        made.deliver()
        made.now("12:00")
        yield made


def sizes(hub: MealHub) -> dict[str, int]:
    """Rows of every table but those of looks and logins."""
    hub.settle()
    with hub.store.database.lock:
        run = hub.store.database.connection.execute
        tables = [name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: run(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables if name not in AUDIT}


def address(route: APIRoute, school_class: str = CLASS) -> str:
    return f"{route.path}?class={school_class}" if rule_of(route).of == "class" else route.path


class People:
    """Who may do what a route does, each logged in once at this hour, with what stands in their forms."""

    def __init__(self, hub: MealHub) -> None:
        self._hub, self._known = hub, dict[str, tuple[httpx.Client, str]]()

    def __call__(self, route: APIRoute) -> tuple[httpx.Client, str]:
        right = rule_of(route).right
        role = next(role for role in ("principal", "kitchen", "nurse", "canteen", "it") if right in MATRIX[role])
        if role not in self._known:
            client = self._hub.who(role)
            self._known[role] = client, csrf_in(client.get("/me"))
        return self._known[role]


def test_the_tables_are_not_empty() -> None:
    assert len(FORMS) >= 16 and len(DOORS) >= 9 and len(LOOKS) >= 25


def test_a_form_of_no_session_of_ours_is_refused_and_writes_nothing(hub: MealHub) -> None:
    before, other, people = sizes(hub), csrf_in(hub.who("guard").get("/me")), People(hub)
    found = {}
    for route in FORMS:
        client, _ = people(route)
        for csrf in (None, "", "x" * 64, other):
            data = filled(route) | ({} if csrf is None else {"csrf": csrf})
            answer = client.post(address(route), data=data)
            found[route.path, csrf] = (answer.status_code, "form-expired" in answer.text)
        foreign = client.post(address(route), data=filled(route), headers={"origin": "http://evil.example"})
        found[route.path, "origin"] = (foreign.status_code, "foreign-origin" in foreign.text)
    assert set(found.values()) == {(403, True)}, {key: told for key, told in found.items() if told != (403, True)}
    assert sizes(hub) == before


def test_a_body_beyond_its_limit_or_of_another_kind_is_refused_and_writes_nothing(hub: MealHub) -> None:
    before, found, people = sizes(hub), {}, People(hub)
    for route in (*FORMS, *DOORS):
        (client, csrf), method = people(route), next(iter(route.methods))
        path = address(route).replace("{record}", "0123456789abcdef.1")
        rule = rule_of(route)
        if method != "DELETE":
            huge = b"csrf=" + csrf.encode() + b"&why=" + b"x" * rule.body_max
            kind = "application/json" if rule.api else "application/x-www-form-urlencoded"
            told = client.request(method, path, content=huge, headers={"content-type": kind})
            chunks = client.request(
                method, path, content=iter([b"csrf=", csrf.encode()]), headers={"content-type": kind}
            )
            assert (told.status_code, chunks.status_code) == (413, 413), path
        for kind, body in (
            ("application/json", b'{"csrf": "' + csrf.encode() + b'"}'),
            ("application/json", b"[" * 900),
            ("text/plain", b"csrf=" + csrf.encode()),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=csrf\r\n\r\n"),
            ("application/x-www-form-urlencoded", b"csrf=%00%ff&day=%f0"),
        ):
            answer = client.request(method, path, content=body, headers={"content-type": kind})
            if not 400 <= answer.status_code < 500:
                found[path, kind, body[:20]] = answer.status_code
    assert not found and sizes(hub) == before, found


def test_a_teacher_of_another_class_does_nothing_about_these_pupils(hub: MealHub) -> None:
    cut = hub.store.mealoffice.cut("co.lan", "st-3-2-2", DAY, DAY, reason="ốm").record
    hub.store.complaints.complain("co.lan", "st-3-2-2", MONTH, "con ăn đủ")
    ((_, complaint),) = hub.store.complaints.of(MONTH, "st-3-2-2")
    more = {"act": str(cut), "tap": f"{hub.run.journal}.1", "complaint": complaint.record}
    teacher, before, asked = hub.who("teacher", OTHER_CLASS), sizes(hub), 0
    csrf = csrf_in(teacher.get("/me"))
    for route in FORMS:
        if rule_of(route).right not in MATRIX["teacher"] or not NAMING_PUPILS & set(names(route)):
            continue
        data = filled(route) | {name: value for name, value in more.items() if name in names(route)}
        for school_class in (CLASS, OTHER_CLASS):
            answer = teacher.post(address(route, school_class), data=data | {"csrf": csrf})
            assert answer.status_code in (403, 404, 409), (route.path, school_class, answer.status_code)
            asked += 1
    assert asked >= 10 and sizes(hub) == before


def test_the_same_form_twice_makes_one_record(hub: MealHub) -> None:
    """Each form as a person fills it in, sent again by a browser that goes back, or by two touches."""
    hub.now("12:30")
    tap, found, taken, people = f"{hub.run.journal}.1", {}, set(), People(hub)
    for route in FORMS:
        client, csrf = people(route)
        data = filled(route) | {"csrf": csrf}
        data |= {"tap": tap} if "tap" in data or "tap" in names(route) else {}
        first = client.post(address(route), data=data)
        taken |= {route.path} if first.status_code in (200, 303) else set()
        before = sizes(hub)
        second = client.post(address(route), data=data)
        assert second.status_code < 500, route.path
        found[route.path] = {name for name, count in sizes(hub).items() if count != before[name]}
    grew = {path for path, tables in found.items() if tables}
    assert grew <= NOT_ONCE, found
    assert len(taken) >= 10, taken


def test_days_and_months_out_of_bounds_are_refused_everywhere(hub: MealHub) -> None:
    before, failed, people = sizes(hub), {}, People(hub)
    for name, odd in [*(("day", one) for one in ODD_DAYS), *(("month", one) for one in ODD_MONTHS)]:
        for route in LOOKS:
            if name in {str(one.alias) for one in route.dependant.query_params}:
                params = {"kind": "meal", "pupil": PUPIL, "meal": "lunch", "class": CLASS, name: odd}
                answer = people(route)[0].get(route.path, params=params)
                # The pages on who has eaten say it on themselves.
                if not (400 <= answer.status_code < 500 or 'class="note bad"' in answer.text):
                    failed[route.path, odd] = answer.status_code
        for route in FORMS:
            for field in {name, "last"} & set(names(route)) if name == "day" else {name} & set(names(route)):
                client, csrf = people(route)
                answer = client.post(address(route), data=filled(route, **{field: odd}) | {"csrf": csrf})
                if not (400 <= answer.status_code < 500 or "said=refused" in answer.headers.get("location", "")):
                    failed[route.path, odd] = answer.status_code
    assert not failed, failed
    assert sizes(hub) == before


def test_what_people_type_stays_text_on_pages_and_in_files(hub: MealHub) -> None:
    hub.now("13:00")
    people = People(hub)
    for route in FORMS:
        (client, csrf), texts = (
            people(route),
            {"why", "says", "dish", "lot", "supplier", "sample", "alerts", "shown", "hall"},
        )
        odd = {name: STRUCK[:64] for name in texts & set(names(route))}
        if route.path == "/meals/settle" or not odd:
            continue
        for more in (odd, {name: "Na\u202em\u2066" for name in odd}):
            data = filled(route, **more) | {"csrf": csrf}
            answer = client.post(address(route), data=data)
            assert answer.status_code in (200, 303, 409), (route.path, answer.status_code)
            assert "<script>window" not in answer.text, route.path
            if more is not odd:
                assert "Na\u202em" not in answer.text.replace('value="Na\u202em\u2066"', ""), route.path
    hub.settle()
    entered = 0
    for route in LOOKS:
        params = {"day": DAY.isoformat(), "month": MONTH, "pupil": PUPIL, "class": CLASS, "kind": "meal"}
        answer = people(route)[0].get(route.path, params=params)
        if "html" in answer.headers["content-type"]:
            assert "<script>window.struck" not in answer.text, route.path
            entered += "&lt;script&gt;window" in answer.text
        for form in (
            ("csv", "xlsx", "pdf") if "format" in {str(one.alias) for one in route.dependant.query_params} else ()
        ):
            octets = people(route)[0].get(route.path, params=params | {"format": form}).content
            _harmless(form, octets)
    assert entered >= 3, "the menu, the slip and the counters' page show what was typed"


def _harmless(form: str, octets: bytes) -> None:
    """No cell is a formula; no page of paper turns its line around."""
    if form == "csv":
        cells = re.split(r'[,;\n]"?', octets.decode("utf-8-sig"))
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "-\t"))]
    elif form == "xlsx":
        with ZipFile(BytesIO(octets)) as book:
            sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/")]
        assert sheets and not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    else:
        text = "".join(page.extract_text() for page in PdfReader(BytesIO(octets)).pages)
        assert octets.startswith(b"%PDF") and b"/JavaScript" not in octets and b"/URI" not in octets
        assert "\u202e" not in text
