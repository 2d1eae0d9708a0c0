"""What the code has that the docs must name: found by walking parsers, keys, types, routes and syntax trees."""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute

from edge.ports import Caution, Signal
from host.watchdog import HUNG_EXIT
from hub.cards.authenticity import FindingCode
from hub.days.office import EntryRefused
from hub.road.intake import Fault
from hub.rostersync.register import NoteCode
from hub.store.devices import DeviceStanding
from k12edge.cli import build_parser
from protocol.envelope import EVENT_TYPES
from protocol.errors import BadMessage, K12EdgeError
from protocol.taps import DECISIONS, REASONS, STATION_KINDS, SYNCS, Decision, StationKind, tap_type
from protocol.time import Quality
from protocol.topics import DEVICE_TOPICS, device_topic, hub_state_topic, roster_topic

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "host", "edge", "hub", "k12edge", "sim")


# --- the syntax trees -------------------------------------------------------------------------------------------------


@cache
def trees(package: str) -> dict[str, ast.Module]:
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def walked(package: str) -> tuple[ast.AST, ...]:
    return tuple(node for tree in trees(package).values() for node in ast.walk(tree))


def nodes(*packages: str) -> Iterator[ast.AST]:
    for package in packages:
        yield from walked(package)


def texts(node: ast.AST | None) -> set[str]:
    """The string constants that an expression may give: itself, or a branch of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    if isinstance(node, ast.BoolOp):
        return set().union(*map(texts, node.values))
    return set()


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def given(names: set[str], place: int, *packages: str, keyword: str = "") -> set[str]:
    """String constants given to calls of these names at one place, or under one keyword."""
    found: set[str] = set()
    for node in nodes(*packages):
        if isinstance(node, ast.Call) and name_of(node) in names:
            if len(node.args) > place:
                found |= texts(node.args[place])
            for word in node.keywords:
                if keyword and word.arg == keyword:
                    found |= texts(word.value)
    return found


def constants(*packages: str) -> set[str]:
    return {node.value for node in nodes(*packages) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


# --- errors and codes -------------------------------------------------------------------------------------------------


@cache
def error_classes() -> tuple[type[K12EdgeError], ...]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)

    def below(kind: type[K12EdgeError]) -> Iterator[type[K12EdgeError]]:
        for child in kind.__subclasses__():
            if child.__module__.partition(".")[0] in PACKAGES:
                yield child
                yield from below(child)

    return tuple(dict.fromkeys((K12EdgeError, *below(K12EdgeError))))


def warned(caution: str) -> set[str]:
    found: set[str] = set()
    for node in nodes("edge"):
        if isinstance(node, ast.Call) and name_of(node) == "Warning_" and caution in texts(node.args[0]):
            found |= texts(node.args[3])
    return found


def gateway_alarms() -> set[str]:
    """Codes of the gateway that are no error's own: of its state, its records, its signals."""
    found = given({"alarm", "_alarm", "warn_always"}, 0, "edge") | warned("alarm")
    for node in nodes("edge"):
        if (
            isinstance(node, ast.Call)
            and name_of(node) == "append"
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "alarms"
        ):
            found |= texts(node.args[0])
    return found


def counter_codes() -> set[str]:
    """What a counter's core answers its screens where something was not done, beside errors' codes and alarms."""
    return {
        code
        for path, tree in trees("edge").items()
        if path.startswith("edge/canteen/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node) == "Done" and node.args
        for code in texts(node.args[0])
    }


def screen_codes() -> set[str]:
    """What a counter's screens say by themselves: of what was asked, of troubles, beside what the counter answers."""
    found = given({"_answer", "Trouble"}, 0, "edge") | given({"Notice"}, 1, "edge") | given({"start"}, 2, "edge")
    for node in ast.walk(trees("edge")["edge/kiosk/screens.py"]):
        if isinstance(node, ast.Call) and name_of(node) == "Done" and node.args:
            found |= texts(node.args[0])
    found |= given({"_render"}, 9, "edge", keyword="code")
    for node in ast.walk(trees("edge")["edge/kiosk/door.py"]):
        if isinstance(node, ast.FunctionDef) and node.name == "_refused":
            found |= {text for part in ast.walk(node) if isinstance(part, ast.Return) for text in texts(part.value)}
    return found


def kiosk_routes() -> set[str]:
    """What a kiosk answers, but for its static files."""
    from edge.kiosk.server import Site, make_app

    nothing: Any = None
    app = make_app(Site({}, nothing, "", ""))
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    return {f"{method} {route.path}" for route in found for method in route.methods or ()}


def parking_reasons() -> set[str]:
    """Why a record or a whole message is set aside at the hub; a state message's own error code is `bad-message`."""
    faults = set(get_args(Fault))
    return faults | given({"_park_message"}, 2, "hub") | {BadMessage.code}


def hub_alarms() -> set[str]:
    found = given({"alarm", "_alarm"}, 0, "hub") | given({"Verdict"}, 1, "hub", keyword="alarm")
    return found | parking_reasons() | {"device-refused"} | set(get_args(FindingCode))


def hub_warnings() -> set[str]:
    """What stands on the status page as long as the hub runs: the word before the colon."""
    found: set[str] = set()
    for node in nodes("hub"):
        if isinstance(node, ast.FunctionDef) and node.name == "_warnings":
            for part in ast.walk(node):
                if isinstance(part, ast.Call) and name_of(part) == "append":
                    text = next(
                        (n.value for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)),
                        "",
                    )
                    found.add(text.partition(":")[0])
    return found


