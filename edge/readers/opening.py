"""Opening a reader by its address: the one place that knows which driver stands for which scheme."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from edge.ports import Reader
from protocol.errors import CardNumberError, ReaderRefused

if TYPE_CHECKING:
    from protocol.cardforms import NumberPlan


def _pn532(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.pn532 import Pn532Reader

    if not path.startswith("/"):
        raise ReaderRefused(f"pn532 wants an absolute path, pn532:///dev/ttyUSB0, not {path!r}")
    felica = _flag(options, "felica", "pn532")
    _only(options, "pn532")
    return Pn532Reader(path, felica=felica)


def _osdp(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.osdp import BAUDS, OsdpReader
    from edge.readers.osdpcards import bit_plans

    key_file, address, baud = (options.pop(name, "") for name in ("key-file", "address", "baud"))
    try:
        plans = bit_plans(*(options.pop(name, None) for name in ("format", "order", "bytes", "part")))
    except CardNumberError as problem:
        raise ReaderRefused(f"osdp: {problem}") from problem
    _only(options, "osdp")
    if not path.startswith("/") or not key_file.startswith("/"):
        raise ReaderRefused("osdp wants absolute paths, osdp:///dev/ttyUSB0?address=0&key-file=/etc/k12edge/gate.key")
    # 127 is for everybody on the line (OSDP 2.2), 0 to 126 are readers.
    if not re.fullmatch("[0-9]{1,3}", address) or int(address) > 126:
        raise ReaderRefused(f"osdp: address={address} is not 0 to 126")
    if baud and baud not in map(str, BAUDS):
        raise ReaderRefused(f"osdp: baud={baud} is not {', '.join(map(str, BAUDS))}")
    return OsdpReader(path, key_file, int(address), int(baud or BAUDS[0]), plans)


def _pcsc(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.pcsc import PcscReader

    _only(options, "pcsc")
    return PcscReader(path)


def _replay(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.replay import ReplayReader

    loop = _flag(options, "loop", "replay")
    _only(options, "replay")
    return ReplayReader(path, loop=loop)


def _nfcpy(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.nfcpy import NfcUsbReader

    if not re.fullmatch("usb(:[0-9a-fA-F]{4}:[0-9a-fA-F]{4})?", path):
        raise ReaderRefused(f"nfcpy wants nfcpy:usb or nfcpy:usb:VID:PID (hexadecimal), not {path!r}")
    _only(options, "nfcpy")
    return NfcUsbReader(path.lower())


def _flag(options: dict[str, str], name: str, scheme: str) -> bool:
    text = options.pop(name, "0")
    if text not in ("0", "1"):
        raise ReaderRefused(f"{scheme}: {name}={text!r} is not 0 or 1")
    return text == "1"


def _lines(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.lines import BAUDS, LinesReader

    if not path.startswith("/"):
        raise ReaderRefused(f"lines wants an absolute path, lines:///dev/ttyUSB0?format=8h10d, not {path!r}")
    plan = _plan(options, "lines")
    baud = options.pop("baud", "9600")
    _only(options, "lines")
    if baud not in map(str, BAUDS):
        raise ReaderRefused(f"lines: baud={baud!r} is not one of {', '.join(map(str, BAUDS))}")
    return LinesReader(path, plan, int(baud))


def _keyboard(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.keyboard import UNTYPED, KeyboardReader

    if not path.startswith("/"):
        raise ReaderRefused(f"keyboard wants an absolute path, keyboard:///dev/input/by-id/NAME, not {path!r}")
    plan = _plan(options, "keyboard")
    _only(options, "keyboard")
    if plan.form.name in UNTYPED:
        raise ReaderRefused(f"keyboard: format={plan.form.name} is a module's frame, which no keyboard types")
    return KeyboardReader(path, plan)


def _simulated(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.simulated import SimulatedReader

    _only(options, "simulated")
    return SimulatedReader(path)


def _plan(options: dict[str, str], scheme: str) -> NumberPlan:
    """What a reader of numbers is declared to print; takes its words out of the options. Raises ReaderRefused."""
    from protocol.cardforms import FORMS, number_plan

    form = options.pop("format", None)
    if form is None:
        raise ReaderRefused(f"{scheme} wants format=, one of {', '.join([*FORMS, 'hex-reversed', 'dec-reversed'])}")
    try:
        return number_plan(form, options.pop("order", None), options.pop("bytes", None), options.pop("part", None))
    except CardNumberError as problem:
        raise ReaderRefused(f"{scheme}: {problem}") from problem


def _only(rest: dict[str, str], scheme: str) -> None:
    if rest:
        raise ReaderRefused(f"{scheme} has no option {', '.join(sorted(rest))}")


SCHEMES: Final[dict[str, Callable[[str, dict[str, str]], Reader]]] = {
    "keyboard": _keyboard,
    "lines": _lines,
    "nfcpy": _nfcpy,
    "osdp": _osdp,
    "pcsc": _pcsc,
    "pn532": _pn532,
    "replay": _replay,
    "simulated": _simulated,
}
"""Every kind of reader: the scheme of its address, and what makes its driver from path and options."""
PATHLESS: Final = frozenset({"pcsc"})
"""Whose address may be the scheme alone."""


def make_reader(url: str) -> Reader:
    """The driver for an address, not opened yet; edge/readers/README.md lists them all. Raises ReaderRefused."""
    scheme, colon, rest = url.partition(":")
    maker = SCHEMES.get(scheme)
    if not colon or maker is None:
        raise ReaderRefused(f"reader {url!r}: known are {', '.join(f'{name}:' for name in sorted(SCHEMES))}")
    location, _, query = rest.partition("?")
    path = unquote(location.removeprefix("//"))
    if not path and scheme not in PATHLESS:
        raise ReaderRefused(f"reader {url!r} names no path")
    if "\0" in path:
        raise ReaderRefused(f"reader {url!r} names no path: it has a NUL in it")
    options = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in options]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReaderRefused(f"reader {url!r} says {', '.join(twice)} more than once")
    return maker(path, dict(options))
