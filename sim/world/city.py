"""The simulated city: the reference service's own store behind a wire with moods, under the production client."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import httpx2
import msgspec

from protocol.audit import cursor_of, encode_page
from protocol.envelope import decode_event
from protocol.time import Effective
from sim.city.store import PROBLEM, CityStore
from sim.world.loop import MS, Loop
from sim.world.truth import Truth
from sim.world.underneath import Crash, Storage

LATENCY_MS: Final = (15, 90)
"""From asking to the answer, over the city's network."""


@dataclass(slots=True)
class Moods:
    """What the city does to its callers just now: shares of requests, of events for `poison` and `unknown`."""

    accepted: float = 0.0
    partial: float = 0.0
    shuffled: float = 0.0
    redirect: float = 0.0
    too_many: float = 0.0
    failing: float = 0.0
    wrong_body: float = 0.0
    lost_reply: float = 0.0
    unreachable: float = 0.0
    poison: float = 0.0
    unknown: float = 0.0
    batch_max: int = 1_000


def _effective(store: CityStore, raw: bytes) -> Effective:
    event = decode_event(raw)
    return store.timeline(event.source).effective(event)


class CityBox(httpx2.BaseTransport):
    """See the room. As httpx2's transport it answers the hub's requests at once; the hub's box adds the time."""

    def __init__(self, loop: Loop, rng: Random, storage: Storage, truth: Truth) -> None:
        """Down."""
        self._loop, self._rng, self.storage, self.truth = loop, rng, storage, truth
        self.moods = Moods()
        self.store: CityStore | None = None
        self.before_answer: Callable[[], None] = lambda: None
        self.requests = 0

    def start(self) -> None:
        """It runs (again)."""
        if self.store is None:
            try:
                self.store = CityStore(self.storage.folder)
            except Crash as crash:
                self._crashed(crash)

    def kill(self) -> None:
        """Its process is gone; what it had answered for is in its store."""
        if self.store is not None:
            self.storage.cut()
            self._down()

    def _down(self) -> None:
        store, self.store = self.store, None
        if store is not None:
            store.close()
        self.storage.release()

    def _crashed(self, crash: Crash) -> None:
        self.truth.count(f"city crashed before {crash}")
        self._down()

    def latency_ns(self) -> int:
        """How long one request takes."""
        return self._rng.randrange(LATENCY_MS[0] * MS, LATENCY_MS[1] * MS)

    def _drawn(self, share: float, what: str) -> bool:
        if share and self._rng.random() < share:
            self.truth.count(f"city {what}")
            return True
        return False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2.BaseTransport. Raises ConnectError, RemoteProtocolError."""
        moods = self.moods
        self.requests += 1
        if self.store is None or self._drawn(moods.unreachable, "unreachable"):
            raise httpx2.ConnectError("refused", request=request)
        if self._drawn(moods.accepted, "said 202"):
            return httpx2.Response(202)
        if self._drawn(moods.redirect, "redirected"):
            return httpx2.Response(307, headers={"location": "http://elsewhere/"})
        if self._drawn(moods.too_many, "said 429"):
            return httpx2.Response(429, headers={"retry-after": str(self._rng.randrange(4))})
        if self._drawn(moods.failing, "said 5xx"):
            return httpx2.Response(self._rng.choice((500, 502, 503)))
        if self._drawn(moods.wrong_body, "sent a wrong body"):
            return httpx2.Response(200, content=b"<html>maintenance</html>")
        if request.method == "GET":
            return httpx2.Response(200, content=self._page(self.store, request))
        raws = [bytes(raw) for raw in msgspec.json.decode(gzip.decompress(request.read()), type=list[msgspec.Raw])]
        if len(raws) > moods.batch_max:
            self.truth.count("city said 413")
            return httpx2.Response(413)
        try:
            results = self._take(self.store, raws)
        except Crash as crash:
            self._crashed(crash)
            raise httpx2.RemoteProtocolError("the server disconnected", request=request) from None
        # The hub may crash here: the city holds what the hub doesn't know of.
        self.before_answer()
        if self._drawn(moods.lost_reply, "lost its reply"):
            raise httpx2.ReadError("reset", request=request)
        if self._drawn(moods.partial, "answered in part"):
            results = results[1 :: self._rng.choice((1, 2, 3))]
        if len(results) > 1 and self._drawn(moods.shuffled, "answered in another order"):
            self._rng.shuffle(results)
        return httpx2.Response(200, content=msgspec.json.encode({"results": results}))

    def _page(self, store: CityStore, request: httpx2.Request) -> bytes:
        """The audit, as the reference service gives it."""
        limit = int(request.url.params["limit"])
        rows = store.page(cursor_of(request.url.params.get("after")), limit + 1)
        page = [(position, raw, _effective(store, raw)) for position, raw in rows[:limit]]
        return encode_page(page, more=len(rows) > limit)

    def _take(self, store: CityStore, raws: list[bytes]) -> list[object]:
        refused: dict[int, object] = {}
        if self.moods.poison or self.moods.unknown:
            for number, raw in enumerate(raws):
                # By the event itself, so that the same one is refused again.
                lot = Random(raw).random()
                if lot < self.moods.poison:
                    refused[number] = self._refusal(raw, "invalid-event", retryable=False)
                elif lot < self.moods.poison + self.moods.unknown:
                    refused[number] = self._refusal(raw, "unknown-student", retryable=True)
        taken = iter(store.take([raw for number, raw in enumerate(raws) if number not in refused]))
        return [refused[number] if number in refused else next(taken).told() for number in range(len(raws))]

    def _refusal(self, raw: bytes, kind: str, *, retryable: bool) -> object:
        self.truth.count(f"city refused a record as {kind}")
        name = msgspec.json.decode(raw)
        problem = {"type": f"{PROBLEM}{kind}", "title": kind, "retryable": retryable}
        return {"source": name["source"], "id": name["id"], "status": "rejected", "problem": problem}
