"""A counter's screens as its staff has them: looked at and pressed by HTTP, as a browser does."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx2

from protocol.errors import NeedsHands

SECRET: Final = re.compile(r'data-secret="([^"]*)"')
NUMBERS: Final = re.compile(r"<dt>[^<]*</dt><dd>(\d+)</dd>")
UNHEARD: Final = re.compile(r"\(([a-z0-9, -]*)\) \[counter-unheard\]")
UNNAMED: Final = ("?",)
"""Some counter isn't heard, and there was no room to say which."""
UNDO: Final = re.compile(r'data-press="undo:([0-9a-f]{16}\.[0-9]+)"')


class Screens:
    """The pages of one station."""

    def __init__(self, station: str, port: int) -> None:
        """Of a gateway on this machine."""
        self._station, self._base = station, f"http://127.0.0.1:{port}"

    def answers(self) -> bool:
        """Whether the pages are there."""
        return self._got("staff") is not None

    def page(self, name: str) -> str:
        """A page, `pupil` or `staff`. Raises NeedsHands."""
        found = self._got(name)
        if found is None:
            raise NeedsHands(f"the screens of {self._station} don't answer")
        return found

    def _got(self, name: str) -> str | None:
        try:
            answer = httpx2.get(f"{self._base}/{name}", params={"station": self._station, "lang": "en"}, timeout=10)
        except httpx2.HTTPError:
            return None
        return answer.text if answer.status_code == 200 else None

    def numbers(self) -> tuple[int, ...]:
        """Expected, served, seconds and left of the shift; empty while nothing answers."""
        return tuple(map(int, NUMBERS.findall(self._got("staff") or "")))

    def unheard(self) -> tuple[str, ...] | None:
        """The gateways that the screen says aren't heard; None while nothing answers."""
        page = self._got("staff")
        if page is None:
            return None
        found = UNHEARD.search(page)
        if found is None:
            return UNNAMED if "[counter-unheard]" in page else ()
        return tuple(found[1].split(", "))

    def press(self, *keys: str) -> str:
        """Press keys, or touch buttons, one after the other; the staff's screen after the last. Raises NeedsHands."""
        secret = SECRET.search(self.page("staff"))
        assert secret is not None
        headers = {"origin": self._base, "x-kiosk": secret[1]}
        html = ""
        for key in keys:
            body = {"station": self._station, "key": key, "lang": "en"}
            answer = httpx2.post(f"{self._base}/press", json=body, headers=headers, timeout=30)
            told: Any = answer.json()
            if answer.status_code != 200 or told["code"] is not None:
                raise NeedsHands(f"{self._station}: a key was answered {answer.status_code}: {answer.text[:200]}")
            html = told["html"]
        return html
