"""`k12edge hub`: the hub itself, and what people ask of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from k12edge.backupwords import add_backup
from k12edge.incidentwords import add_hub_incident
from k12edge.listwords import add_confirm, add_lists
from k12edge.mealwords import add_meals
from k12edge.monthwords import add_months
from k12edge.reportwords import add_reports
from k12edge.words import EXIT_OK, Command, add_config, configured, ending_of_signals, person, printed


def add_hub(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`k12edge hub` and its actions."""
    hub = commands.add_parser("hub", help="run a school's hub, or speak to it")
    add_config(hub, _run_hub)
    actions = hub.add_subparsers(dest="action", metavar="ACTION")
    _add_roster(actions)
    devices = actions.add_parser("devices", help="gateways").add_subparsers(required=True, metavar="ACTION")
    add_config(
        devices.add_parser("list", help="every gateway, its state and fingerprints"), _hub_action("devices-list")
    )
    accept = devices.add_parser("accept", help="count a gateway's records; also before its first contact")
    accept.add_argument("device", metavar="ID", help="the gateway's id")
    accept.add_argument("--fingerprint", metavar="F", help="bind this key only; without it the first key is bound")
    add_config(accept, _hub_action("devices-accept", "device", "fingerprint"))
    retire = devices.add_parser("retire", help="keep a gateway's later records apart")
    retire.add_argument("device", metavar="ID", help="the gateway's id")
    add_config(retire, _hub_action("devices-retire", "device"))
    cards = actions.add_parser("cards", help="card numbers").add_subparsers(required=True, metavar="ACTION")
    again = cards.add_parser("rederive", help="read a reader's taps again: it prints otherwise than was declared")
    again.add_argument("--reader", required=True, metavar="DEVICE/STATION", help="the gateway's id and the station")
    again.add_argument(
        "--format", required=True, metavar="FORM", help="what it really prints, such as w26 or hex-reversed"
    )
    again.add_argument("--order", metavar="ORDER", help="wire or reversed")
    again.add_argument("--bytes", metavar="N", help="the number's width")
    again.add_argument("--part", metavar="PART", help="first or last, of a longer number")
    again.add_argument("--unassign", action="store_true", help="a known pupil's tap may become nobody's, too")
    again.add_argument("--dry-run", action="store_true", help="say what would be corrected, and correct nothing")
    again.set_defaults(by=person())
    add_config(
        again, _hub_action("cards-rederive", "reader", "format", "order", "bytes", "part", "dry_run", "unassign", "by")
    )
    findings = cards.add_parser("findings", help="taps whose card may be a copy: when, where, whose, and why")
    findings.add_argument("--json", action="store_true", help="print one JSON array")
    add_config(findings, _hub_action("cards-findings", "json"))
    marks = actions.add_parser("recompute", help="make the marks of a day again, from what the ledger holds")
    marks.add_argument("--day", required=True, metavar="DATE", help="such as 2026-11-23")
    marks.add_argument("--to", metavar="DATE", help="of every day to this one: counts and digests only")
    marks.add_argument("--rules", metavar="VERSION", help="by this version of the rules, such as attendance-1")
    marks.add_argument("--from-records", action="store_true", help="read the ledger again from its first record on")
    marks.add_argument("--json", action="store_true", help="print JSON, of a single day with every mark")
    add_config(marks, _hub_action("recompute", "day", "to", "rules", "from_records", "json"))
    again = actions.add_parser("replay-day", help="make a day's marks again from files; needs no running hub")
    again.add_argument("folder", type=Path, metavar="DIR", help="where roster.csv, taps.csv and the others lie")
    again.add_argument("--at", metavar="TIME", help="as it stood then, such as 2026-11-23T07:30:00.000+07:00")
    again.add_argument("--into", type=Path, metavar="DIR", help="write marks.csv and counts.csv there")
    again.add_argument("--json", action="store_true", help="print the counts as one JSON array")
    again.set_defaults(run=_replay_day)
    add_hub_incident(actions, _hub_action)
    add_backup(actions)
    old = actions.add_parser("retention", help="let go of what is over its time, and erase pupils who left long ago")
    old.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
    old.add_argument("--erase", metavar="PUPIL_KEY", help="erase this one pupil, who left, and nothing else")
    old.add_argument("--json", action="store_true", help="print one JSON object")
    old.set_defaults(by=person())
    add_config(old, _hub_action("retention", "dry_run", "erase", "json", "by"))
    keys = actions.add_parser("keys", help="hub keys, card keys, accepted devices").add_subparsers(
        required=True, metavar="ACTION"
    )
    add_config(keys.add_parser("show", help="the hub's public key and fingerprint"), _hub_action("keys-show"))
    save = keys.add_parser("export", help="write them to a file, which is secret")
    save.add_argument("file", type=Path, metavar="FILE", help="where to write; must not exist")
    add_config(save, _hub_action("keys-export", "file"))
    restore = keys.add_parser("import", help="take them over into an empty or restored hub")
    restore.add_argument("file", type=Path, metavar="FILE", help="what `keys export` wrote")
    add_config(restore, _hub_action("keys-import", "file"))
    add_reports(actions, _hub_action)
    add_months(actions, _hub_action)
    add_meals(actions, _hub_action)
    add_access(actions)


