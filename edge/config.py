"""The gateway's configuration: one TOML file, every key bounded, unknown keys refused."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from edge.pinplan import SCHEME as GPIO
from edge.pinplan import check_plans, parse_pins
from host.tomlfile import read_toml
from protocol.errors import ConfigError
from protocol.settings import Key, Settings, is_loopback, parse_listen, read_settings
from protocol.signing import is_public_key
from protocol.taps import STATION_KINDS, StationKind

TimeSource = Literal["auto", "ntp", "hub", "declared"]

REPEAT_WINDOW_S: Final = {"gate": 5, "canteen": 20, "desk": 5, "care": 5}
"""Seconds within which the same card at the same station is the same tap; longer at counters, where trays wait."""

KEYS: Final = (
    Key("gateway", "id", "slug", "The gateway's id, unique in its school.", needed=True),
    Key("gateway", "school", "slug", "The school's id, as the hub has it.", needed=True),
    Key("gateway", "data_dir", "path", "Where the journal, keys and rosters are kept.", "/var/lib/k12edge/gateway"),
    Key("gateway", "hub_key", "text", "The hub's public key; without it the first hub met is the hub."),
    Key(
        "gateway",
        "watermark_s",
        "whole",
        "In school hours a watermark is due every so many seconds, outside every hour; below 60, always. Where nothing"
        " was recorded since the last one, only every third is said.",
        300,
        low=1,
        high=3600,
    ),
    Key("station", "name", "slug", "The station's name, unique in its gateway.", needed=True, many=True),
    Key("station", "kind", "choice", "What the station is for.", needed=True, choices=STATION_KINDS, many=True),
    Key("station", "direction", "choice", "Which way people pass a gate.", choices=("in", "out"), many=True),
    Key("station", "reader", "text", "The reader's address, such as pn532:///dev/ttyUSB0.", needed=True, many=True),
    Key(
        "station",
        "repeat_window_s",
        "number",
        "Seconds within which the same card is the same tap; 5, at counters 20.",
        low=0,
        high=600,
        many=True,
    ),
    Key(
        "signals", "sinks", "list", "Where signals go: terminal, jsonl:-, jsonl:PATH, gpio:PINS.", ["terminal"], high=8
    ),
    Key(
        "kiosk",
        "listen",
        "text",
        "Where the pages of the canteen's screens are, on loopback only, such as 127.0.0.1:8077; without it none are.",
    ),
    Key(
        "kiosk",
        "pupil",
        "choice",
        "How staff speak to pupils, on their screens: con where they are small, em later.",
        "con",
        choices=("con", "em"),
    ),
    Key(
        "counters",
        "listen",
        "text",
        "Where other counters of the school's network reach this one, such as 0.0.0.0:8078; without it none does.",
    ),
    Key("counters", "peers", "list", "Other counters' addresses, HOST:PORT each.", [], high=64),
    Key("uplink", "url", "text", "The broker's address, mqtt://HOST:PORT; without it nothing is sent."),
    Key(
        "time",
        "source",
        "choice",
        "What may vouch for the time: the NTP-synchronised kernel, the hub, both, or a person.",
        "auto",
        choices=get_args(TimeSource),
    ),
    Key(
        "time",
        "declared_error_ms",
        "whole",
        "With source declared: the wall clock's error bound.",
        1000,
        high=86_400_000,
    ),
)
"""Every key there is; docs/reference/config.md is held against it."""


@dataclass(frozen=True, slots=True)
class StationPlan:
    """What a station is for: its name (a slug), kind, direction (`in`, `out` or None), repeat window in ms."""

    name: str
    kind: StationKind
    direction: str | None
    repeat_window_ms: int


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A gateway as configured; `readers` are the stations' reader addresses, in the order of `stations`.

    Hosts and ports where the screens' pages are, where other counters reach this one, and where those are.
    """

    file: str
    gateway_id: str
    school: str
    data_dir: Path
    hub_key: str | None
    watermark_ms: int
    stations: tuple[StationPlan, ...]
    readers: tuple[str, ...]
    sinks: tuple[str, ...]
    uplink_url: str | None
    time_source: TimeSource
    declared_error_ms: int
    kiosk_listen: str | None = None
    counters_listen: tuple[str, int] | None = None
    counters_peers: tuple[tuple[str, int], ...] = ()
    kiosk_pupil: str = "con"


def load_config(path: Path) -> GatewayConfig:
    """Read the file; raises ConfigError."""
    return config_from(str(path), read_toml(path))


