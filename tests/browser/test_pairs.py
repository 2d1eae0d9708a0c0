"""The walk's choice of combinations: nothing that is needed is left out, and it stays short."""

from __future__ import annotations

from itertools import product

from hub.access.rights import ROLES
from hub.web.registry import PAGES
from tests.browser.pairs import covering
from tests.browser.walking import LANGUAGES, NOBODY, THEMES, WIDTHS, every_row, some_rows


def test_each_needed_pair_is_met() -> None:
    rows = list(product("ab", "xyz", "12"))
    found = covering(rows, lambda pair: pair[0] != 1)
    assert {(row[0], row[1]) for row in found} == set(product("ab", "xyz"))
    assert {(row[0], row[2]) for row in found} == set(product("ab", "12"))
    assert len(found) == 6


def test_every_role_meets_every_width_look_and_language_and_every_page_a_phone() -> None:
    rows, everything = some_rows(), every_row()
    for place, values in ((2, WIDTHS), (3, THEMES), (4, LANGUAGES)):
        assert {(row[1], row[place]) for row in rows} == set(product((*ROLES, NOBODY), values))
    assert {(row[0], row[2]) for row in rows} >= {(page.path, "390") for page in PAGES}
    for place, values in ((3, THEMES), (4, LANGUAGES)):
        assert {(row[0], row[place]) for row in rows} == set(product({page.path for page in PAGES}, values))
    assert {row[2:] for row in everything} == set(product(WIDTHS, THEMES, LANGUAGES))
    assert len(rows) <= max(2 * len(PAGES), 3 * (len(ROLES) + 1)) + 12
