"""The object check: the class and the pupils of the teacher next door are refused, also where it was forgotten."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx2 as httpx
import pytest
import uvicorn
from fastapi import FastAPI, UploadFile
from starlette.responses import JSONResponse, Response

from hub.web.errors import Headed, add_errors
from hub.web.ground import Web
from hub.web.visits import Visitor, csrf_of
from tests.hub.running import until
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, PASSWORD, PageHub, csrf_in, page_hub

PUPILS = {"p1": CLASS, "p2": OTHER_CLASS}


def routes(web: Web) -> None:
    """What rooms of pages add: a class's list, a pupil, a pupil whose check was forgotten, a change."""

    @web.api("GET", "/v1/class", "see-class", of="class")
    def of_class(visit: Visitor) -> Response:
        return JSONResponse({"class": visit.school_class})

    @web.api("GET", "/v1/pupil/{key}", "see-pupil", of="object")
    def of_pupil(visit: Visitor, key: str) -> Response:
        visit.must(PUPILS.get(key), key)
        return JSONResponse({"key": key})

    @web.api("GET", "/v1/forgotten/{key}", "see-pupil", of="object")
    def forgotten(key: str) -> Response:
        return JSONResponse({"key": key, "name": "Nguyễn Văn An"})

    @web.form("/upload", "leave", "upload", of="class", body_max=300_000)
    def upload(visit: Visitor, file: UploadFile) -> Response:
        return JSONResponse({"bytes": len(file.file.read()), "class": visit.school_class})

    @web.api("POST", "/v1/mark", "mark-class", of="class")
    def mark(visit: Visitor) -> Response:
        return JSONResponse({"class": visit.school_class})


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("pages") / "hub") as made:
        for role in ("teacher", "principal", "nurse", "kitchen"):
            made.add(f"{role}.user", role)  # type: ignore[arg-type]
        made.add("nurse.two", "nurse", **{"class": CLASS})
        yield made


@pytest.fixture(scope="module")
def url(hub: PageHub) -> Iterator[str]:
    """A server of these routes beside the hub's own, on the same store."""
    app = FastAPI()
    web = Web(app, hub.store, hub.status, lambda: None)
    add_errors(app, web.show_error)
    routes(web)
    app.add_middleware(Headed)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started, "the routes are served")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def asking(hub: PageHub, url: str, name: str) -> httpx.Client:
    client = hub.log_in(name, PASSWORD)
    client.base_url = url
    client.headers["origin"] = url
    return client


def test_a_teacher_of_3_2_does_not_get_3_3(hub: PageHub, url: str) -> None:
    client = asking(hub, url, "teacher.user")
    assert client.get("/v1/class").json() == {"class": CLASS}, "one's own by itself"
    assert client.get("/v1/class", params={"class": CLASS}).json() == {"class": CLASS}
    for other in (OTHER_CLASS, "", "3/2 ", "*", "3/2/../3/3"):
        answer = client.get("/v1/class", params={"class": other})
        # An empty name is none, so it is one's own; nothing else is.
        assert answer.status_code == (200 if other == "" else 403), other
    assert client.get("/v1/class?class=3/2&class=3/3").status_code == 403
    assert client.get("/v1/pupil/p1").status_code == 200
    assert client.get("/v1/pupil/p2").status_code == 403
    assert client.get("/v1/pupil/unknown").status_code == 403
    assert client.post("/v1/mark", params={"class": OTHER_CLASS}, json={}).status_code == 403
    rows = [(row.what, row.object, row.kind, row.outcome) for row in hub.audit() if row.who == "teacher.user"]
    assert ("api class", CLASS, "read", "allowed") in rows
    assert ("api class", OTHER_CLASS, "read", "refused") in rows
    assert ("api pupil", "p1", "read", "allowed") in rows and ("api pupil", "p2", "read", "refused") in rows
    assert ("post mark", OTHER_CLASS, "write", "refused") in rows


def test_a_route_that_forgets_the_check_tells_nothing(hub: PageHub, url: str) -> None:
    for name in ("teacher.user", "principal.user"):
        answer = asking(hub, url, name).get("/v1/forgotten/p1")
        assert answer.status_code == 403 and "Nguyễn" not in answer.text


def test_whoever_is_not_bound_sees_all_and_whoever_is_only_the_own(hub: PageHub, url: str) -> None:
    principal, nurse = asking(hub, url, "principal.user"), asking(hub, url, "nurse.user")
    for client in (principal, nurse):
        assert client.get("/v1/class").json() == {"class": None}
        assert client.get("/v1/class", params={"class": OTHER_CLASS}).status_code == 200
        assert client.get("/v1/pupil/p2").status_code == 200
    bound = asking(hub, url, "nurse.two")
    assert bound.get("/v1/class", params={"class": OTHER_CLASS}).status_code == 403
    assert bound.get("/v1/pupil/p2").status_code == 403 and bound.get("/v1/pupil/p1").status_code == 200
    kitchen = asking(hub, url, "kitchen.user")
    assert kitchen.get("/v1/class").status_code == kitchen.get("/v1/pupil/p1").status_code == 403


def test_a_file_comes_with_its_form_up_to_the_routes_own_bound(hub: PageHub, url: str) -> None:
    client = asking(hub, url, "teacher.user")
    csrf = {"csrf": csrf_in(hub.log_in("teacher.user", PASSWORD).get("/me"))}
    file = {"file": ("a.csv", b"x" * 200_000)}
    assert client.post("/upload", files=file).status_code == 403, "without the session's field"
    assert client.post("/upload", data=csrf, files=file).status_code == 403, "with another session's"
    session = client.cookies["k12"]
    csrf = {"csrf": csrf_of(session)}
    answer = client.post("/upload", data=csrf, files=file)
    assert answer.json() == {"bytes": 200_000, "class": CLASS}
    other = client.post("/upload", params={"class": OTHER_CLASS}, data=csrf, files=file)
    assert other.status_code == 403
    for content, status in ((b"x" * 300_000, 413), (b"", 200)):
        assert client.post("/upload", data=csrf, files={"file": ("a.csv", content)}).status_code == status

    def endless() -> Iterator[bytes]:
        yield b"csrf="

    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/upload", content=endless(), headers=headers).status_code == 413, "a body says its length"


def test_each_look_at_a_pupil_is_written_once_a_minute_and_each_change_always(hub: PageHub, url: str) -> None:
    client = asking(hub, url, "principal.user")
    before = len(hub.audit())
    for _ in range(3):
        assert client.get("/v1/pupil/p1").status_code == 200
        assert client.post("/v1/mark", params={"class": CLASS}, json={}).status_code == 200
    new = [(row.what, row.object) for row in hub.audit()[: len(hub.audit()) - before]]
    assert new.count(("api pupil", "p1")) == 1 and new.count(("post mark", CLASS)) == 3