def hub_troubles() -> set[str]:
    """What the hub's own parts say when they don't work, beside the codes of errors: the words of `status.parts`."""
    found = {text for text in constants("hub") if text.startswith("messages-")}
    for node in nodes("hub"):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") == "parts":
            for part in ast.walk(node.value):
                if isinstance(part, ast.Lambda):
                    found |= {
                        n.value for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                    }
    return found


def problem_types() -> set[str]:
    """The last word of every `urn:k12edge:problem:` that hub, city, or the hub's client of the city may say."""
    prefix = "urn:k12edge:problem:"
    found = {text.removeprefix(prefix) for text in constants("hub", "sim") if text.startswith(prefix)} - {""}
    found |= given({"_problem", "problem", "Refusal"}, 1, "hub", "sim")
    # LoginNeeded hands its own to its base; pages end with some that programs never meet.
    found |= (
        given({"__init__"}, 1, "hub") & {"login-needed"}
        | given({"show_problem"}, 2, "hub")
        | given({"Answered"}, 3, "sim")
        # Whatever entry is refused: its handler, and Web.show_refused, name it by its own code.
        | {EntryRefused.code}
    )
    return {"status-<number>" if word.startswith("status-") else word for word in found}


# --- the command line -------------------------------------------------------------------------------------------------


def commands(parser: argparse.ArgumentParser | None = None, path: str = "") -> dict[str, argparse.ArgumentParser]:
    """Command path (`hub roster import`) -> its parser, for every command that does something by itself."""
    parser = parser or build_parser()
    found = {path: parser} if path and parser.get_default("run") is not None else {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                found |= commands(child, f"{path} {word}".strip())
    return found


def exit_codes() -> set[str]:
    found = {HUNG_EXIT}
    for module in ("k12edge/words.py", "edge/verify.py"):
        for node in trees(module.partition("/")[0])[module].body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                name = getattr(target, "id", "")
                if name.startswith("EXIT_") or name in ("VALID", "BAD", "UNREADABLE"):
                    found.add(node.value.value)
    for node in ast.walk(trees("k12edge")["k12edge/cli.py"]):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, int):
            found.add(node.value.value)
    return {str(code) for code in found}


# --- what travels -----------------------------------------------------------------------------------------------------


def topics() -> set[str]:
    return {device_topic("<school>", "<device>", leaf) for leaf in DEVICE_TOPICS} | {
        hub_state_topic("<school>"),
        roster_topic("<school>", "<kind>"),
    }


def written_types() -> set[str]:
    """Record types that some room of the product writes: their short names stand in its code."""
    taps = {tap_type(kind, decision) for kind in get_args(StationKind) for decision in get_args(Decision)}
    return set(EVENT_TYPES) & (constants("edge", "hub") | taps)


def routes(app: FastAPI) -> list[tuple[str, str, str, str]]:
    """(method, path, query parameters, first line of the docstring or summary), in the order of the application.

    Staff pages and their forms stand in docs/reference/pages.md.
    """
    found = []
    for route in app.routes:
        rule = getattr(getattr(route, "endpoint", None), "rule", None)
        if isinstance(route, APIRoute) and (rule is None or rule.api):
            text = (route.endpoint.__doc__ or route.summary or "").strip().partition("\n")[0]
            query = ", ".join(f"`{parameter.alias}`" for parameter in route.dependant.query_params)
            for method in sorted(route.methods or ()):
                found.append((method, route.path, query, text))
    if app.openapi_url:
        found.append(("GET", app.openapi_url, "", "This API as an OpenAPI document."))
    return found