def _add_roster(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    roster = actions.add_parser("roster", help="the school's roster").add_subparsers(required=True, metavar="ACTION")
    load = roster.add_parser("import", help="publish a CSV as a new release, whole or not at all")
    load.add_argument("file", type=Path, metavar="FILE", help="CSV: pupil_key,display_name,class,card_uid")
    add_confirm(load)
    load.set_defaults(by=person())
    add_config(load, _import_roster)
    pull = roster.add_parser("pull", help="pull the city's roster now, and say what it changed")
    pull.add_argument(
        "--allow-gone", metavar="N", help="take a pull by which up to N pupils go, whom the guard would keep"
    )
    pull.add_argument("--begin-year", metavar="ID", help="the school year of this id begins; who isn't in it left")
    pull.add_argument("--json", action="store_true", help="print one JSON object")
    add_config(pull, _hub_action("roster-pull", "allow_gone", "begin_year", "json"))
    add_lists(roster)


def add_access(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`hub user` and `hub token`: who may open the pages, and which programs may ask."""
    user = actions.add_parser("user", help="people who log in").add_subparsers(required=True, metavar="ACTION")
    add = user.add_parser("add", help="let somebody in; prints a one-time link that sets the password")
    add.add_argument("name", metavar="NAME", help="the login name: small letters, digits, inner dots and hyphens")
    _role_words(add)
    add.add_argument("--shown", metavar="TEXT", help="the name as people read it; absent: the login name")
    add_config(add, _with_link("user-add", "name", "role", "class", "until", "shown"))
    link = user.add_parser("link", help="a new one-time link for somebody who lost the password")
    link.add_argument("name", metavar="NAME", help="the login name")
    add_config(link, _with_link("user-link", "name"))
    add_config(user.add_parser("list", help="everybody, with role and state"), _hub_action("user-list"))
    move = user.add_parser("move", help="another class for a teacher, as in a new school year; ends their sessions")
    move.add_argument("name", metavar="NAME", help="the login name")
    move.add_argument(
        "--class", metavar="CLASS", dest="class", required=True, help="the class from now on, such as 3/2"
    )
    add_config(move, _hub_action("user-move", "name", "class"))
    revoke = user.add_parser("revoke", help="let somebody in no longer, at once")
    revoke.add_argument("name", metavar="NAME", help="the login name")
    add_config(revoke, _hub_action("user-revoke", "name"))
    token = actions.add_parser("token", help="programs that ask the JSON API").add_subparsers(
        required=True, metavar="ACTION"
    )
    add = token.add_parser("add", help="a new token, printed once")
    _role_words(add)
    add.add_argument("--name", metavar="TEXT", help="which program it is for; absent: the role")
    add_config(add, _hub_action("token-add", "role", "class", "until", "name"))
    add_config(token.add_parser("list", help="every token, without its secret"), _hub_action("token-list"))
    revoke = token.add_parser("revoke", help="let a program in no longer, at once")
    revoke.add_argument("number", metavar="NUMBER", help="the token's number in the list")
    add_config(revoke, _hub_action("token-revoke", "number"))


def _role_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        required=True,
        metavar="ROLE",
        help="it, principal, teacher, substitute, supervisor, canteen, kitchen,"
        " nurse, accountant, guard, auditor or dpo",
    )
    parser.add_argument("--class", metavar="CLASS", help="bound to this class; teacher and substitute need one")
    parser.add_argument(
        "--until", metavar="DATE", help="the role's last day, such as 2026-12-31; a substitute needs one"
    )


def _with_link(action: str, *names: str) -> Command:
    """An action whose last line is a link: on a terminal also as a QR code, for a phone."""
    run = _hub_action(action, *names)

    def shown(arguments: argparse.Namespace) -> int:
        from hub.config import load_hub_config
        from hub.control import carry_out

        if not sys.stdout.isatty():
            return run(arguments)
        words = {name: getattr(arguments, name) for name in names}
        text = carry_out(load_hub_config(configured(arguments)), action, words)
        print(text)
        import segno

        segno.make(text.rpartition("\n")[2], error="m").terminal(compact=True)
        return EXIT_OK

    return shown


def _run_hub(arguments: argparse.Namespace) -> int:
    ending = ending_of_signals()
    from hub.app import run_hub
    from hub.config import load_hub_config

    return run_hub(load_hub_config(configured(arguments)), ending)


def _hub_action(action: str, *names: str) -> Command:
    def run(arguments: argparse.Namespace) -> int:
        from hub.config import load_hub_config
        from hub.control import carry_out

        words = {name: getattr(arguments, name) for name in names}
        print(carry_out(load_hub_config(configured(arguments)), action, words))
        return EXIT_OK

    return run


def _import_roster(arguments: argparse.Namespace) -> int:
    from hub.config import load_hub_config
    from hub.control import carry_out

    words = {"file": arguments.file, "confirm": " ".join(arguments.confirm), "by": arguments.by}
    print(carry_out(load_hub_config(configured(arguments)), "roster-import", words))
    return EXIT_OK


def _replay_day(arguments: argparse.Namespace) -> int:
    from k12edge.days import replay_day

    return printed(replay_day(arguments.folder, arguments.at, arguments.into, arguments.json))
