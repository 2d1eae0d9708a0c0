"""The generated parts of the docs: `python -m tests.houserules.generated` writes them, test_docs compares them."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.config import KEYS as GATEWAY_KEYS
from edge.kiosk.keypad import MENU
from edge.kiosk.staffview import key_table
from edge.kiosk.words import say
from edge.patterns import PATTERNS
from hub.access.rights import CLASS_ROLES, DATED_ROLES, MATRIX, MEANINGS, PERSONAL, READING, RIGHTS, ROLE_WORDS, ROLES
from hub.config import KEYS as HUB_KEYS
from hub.lists.emptybook import offered
from hub.lists.faults import NOTES, WORDS
from hub.lists.templates import TEMPLATES
from hub.store.retention import TABLES, UNTIL_WORDS
from hub.web.ground import rules as routing
from hub.web.registry import PAGES
from hub.web.words import translated
from protocol.errors import BadMessage, K12EdgeError, NeedsHands, Transient
from protocol.settings import Key
from tests.houserules.readers import capabilities, quality, summary
from tests.houserules.reading import ROOT, city_app, commands, error_classes, hub_app, routes

BLOCK = re.compile(r"^(<!-- generated: (?P<name>[^>\n]+) -->\n).*?^(<!-- end -->)", re.DOTALL | re.MULTILINE)
SCHEMAS = ROOT / "protocol" / "schema" / "v1"


def pages() -> list[Path]:
    readers = ROOT / "edge" / "readers" / "README.md"
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", readers, *sorted((ROOT / "docs").rglob("*.md"))]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def command(path: str) -> str:
    """The words of one command: places first, then options; what argparse itself says of each."""
    parser = commands()[path]
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        metavar = action.metavar or action.dest.upper()
        word = " ".join(action.option_strings[-1:]) or str(metavar) + ("…" if action.nargs == "+" else "")
        if action.option_strings and action.nargs != 0:
            word += f" {metavar}"
        told = (action.help or "") % {"default": action.default}
        rows.append([f"`{word}`", told + (", needed" if action.required and action.option_strings else "")])
    return table(["word", "meaning"], rows)


def keys(all_keys: Sequence[Key]) -> str:
    parts = []
    for section in dict.fromkeys(key.table for key in all_keys):
        mine = [key for key in all_keys if key.table == section]
        title = f"[[{section}]]" if mine[0].many else f"[{section}]"
        rows = [[f"`{key.name}`", _default(key), key.limit, key.meaning] for key in mine]
        parts.append(f"### `{title}`\n\n" + table(["key", "default", "limit", "meaning"], rows))
    return "\n\n".join(parts)


def _default(key: Key) -> str:
    if key.needed:
        return "needed"
    return "none" if key.default is None else f"`{json.dumps(key.default)}`"


def errors() -> str:
    def turn(kind: type[K12EdgeError]) -> str:
        for base, word in ((Transient, "the software"), (NeedsHands, "a person"), (BadMessage, "the sender")):
            if issubclass(kind, base):
                return word
        return "any"

    rows = [
        [f"`{kind.code}`", turn(kind), (kind.__doc__ or "").strip().partition("\n")[0], kind.hint]
        for kind in sorted(error_classes(), key=lambda kind: kind.code)
        if "code" in vars(kind)  # a narrower class of the same code says nothing new to people
    ]
    return table(["code", "whose turn", "what happened", "what to do"], rows)


def endpoints(kind: str) -> str:
    rows = [
        [f"`{method} {path}`", query or "–", text or "The page."]
        for method, path, query, text in routes(hub_app() if kind == "hub" else city_app())
    ]
    return table(["endpoint", "query", "answer"], rows)


def example(name: str) -> str:
    text = (SCHEMAS / f"{name}.v1.example.json").read_text(encoding="utf-8")
    shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return f"```json\n{shown}\n```"


def schemas() -> str:
    rows = []
    for path in sorted(SCHEMAS.glob("*.v1.json")):
        if not path.name.endswith(".example.json"):
            schema = json.loads(path.read_text(encoding="utf-8"))
            rows.append([f"[`{path.name}`](../../protocol/schema/v1/{path.name})", schema["title"]])
    return table(["schema", "of"], rows)


LIMITS = (
    ("A record, in bytes", "protocol.envelope:EVENT_BYTES_MAX"),
    ("Objects and lists within each other in a record", "protocol.envelope:NESTING_MAX"),
    (
        "A person's word that a pupil is missing, held back before parents hear it, in ms",
        "hub.messages.planning:HELD_MS",
    ),
    ("A batch, in records", "protocol.batch:BATCH_EVENTS_MAX"),
    ("A batch, in bytes, whichever comes first", "protocol.batch:BATCH_BYTES_MAX"),
    ("Records of a backlog under way at once, on a line that carries them", "edge.pace:WINDOW_MAX"),
    ("Stations of a gateway", "protocol.settings:TABLES_MAX"),
    ("Cards waiting at one station for a slow disk, then the alarm `lane-full`", "edge.lane:WAITING_MAX"),
    ("Holes named in one mark of a receipt; further ones in the next", "protocol.receipts:MISSING_MAX"),
    ("Journals in one receipt", "hub.road.receipts:JOURNALS_MAX"),
    ("Journals in one state message", "edge.statement:TOLD_MAX"),
    ("A damaged journal file that is searched for records, in bytes", "edge.salvage:FILE_BYTES_MAX"),
    ("Salvaged files kept", "edge.salvage:SALVAGED_FILES_MAX"),
    ("Rows of a roster", "hub.roster:ROWS_MAX"),
    ("A roster release unpacked, in bytes", "protocol.roster:RELEASE_BYTES_MAX"),
    ("A roster release's name, and each text of a card, in characters", "protocol.roster:TEXT_CHARACTERS_MAX"),
    ("Gateways that a person accepted, now or once", "hub.store.devices:DEVICES_MAX"),
    ("Gateways that wait for a person", "hub.store.devices:PENDING_DEVICES_MAX"),
    ("Kept of each of them, in bytes; the rest stays there", "hub.store.devices:PENDING_BYTES_MAX"),
    ("Kept of all of them, in bytes", "hub.store.devices:PENDING_TOTAL_BYTES_MAX"),
    ("Whole messages parked, in bytes; the newest stay", "hub.store.ledger:PARKED_BYTES_MAX"),
    ("Whole messages parked under one gateway's name, in bytes", "hub.store.ledger:PARKED_DEVICE_BYTES_MAX"),
    ("Forks kept under one gateway's name", "hub.store.ledger:FORKS_DEVICE_MAX"),
    ("Alarms kept at the hub", "hub.store.ledger:ALARMS_MAX"),
    ("Users, and those who were", "hub.store.userrows:USERS_MAX"),
    ("Tokens that stand", "hub.store.sessionrows:TOKENS_MAX"),
    ("Sessions of one user", "hub.store.sessionrows:SESSIONS_EACH_MAX"),
    ("Rows of the log of looks and changes, for 400 days", "hub.store.auditrows:ROWS_MAX"),
    ("Connections to the pages at once", "hub.web.lines:LINES_MAX"),
    ("Connections of one other machine", "hub.web.lines:LINES_EACH_MAX"),
    ("Open streams of the pages", "hub.web.pulse:LISTENERS_MAX"),
    ("Open streams of one user or token", "hub.web.pulse:EACH_MAX"),
    ("Files that wait for their preview to be taken, of one kind of page", "hub.web.uploads:FILES_MAX"),
    ("Such files of one user", "hub.web.uploads:EACH_MAX"),
    ("Open pages of a counter's screens; one more ends the oldest one's stream", "edge.kiosk.streams:LISTENERS_MAX"),
    ("Connections to a counter's screens at once; one more ends the longest one", "edge.kiosk.lines:LINES_MAX"),
    ("A request's head at a counter's screens, in bytes", "edge.kiosk.lines:HEAD_BYTES_MAX"),
    ("Classes of a shift at a counter's screen", "edge.canteen.classes:CLASSES_MAX"),
    ("What a counter's screen sends, in bytes", "edge.kiosk.door:BODY_BYTES_MAX"),
    ("Pupils that a counter's search offers", "edge.kiosk.screens:FOUND_MAX"),
    ("Records in one page of an audit", "protocol.audit:PAGE_MAX"),
    ("Records in the digest of a range", "protocol.audit:RANGE_MAX"),
)
"""Bounds that docs/promise.md tells, each a constant of the code."""


def limits() -> str:
    rows = []
    for words, place in LIMITS:
        module, _, name = place.partition(":")
        rows.append([words, f"{getattr(importlib.import_module(module), name):,}", f"`{place}`"])
    return table(["limit", "number", "in the code"], rows)


def rooms(package: str) -> str:
    """The layers of a package as import-linter enforces them, upper ones first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(found["layers"] for found in contracts if found.get("containers") == [package])
    return "```text\n" + "\n".join(layer.replace(" | ", " · ") for layer in layers) + "\n```"


