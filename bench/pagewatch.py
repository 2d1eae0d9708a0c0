"""Open pages: `python -m bench.pagewatch URL COOKIE SECONDS CLASS...` holds a stream for each class and five boards.

Each class's page is asked for again when its stream says so, each board every two seconds; the answers' times in ms are
printed as JSON. A process of its own, so that it doesn't share the hub's interpreter.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from random import Random

import httpx2 as httpx

BOARDS = 5
BOARD_EVERY_S = 2.0
OPENING_S = 4.0
"""Fifty pages that are opened within a second aren't measured."""


class Watch:
    """All pages of one browserful of people."""

    def __init__(self, url: str, cookie: str, seconds: float) -> None:
        """Nothing is open yet."""
        limits = httpx.Limits(max_connections=200)
        self._client = httpx.AsyncClient(base_url=url, cookies={"k12": cookie}, timeout=30, limits=limits)
        self._begins_s = time.monotonic() + OPENING_S
        self._ends_s = time.monotonic() + seconds
        self._rng = Random(1)
        self.took: dict[str, list[float]] = {"class": [], "gate": [], "tap": []}

    async def sheet(self, school_class: str) -> None:
        """A class sheet that somebody looks at."""
        query = {"class": school_class}
        await self._ask("class", "/class", query)
        async with self._client.stream("GET", "/v1/class/events", params=query) as answer:
            async for line in answer.aiter_lines():
                if time.monotonic() > self._ends_s:
                    return
                what = json.loads(line[6:])["what"] if line.startswith("data: ") else ""
                if what == "all":
                    # As the pages' own script does.
                    await asyncio.sleep(0.5 + 2.5 * self._rng.random())
                if what in ("new", "all"):
                    await self._ask("class", "/class", query)

    async def board(self, number: int) -> None:
        """A gate board: taps come by the stream, in ms since the hub's record of it."""
        await asyncio.sleep(number * BOARD_EVERY_S / BOARDS)
        again = asyncio.create_task(self._again())
        async with self._client.stream("GET", "/v1/gate/events") as answer:
            async for line in answer.aiter_lines():
                if time.monotonic() > self._ends_s:
                    break
                told = json.loads(line[6:]) if line.startswith("data: ") else {"what": ""}
                if told["what"] == "taps":
                    now_ms = time.time() * 1000
                    self.took["tap"] += [now_ms - row["at_ms"] for row in told["rows"]]
        again.cancel()

    async def _again(self) -> None:
        while time.monotonic() < self._ends_s:
            await self._ask("gate", "/gate", {})
            await asyncio.sleep(BOARD_EVERY_S)

    async def _ask(self, kind: str, path: str, query: dict[str, str]) -> None:
        began_s = time.perf_counter()
        answer = await self._client.get(path, params=query)
        answer.raise_for_status()
        if time.monotonic() > self._begins_s:
            self.took[kind].append((time.perf_counter() - began_s) * 1000)


async def run(url: str, cookie: str, seconds: float, classes: list[str]) -> dict[str, list[float]]:
    """Everything at once."""
    watch = Watch(url, cookie, seconds)
    await asyncio.gather(*(watch.sheet(name) for name in classes), *(watch.board(number) for number in range(BOARDS)))
    return watch.took


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]))))
