"""`k12edge hub roster check|apply|template`: the words of lists that people bring."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from k12edge.words import EXIT_FAILED, EXIT_OK, add_config, configured, person, printed

if TYPE_CHECKING:
    from hub.lists.telling import Document

LISTS: Final = ("pupils", "staff", "leave", "boarding", "diet", "consent", "calendar", "timetable", "menus")
"""Every list of hub.lists.templates, which is loaded only where one is read; a hub takes each of them."""
VIETNAM: Final = timezone(timedelta(hours=7))
"""Indochina time, without summer time (tz database, Asia/Ho_Chi_Minh)."""


def add_lists(roster: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`check` and `template`, which need no hub, and `apply`."""
    check = roster.add_parser("check", help="read a list and say what is in it and what is wrong; changes nothing")
    check.add_argument(
        "file", type=Path, metavar="FILE", help="C1-HocSinh or like it (.xlsx, .xls, CSV), OneRoster zip"
    )
    check.add_argument(
        "--as", dest="list", choices=LISTS, default=LISTS[0], metavar="LIST", help=f"another list: {', '.join(LISTS)}"
    )
    _add_how(check)
    add_config(check, _check)
    take = roster.add_parser("apply", help="take a list, whole or not at all")
    take.add_argument("file", type=Path, metavar="FILE", help="what `roster check` finds nothing against")
    add_confirm(take)
    take.add_argument(
        "--as", dest="list", choices=LISTS, default=LISTS[0], metavar="LIST", help=f"another list: {', '.join(LISTS)}"
    )
    _add_how(take)
    add_config(take, _apply)
    empty = roster.add_parser("template", help="write an empty list to fill in, .xlsx")
    empty.add_argument("list", choices=LISTS, metavar="LIST", help=f"one of {', '.join(LISTS)}")
    empty.add_argument("file", type=Path, metavar="FILE", help="where to write; must not exist")
    empty.set_defaults(run=_write_template)


def add_confirm(parser: argparse.ArgumentParser) -> None:
    """`--confirm`, of every command that takes pupils."""
    parser.add_argument(
        "--confirm", action="append", default=[], metavar="GUARD",
        help="it is meant: empty, many-gone, many-moved, many-renamed, cards-passed or days-gone; may be repeated",
    )  # fmt: skip


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--day", metavar="DATE", help="from when it holds, such as 2027-08-16; absent: today")
    parser.add_argument("--leave", action="store_true", help="who isn't in the list left; without it they stay")
    parser.add_argument("--part", action="store_true", help="it is a part of the school: other classes aren't missing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(by=person())


def _asked(arguments: argparse.Namespace, action: str, confirm: str = "") -> Document:
    """What the hub says of a list beside what it knows."""
    from hub.config import load_hub_config
    from hub.control import carry_out
    from k12edge.lists import octets_of

    octets_of(arguments.file)
    words = {
        "file": arguments.file,
        "list": getattr(arguments, "list", LISTS[0]),
        "day": arguments.day,
        "missing": "leave" if arguments.leave else "keep",
        "part": arguments.part,
        "confirm": confirm,
        "by": arguments.by,
    }
    found: Document = json.loads(carry_out(load_hub_config(configured(arguments)), action, words))
    return found


def _shown(arguments: argparse.Namespace, found: Document) -> None:
    from hub.lists.telling import told

    printed([json.dumps(found, ensure_ascii=False)] if arguments.json else told(found))


def _check(arguments: argparse.Namespace) -> int:
    from hub.lists.telling import takes
    from k12edge.lists import check

    if getattr(arguments, "config", None) is not None:
        found = _asked(arguments, "roster-check")
    else:
        found = check(arguments.file, arguments.list, datetime.now(VIETNAM).date())
    _shown(arguments, found)
    return EXIT_OK if takes(found) else EXIT_FAILED


def _apply(arguments: argparse.Namespace) -> int:
    found = _asked(arguments, "roster-apply", " ".join(arguments.confirm))
    _shown(arguments, found)
    return EXIT_OK if found["written"] is not None or found["unchanged"] else EXIT_FAILED


def _write_template(arguments: argparse.Namespace) -> int:
    from k12edge.lists import write_template

    return printed(write_template(arguments.list, arguments.file))
