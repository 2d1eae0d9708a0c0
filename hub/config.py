"""The hub's configuration: one TOML file, every key bounded, unknown keys refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

from host.tomlfile import read_toml
from protocol.errors import ConfigError
from protocol.settings import Key, parse_listen, read_settings
from protocol.taps import SLUG

CityKind = Literal["none", "k12records"]
HubTimeSource = Literal["auto", "ntp", "declared"]
WEEK_S: Final = 604_800

KEYS: Final = (
    Key("hub", "id", "slug", "The hub's id, unique in its school.", needed=True),
    Key("hub", "school", "slug", "The school's id, as the gateways have it.", needed=True),
    Key(
        "hub",
        "data_dir",
        "path",
        "Where ledger, keys and the embedded broker's store are kept.",
        "/var/lib/k12edge/hub",
    ),
    Key("hub", "listen", "text", "HOST:PORT of pages and API; port 0 takes a free one.", "127.0.0.1:8600"),
    Key("broker", "embedded", "switch", "Whether the hub runs its own broker.", True),
    Key("broker", "listen", "text", "HOST:PORT of the embedded broker; port 0 takes a free one.", "127.0.0.1:1883"),
    Key("broker", "url", "text", "With embedded = false: the broker's address, mqtt://HOST:PORT."),
    Key("city", "kind", "choice", "What the city runs.", "none", choices=get_args(CityKind)),
    Key("city", "url", "text", "The city service's address, http://HOST:PORT or https://HOST."),
    Key(
        "city",
        "city_hold_s",
        "whole",
        "Seconds that a record of a boot without an anchored clock waits for one before the city gets it.",
        900,
        high=WEEK_S,
    ),
    Key("city", "token_url", "text", "Where OAuth2 client credentials are changed for a token; absent: no login."),
    Key("city", "client_id", "text", "The OAuth2 client's id."),
    Key("city", "client_secret_file", "path", "A file that holds the OAuth2 client's secret."),
    Key("city", "roster_url", "text", "Where the city's roster is pulled from; absent: no pull."),
    Key(
        "time",
        "source",
        "choice",
        "What may vouch for the hub's clock: the NTP-synchronised kernel (auto, ntp) or a person (declared).",
        "auto",
        choices=get_args(HubTimeSource),
    ),
    Key("time", "declared_error_ms", "whole", "With source declared: the clock's error bound.", 500, high=86_400_000),
    Key(
        "sun",
        "meta_key_file",
        "path",
        "A file (mode 0600 or 0400) of 32 hex digits: it opens a card's PICC data; absent: no proof is checked.",
    ),
    Key(
        "sun", "file_key_file", "path", "A file like it: the key of the MAC, or the master key of the cards' own ones."
    ),
    Key("sun", "diversified", "switch", "Whether each card has a file key of its own, made by AN10922.", False),
    Key(
        "sun",
        "context",
        "text",
        "With diversified: the issuer's text behind the card's number (AN10922), 18 to 48 hex digits.",
        high=48,
    ),
    Key(
        "sun",
        "proof_at",
        "list",
        "DEVICE/STATION of each station where a pupil's card must prove itself; else staff are told.",
        [],
        high=256,
    ),
    Key(
        "cards",
        "apart_s",
        "number",
        "Acceptances of one card at two devices that are surely nearer in time than this are told; 0: none is.",
        5,
        high=3_600,
    ),
)
"""Every key there is; docs/reference/config.md is held against it."""


@dataclass(frozen=True, slots=True)
class CityPlan:
    """The city as configured; `url` is set unless `kind` is none. `hold_ms`: see `city_hold_s`."""

    kind: CityKind
    url: str | None
    hold_ms: int
    token_url: str | None
    client_id: str | None
    client_secret_file: Path | None
    roster_url: str | None


@dataclass(frozen=True, slots=True)
class SunPlan:
    """Cards that prove themselves, as configured. `context` is set where each card has a file key of its own."""

    meta_key_file: Path | None
    file_key_file: Path | None
    context: bytes | None
    proof_at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HubConfig:
    """A hub as configured. `broker_url` is None where the broker is embedded and listens at `broker_listen`."""

    hub_id: str
    school: str
    data_dir: Path
    listen: tuple[str, int]
    broker_listen: tuple[str, int]
    broker_url: str | None
    city: CityPlan
    time_source: HubTimeSource
    declared_error_ms: int
    sun: SunPlan
    apart_ms: int


def load_hub_config(path: Path) -> HubConfig:
    """Read the file; raises ConfigError."""
    return hub_config_from(str(path), read_toml(path))


def hub_config_from(file: str, document: dict[str, Any]) -> HubConfig:
    """The configuration that a document says; raises ConfigError."""
    settings = read_settings(file, document, KEYS)
    hub, broker, time = settings.one["hub"], settings.one["broker"], settings.one["time"]
    if not broker["embedded"] and broker["url"] is None:
        raise ConfigError(f"{file}: [broker]: url is missing; embedded = false needs it (mqtt://HOST:PORT)")
    if broker["embedded"] and broker["url"] is not None:
        raise ConfigError(f"{file}: [broker]: url = {broker['url']!r} contradicts embedded = true; remove one of them")
    return HubConfig(
        hub["id"],
        hub["school"],
        Path(hub["data_dir"]),
        _listen(file, "hub", hub["listen"]),
        _listen(file, "broker", broker["listen"]),
        _address(file, "[broker]: url", broker["url"], ("mqtt",)),
        _city(file, settings.one["city"]),
        cast(HubTimeSource, time["source"]),
        time["declared_error_ms"],
        _sun(file, settings.one["sun"]),
        round(settings.one["cards"]["apart_s"] * 1000),
    )


def _city(file: str, city: Any) -> CityPlan:
    kind = cast(CityKind, city["kind"])
    for name in ("url", "token_url", "roster_url"):
        _address(file, f"[city]: {name}", city[name], ("http", "https"))
    if kind == "k12records" and city["url"] is None:
        raise ConfigError(f'{file}: [city]: url is missing; kind = "k12records" needs it (http://HOST:PORT)')
    if city["token_url"] is not None and (city["client_id"] is None or city["client_secret_file"] is None):
        raise ConfigError(f"{file}: [city]: token_url needs client_id and client_secret_file")
    secret = city["client_secret_file"]
    return CityPlan(
        kind,
        city["url"],
        city["city_hold_s"] * 1000,
        city["token_url"],
        city["client_id"],
        None if secret is None else Path(secret),
        city["roster_url"],
    )


def _sun(file: str, sun: Any) -> SunPlan:
    if (sun["meta_key_file"] is None) != (sun["file_key_file"] is None):
        raise ConfigError(f"{file}: [sun]: meta_key_file and file_key_file go together; give both or none")
    context = None
    if sun["diversified"]:
        if not re.fullmatch("(?:[0-9A-Fa-f]{2}){9,24}", sun["context"] or ""):
            raise ConfigError(f"{file}: [sun]: diversified = true needs context, the issuer's 18 to 48 hex digits")
        context = bytes.fromhex(sun["context"])
    elif sun["context"] is not None:
        raise ConfigError(f"{file}: [sun]: context contradicts diversified = false; remove one of them")
    for station in sun["proof_at"]:
        if not all(SLUG.fullmatch(part) for part in station.partition("/")[::2]):
            raise ConfigError(f"{file}: [sun]: proof_at = {station!r} is not DEVICE/STATION")
    return SunPlan(
        None if sun["meta_key_file"] is None else Path(sun["meta_key_file"]),
        None if sun["file_key_file"] is None else Path(sun["file_key_file"]),
        context,
        tuple(sun["proof_at"]),
    )


def _listen(file: str, table: str, text: str) -> tuple[str, int]:
    try:
        return parse_listen(text)
    except ConfigError as problem:
        raise ConfigError(f"{file}: [{table}]: listen = {problem}") from problem


def _address(file: str, where: str, url: str | None, schemes: tuple[str, ...]) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # A name or password in it would be passed over in silence, and shown by every error.
        sound = sound and parts.username is None
        (parts.hostname or "").encode("idna")
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"{file}: {where} = {url!r} is not {' or '.join(s + '://HOST:PORT' for s in schemes)}")
    return url
