"""Docs that can't lie: what the code has is named, what is named exists, links lead somewhere, commands parse."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.config import REPEAT_WINDOW_S, config_from
from edge.kiosk.words import WORDS
from hub.config import hub_config_from
from k12edge.cli import build_parser
from protocol.taps import tap_type
from tests.houserules.generated import BLOCK, all_faults, all_pains, pages, renewed
from tests.houserules.reading import EVERY, ROOT, commands, shape, written_types
from tests.hub.web.catalog import catalog

TEXTS = {path: path.read_text(encoding="utf-8") for path in pages()}
EVERY_MARK = re.compile(r"<!-- every: (?P<name>[^>]+?) -->\n+(?P<table>(?:\|.*\n)+)")
FIELDS_MARK = re.compile(r"<!-- fields: (?P<name>[^>]+?) -->\n+(?P<table>(?:\|.*\n)+)")
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
RENEW = "run: .venv/bin/python -m tests.houserules.generated"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table's body."""
    lines = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in table.strip().splitlines()]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def word(cell: str) -> str:
    """What a cell names: its first code span."""
    found = re.match(r"`([^`]+)`", cell)
    assert found, f"a cell that names something begins with it in `code`: {cell!r}"
    return found[1]


def marked(mark: re.Pattern[str]) -> list[tuple[str, str, list[list[str]]]]:
    return [
        (found["name"], name(path), rows(found["table"]))
        for path, text in TEXTS.items()
        for found in mark.finditer(text)
    ]


@pytest.mark.parametrize("what", EVERY)
def test_every_name_of_the_code_is_in_the_docs_and_no_other(what: str) -> None:
    tables = [(page, body) for named, page, body in marked(EVERY_MARK) if named == what]
    assert len(tables) == 1, f"one table is marked <!-- every: {what} -->, found in {[page for page, _ in tables]}"
    page, body = tables[0]
    named = [word(row[0]) for row in body]
    assert len(named) == len(set(named)), f"{page} names one of them twice"
    expected = EVERY[what]()
    assert expected - set(named) == set(), f"{page} doesn't name every {what}"
    assert set(named) - expected == set(), f"{page} names what is no {what}"
    assert all(cell for row in body for cell in row), f"{page} leaves a cell empty"


def test_no_table_claims_to_be_checked_and_is_not() -> None:
    assert {named for named, _, _ in marked(EVERY_MARK)} == set(EVERY)
    for path, text in TEXTS.items():
        marks = len(re.findall(r"^<!-- (?:every|fields): ", text, re.MULTILINE))
        found = len(EVERY_MARK.findall(text)) + len(FIELDS_MARK.findall(text))
        assert marks == found, f"{name(path)}: a mark has no table after it"
        parts = len(re.findall(r"^<!-- generated: ", text, re.MULTILINE))
        assert parts == len(BLOCK.findall(text)), f"{name(path)}: a part has no end"


FIELDS = marked(FIELDS_MARK)


@pytest.mark.parametrize(("reference", "page", "body"), FIELDS, ids=[f[0] for f in FIELDS])
def test_fields_are_those_of_the_message(reference: str, page: str, body: list[list[str]]) -> None:
    told = [(word(row[0]), row[1]) for row in body]
    assert told == shape(reference), f"{page}: the fields of {reference}"


def test_every_message_has_its_fields_in_the_docs() -> None:
    from tests.protocol.schemas import SHAPES

    documented = {reference for reference, _, _ in FIELDS}
    missing = {f"{kind.__module__}:{kind.__qualname__}" for kind in SHAPES} - documented
    assert not missing


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    assert renewed(TEXTS[page]) == TEXTS[page], RENEW


def test_every_command_and_both_configurations_stand_in_the_reference() -> None:
    parts = [found["name"] for text in TEXTS.values() for found in BLOCK.finditer(text)]
    assert {part for part in parts if part.startswith("command ")} == {f"command {path}" for path in commands()}
    assert {"config gateway", "config hub", "errors", "endpoints hub", "endpoints city", "schemas"} <= set(parts)


def test_kinds_of_stations_are_told_as_they_are() -> None:
    body = next(body for named, _, body in marked(EVERY_MARK) if named == "station kind")
    for row in body:
        kind: Any = word(row[0])
        assert row[2] == f"{REPEAT_WINDOW_S[kind]} s"
        assert row[3] == ", ".join(f"`{tap_type(kind, decision)}`" for decision in ("accepted", "refused"))


