"""Papers of meals as Chromium prints them: one A4 page with its signatures, nothing of the screen, black on white."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from pypdf import PdfReader

from tests.browser.mealsamples import MONTH
from tests.browser.walking import Walker, walker
from tests.hub.web.dayhub import DAY

CLASSES = 45
"""What a school has; the sample's two classes are copied on the page itself, which is all that printing sees."""
DAYS = 23
A4_PT = (595, 842)
GREYS = """() => [...document.querySelectorAll('main *')]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 1)
  .flatMap((one) => {
    const { color, backgroundColor } = getComputedStyle(one);
    const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
    const ground = rgb(backgroundColor), shaded = ground[3] !== 0 && Math.min(...ground.slice(0, 3)) < 255;
    return shaded || Math.max(...rgb(color).slice(0, 3)) > 0 ? [`${one.outerHTML.slice(0, 60)} ${color}`] : [];
  })"""
"""What would be printed in anything but black, or on a ground."""
LONGER = """([body, count]) => { const rows = [...document.querySelectorAll(`${body} > tr`)];
  for (let at = rows.length; at < count; at++) rows[0].parentNode.append(rows[at % rows.length].cloneNode(true)); }"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walker]:
    with walker(tmp_path_factory.mktemp("prints") / "hub") as made:
        yield made


@pytest.mark.parametrize(
    ("path", "role", "rows", "said"),
    [
        (f"/meals?day={DAY}&meal=lunch", "kitchen", CLASSES, ["Người lập phiếu", "Bếp trưởng", "Ban giám hiệu"]),
        (f"/meals/public?day={DAY}&meal=lunch", "principal", 0, ["Không ai nhận", "Thực đơn"]),
        (f"/meals/slip?pupil=st-3-2-0&month={MONTH}", "principal", DAYS, ["PHIẾU", "khiếu nại"]),
    ],
    ids=["kitchen", "public", "slip"],
)
def test_a_paper_of_meals_is_one_page_black_on_white(
    chromium: Walker, path: str, role: str, rows: int, said: list[str]
) -> None:
    # In the dark look, which prints as the light one.
    assert chromium.visit(("/me", role, "1024", "dark", "vi")) == []
    page = chromium.page(role)
    page.goto(page.url.partition("/me")[0] + path)
    page.evaluate(LONGER, ["table.numbers tbody", rows])
    page.emulate_media(media="print")
    assert not page.locator("nav, header.top, form, button").filter(visible=True).count()
    assert page.evaluate(GREYS) == []
    printed = PdfReader(BytesIO(page.pdf(format="A4", prefer_css_page_size=True)))
    page.emulate_media(media="screen")
    assert len(printed.pages) == 1, path
    box = printed.pages[0].mediabox
    assert tuple(round(float(side)) for side in (box.width, box.height)) == A4_PT
    text = printed.pages[0].extract_text()
    assert all(one.casefold() in text.casefold() for one in said), text
    assert "Đăng xuất" not in text and "Nhật ký truy cập" not in text
