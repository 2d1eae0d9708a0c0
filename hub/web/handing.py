"""Handing out: a report made when it is asked for, by way of a temporary file; of whole schools one at a time."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from fastapi.responses import Response, StreamingResponse

from hub.reporting.making import Form, Reporting, ReportRefused
from hub.store.database import LedgerFull
from hub.web.errors import Refusal

if TYPE_CHECKING:
    from hub.web.ground import Web
    from hub.web.visits import Visit

MEMORY_BYTES_MAX: Final = 4 * 1024 * 1024
"""A larger file lies on the disk while it is sent: a school's month has 3 MiB, its records' names ten times that."""
CHUNK_BYTES: Final = 64 * 1024
WAIT_S: Final = 20.0
WAITING_MAX: Final = 3
"""Who waits keeps a thread that pages need as well."""
MEDIA: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_one = threading.Lock()
"""Whole schools are heavy; two at once would take twice the memory, and neither would be done sooner."""
_places = threading.BoundedSemaphore(WAITING_MAX)


def reporting_for(web: Web, visit: Visit) -> Reporting:
    """Reports as this visitor may have them: without the right, nothing says why somebody was away."""
    reasons = visit.allows("see-reasons", visit.school_class)
    return Reporting(web.store, language=visit.language, reasons=reasons)


def maker_of(visit: Visit) -> str:
    """Who a report says has made it."""
    assert visit.person is not None
    return visit.person.signature if visit.person.by_token else visit.person.shown or visit.person.name


def handed(web: Web, visit: Visit, form: Form, write: Callable[[BinaryIO], str], *, inline: bool = False) -> Response:
    """What `write` writes, which gives its name; `inline`: as an answer, not as a download. Raises Refusal."""
    if visit.school_class is not None:
        return _written(web, form, write, inline=inline)
    with one_at_a_time():
        return _written(web, form, write, inline=inline)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """While something of the whole school is made: others wait, a few of them. Raises Refusal."""
    if not _places.acquire(blocking=False):
        raise _busy()
    try:
        if not _one.acquire(timeout=WAIT_S):
            raise _busy()
        try:
            yield
        finally:
            _one.release()
    finally:
        _places.release()


def _busy() -> Refusal:
    return Refusal(429, "reports-busy", "Another report is being made.", {"retry-after": "30"})


def _written(web: Web, form: Form, write: Callable[[BinaryIO], str], *, inline: bool) -> Response:
    out = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX, dir=str(web.store.config.data_dir))  # noqa: SIM115
    try:
        name = write(cast("BinaryIO", out))
        size = out.seek(0, 2)
        out.seek(0)
    except ReportRefused as problem:
        out.close()
        raise refused(problem) from problem
    except OSError as problem:
        out.close()
        raise LedgerFull(f"no room for a report: {problem.strerror or problem}") from problem
    except BaseException:
        out.close()
        raise
    headers = {"content-length": str(size)}
    if not inline:
        headers["content-disposition"] = f'attachment; filename="{name}"'
    return StreamingResponse(_pieces(out), media_type=MEDIA[form], headers=headers)


def refused(problem: ReportRefused) -> Refusal:
    """The answer for a report that can't be made."""
    return Refusal(422, problem.code, str(problem))


def _pieces(out: IO[bytes]) -> Iterator[bytes]:
    with out:
        while piece := out.read(CHUNK_BYTES):
            yield piece
