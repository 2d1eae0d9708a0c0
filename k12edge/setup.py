"""`k12edge gateway init`: asks a person, looks for readers, finds out what they print, writes a configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from edge.config import load_config, parse_url
from edge.readers.lines import BAUDS
from edge.readers.opening import make_reader
from edge.readers.plugged import Plugged, plugged
from k12edge.cards import BAUD, Watch, identify
from protocol.cards import CardUid, parse_card
from protocol.errors import CardNumberError, ConfigError, K12EdgeError, NeedsHands
from protocol.taps import SLUG, STATION_KINDS

TEMPLATE: Final = "CHANGE-ME"
"""Stands in the configuration that is installed with a gateway, until a person fills it in."""

Ask = Callable[[str, str], str]
"""Asks a question with a default and gives the answer."""


class NoAnswer(NeedsHands):
    """Nobody is there to answer."""

    code = "no-answer"
    hint = "Run it at a terminal, or give the answers as options: see k12edge gateway init --help."


class NoReader(NeedsHands):
    """There is no reader to set up."""

    code = "no-reader"
    hint = "Plug the readers in, look at k12edge readers list, and run it again; --port names a port to look at."


@dataclass(frozen=True, slots=True)
class Found:
    """A reader that was found: its address, other addresses that fit as well, and what it is."""

    address: str
    others: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class StationAnswer:
    """A station as it was answered for."""

    name: str
    kind: str
    direction: str | None
    found: Found


def asked(question: str, default: str) -> str:
    """Ask at the terminal; the default where nothing is typed. Raises NoAnswer at the end of the input."""
    print(f"{question} [{default}]: " if default else f"{question}: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise NoAnswer(f"nobody answered: {question}")
    return line.strip() or default


def init(
    path: Path,
    *,
    school: str | None,
    gateway: str | None,
    broker: str | None,
    card: str | None,
    hub_key: str | None = None,
    ports: Sequence[str],
    seconds: float,
    ask: Ask = asked,
) -> None:
    """Write the configuration to `path`; only an installed template that nobody filled in may stand there.

    Raises ConfigError, NoAnswer, CardNumberError.
    """
    _may_be_written(path)
    known = None if card is None else parse_card(card)
    school = _valid(ask, "mã trường / school id", school, "79000701", _slug)
    gateway = _valid(ask, "tên thiết bị / gateway id", gateway, "cong-1", _slug)
    broker = _valid(ask, "địa chỉ broker / broker's address (mqtt://HOST:PORT)", broker, "", _broker)
    there = () if ports else plugged()
    places = list(ports) or [at.path for at in there if at.kind == "serial"]
    taken: set[str] = set()
    stations = list(_stations(places, known, seconds, ask, taken))
    stations += _others([at for at in there if at.kind != "serial"], len(stations), ask, taken)
    if not stations:
        raise NoReader("no reader was found that a station could have; nothing is written")
    _write(path, "\n".join(_lines(school, gateway, broker, hub_key, stations)) + "\n")
    print(f"{path}: {len(stations)} trạm / stations", file=sys.stderr)
    print(f"  k12edge doctor --config {path}\n  k12edge gateway --config {path}", file=sys.stderr)


def _quoted(text: str) -> str:
    """A TOML string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _may_be_written(path: Path) -> None:
    """Before anybody answers a question. Raises ConfigError."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path.parent} is no folder that you may write")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{path} is no file of its own")
    if path.exists() and TEMPLATE not in path.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(f"{path} exists already; move it away first, or edit it")
    if path.exists() and path.with_name(f"{path.name}.old").exists():
        raise ConfigError(f"{path}.old exists already; move it away first")


def _valid(ask: Ask, question: str, given: str | None, default: str, wrong: Callable[[str], str | None]) -> str:
    """An answer that can be; one given as an option isn't asked for. Raises ConfigError."""
    if given is not None:
        problem = wrong(given)
        if problem is not None:
            raise ConfigError(f"{question}: {problem}")
        return given
    while True:
        answer = ask(question, default)
        problem = wrong(answer)
        if problem is None:
            return answer
        print(f"  ! {problem}", file=sys.stderr)


def _slug(answer: str) -> str | None:
    return None if SLUG.fullmatch(answer) else f"{answer!r}: chỉ a-z, 0-9, - / only a-z, 0-9 and -"


def _broker(answer: str) -> str | None:
    try:
        if answer:
            parse_url(answer)
    except ConfigError as problem:
        return str(problem)
    return None


def _stations(
    places: Sequence[str], known: CardUid | None, seconds: float, ask: Ask, taken: set[str]
) -> Iterator[StationAnswer]:
    print(f"{len(places)} cổng nối tiếp / serial ports: {', '.join(places) or '-'}", file=sys.stderr)
    quiet: list[str] = []
    number = 0
    for place in places:
        found = _pn532(place)
        if found is None:
            quiet.append(place)
            continue
        number += 1
        yield _station(found, number, ask, taken)
        if known is None and len(places) > 1:
            known = _touched(found.address, seconds)
    for place in quiet:
        if known is None:
            answer = ask("số của một thẻ cầm trong tay / the number of a card in your hand (a:04A1B2C3D4E580)", "")
            known = _card_or_none(answer)
        found = None if known is None else _printer(place, known, seconds)
        if found is None:
            print(f"  ! {place}: không nhận ra đầu đọc / no reader was recognised", file=sys.stderr)
            continue
        number += 1
        yield _station(found, number, ask, taken)