def all_faults() -> list[dict[str, Any]]:
    """docs/faults.toml: every fault that the promise is held against."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "docs" / "faults.toml").read_text(encoding="utf-8"))["fault"]
    return found


def faults(asked: str) -> str:
    """The faults of a group for people, `vi disk` or `en disk`; `tests` maps all to their tests."""
    language, _, group = asked.partition(" ")
    mine = [fault for fault in all_faults() if not group or fault["group"] == group]
    if language == "vi":
        head, columns = ("khi nào", "nhà trường thấy gì", "cần làm gì"), ("vi", "thay", "lam")
    elif language == "en":
        head, columns = ("what", "what people see", "what to do"), ("name", "sees", "acts")
    else:
        places = [", ".join(map(_test, fault["tests"])) for fault in mine]
        return table(("fault", "made to happen by"), [[f["name"], p] for f, p in zip(mine, places, strict=True)])
    rows = [[_capital(fault[columns[0]]), *(fault[column] for column in columns[1:])] for fault in mine]
    return table(head, rows)


def pains(kind: str) -> str:
    """The pains of docs/pains.toml, or the rules, with their tests."""
    mine = all_pains()[kind]
    places = [", ".join(map(_test, one["tests"])) for one in mine]
    if kind == "pain":
        rows = [[one["name"], one["here"], place] for one, place in zip(mine, places, strict=True)]
        return table(("pain elsewhere", "here", "proven by"), rows)
    return table(("rule", "proven by"), [[one["name"], place] for one, place in zip(mine, places, strict=True)])


def all_pains() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = tomllib.loads((ROOT / "docs" / "pains.toml").read_text(encoding="utf-8"))
    return found


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _test(place: str) -> str:
    path, _, name = place.partition("::")
    return f"[{name}](../../{path})"


def proof() -> str:
    """What the campaigns found when they were last run at full size: docs/proof/*.json."""
    rows, parts = [], []
    for path in sorted((ROOT / "docs" / "proof").glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        outcome = "kept" if kept["kept"] else "BROKEN: " + "; ".join(kept["problems"][:3])
        rows.append([f"`{kept['command']}`", kept["proves"], outcome])
        groups: dict[str, list[str]] = {}
        for name, value in kept["figures"].items():
            about, _, what = name.rpartition(": ")
            groups.setdefault(about, []).append(f"{what} {value:,}" if isinstance(value, int) else f"{what} {value}")
        run = f"Seed {kept['seed']}, {kept['date']}, {kept['seconds']:,.0f} s, {kept['machine']}, {kept['commit']}."
        told = [f"- {about or 'in all'}: {', '.join(figures)}" for about, figures in groups.items()]
        parts.append("\n".join([f"## `{kept['command']}`", "", run, "", *told]))
    return "\n\n".join([table(["command", "what it proves", "outcome"], rows), *parts])


def readers(asked: str) -> str:
    """Of edge/readers/quality.toml: what drivers can do (`capabilities`), how they stand to the rules (`quality`)."""
    if asked == "capabilities":
        return table(*capabilities())
    if asked == "summary":
        return table(*summary())
    head, rows, notes = quality()
    return table(head, rows) + "\n\n" + "\n".join(notes)


def lists(asked: str) -> str:
    """The lists that people bring: the `columns` of one, all of them, or every `faults` code with its words."""
    if asked == "faults":
        rows = [[f"`{code}`", vi, en, "no" if code in NOTES else "yes"] for code, (vi, en) in WORDS.items()]
        return table(["code", "tiếng Việt", "English", "stops the list"], rows)
    if asked == "all":
        return table(
            ["list", "tiếng Việt", "English", "the same again is"],
            [
                [
                    f"[`{one.name}`](#{one.name})",
                    *one.title,
                    ", ".join(one.column(key).headers[0] for key in one.identity),
                ]
                for one in TEMPLATES.values()
            ],
        )
    template = TEMPLATES[asked]
    rows = []
    for column in template.columns:
        words = "; ".join(f"{vi} / {en}" for vi, en, *_ in offered(column).values())
        told = " / ".join(column.note) if column.note[0] else ""
        holds = ". ".join(part for part in (told, words) if part) or column.kind
        needed = "yes" if column.needed else ""
        rows.append([*column.headers[:2], ", ".join(column.headers[2:]) or "–", needed, holds])
    return table(["header", "English", "also", "needed", "holds"], rows)


def retention() -> str:
    """Every table with its class of data, and until when it is kept; see hub/store/retention.py."""
    rows = [[f"`{kept.table}`", kept.data, UNTIL_WORDS[kept.until], kept.note] for kept in TABLES]
    return table(["table", "data", "kept", "what"], rows)


def roles(_asked: str = "") -> str:
    """Role x right as hub/access/rights.py has it; `account` is everybody's."""
    shown = [right for right in RIGHTS if right != "account"]
    rows = []
    for right in shown:
        marks = ["×" if right in MATRIX[role] else "" for role in ROLES]
        rows.append([f"`{right}`", *marks])
    return table(["right", *(f"`{role}`" for role in ROLES)], rows)


def rights() -> str:
    """What each right means, whether it changes something, whether each look is written down."""
    rows = [
        [f"`{right}`", MEANINGS[right], "no" if right in READING else "yes", "yes" if right in PERSONAL else "no"]
        for right in RIGHTS
    ]
    return table(["right", "what it allows", "changes something", "each look in the audit"], rows)


def role_names() -> str:
    """The roles for people, and what binds them."""
    rows = []
    for role, (vietnamese, english) in ROLE_WORDS.items():
        bound = ["a class"] * (role in CLASS_ROLES) + ["a last day"] * (role in DATED_ROLES)
        rows.append([f"`{role}`", vietnamese, english, " and ".join(bound) or "–"])
    return table(["role", "tiếng Việt", "English", "needs"], rows)


def keypad() -> str:
    """The table of keys as the staff's screen of a counter shows it, in both languages."""
    told = [[f"{key} {say('vi', f'menu-{key}')}", f"{key} {say('en', f'menu-{key}')}"] for key in MENU]
    told += [list(pair) for pair in zip(key_table("vi"), key_table("en"), strict=True)]
    return table(("on the screen", "in English"), told)


def staff_pages(asked: str) -> str:
    """Every page with the roles that may see it; `forms`: what their forms are sent to, and files."""
    entries = routing(hub_app())
    pages_of_people = {page.path: page for page in PAGES}
    rows = []
    for (method, path), rule in sorted(entries.items(), key=lambda entry: entry[0][::-1]):
        page = pages_of_people.get(path) if method == "GET" else None
        if rule.api or (page is not None) != (asked == "seen"):
            continue
        who = "anybody" if rule.right == "open" else ", ".join(_who(rule.right, rule.of)) or "nobody"
        right = "–" if rule.right == "open" else f"`{rule.right}`"
        if page is not None:
            here = "; from this machine anybody" if rule.here else ""
            english = translated("en", page.title)
            rows.append([f"`{path}`", f"{page.title} / {english}", right, who + here])
        else:
            rows.append([f"`{method} {path}`", rule.what, right, who])
    return table(["page", "title", "right", "roles"] if asked == "seen" else ["request", "act", "right", "roles"], rows)


def _who(right: str, of: str) -> list[str]:
    if right == "account":
        return ["everybody who is logged in"]
    mine = [role for role in ROLES if right in MATRIX[role]]
    if of == "school":
        return [f"`{role}`" for role in mine if role not in CLASS_ROLES]
    return [f"`{role}`" + (" (own class)" if role in CLASS_ROLES else "") for role in mine]


CELL_MS = 20
"""A character in the picture of a pattern."""


def patterns() -> str:
    """Light and sound of each signal, drawn as the table of the code says."""
    lines = []
    for name, steps in PATTERNS.items():
        assert all(step.ms % CELL_MS == 0 for step in steps), name
        light = "".join((step.lamp or ".")[0].upper() * (step.ms // CELL_MS) for step in steps)
        sound = "".join(("#" if step.buzzer else ".") * (step.ms // CELL_MS) for step in steps)
        lines += [f"{name:<9} light  {light}", f"{'':<9} sound  {sound}"]
    return "```text\n" + "\n".join(lines) + "\n```"


MAKERS: dict[str, Callable[..., str]] = {
    "command": command,
    "config": lambda kind: keys({"gateway": GATEWAY_KEYS, "hub": HUB_KEYS}[kind]),
    "errors": errors,
    "endpoints": endpoints,
    "example": example,
    "schemas": schemas,
    "limits": limits,
    "keypad": keypad,
    "rooms": rooms,
    "faults": faults,
    "pains": pains,
    "proof": proof,
    "readers": readers,
    "patterns": patterns,
    "lists": lists,
    "retention": retention,
    "roles": roles,
    "rights": rights,
    "role-names": role_names,
    "staff-pages": staff_pages,
}


def made(name: str) -> str:
    """The text of the generated part of this name: a maker's word and what it is asked for."""
    maker, _, asked = name.partition(" ")
    return MAKERS[maker](asked) if asked else MAKERS[maker]()


def renewed(text: str) -> str:
    """A page with its generated parts made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{made(found['name'])}\n{found[3]}", text)


def main() -> None:
    for path in pages():
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