def test_event_types_that_nobody_writes_are_called_reserved() -> None:
    body = next(body for named, _, body in marked(EVERY_MARK) if named == "event type")
    written = {word(row[0]) for row in body if row[1] != "reserved"}
    assert written == written_types()


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: set[str] = set()
    for line in FENCE.sub("", text).splitlines():
        if heading := re.match(r"#{1,6} (.+)", line):
            plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            number, base = 0, slug
            while slug in found:
                number += 1
                slug = f"{base}-{number}"
            found.add(slug)
    return found


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(FENCE.sub("", TEXTS[page])):
        target, _, anchor = link["target"].partition("#")
        if target.startswith(("http://", "https://")):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{name(page)}: {link['target']}"
        if anchor:
            assert anchor in anchors(place.read_text(encoding="utf-8")), f"{name(page)}: {link['target']}"


PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+)\)")
PICTURE_BYTES_MAX = 80_000
PICTURES = ROOT / "docs" / "operating" / "pictures"


def test_pictures_are_there_small_told_in_words_and_all_shown() -> None:
    shown = set()
    for path, text in TEXTS.items():
        for found in PICTURE.finditer(FENCE.sub("", text)):
            picture = (path.parent / found["target"]).resolve()
            assert picture.is_file(), f"{name(path)}: {found['target']}"
            assert len(found["alt"].split()) >= 3, f"{name(path)}: {found['target']} isn't told in words"
            if picture.parent == PICTURES:
                language = "vi" if path.name.endswith(".vi.md") else "en"
                assert picture.name.split(".")[1] == language, f"{name(path)}: {found['target']} speaks otherwise"
                assert picture.stat().st_size <= PICTURE_BYTES_MAX, picture
            shown.add(picture)
    assert {path.resolve() for path in PICTURES.iterdir()} <= shown, "a picture is shown by no page"


QUOTED = re.compile(r"(?<!\*)\*([^*`\n]+(?:\n[^*`\n]+)?)\*(?!\*)|`([^`\n]+)`")
NOT_ON_A_PAGE = {"Mã lớp, Mã học sinh, Họ tên", "X-Forwarded-For", "X-Forwarded-Proto"}
"""Columns of a sheet, and what proxies send."""


class Spoken(dict[str, str]):
    """What fills a gap of a counter's words: how staff speak to pupils, and dots for what differs each time."""

    def __missing__(self, name: str) -> str:
        return {"pupil": "con", "Pupil": "Con"}.get(name, "…")


def test_words_that_operating_pages_quote_stand_on_the_pages_and_screens() -> None:
    said: dict[str, set[str]] = {"vi": set(), "en": set()}
    for message in catalog():
        for language, forms in (("vi", message.id), ("en", message.string)):
            said[language] |= {forms.casefold()} if isinstance(forms, str) else {form.casefold() for form in forms}
    for vi, en in WORDS.values():
        # How staff speak to pupils is a school's choice.
        said["vi"].add(vi.format_map(Spoken()).casefold())
        said["en"].add(en.format_map(Spoken()).casefold())
    quoted = 0
    for path, text in TEXTS.items():
        if path.parent == ROOT / "docs" / "operating":
            known = said["vi"] if path.name.endswith(".vi.md") else said["vi"] | said["en"]
            for found in QUOTED.finditer(BLOCK.sub("", FENCE.sub("", text))):
                words = " ".join((found[1] or found[2]).split())
                if words[0].isupper() and not re.search(r"[/_=<>{}0-9]", words) and words not in NOT_ON_A_PAGE:
                    quoted += 1
                    assert any(words.casefold() in one for one in known), f"{name(path)}: no page says {words}"
    assert quoted > 60


def test_each_operating_page_is_there_in_both_languages() -> None:
    found = {path.name for path in TEXTS if path.parent == ROOT / "docs" / "operating"}
    assert {page for page in found if not page.endswith(".vi.md")} == {
        page.replace(".vi.md", ".md") for page in found if page.endswith(".vi.md")
    }


def test_each_operating_page_is_reached_from_the_start_page_of_its_language() -> None:
    folder = ROOT / "docs" / "operating"
    for start, mine in (("README.md", False), ("README.vi.md", True)):
        links = {found["target"] for found in LINK.finditer(TEXTS[folder / start])}
        pages = {path.name for path in TEXTS if path.parent == folder and path.name.endswith(".vi.md") == mine}
        assert pages - links <= {start}, start


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in TEXTS:
            continue
        reached.add(page)
        waiting += [(page.parent / link["target"].partition("#")[0]).resolve() for link in LINK.finditer(TEXTS[page])]
    assert set(TEXTS) - reached == set()


