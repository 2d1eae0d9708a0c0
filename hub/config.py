"""The hub's configuration: one TOML file, every key bounded, unknown keys refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

from host.tomlfile import read_toml
from protocol.errors import ConfigError
from protocol.settings import Key, is_loopback, parse_listen, read_settings
from protocol.taps import SLUG

CityKind = Literal["none", "k12records", "files"]
SinkKind = Literal["none", "console", "file", "webhook"]
HubTimeSource = Literal["auto", "ntp", "declared"]
WEEK_S: Final = 604_800
NEVER: Final = "never"
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
TOLD_KINDS: Final = ("arrived", "late", "left", "not-recorded")

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
    Key(
        "web",
        "plain",
        "switch",
        "Whether pages at an address that isn't loopback go without TLS; for a lab's network only.",
        False,
    ),
    Key("web", "certificate_file", "path", "The school's certificate chain (PEM); absent: the hub's own authority."),
    Key("web", "key_file", "path", "The key of certificate_file (PEM, mode 0600 or 0400)."),
    Key(
        "web",
        "names",
        "list",
        "More names or addresses that people call this hub by, for its own certificate.",
        [],
        high=32,
    ),
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
    Key(
        "city",
        "files_dir",
        "path",
        'With kind = "files": where numbered files for the city are laid; none is ever overwritten.',
    ),
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
    Key(
        "backup",
        "dir",
        "path",
        "Where backups go, a folder that exists; absent: data_dir/backups, which doesn't save from a dead disk.",
    ),
    Key(
        "backup",
        "other_disk",
        "switch",
        "Whether dir is used only while another disk than data_dir's is mounted there, such as a USB stick.",
        False,
    ),
    Key("backup", "at", "text", "When the daily backup is made, HH:MM by the school's clock, or never.", "20:00"),
    Key(
        "backup",
        "passphrase_file",
        "path",
        "A file (mode 0600 or 0400) with a passphrase of 12 characters or more: backups are sealed by it.",
    ),
    Key("privacy", "left_days", "whole", "Days after which hub retention erases who left.", 1_826, low=30, high=36_525),
    Key("privacy", "audit_days", "whole", "Days for which the log of looks and changes is kept.", 400, low=90),
    Key("messages", "sink", "choice", "Where messages to parents go.", "none", choices=get_args(SinkKind)),
    Key(
        "messages", "url", "text", 'With sink = "webhook": its address, https://HOST/PATH, or http:// on this machine.'
    ),
    Key("messages", "secret_file", "path", "A file (mode 0600) of 32 characters or more: messages are signed with it."),
    Key("messages", "file", "path", 'With sink = "file": each message is a line of JSON at its end.'),
    Key(
        "messages",
        "kinds",
        "list",
        "What parents are told; what was said wrongly is always corrected.",
        list(TOLD_KINDS),
        high=8,
    ),
    Key("reports", "labels", "list", "Signs of marks in reports, each MARK=SIGN, such as excused=CP.", [], high=7),
)
"""Every key there is; docs/reference/config.md is held against it."""


@dataclass(frozen=True, slots=True)
class CityPlan:
    """The city as configured; `url` is set where it answers, `files_dir` where files are laid. `hold_ms`: see
    `city_hold_s`.
    """

    kind: CityKind
    url: str | None
    hold_ms: int
    token_url: str | None
    client_id: str | None
    client_secret_file: Path | None
    roster_url: str | None
    files_dir: Path | None = None

    @property
    def answers(self) -> bool:
        """Whether it says of each record that it holds it. A file that somebody sent says so of none."""
        return self.kind == "k12records"


@dataclass(frozen=True, slots=True)
class MessagesPlan:
    """Messages to parents, as configured: the sink with what it needs, and the kinds that are sent."""

    sink: SinkKind
    url: str | None
    secret_file: Path | None
    file: Path | None
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """How long what is kept, in days: pupils after they left, the audit."""

    left_days: int
    audit_days: int


@dataclass(frozen=True, slots=True)
class SunPlan:
    """Cards that prove themselves, as configured. `context` is set where each card has a file key of its own."""

    meta_key_file: Path | None
    file_key_file: Path | None
    context: bytes | None
    proof_at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebPlan:
    """How pages are served. `own`: the school's certificate and key; `tls`: whether there is TLS at all."""

    tls: bool
    own: tuple[Path, Path] | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """Backups as configured. `at_minutes` after midnight is None for never; `named`: a person gave `place`."""

    place: Path
    named: bool
    other_disk: bool
    at_minutes: int | None
    passphrase_file: Path | None


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
    web: WebPlan
    backup: BackupPlan
    messages: MessagesPlan
    privacy: PrivacyPlan
    labels: tuple[str, ...] = ()


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
        _web(file, settings.one["web"], _listen(file, "hub", hub["listen"])[0]),
        _backup(file, Path(hub["data_dir"]), settings.one["backup"]),
        _messages(file, settings.one["messages"]),
        PrivacyPlan(**settings.one["privacy"]),
        tuple(settings.one["reports"]["labels"]),
    )


