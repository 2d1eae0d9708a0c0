"""`k12edge hub roster check|apply|template`: what a list would bring, in words, and empty lists to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from hub.lists.faults import Fault, ListRefused
from hub.lists.people import read_other, read_people
from hub.lists.sheets import FILE_BYTES_MAX
from hub.lists.telling import Document, document
from hub.lists.templates import PUPILS, TEMPLATES


def octets_of(path: Path) -> bytes:
    """A file's bytes; raises ListRefused where it can't be read or is too large to be looked at."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise ListRefused(Fault("too-large", file=path.name, about=(f"{size:,}", f"{FILE_BYTES_MAX:,}")))
        return path.read_bytes()
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise ListRefused(Fault("unreadable", file=path.name, about=(reason,))) from problem


def check(path: Path, template: str, today: date) -> Document:
    """Read a file as the list of that name, beside nothing that is known."""
    octets = octets_of(path)
    if template == PUPILS.name:
        return document(read_people(path.name, octets, today))
    return document(read_other(TEMPLATES[template], path.name, octets, today))


def write_template(name: str, path: Path) -> Sequence[str]:
    """Write an empty list; raises ListRefused where the file can't be written, or is there already."""
    from hub.lists.emptybook import empty_book

    octets = empty_book(TEMPLATES[name])
    try:
        with path.open("xb") as file:
            file.write(octets)
    except OSError as problem:
        raise ListRefused(Fault("unwritten", file=path.name, about=(problem.strerror or "?",))) from problem
    return [f"{path}: {' / '.join(TEMPLATES[name].title)}"]
