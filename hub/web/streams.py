"""The streams: what pages of the school day listen to, so that they show what was committed a moment ago."""

from __future__ import annotations

from fastapi.responses import Response, StreamingResponse

from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.pulse import EACH_MAX, Kind
from hub.web.visits import Visit, Visitor


def add_streams(web: Web) -> None:
    """`/v1/today/events`, `/v1/class/events`, `/v1/onsite/events`, `/v1/gate/events`, `/v1/meals/events`."""

    def opened(visit: Visit, kind: Kind) -> Response:
        if web.pulse.full:
            raise Refusal(503, "too-many-streams", "Too many streams are open.", {"retry-after": "10"})
        if web.pulse.has_share(visit):
            raise Refusal(429, "too-many-streams", f"At most {EACH_MAX} streams of one user.", {"retry-after": "10"})
        return StreamingResponse(
            web.pulse.stream(visit, kind), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    @web.api("GET", "/v1/today/events", "see-today", response_class=StreamingResponse)
    def today(visit: Visitor) -> Response:
        """Server-sent events: something changed the school's numbers. No names."""
        return opened(visit, "school")

    @web.api("GET", "/v1/class/events", "see-class", of="class", response_class=StreamingResponse)
    def of_class(visit: Visitor) -> Response:
        """Server-sent events: something changed a class's sheet (`?class=`), or any. No names."""
        return opened(visit, "class")

    @web.api("GET", "/v1/onsite/events", "see-onsite", of="class", response_class=StreamingResponse)
    def on_site(visit: Visitor) -> Response:
        """Server-sent events: something changed who is on site, of a class (`?class=`) or of all. No names."""
        return opened(visit, "class")

    @web.api("GET", "/v1/gate/events", "see-gate", response_class=StreamingResponse)
    def gate(visit: Visitor) -> Response:
        """Server-sent events: each tap at a gate after its commit, with name and class; how the gate devices are."""
        return opened(visit, "gate")

    @web.api("GET", "/v1/meals/events", "see-portions", response_class=StreamingResponse)
    def meals(visit: Visitor) -> Response:
        """Server-sent events: something changed portions or servings. No names."""
        return opened(visit, "meals")
