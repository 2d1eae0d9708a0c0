"""The page of the audit: who looked at what and who changed what, filtered, page by page."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from fastapi.responses import Response

from hub.web.acts import act_said, acts_shown
from hub.web.ground import Web
from hub.web.visits import Visitor

ROWS: Final = 50
NUMBER_MAX: Final = (1 << 63) - 1


def add_audit_pages(web: Web) -> None:
    """`/audit`."""

    @web.page("/audit")
    def audit(
        visit: Visitor,
        before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
        who: Annotated[str, Query(max_length=80)] = "",
        what: Annotated[str, Query(max_length=80)] = "",
        outcome: Annotated[str, Query(pattern="^(allowed|refused)?$")] = "",
    ) -> Response:
        rows = web.store.audit.page(before, ROWS, who.strip(), act_said(what.strip()), outcome)
        more = rows[-1].number if len(rows) == ROWS else None
        return web.show(
            visit,
            "audit.html",
            rows=rows,
            more=more,
            who=who,
            what=what,
            outcome=outcome,
            acts=acts_shown(visit.language),
        )
