"""The words of `k12edge incident` and `k12edge hub incident`: which meals, who is ill, an exercise or not, where to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k12edge.words import EXIT_OK, add_config, configured, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from k12edge.words import Command


def add_incident_words(parser: argparse.ArgumentParser) -> None:
    """What both commands take."""
    parser.add_argument("--meal", metavar="MEAL", help="breakfast, lunch, snack or dinner")
    parser.add_argument("--date", metavar="DATE", help="the day, such as 2026-11-23; absent: today")
    parser.add_argument(
        "--last-hours", metavar="N", help="every meal of the N hours before the day's end, or now, such as 72"
    )
    parser.add_argument(
        "--ill", type=Path, metavar="FILE", help="who is ill: a pupil's key or code a line, behind it ill or well"
    )
    parser.add_argument("--drill", action="store_true", help="an exercise: DIỄN TẬP stands on everything")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="where the files go; it is made where it is missing",
    )


def add_hub_incident(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], asking: Callable[..., Command]
) -> None:
    """`k12edge hub incident`, `hub incident-list` and `hub incident-send`; `asking` makes what a command runs."""
    make = actions.add_parser("incident", help="who ate a meal and when, as PDF, CSV and Excel")
    add_incident_words(make)
    make.add_argument("--lot", metavar="LOT", help="every meal whose menu names this lot of food")
    make.set_defaults(by=person())
    add_config(make, _make)
    listed = actions.add_parser("incident-list", help="incident packs that were made, the newest first")
    listed.add_argument("--json", action="store_true", help="print one JSON array")
    add_config(listed, asking("incident-list", "json"))
    send = actions.add_parser("incident-send", help="send a version to the city, as pupils' keys; never by itself")
    send.add_argument("number", metavar="NUMBER", help="the version")
    send.add_argument("--meal", metavar="MEAL", help="of this meal")
    send.add_argument("--date", metavar="DATE", help="of this day; absent: today")
    send.add_argument("--last-hours", metavar="N", help="of these hours")
    send.add_argument("--lot", metavar="LOT", help="of this lot")
    send.set_defaults(by=person())
    add_config(send, asking("incident-send", "number", "meal", "date", "last_hours", "lot", "by"))


def _make(arguments: argparse.Namespace) -> int:
    from hub.config import load_hub_config
    from hub.control import exchanged
    from hub.incidents.asking import IncidentRefused
    from hub.papers import PaperRefused, read_paper
    from k12edge.incident import make_room, unzipped, write_files

    words = {name: getattr(arguments, name) for name in ("meal", "date", "lot", "last_hours", "by")}
    words["drill"] = str(arguments.drill)
    words["ill"] = None if arguments.ill is None else arguments.ill.name
    paper = None if arguments.ill is None else read_paper(arguments.ill)
    # The hub records a version whose files nobody has only where the folder fails between here and there.
    make_room(arguments.out)
    text, archive = exchanged(load_hub_config(configured(arguments)), "incident", words, paper)
    assert archive is not None
    try:
        written = write_files(arguments.out, unzipped(archive))
    except PaperRefused as problem:
        raise IncidentRefused(
            "{problem}; the version is recorded without its files",
            problem=problem,
            hint="Free the folder and ask again: the next version has its files, and says what differs.",
        ) from problem
    print("\n".join([text, *map(str, written)]))
    return EXIT_OK
