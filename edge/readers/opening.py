"""Opening a reader by its address: the one place that knows which driver stands for which scheme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, unquote

from edge.ports import Reader
from protocol.errors import ReaderRefused


def _pn532(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.pn532 import Pn532Reader

    if not path.startswith("/"):
        raise ReaderRefused(f"pn532 wants an absolute path, pn532:///dev/ttyUSB0, not {path!r}")
    _only(options, "pn532")
    return Pn532Reader(path)


def _replay(path: str, options: dict[str, str]) -> Reader:
    from edge.readers.replay import ReplayReader

    loop = options.pop("loop", "0")
    _only(options, "replay")
    if loop not in ("0", "1"):
        raise ReaderRefused(f"replay: loop={loop!r} is not 0 or 1")
    return ReplayReader(path, loop=loop == "1")


def _only(rest: dict[str, str], scheme: str) -> None:
    if rest:
        raise ReaderRefused(f"{scheme} has no option {', '.join(sorted(rest))}")


SCHEMES: Final[dict[str, Callable[[str, dict[str, str]], Reader]]] = {"pn532": _pn532, "replay": _replay}
"""Every kind of reader: the scheme of its address, and what makes its driver from path and options."""


def make_reader(url: str) -> Reader:
    """The driver for `pn532:///PATH` or `replay:FILE[?loop=1]`, not opened yet. Raises ReaderRefused."""
    scheme, colon, rest = url.partition(":")
    maker = SCHEMES.get(scheme)
    if not colon or maker is None:
        raise ReaderRefused(f"reader {url!r}: known are {', '.join(f'{name}:' for name in sorted(SCHEMES))}")
    location, _, query = rest.partition("?")
    path = unquote(location.removeprefix("//"))
    if not path:
        raise ReaderRefused(f"reader {url!r} names no path")
    return maker(path, dict(parse_qsl(query, keep_blank_values=True)))
