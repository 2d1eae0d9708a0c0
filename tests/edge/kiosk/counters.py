"""Counters with a few pupils, and a kiosk on a thread over one, for tests of what is around the pure rooms."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge.kiosk.keeper import Kiosk
from protocol.countersheet import Eater
from sim.counter import SimulatedCounter
from tests.patience import within

AN = Eater("st-1", "Nguyễn Thị Khánh An", "3/2", meals=["lunch"])
BAO = Eater("st-2", "Lê Gia Bảo", "3/2", "diet", ["lunch"], alerts=["đậu phộng (lạc)", "hải sản có vỏ"], confirmed=True)
CHAU = Eater("st-3", "Đặng Minh Châu", "1A", alerts=["trứng"])
EATERS = (AN, BAO, CHAU, *(Eater(f"st-9{n}", f"Trần Đức Dũng {n}", "3/2", meals=["lunch"]) for n in range(12)))
STATION = "quay-1"


def counter() -> SimulatedCounter:
    """Two counters of a gateway, nobody came yet."""
    return SimulatedCounter((STATION, "quay-2"), EATERS)


@contextmanager
def kiosk_of(of: SimulatedCounter) -> Iterator[Kiosk]:
    """A kiosk that serves, on a port of its own."""
    made = Kiosk(of, "127.0.0.1:0", of.mono_ms)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    assert made.ready.wait(within(20))
    try:
        yield made
    finally:
        made.stop()
        thread.join(within(5))
        assert not thread.is_alive()


class Asker:
    """Asks a kiosk as a page of it does, or otherwise."""

    def __init__(self, kiosk: Kiosk) -> None:
        assert kiosk.port is not None
        self.port, self.host = kiosk.port, f"127.0.0.1:{kiosk.port}"

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers, text."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, values: Any, **headers: str) -> tuple[int, dict[str, str], str]:
        """The same; `values` as JSON."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        mine = {"origin": f"http://{self.host}", "x-kiosk": self.secret(), "content-type": "application/json"}
        return self._ask("POST", path, body, mine | {name.replace("_", "-"): said for name, said in headers.items()})

    def secret(self) -> str:
        """What pages of this run bring."""
        return self.get(f"/staff?station={STATION}")[2].partition('data-secret="')[2].partition('"')[0]

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within(10))
        try:
            line.request(method, path, body, {name: value for name, value in headers.items() if value})
            answer = line.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read().decode()
        finally:
            line.close()

    @contextmanager
    def stream(self, page: str, station: str = STATION) -> Iterator[Iterator[tuple[str, str]]]:
        """A page's stream: its events, as (name, data)."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within(10))
        line.request("GET", f"/events/{page}?station={station}")
        answer = line.getresponse()
        assert answer.status == 200

        def events() -> Iterator[tuple[str, str]]:
            name, data = "message", ""
            while octets := answer.readline():
                said = octets.decode().rstrip("\n")
                if said.startswith("event: "):
                    name = said[7:]
                elif said.startswith("data:"):
                    data = said[5:].strip()
                elif not said:
                    yield name, data
                    name, data = "message", ""

        try:
            yield events()
        finally:
            line.close()
