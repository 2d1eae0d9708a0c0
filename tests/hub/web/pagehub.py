"""A hub's pages on a real socket: the real store, application and server in this process, under a clock to be set.

Users of every role are made through the desk that commands use, and log in by the login page.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from host.machine import Machine
from hub.access.rights import ROLES, Role
from hub.parts import Store
from hub.road.fleet import Fleet
from hub.tls import Certificates
from hub.web.server import WebServer
from hub.web.status import Status
from tests.hub.room import config_in
from tests.hub.running import until

CLASS = "3/2"
OTHER_CLASS = "3/3"
LAST_DAY = "2099-06-30"
PASSWORD = "mot cau ngan de nho"
BOUND: dict[str, dict[str, str]] = {
    "teacher": {"class": CLASS},
    "substitute": {"class": CLASS, "until": LAST_DAY},
}
"""What a role needs beside its name."""


class SetClock(Machine):
    """This machine's clock, some time ahead."""

    ahead_ms = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.ahead_ms * 1_000_000


class PageHub:
    """See the room. `tls` serves as on an address that isn't loopback."""

    def __init__(self, folder: Path, *, tls: bool = False, **tables: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.tls, self.clock = folder, tls, SetClock()
        self.config = config_in(folder, **tables)
        self.passwords: dict[str, str] = {}
        self._clients: list[httpx.Client] = []
        self._open()

    def _open(self) -> None:
        self.store = Store(self.config, self.clock)
        self.store.open_own_journal()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.certificates = Certificates(self.folder, "s", "127.0.0.1") if self.tls else None
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
        self.store.userdesk.base = self.url
        self.status = Status(self.store, Fleet())
        self.server = WebServer(listener, self.store, self.status, lambda: None, self.certificates)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        until(lambda: self.server.progress is not None, "the pages are served")

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()
        self.server.stop()
        self._thread.join(10)
        self.store.database.close()

    def again(self) -> None:
        """The hub after a restart, on the same files."""
        self.close()
        self._open()

    def client(self, **headers: str) -> httpx.Client:
        """A browser without cookies; it follows nothing by itself."""
        verify: Any = True
        if self.tls:
            verify = ssl.create_default_context(cafile=str(self.folder / "tls" / "ca.pem"))
        made = httpx.Client(
            base_url=self.url, verify=verify, timeout=20, headers={"accept": "text/html", "origin": self.url, **headers}
        )
        self._clients.append(made)
        return made

    def ask(self, action: str, **words: str | None) -> str:
        """What `k12edge hub user` and `hub token` ask."""
        return self.store.carry_out(action, words).text

    def add(self, name: str, role: Role, **words: str) -> str:
        """A user with a password; the login name."""
        given = {**BOUND.get(role, {}), **words}
        link = self.ask("user-add", name=name, role=role, **given).splitlines()[-1]
        answer = self.client().post(
            link.removeprefix(self.url), data={"password": PASSWORD, "again": PASSWORD, "name": name}
        )
        assert answer.status_code == 303, answer.text
        return name

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> httpx.Client:
        """A browser that is logged in."""
        client = self.client(**headers)
        answer = client.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def everybody(self) -> dict[Role, httpx.Client]:
        """A browser for each role, logged in."""
        return {role: self.log_in(self.add(f"{role}.user", role)) for role in ROLES}

    def audit(self) -> list[Any]:
        return self.store.audit.page(None, 200)


def csrf_in(page: httpx.Response) -> str:
    """The hidden field of a page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]*)"', page.text)
    assert found is not None
    return found[1]


@contextmanager
def page_hub(folder: Path, **more: Any) -> Iterator[PageHub]:
    made = PageHub(folder, **more)
    try:
        yield made
    finally:
        made.close()