def test_pages_that_the_code_speaks_of_exist() -> None:
    for package in ("protocol", "host", "edge", "hub", "k12edge", "sim", "bench", "firmware-config"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".toml", ".sql", ".service", ".conf", ".md"):
                for page in re.findall(r"\bdocs/[\w/.-]+\.md", path.read_text(encoding="utf-8", errors="replace")):
                    assert (ROOT / page).exists(), f"{name(path)} speaks of {page}"


# --- commands and configurations --------------------------------------------------------------------------------------


def command_lines() -> list[tuple[str, str]]:
    found = []
    for path, text in TEXTS.items():
        for fence in FENCE.finditer(text):
            if fence["kind"] in ("sh", "console"):
                for line in fence["text"].replace("\\\n", " ").splitlines():
                    if line.strip() and not line.lstrip().startswith("#"):
                        found.append((name(path), line.strip()))
    return found


def parses(words: list[str]) -> bool:
    """Whether the command line takes these words (or answers them with help)."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            build_parser().parse_args(words)
        except SystemExit as end:
            return end.code == 0
    return True


def test_every_fault_has_a_test_that_makes_it_happen() -> None:
    names = [fault["name"] for fault in all_faults()]
    assert len(set(names)) == len(names) > 40
    for fault in all_faults():
        assert fault["tests"], fault["name"]
        for place in fault["tests"]:
            path, _, test = place.partition("::")
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{fault['name']}: {place}"


def test_every_pain_and_every_rule_has_a_test_that_proves_it() -> None:
    named = all_pains()
    assert set(named) == {"pain", "rule"} and len(named["pain"]) >= 19 and len(named["rule"]) >= 12
    for one in (*named["pain"], *named["rule"]):
        assert one["tests"], one["name"]
        for place in one["tests"]:
            path, _, test = place.partition("::")
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{one['name']}: {place}"


def test_every_golden_day_is_told_of() -> None:
    told = (ROOT / "docs" / "reference" / "pains.md").read_text(encoding="utf-8")
    days = {folder.name for folder in (ROOT / "tests" / "fixtures" / "golden").iterdir()}
    assert days == set(re.findall(r"^\| `([a-z-]+)` \|", told, re.MULTILINE))


def test_commands_parse() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\((\w+)\)", makefile))
    lines = command_lines()
    assert any(page == "README.md" for page, _ in lines)
    for page, line in lines:
        words = shlex.split(line.partition(" #")[0].removeprefix("$ ").removesuffix("&"))
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, f"{page}: {line}"
            assert {word.partition("=")[0] for word in words[1:] if "=" in word} <= variables, f"{page}: {line}"
        elif words[0].rpartition("/")[2] == "k12edge":
            words = list(itertools.takewhile(lambda word: word not in ("|", ">"), words))
            assert parses(words[1:]), f"{page}: {line}"


def test_options_named_in_the_text_exist() -> None:
    known = {option for parser in commands().values() for action in parser._actions for option in action.option_strings}
    paths = {path for command in commands() for path in [command, *_above(command)]}
    for path, text in TEXTS.items():
        for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
            words = span.split()
            if words[0] == "k12edge" and len(words) > 1:
                steps = list(itertools.takewhile(re.compile(r"[a-z][a-z-]*").fullmatch, words[1:]))
                begun = [" ".join(steps[:count]) for count in range(len(steps), 0, -1)]
                known_path = next((one for one in begun if one in paths), None)
                # What stands behind a whole command are its words; behind a part of one there must be another step.
                ends = known_path is not None and not any(one.startswith(f"{known_path} ") for one in paths)
                assert not steps or ends or known_path == begun[0], f"{name(path)}: {span}"
            if words[0].startswith("--") or words[0] == "k12edge":
                for option in re.findall(r"--[a-z-]+", span):
                    assert option in known | {"--help"}, f"{name(path)}: {span}"


def _above(command: str) -> list[str]:
    words = command.split()
    return [" ".join(words[:count]) for count in range(1, len(words))]


def test_configurations_shown_are_accepted() -> None:
    shown = [
        (path, fence["text"])
        for path, text in TEXTS.items()
        for fence in FENCE.finditer(text)
        if fence["kind"] == "toml"
    ]
    assert shown
    for path, text in shown:
        document = tomllib.loads(text)
        if "hub" in document:
            hub_config_from(name(path), document)
        else:
            config_from(name(path), document)
