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
from edge.patterns import PATTERNS
from hub.config import KEYS as HUB_KEYS
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
    ("A batch, in records", "protocol.batch:BATCH_EVENTS_MAX"),
    ("A batch, in bytes, whichever comes first", "protocol.batch:BATCH_BYTES_MAX"),
    ("Records of a backlog under way at once, on a line that carries them", "edge.pace:WINDOW_MAX"),
    ("Stations of a gateway", "protocol.settings:TABLES_MAX"),
    ("Cards waiting at one station for a slow disk, then the alarm `lane-full`", "edge.lane:WAITING_MAX"),
    ("Holes named in one mark of a receipt; further ones in the next", "protocol.receipts:MISSING_MAX"),
    ("Journals in one receipt", "hub.receipts:JOURNALS_MAX"),
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
    "rooms": rooms,
    "faults": faults,
    "proof": proof,
    "readers": readers,
    "patterns": patterns,
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