def hub_app() -> FastAPI:
    from hub.web.site import make_app

    nothing: Any = None
    return make_app(nothing, nothing)


def city_app() -> FastAPI:
    from sim.city.api import make_app

    nothing: Any = None
    return make_app(nothing, {"client": "secret"})


def endpoints(app: FastAPI) -> set[str]:
    return {f"{method} {path}" for method, path, _, _ in routes(app)}


def shape(reference: str) -> list[tuple[str, str]]:
    """(field, type in words) of a struct named `module:Class`, in the order of the wire."""
    module, _, name = reference.partition(":")
    kind = getattr(importlib.import_module(module), name)
    return [(field.encode_name, in_words(field)) for field in msgspec.structs.fields(kind)]


def in_words(field: msgspec.structs.FieldInfo) -> str:
    schema, components = msgspec.json.schema_components([field.type])
    word = _word(schema[0], components)
    may_be_absent = not field.required
    return f"{word}, may be absent" if may_be_absent else word


def _word(schema: dict[str, Any], components: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name if components[name].get("type") == "object" else _word(components[name], components)
    if "anyOf" in schema:
        return " or ".join(_word(part, components) for part in schema["anyOf"])
    if "enum" in schema:
        return "one of its words"
    if schema.get("type") == "array" and "prefixItems" in schema:
        return f"[{', '.join(_word(part, components) for part in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        items = schema.get("items") or None
        return "list" if not items else f"list of {_word(items, components)}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"object of {_word(values, components)}" if isinstance(values, dict) and values else "object"
    if not schema:
        return "any JSON"
    return {"string": "text", "integer": "whole", "null": "null", "boolean": "true or false", "number": "number"}[
        schema["type"]
    ]


# --- what the hub tells of itself -------------------------------------------------------------------------------------


@cache
def told_by_hub() -> dict[str, frozenset[str]]:
    """The keys of what a real hub's store tells: its status, a gateway, a journal, something that was set aside."""
    from hub.config import hub_config_from
    from hub.parts import Store
    from hub.road.fleet import Fleet
    from hub.web.status import Status

    with tempfile.TemporaryDirectory() as folder:
        store = Store(hub_config_from("hub.toml", {"hub": {"id": "h", "school": "s", "data_dir": folder}}))
        try:
            store.desk.carry_out("devices-accept", {"device": "gate", "fingerprint": None})
            own = store.open_own_journal()
            with store.database.transaction():
                store.ledger.park_message("gate", b"?", "bad-batch", "", 0)
            status = Status(store, Fleet())
            whole = status.whole()
            return {
                "status": frozenset(whole),
                "device": frozenset(whole["devices"][0]),
                "journal": frozenset(status.journals()["journals"][own.book.journal]),
                "aside": frozenset(status.beside("parked", 0, 1)[0]),
            }
        finally:
            store.database.close()


# --- all of it --------------------------------------------------------------------------------------------------------

EVERY: dict[str, Callable[[], set[str]]] = {
    "exit code": exit_codes,
    "error code": lambda: {kind.code for kind in error_classes()},
    "gateway alarm": gateway_alarms,
    "counter code": counter_codes,
    "screen code": screen_codes,
    "kiosk route": kiosk_routes,
    "waiting code": lambda: warned("wait"),
    "hub alarm": hub_alarms,
    "hub warning": hub_warnings,
    "roster discrepancy": lambda: set(get_args(NoteCode)),
    "hub trouble": hub_troubles,
    "parking reason": parking_reasons,
    "problem type": problem_types,
    "decision": lambda: set(DECISIONS),
    "decision reason": lambda: set(REASONS),
    "station kind": lambda: set(STATION_KINDS),
    "clock source": lambda: set(SYNCS),
    "time quality": lambda: set(get_args(Quality)),
    "device standing": lambda: set(get_args(DeviceStanding)),
    "signal": lambda: {*get_args(Signal), *get_args(Caution)},
    "topic": topics,
    "event type": lambda: set(EVENT_TYPES),
    "hub endpoint": lambda: endpoints(hub_app()),
    "city endpoint": lambda: endpoints(city_app()),
    "hub status key": lambda: set(told_by_hub()["status"]),
    "hub device key": lambda: set(told_by_hub()["device"]),
    "hub journal key": lambda: set(told_by_hub()["journal"]),
    "hub listing key": lambda: set(told_by_hub()["aside"]),
}
"""What a table marked `<!-- every: NAME -->` must list in its first column: all of it, and nothing else."""