def config_from(file: str, document: dict[str, Any]) -> GatewayConfig:
    """The configuration that a document says; raises ConfigError."""
    settings: Settings = read_settings(file, document, KEYS)
    gateway, time = settings.one["gateway"], settings.one["time"]
    stations = settings.many["station"]
    names = [station["name"] for station in stations]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{file}: [[station]]: name = {name!r} stands {names.count(name)} times")
    readers = [station["reader"] for station in stations]
    devices = list(map(_device, readers))
    for reader, device in zip(readers, devices, strict=True):
        if devices.count(device) > 1:
            raise ConfigError(f"{file}: [[station]]: reader = {reader!r} is given to {devices.count(device)} stations")
    if gateway["hub_key"] is not None and not is_public_key(gateway["hub_key"]):
        raise ConfigError(f"{file}: [gateway]: hub_key is not a public key of 43 characters (k12edge hub keys show)")
    _check_sinks(file, settings.one["signals"]["sinks"], names)
    url = settings.one["uplink"]["url"]
    if url is not None:
        try:
            parse_url(url)
        except ConfigError as problem:
            raise ConfigError(f"{file}: [uplink]: url = {problem}") from problem
    return GatewayConfig(
        file,
        gateway["id"],
        gateway["school"],
        Path(gateway["data_dir"]),
        gateway["hub_key"],
        gateway["watermark_s"] * 1000,
        tuple(_plan(station) for station in stations),
        tuple(readers),
        tuple(settings.one["signals"]["sinks"]),
        url,
        cast(TimeSource, time["source"]),
        time["declared_error_ms"],
        *_canteen(file, settings),
        settings.one["kiosk"]["pupil"],
    )


Address = tuple[str, int]


def _canteen(file: str, settings: Settings) -> tuple[str | None, Address | None, tuple[Address, ...]]:
    """Where our pages are, where our counters are, where others' are; only of a gateway with a canteen's station."""
    listen, exchange, peers = settings.one["kiosk"]["listen"], *map(settings.one["counters"].get, ("listen", "peers"))
    found: list[list[Address]] = []
    for where, texts in (("[kiosk]: listen", listen), ("[counters]: listen", exchange), ("[counters]: peers", peers)):
        texts = [] if texts is None else [texts] if isinstance(texts, str) else texts
        if texts and not any(station["kind"] == "canteen" for station in settings.many["station"]):
            raise ConfigError(f"{file}: {where} = {texts[0]!r} is for a gateway with a station of kind canteen")
        try:
            found.append([parse_listen(text) for text in texts])
        except ConfigError as problem:
            raise ConfigError(f"{file}: {where} = {problem}") from problem
    if found[0] and not is_loopback(found[0][0][0]):
        # The pages show names and what children mustn't eat; whoever sits at this machine sees them, nobody else.
        raise ConfigError(f'{file}: [kiosk]: listen = "{listen}" is not on loopback, such as 127.0.0.1:8077')
    for host, port in (*found[1], *found[2]):
        # A name would have to be asked for, on a network that may have nobody to ask.
        if not _is_ipv4(host):
            raise ConfigError(f"{file}: [counters]: {host}:{port} is not an IPv4 address with a port")
    if any(not port for _, port in found[2]):
        raise ConfigError(f"{file}: [counters]: peers: port 0 is nobody's")
    if found[2] and not found[1]:
        raise ConfigError(f"{file}: [counters]: peers are asked from the port of listen, which is missing")
    return listen, next(iter(found[1]), None), tuple(found[2])


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _device(reader: str) -> tuple[str, str]:
    """What a reader's address names, whatever it declares of it: a path is one device under every driver."""
    scheme, _, rest = reader.partition(":")
    location = rest.partition("?")[0].removeprefix("//")
    return ("", location) if location.startswith("/") else (scheme, location.casefold())


def _check_sinks(file: str, sinks: list[str], stations: list[str]) -> None:
    plans = []
    for sink in sinks:
        try:
            if sink.startswith(GPIO):
                plans.append(parse_pins(sink))
                check_plans(plans, stations)
            elif sink != "terminal" and not (sink.startswith("jsonl:") and len(sink) > len("jsonl:")):
                raise ConfigError('it is not "terminal", "jsonl:-", "jsonl:PATH" or "gpio:PINS"')
        except ConfigError as problem:
            raise ConfigError(f'{file}: [signals]: sinks = ["{sink}"]: {problem}') from problem


def _plan(station: Any) -> StationPlan:
    kind = cast(StationKind, station["kind"])
    direction = station["direction"] or ("in" if kind == "gate" else None)
    window_s = REPEAT_WINDOW_S[kind] if station["repeat_window_s"] is None else station["repeat_window_s"]
    return StationPlan(station["name"], kind, direction, int(window_s * 1000))


def parse_url(url: str) -> tuple[str, int]:
    """Host and port of mqtt://HOST[:PORT], 1883 where it names none; raises ConfigError."""
    scheme, _, rest = url.partition("://")
    rest = rest.removesuffix("/")
    if scheme != "mqtt" or not rest or any(character in rest for character in "/@?# \t"):
        raise ConfigError(f"{url!r} is not of the form mqtt://HOST:PORT")
    named = rest.rpartition(":")[1] and not rest.endswith("]")
    host, port = parse_listen(rest if named else f"{rest}:1883")
    if not host or not port:
        raise ConfigError(f"{url!r} names no host, or port 0")
    return host, port
