"""The faults of a timetable's document: every one of them, with its place, in the words of whoever wrote it. Pure.

timetable_from names the first that it meets, in English and for a log; a person at a page corrects all in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from hub.attendance.timetable import Clock, Shift, Slug, SlugOrNone, Timetable, Unfit

FAULTS_MAX: Final = 50
QUOTED_MAX: Final = 40
WORDS: Final[tuple[tuple[Any, str, str], ...]] = (
    (Clock, "một giờ như 07:15", "a time of day such as 07:15"),
    (Slug, "một mã như gate-a", "an id such as gate-a"),
    (SlugOrNone, "một mã như gate-a, hoặc để trống", "an id such as gate-a, or nothing"),
    (Shift, "số phút, bội của 15, từ -120 đến 120", "minutes, a multiple of 15 from -120 to 120"),
    (date, "một ngày như 2026-09-05", "a day such as 2026-09-05"),
    (bool, "true hoặc false", "true or false"),
)
"""What a value has to be, by its type."""


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """What is wrong, and where in the document; `where` is empty where it is the whole."""

    where: str
    vi: str
    en: str


def document_faults(octets: bytes) -> list[DocumentFault]:
    """Everything that keeps bytes from being a timetable, at most FAULTS_MAX; none where they are one."""
    try:
        raw = msgspec.json.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        told = str(problem)[: 2 * QUOTED_MAX]
        return [DocumentFault("", f"tệp không phải JSON đúng cách ({told})", f"the file is no sound JSON ({told})")]
    return faults_of(raw, Timetable)


def faults_of(raw: object, kind: Any) -> list[DocumentFault]:
    """Everything that keeps a plain value from being of a kind of the document, at most FAULTS_MAX."""
    return list(islice(_faults(raw, kind, ""), FAULTS_MAX))


def _faults(raw: object, kind: Any, where: str) -> Iterator[DocumentFault]:
    """Parts first: a whole is only looked at where its parts are sound, as what is wrong there would be said twice."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(bare) in (Union, UnionType):
        if raw is not None:
            [bare] = [one for one in get_args(bare) if one is not NoneType]
            yield from _faults(raw, bare, where)
        return
    parts: Iterator[DocumentFault] = iter(())
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and isinstance(raw, dict):
        parts = _fields(raw, bare, where)
    elif get_origin(bare) is tuple and isinstance(raw, list | tuple):
        parts = (
            fault for number, one in enumerate(raw) for fault in _faults(one, get_args(bare)[0], f"{where}[{number}]")
        )
    elif get_origin(bare) is dict and isinstance(raw, dict):
        parts = _items(raw, get_args(bare), where)
    sound = True
    for fault in parts:
        sound = False
        yield fault
    if not sound:
        return
    try:
        msgspec.convert(raw, kind)
    except (msgspec.ValidationError, RecursionError) as problem:
        yield _told(problem, raw, kind, where)


def _fields(raw: dict[str, Any], kind: type[msgspec.Struct], where: str) -> Iterator[DocumentFault]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    known = ", ".join(fields)
    for name in raw:
        if name not in fields:
            quoted = name[:QUOTED_MAX]
            yield DocumentFault(
                where, f"không có mục nào tên {quoted!r}; có: {known}", f"{quoted!r} is no key here; known are {known}"
            )
    for name, field in fields.items():
        if name in raw:
            yield from _faults(raw[name], field.type, f"{where}.{name}" if where else name)
        elif field.required:
            yield DocumentFault(where, f"thiếu {name}", f"{name} is missing")


def _items(raw: dict[str, Any], kinds: tuple[Any, ...], where: str) -> Iterator[DocumentFault]:
    for name, value in raw.items():
        yield from _faults(name, kinds[0], where)
        yield from _faults(value, kinds[1], f"{where}.{name[:QUOTED_MAX]}")


def _told(problem: Exception, raw: object, kind: Any, where: str) -> DocumentFault:
    if isinstance(problem.__cause__, Unfit):
        return DocumentFault(where, problem.__cause__.vi, str(problem.__cause__))
    vi, en = _words(kind)
    quoted = msgspec.json.encode(raw)[: 4 * QUOTED_MAX].decode("utf-8", "replace")[:QUOTED_MAX]
    return DocumentFault(where, f"{quoted} không dùng được: cần {vi}", f"{quoted} can't be used: needed is {en}")


def _words(kind: Any) -> tuple[str, str]:
    """What a value of a kind is, in both languages."""
    for one, vi, en in WORDS:
        if kind == one:
            return vi, en
    bare, limits = kind, msgspec.Meta()
    if get_origin(kind) is Annotated:
        bare, limits = get_args(kind)[:2]
    if get_origin(bare) is Literal:
        known = ", ".join(get_args(bare))
        return f"một trong {known}", f"one of {known}"
    if bare is str:
        least, most = limits.min_length or 0, limits.max_length
        return f"chữ, từ {least} đến {most} ký tự", f"a text of {least} to {most} characters"
    if get_origin(bare) is tuple:
        least, most = limits.min_length or 0, limits.max_length
        return f"danh sách [...] từ {least} đến {most} mục", f"a list [...] of {least} to {most}"
    return "một mục {...}", "an object {...}"
