"""Paging as one would write it: what it loses is what the walk is for. For comparison only."""

from __future__ import annotations

from typing import Final

import httpx2

from hub.city.oneroster import judged, parameters
from hub.rostersync.asking import Ask, Page
from sim.city.rosterapi import RosterApi

PAGES_MAX: Final = 2_000


def short_page_ends(api: RosterApi) -> set[str]:
    """Page by page until one has fewer rows than were asked for."""
    return _by_offset(api, short_ends=True)


def one_walk_by_offset(api: RosterApi) -> set[str]:
    """Page by page until an empty one, once."""
    return _by_offset(api, short_ends=False)


def _by_offset(api: RosterApi, *, short_ends: bool) -> set[str]:
    seen: set[str] = set()
    offset = 0
    for _ in range(PAGES_MAX):
        ask = Ask("users", offset=offset)
        told = api.answer(ask.collection, parameters(ask))
        answer = judged(ask.collection, told.status, httpx2.Headers(told.headers), told.body, 0)
        if not isinstance(answer, Page):
            continue
        seen |= {row.id for row in answer.rows}
        if not answer.rows or (short_ends and len(answer.rows) < ask.limit):
            break
        offset += len(answer.rows)
    return seen