def _others(there: Sequence[Plugged], number: int, ask: Ask, taken: set[str]) -> Iterator[StationAnswer]:
    """USB readers that open; of keyboards only what to write, since a keyboard may be one."""
    for at in there:
        if at.kind == "keyboard":
            print(f"  ? {at.what}: {at.addresses[0]} (docs: edge/readers/README.md)", file=sys.stderr)
            continue
        address = next((address for address in at.addresses if _opens(address)), None)
        if address is None:
            print(f"  ! {at.what}: {' / '.join(at.addresses)} không mở được / doesn't open", file=sys.stderr)
            continue
        number += 1
        yield _station(Found(address, (), at.what), number, ask, taken)


def _opens(address: str) -> bool:
    try:
        reader = make_reader(address)
    except K12EdgeError:
        return False
    try:
        reader.open()
    except K12EdgeError:
        return False
    finally:
        reader.close()
    return True


def _card_or_none(answer: str) -> CardUid | None:
    try:
        return parse_card(answer) if answer else None
    except CardNumberError as problem:
        print(f"  ! {problem}", file=sys.stderr)
        return None


def _pn532(place: str) -> Found | None:
    if not _opens(f"pn532://{quote(place)}"):
        return None
    print(f"{place}: PN532", file=sys.stderr)
    return Found(f"pn532://{quote(place)}", (), "PN532")


def _touched(address: str, seconds: float) -> CardUid | None:
    """The number of a card held to a reader that gives whole numbers: it tells what the others print."""
    print(f"{address}: chạm một thẻ / touch a card …", file=sys.stderr)
    with Watch(address) as watch:
        for seen in watch.sightings(seconds, 1):
            return seen.card
    return None


def _printer(place: str, known: CardUid, seconds: float) -> Found | None:
    """What the reader at a place prints, found out with a known card."""
    try:
        addresses = list(identify(place, known, [BAUD, *(baud for baud in reversed(BAUDS) if baud != BAUD)], seconds))
    except K12EdgeError as problem:
        print(f"  ! {problem}", file=sys.stderr)
        return None
    print(f"{place}: {addresses[0].partition('?')[2]}", file=sys.stderr)
    return Found(addresses[0], tuple(addresses[1:]), "in số / prints numbers")


def _station(found: Found, number: int, ask: Ask, taken: set[str]) -> StationAnswer:
    print(f"{found.address}: {found.what}", file=sys.stderr)

    def wrong(answer: str) -> str | None:
        return f"{answer!r} đã dùng / is taken" if answer in taken else _slug(answer)

    name = _valid(ask, "  tên trạm / station", None, f"tram-{number}", wrong)
    taken.add(name)
    kind = _valid(ask, f"  loại / kind ({', '.join(STATION_KINDS)})", None, "gate", _kind)
    direction = None
    if kind == "gate":
        direction = _valid(ask, "  chiều / direction (in, out)", None, "in", _direction)
    return StationAnswer(name, kind, direction, found)


def _kind(answer: str) -> str | None:
    return None if answer in STATION_KINDS else f"{answer!r} không có / is none of {', '.join(STATION_KINDS)}"


def _direction(answer: str) -> str | None:
    return None if answer in ("in", "out") else f"{answer!r}: in hoặc / or out"


def _lines(
    school: str, gateway: str, broker: str, hub_key: str | None, stations: Sequence[StationAnswer]
) -> Iterator[str]:
    yield "# Cấu hình thiết bị, do `k12edge gateway init` viết; mọi khóa: docs/reference/config.md."
    yield "# A gateway's configuration, written by `k12edge gateway init`; every key: docs/reference/config.md."
    yield ""
    yield "[gateway]"
    yield f'id = "{gateway}"      # tên duy nhất trong trường / unique in the school'
    yield f'school = "{school}"'
    yield '# data_dir = "/var/lib/k12edge/gateway"'
    if hub_key is not None:
        yield f"hub_key = {_quoted(hub_key)}"
    yield ""
    yield "[uplink]"
    yield (
        f"url = {_quoted(broker)}" if broker else '# url = "mqtt://HOST:1883"   # chưa gửi đi đâu / nothing is sent yet'
    )
    yield ""
    yield "[signals]"
    yield 'sinks = ["terminal"]'
    for station in stations:
        yield ""
        yield "[[station]]"
        yield f'name = "{station.name}"'
        yield f'kind = "{station.kind}"       # {", ".join(STATION_KINDS)}'
        if station.direction is not None:
            yield f'direction = "{station.direction}"'
        yield f"reader = {_quoted(station.found.address)}   # {station.found.what}"
        if station.found.others:
            yield "# Cũng hợp với thẻ đã thử; thử thêm một thẻ khác / these fit the card as well; try another card:"
            yield from (f"#   {other}" for other in station.found.others)


def _write(path: Path, text: str) -> None:
    """Beside first, read back as the gateway will, and then in its place; the service must be able to read it."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # As the template that was installed, or else as the folder: /etc/k12edge is the service's group's.
            like = (path if path.exists() else path.parent).stat()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            file.write(text)
        load_config(draft)
        if path.exists():
            path.rename(path.with_name(f"{path.name}.old"))
        draft.rename(path)
    except OSError as problem:
        raise ConfigError(f"{path} can't be written: {problem.strerror}") from problem
    finally:
        draft.unlink(missing_ok=True)
