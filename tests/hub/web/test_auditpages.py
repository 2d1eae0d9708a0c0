"""The page of the audit: acts and roles in its reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from hub.access.rights import Person
from hub.web.acts import ACTS, act_said, act_words
from hub.web.ground import rules
from hub.web.site import make_app
from protocol.records import State
from tests.hub.web.catalog import WEB
from tests.hub.web.pagehub import PageHub, page_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageHub]:
    with page_hub(tmp_path_factory.mktemp("audit") / "hub") as made:
        made.add("ky.thuat", "it")
        yield made


NOTED = re.compile(r'\.(?:_?note)\(\s*"([a-z][a-z -]+)", ')


def test_every_act_of_the_audit_has_words_in_both_languages(hub: PageHub) -> None:
    acts = {rule.what for rule in rules(make_app(hub.store, hub.status, lambda: None)).values()}
    for path in (*WEB.rglob("*.py"), *WEB.parent.glob("desks/*.py")):
        acts |= set(NOTED.findall(path.read_text(encoding="utf-8")))
    acts |= {f"mark {state}" for state in get_args(State)}
    assert acts >= {"see gate", "mark pupil", "user revoked", "api marks", "post rollcall"}
    told = {act: (act_words("vi", act), act_words("en", act)) for act in acts}
    assert {act: words for act, words in told.items() if act == words[0] or words[0] == words[1]} == {}
    assert all(act_said(words[0]) == act for act, words in told.items() if act in ACTS)


def test_the_page_of_the_audit_speaks_its_reader_s_language(hub: PageHub) -> None:
    now_ms = hub.store.clock.now_ms()
    for what in ("see gate", "mark pupil", "api cards"):
        hub.store.audit.note(Person("bac.tu", "guard"), what, "x", "write", "allowed", now_ms, 0)
    client = hub.log_in("ky.thuat")
    page = client.get("/audit", params={"who": "bac.tu"}).text
    for words in (">xem trang: Bảng cổng<", ">ghi điểm danh<", ">chương trình hỏi: cards<", "<td>Bảo vệ</td>"):
        assert words in page
    assert "<td>guard</td>" not in page and ">mark pupil<" not in page
    for asked in ("mark pupil", "Ghi điểm danh", "mark pupil "):
        found = client.get("/audit", params={"who": "bac.tu", "what": asked}).text
        assert found.count("<td>bac.tu</td>") == 1, asked
    hub.store.audit.note(Person("X", "principal", by_token=True), "api cards", "", "write", "allowed", now_ms, 0)
    assert "<td>mã của chương trình X</td><td>Hiệu trưởng</td>" in client.get("/audit").text
    client.cookies.set("lang", "en")
    assert "<td>token of program X</td><td>Principal</td>" in client.get("/audit").text
    page = client.get("/audit", params={"who": "bac.tu"}).text
    assert ">see page: Gate board<" in page and "<td>Guard</td>" in page
