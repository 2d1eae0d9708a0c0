"""Settings: a parsed TOML document held against a table of keys, each with bounds and a line in the docs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from protocol.errors import ConfigError
from protocol.taps import SLUG

Kind = Literal["text", "slug", "number", "whole", "switch", "choice", "list", "path"]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    `table` is written `[table]` or, where it may stand many times, `[[table]]` (`many`). `default` None with
    `needed` means that the file must give it. Numbers lie from `low` to `high`; texts and lists have at most
    `high` characters or entries. `meaning` is the sentence of the docs.
    """

    table: str
    name: str
    kind: Kind
    meaning: str
    default: Any = None
    needed: bool = False
    low: float = 0
    high: float = 400
    choices: tuple[str, ...] = ()
    many: bool = False

    @property
    def limit(self) -> str:
        """The limit in words, for errors and docs."""
        match self.kind:
            case "number" | "whole":
                return f"{'a whole number' if self.kind == 'whole' else 'a number'} from {self.low:g} to {self.high:g}"
            case "slug":
                return "lower-case letters, digits and inner hyphens, at most 64"
            case "choice":
                return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
            case "switch":
                return "true or false"
            case "list":
                return f"a list of at most {self.high:g} texts"
            case "path":
                return f"a path of at most {self.high:g} characters"
            case _:
                return f"a text of at most {self.high:g} characters"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file said, defaults filled in: table -> name -> value; for tables that may repeat, a list of those."""

    one: Mapping[str, Mapping[str, Any]]
    many: Mapping[str, Sequence[Mapping[str, Any]]]


TABLES_MAX = 64
"""Entries of a repeated table; a gateway with more readers than this is several gateways."""


def read_settings(file: str, document: Mapping[str, Any], keys: Sequence[Key]) -> Settings:
    """Hold a document to its keys; raises ConfigError naming file, section, key, value and limit."""
    tables = {key.table: key.many for key in keys}
    for table in document:
        if table not in tables:
            raise ConfigError(f"{file}: section [{table}] is unknown{_did_you_mean(table, tables)}")
    one: dict[str, Mapping[str, Any]] = {}
    many: dict[str, list[Mapping[str, Any]]] = {}
    for table, repeated in tables.items():
        mine = [key for key in keys if key.table == table]
        found = document.get(table, [] if repeated else {})
        if repeated:
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise ConfigError(f"{file}: {table} is written [[{table}]], once for each")
            if len(found) > TABLES_MAX:
                raise ConfigError(f"{file}: {len(found)} [[{table}]] sections, at most {TABLES_MAX} are allowed")
            many[table] = [_section(file, f"[[{table}]] {place}", entry, mine) for place, entry in enumerate(found, 1)]
        else:
            if not isinstance(found, dict):
                raise ConfigError(f"{file}: {table} is written [{table}], once")
            one[table] = _section(file, f"[{table}]", found, mine)
    return Settings(one, many)


def _section(file: str, where: str, found: Mapping[str, Any], keys: Sequence[Key]) -> Mapping[str, Any]:
    names = {key.name: key for key in keys}
    for name in found:
        if name not in names:
            raise ConfigError(f"{file}: {where}: key {name!r} is unknown{_did_you_mean(name, names)}")
    values: dict[str, Any] = {}
    for key in keys:
        if key.name in found:
            values[key.name] = _value(file, where, key, found[key.name])
        elif key.needed:
            raise ConfigError(f"{file}: {where}: key {key.name!r} is missing ({key.limit})")
        else:
            values[key.name] = key.default
    return values


def _value(file: str, where: str, key: Key, value: Any) -> Any:
    if not _fits(key, value):
        raise ConfigError(f"{file}: {where}: {key.name} = {_shown(value)} is not {key.limit}")
    return list(value) if key.kind == "list" else value


def _fits(key: Key, value: Any) -> bool:
    match key.kind:
        case "switch":
            return isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool) and key.low <= value <= key.high
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and key.low <= value <= key.high
        case "list":
            return isinstance(value, list) and len(value) <= key.high and all(_is_text(v, 400) for v in value)
        case "slug":
            return isinstance(value, str) and SLUG.fullmatch(value) is not None
        case "choice":
            return value in key.choices
        case "path":
            return _is_text(value, key.high) and value.strip() != ""
        case _:
            return _is_text(value, key.high)


def _is_text(value: Any, high: float) -> bool:
    return isinstance(value, str) and len(value) <= high and "\0" not in value


def _shown(value: Any) -> str:
    try:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    except ValueError:
        # A hexadecimal number may have more digits than Python writes in decimal.
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"


def parse_listen(text: str) -> tuple[str, int]:
    """HOST:PORT taken apart, port 0 to 65535 ([::1]:80 for IPv6); raises ConfigError."""
    host, colon, digits = text.rpartition(":")
    if not colon or not host or not digits.isascii() or not digits.isdigit() or int(digits) > 65535:
        raise ConfigError(f"{text!r} is not HOST:PORT")
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not name or any(character in name for character in "[] \t") or (":" in name and name == host):
        raise ConfigError(f"{text!r} is not HOST:PORT, or [HOST]:PORT for IPv6")
    try:
        name.encode("idna")
    except UnicodeError as problem:
        # An empty part between two dots, or one of more than 63 characters: no resolver takes it.
        raise ConfigError(f"{text!r} names no host that there can be: {problem}") from problem
    return name, int(digits)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
