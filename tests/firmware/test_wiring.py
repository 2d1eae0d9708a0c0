"""The wiring pages: two languages of one shape, pictures that are there, addresses and rules that are taken."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
import unicodedata
from pathlib import Path
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

import pytest

from edge.config import config_from
from edge.readers.opening import SCHEMES, make_reader
from edge.readers.osdp import read_key
from protocol.cardforms import number_plan
from tests.firmware.test_udev import tokens
from tests.firmware.unitfiles import FIRMWARE, GATEWAY, ROOT
from tests.houserules.test_docs import FENCE, LINK, anchors

WIRING = FIRMWARE / "wiring"
ENGLISH = sorted(page for page in WIRING.glob("*.md") if not page.name.endswith(".vi.md"))
DEVICES = [page for page in ENGLISH if page.name != "README.md"]
PAGES = [*ENGLISH, *(page.with_suffix(".vi.md") for page in ENGLISH)]
SCHEME_WORDS = ("pn532", "nfcpy", "lines", "pcsc", "osdp", "keyboard")
ADDRESS = re.compile(rf"\b(?:{'|'.join(SCHEME_WORDS)}):[^\s`\"|]*")
IMAGE = re.compile(r"!\[(?P<alt>[^\]]+)\]\((?P<file>[^)]+)\)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(page: Path, kind: str) -> list[str]:
    return [found["text"] for found in FENCE.finditer(dedented(page)) if found["kind"] == kind]


def dedented(page: Path) -> str:
    """The page with the blocks of its numbered steps moved to the margin."""
    return re.sub(r"^ {3}(?! )", "", text(page), flags=re.M)


def headings(page: Path) -> list[int]:
    return [len(found) for found in re.findall(r"^(#+) ", FENCE.sub("", text(page)), re.M)]


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_each_page_stands_in_both_languages_with_the_same_parts(page: Path) -> None:
    other = page.with_suffix(".vi.md")
    assert headings(page) == headings(other)
    for kind in ("sh", "udev", "ini", "js"):
        assert fences(page, kind) == fences(other, kind), kind
    assert ADDRESS.findall(text(page)) == ADDRESS.findall(text(other))
    rows = [len(re.findall(r"^\|", text(one), re.M)) for one in (page, other)]
    assert rows[0] == rows[1]
    assert f"({other.name})" in text(page) and f"({page.name})" in text(other)
    assert unicodedata.is_normalized("NFC", text(other))
    marks = sum(len(unicodedata.normalize("NFD", one)) > 1 for one in text(other))
    assert marks > len(text(other)) / 12, "Vietnamese is written with its marks"


def test_no_page_stands_alone_in_vietnamese_and_no_picture_without_a_page() -> None:
    assert {page.name for page in WIRING.glob("*.vi.md")} == {page.with_suffix(".vi.md").name for page in ENGLISH}
    assert {picture.stem for picture in WIRING.glob("*.svg")} == {page.stem for page in DEVICES}


def test_the_index_names_every_page_and_is_found() -> None:
    for index in (WIRING / "README.md", WIRING / "README.vi.md"):
        ending = index.name.removeprefix("README")
        named = {link["target"] for link in LINK.finditer(text(index))}
        assert {f"{page.stem}{ending}" for page in DEVICES} <= named
    assert "(wiring/README.md)" in text(FIRMWARE / "README.md")
    assert "firmware-config/wiring/README.md)" in text(ROOT / "docs" / "start.md")


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(FENCE.sub("", text(page))):
        target, _, anchor = link["target"].partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), link["target"]
        assert not anchor or anchor in anchors(text(place)), link["target"]


def test_the_vietnamese_guide_has_the_commands_of_the_english_ones() -> None:
    english = fences(FIRMWARE / "README.md", "sh") + fences(ROOT / "docs" / "operations.md", "sh")
    guide = fences(FIRMWARE / "README.vi.md", "sh")
    assert len(guide) == 10
    assert [block for block in guide if block not in english] == []
    assert unicodedata.is_normalized("NFC", text(FIRMWARE / "README.vi.md"))


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", DEVICES, ids=lambda page: page.name)
def test_each_page_shows_its_picture_in_both_languages(page: Path) -> None:
    alts = []
    for one in (page, page.with_suffix(".vi.md")):
        shown = list(IMAGE.finditer(text(one)))
        assert [image["file"] for image in shown] == [f"{page.stem}.svg"]
        alts.append(shown[0]["alt"])
    assert alts[0] != alts[1], "who can't see the picture reads what it shows, in the page's language"


@pytest.mark.parametrize("page", DEVICES, ids=lambda page: page.stem)
def test_pictures_are_small_whole_and_fetch_nothing(page: Path) -> None:
    raw = page.with_suffix(".svg").read_bytes()
    assert len(raw) < 8192
    assert re.findall(rb"https?://[^\"]+", raw) == [b"http://www.w3.org/2000/svg"]
    root = ElementTree.fromstring(raw)
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "rect", "text", "polyline", "circle", "path"}
    assert {"title", "desc", "text"} <= kinds
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    assert root.attrib["viewBox"] == f"0 0 {width:g} {height:g}"
    for element in root.iter():
        if "x" in element.attrib:
            assert 0 <= float(element.attrib["x"]) < width and 0 <= float(element.attrib["y"]) < height


# --- what is to be copied ---------------------------------------------------------------------------------------------


@each_page
def test_addresses_are_taken_by_the_drivers_that_there_are(page: Path) -> None:
    addresses = ADDRESS.findall(text(page))
    for address in addresses:
        scheme, _, rest = address.partition(":")
        query = dict(parse_qsl(rest.partition("?")[2]))
        if scheme in ("lines", "keyboard") and query["format"] not in ("rdm6300", "id12"):
            number_plan(query["format"], query.get("order"), query.get("bytes"), query.get("part"))
        assert unquote(rest) == rest
        if scheme in SCHEMES:
            make_reader(address)
    assert addresses or page.name.startswith("lamps")


@each_page
def test_configurations_are_taken(page: Path) -> None:
    blocks = fences(page, "toml")
    assert blocks or page.name.startswith("README")
    for block in blocks:
        config_from(page.name, tomllib.loads('[gateway]\nid = "cong"\nschool = "s"\n' + block))


@each_page
def test_udev_rules_are_understood_and_give_what_the_service_may_use(page: Path) -> None:
    for rule in fences(page, "udev"):
        for line in rule.splitlines():
            found = tokens(line)
            assert any(operator == "==" for _, _, operator, _ in found)
            given = {key: value for key, _, operator, value in found if operator in ("=", "+=")}
            assert given.get("GROUP", "dialout") in ("dialout", "input")
            assert given.get("SYMLINK", "k12edge/").startswith("k12edge/")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Debian's systemd is not installed")
@pytest.mark.parametrize("page", ["keyboard.md"])
def test_drop_ins_are_understood_by_systemd(page: str, tmp_path: Path) -> None:
    unit = tmp_path / GATEWAY.name
    unit.write_text(GATEWAY.read_text().replace("/opt/k12edge/current/bin/k12edge", "/bin/true"))
    ours = tmp_path / f"{GATEWAY.name}.d" / "override.conf"
    ours.parent.mkdir()
    blocks = fences(WIRING / page, "ini")
    assert blocks
    for block in blocks:
        ours.write_text(block)
        words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
        found = subprocess.run(words, capture_output=True, text=True)
        assert "override.conf" not in found.stderr


@pytest.mark.parametrize("page", ["osdp.md", "osdp.vi.md"])
def test_the_key_file_is_made_as_the_driver_wants_it(page: str, tmp_path: Path) -> None:
    found = [line for block in fences(WIRING / page, "sh") for line in block.splitlines() if "/dev/stdin" in line]
    assert len(found) == 1
    *words, made = shlex.split(found[0])
    assert f"key-file={made}" in text(WIRING / page)
    assert words == ["install", "-m", "0600", "-o", "k12edge", "-g", "k12edge", "/dev/stdin"]
    mine = {"-o": str(os.getuid()), "-g": str(os.getgid())}
    words = [mine.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    key = "00112233445566778899AABBCCDDEEFF"
    subprocess.run([*words, str(tmp_path / "gate.key")], input=f"{key}\n", text=True, check=True)
    assert read_key(str(tmp_path / "gate.key")) == bytes.fromhex(key)


CASE = re.compile(r"^\| (?P<texts>`[^|]+) \| (?P<forms>`[^|]+) \|$", re.M)


@pytest.mark.parametrize("page", ["usb-serial.md", "usb-serial.vi.md", "wiegand.md", "wiegand.vi.md"])
def test_the_numbers_shown_are_those_of_the_card(page: str) -> None:
    card = bytes.fromhex("DEADBEEF")
    wanted = {card.hex().upper(), card[1:].hex().upper(), card[::-1].hex().upper()}
    cases = [(re.findall(r"`([^`]+)`", one["texts"]), one["forms"]) for one in CASE.finditer(text(WIRING / page))]
    assert len(cases) >= 3
    for texts, forms in cases:
        names = re.findall(r"`([^`]+)`", forms)
        for shown, form in zip(texts, names, strict=False):
            assert number_plan(form).read(shown).hex in wanted, (shown, form)