def _web(file: str, web: Any, host: str) -> WebPlan:
    certificate, key = web["certificate_file"], web["key_file"]
    if (certificate is None) != (key is None):
        raise ConfigError(f"{file}: [web]: certificate_file and key_file go together; give both or none")
    if web["plain"] and certificate is not None:
        raise ConfigError(f"{file}: [web]: plain = true contradicts certificate_file; remove one of them")
    for name in web["names"]:
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?", name):
            raise ConfigError(f"{file}: [web]: names = {name!r} is no host name or address")
    return WebPlan(
        certificate is not None or not (web["plain"] or is_loopback(host)),
        None if certificate is None else (Path(certificate), Path(key)),
        tuple(web["names"]),
    )


def _city(file: str, city: Any) -> CityPlan:
    kind = cast(CityKind, city["kind"])
    for name in ("url", "token_url", "roster_url"):
        _address(file, f"[city]: {name}", city[name], ("http", "https"))
    if kind == "k12records" and city["url"] is None:
        raise ConfigError(f'{file}: [city]: url is missing; kind = "k12records" needs it (http://HOST:PORT)')
    if city["token_url"] is not None and (city["client_id"] is None or city["client_secret_file"] is None):
        raise ConfigError(f"{file}: [city]: token_url needs client_id and client_secret_file")
    if (kind == "files") != (city["files_dir"] is not None):
        raise ConfigError(f'{file}: [city]: files_dir and kind = "files" go together; give both or none')
    secret = city["client_secret_file"]
    return CityPlan(
        kind,
        city["url"],
        city["city_hold_s"] * 1000,
        city["token_url"],
        city["client_id"],
        None if secret is None else Path(secret),
        city["roster_url"],
        None if city["files_dir"] is None else Path(city["files_dir"]),
    )


def _messages(file: str, messages: Any) -> MessagesPlan:
    sink = cast(SinkKind, messages["sink"])
    for name, wanted in (("url", "webhook"), ("secret_file", "webhook"), ("file", "file")):
        if (messages[name] is not None) != (sink == wanted):
            raise ConfigError(f'{file}: [messages]: {name} and sink = "{wanted}" go together; give both or none')
    url = _address(file, "[messages]: url", messages["url"], ("http", "https"))
    if url is not None and url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
        # Names of children would cross the network for everybody to read.
        raise ConfigError(f"{file}: [messages]: url = {url!r} leaves this machine and must begin with https://")
    for kind in messages["kinds"]:
        if kind not in TOLD_KINDS:
            raise ConfigError(f"{file}: [messages]: kinds = {kind!r} is not one of {', '.join(TOLD_KINDS)}")
    secret, out = messages["secret_file"], messages["file"]
    return MessagesPlan(
        sink,
        url,
        None if secret is None else Path(secret),
        None if out is None else Path(out),
        tuple(messages["kinds"]),
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


def _backup(file: str, data_dir: Path, backup: Any) -> BackupPlan:
    found = _TIME.fullmatch(backup["at"])
    if found is None and backup["at"] != NEVER:
        raise ConfigError(f"{file}: [backup]: at = {backup['at']!r} is neither HH:MM nor {NEVER!r}")
    if backup["other_disk"] and backup["dir"] is None:
        raise ConfigError(f"{file}: [backup]: other_disk = true needs dir, where that disk is mounted")
    return BackupPlan(
        data_dir / "backups" if backup["dir"] is None else Path(backup["dir"]),
        backup["dir"] is not None,
        backup["other_disk"],
        None if found is None else int(found[1]) * 60 + int(found[2]),
        None if backup["passphrase_file"] is None else Path(backup["passphrase_file"]),
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
