"""The command line: one program, `k12edge`, for gateways, hubs, the reference city, the demonstration and audits."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from k12edge.hubwords import add_hub
from k12edge.incidentwords import add_incident_words
from k12edge.words import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_RUNNING,
    EXIT_USAGE,
    Command,
    add_config,
    configured,
    ending_of_signals,
    keyed,
    person,
    printed,
)
from protocol.errors import AlreadyRunning, ConfigError, K12EdgeError

SECONDS_MAX: Final = 86_400.0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; docs/reference/cli.md is held against it."""
    parser = argparse.ArgumentParser(
        prog="k12edge", description="School gateways that bring every acknowledged tap to the city exactly once."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    gateway = commands.add_parser("gateway", help="run a gateway: read cards, record, signal, deliver")
    add_config(gateway, _gateway)
    _init(gateway.add_subparsers(dest="action", metavar="ACTION"))
    add_hub(commands)
    city = commands.add_parser("city", help="run the reference K12 records service")
    city.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    city.add_argument("--data", required=True, type=Path, metavar="DIR", help="where the records are kept")
    city.add_argument("--faults", type=Path, metavar="FILE", help="faults to play, for tests (JSON)")
    city.set_defaults(run=_city)
    demo = commands.add_parser("demo", help="a fast school day over the whole chain, with parts killed in the middle")
    demo.add_argument(
        "--pupils", type=int, default=1763, metavar="N", help="pupils of the school (default: %(default)s)"
    )
    demo.add_argument(
        "--seed", type=int, default=1, metavar="N", help="what chance is drawn from (default: %(default)s)"
    )
    demo.add_argument("--no-faults", action="store_true", help="kill nothing")
    demo.add_argument("--json", action="store_true", help="print the reconciliation as one JSON object")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="work in this empty directory and leave it")
    demo.set_defaults(run=_demo)
    verify = commands.add_parser(
        "verify", help="prove journal files and audit packs, or name the first bad record; writes nothing"
    )
    verify.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a journal file, a gateway's data_dir, or a pack's zip"
    )
    verify.add_argument("--witness", metavar="FILE|URL", help="what the hub holds: its address, or a saved answer")
    verify.add_argument("--hub-key", metavar="KEY", help="of a pack: the school's hub's key, or its fingerprint")
    verify.add_argument("--json", action="store_true", help="one JSON object a path")
    verify.set_defaults(run=_verify)
    journal = commands.add_parser("journal", help="print a journal's records, oldest first; writes nothing")
    journal.add_argument("path", type=Path, metavar="PATH", help="a journal file or a gateway's data_dir")
    journal.add_argument("--json", action="store_true", help="one JSON object a record, with id and type")
    journal.set_defaults(run=_journal)
    _add_incident(commands)
    _cards(commands)
    doctor = commands.add_parser("doctor", help="look whether this machine and configuration can do the job")
    add_config(doctor, _doctor)
    return parser


def _add_incident(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    word = commands.add_parser("incident", help="who ate, from the counters' own journals, without a hub")
    word.add_argument(
        "--journals", nargs="+", required=True, type=Path, metavar="PATH", help="gateways' data_dirs or journal files"
    )
    add_incident_words(word)
    word.set_defaults(run=_incident)


def _init(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = actions.add_parser("init", help="look for readers, ask, and write a configuration")
    init.add_argument("--school", metavar="ID", help="the school's id; asked for where it isn't given, like the rest")
    init.add_argument("--id", metavar="ID", help="the gateway's id")
    init.add_argument("--broker", metavar="URL", help="the broker's address, mqtt://HOST:PORT; empty for none")
    init.add_argument("--hub-key", metavar="KEY", help="the hub's public key (k12edge hub keys show); not asked for")
    init.add_argument(
        "--card", metavar="CARD", help="the number of a card in your hand, which tells what readers print"
    )
    init.add_argument(
        "--port", action="append", default=[], metavar="PATH", help="look at this serial port only; may be repeated"
    )
    init.add_argument(
        "--seconds", type=_seconds, default=10, metavar="N", help="how long a card is waited for (default: %(default)s)"
    )
    add_config(init, _gateway_init)


def _seconds(text: str) -> float:
    """A time to wait, in s."""
    found = float(text)
    if not 0 < found <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most {SECONDS_MAX:g}")
    return found


def _hold_ms(text: str) -> int:
    from edge.readers.simulated import HOLD_MS_MAX

    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= HOLD_MS_MAX):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not 1 to {HOLD_MS_MAX}")
    return int(text)


def _count(text: str) -> int:
    found = int(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return found


def _cards(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    card = commands.add_parser("card", help="card numbers").add_subparsers(required=True, metavar="ACTION")
    explain = card.add_parser("explain", help="what a number may be, and every form in which readers print it")
    explain.add_argument(
        "number", metavar="NUMBER", help="canonical (a:04A1B2C3D4E580), or as a reader or card prints it"
    )
    explain.add_argument("--json", action="store_true", help="print one JSON array")
    explain.set_defaults(run=_explain)
    readers = commands.add_parser("readers", help="card readers").add_subparsers(required=True, metavar="ACTION")
    listed = readers.add_parser("list", help="what is plugged in, and which addresses to try")
    listed.add_argument("--json", action="store_true", help="print one JSON array")
    listed.set_defaults(run=_list_readers)
    watch = readers.add_parser("watch", help="show each card held to a reader, in every printed form")
    watch.add_argument("reader", metavar="ADDRESS", help="the reader's address, such as pn532:///dev/ttyUSB0")
    watch.add_argument("--seconds", type=_seconds, default=60, metavar="N", help="how long (default: %(default)s)")
    watch.add_argument("--count", type=_count, metavar="N", help="end after so many cards")
    watch.add_argument("--json", action="store_true", help="one JSON object a card")
    watch.set_defaults(run=_watch_reader)
    tap = readers.add_parser("tap", help="hold a card to a simulated reader")
    tap.add_argument("name", metavar="NAME", help="as in the reader's address, simulated:NAME")
    tap.add_argument("card", metavar="CARD", help="the card's canonical number")
    tap.add_argument(
        "--hold-ms", type=_hold_ms, default=300, metavar="N", help="how long it stays (default: %(default)s)"
    )
    tap.set_defaults(run=_tap)
    identify = readers.add_parser("identify", help="find out what a reader prints, types or sends, with one known card")
    identify.add_argument(
        "path",
        metavar="PATH",
        help="the serial port or input device, such as /dev/ttyUSB0, or an address without its form",
    )
    identify.add_argument("--card", required=True, metavar="CARD", help="the card's canonical number")
    identify.add_argument("--baud", type=int, metavar="N", help="listen at this speed only, at a serial port")
    identify.add_argument(
        "--seconds", type=_seconds, default=10, metavar="N", help="how long at each speed (default: %(default)s)"
    )
    identify.set_defaults(run=_identify)


def _gateway(arguments: argparse.Namespace) -> int:
    ending = ending_of_signals()
    from edge.app import run_gateway
    from edge.config import load_config

    return run_gateway(load_config(configured(arguments)), ending)


def _gateway_init(arguments: argparse.Namespace) -> int:
    from k12edge.setup import init

    init(
        configured(arguments),
        school=arguments.school,
        gateway=arguments.id,
        broker=arguments.broker,
        card=arguments.card,
        hub_key=arguments.hub_key,
        ports=arguments.port,
        seconds=arguments.seconds,
    )
    return EXIT_OK


def _city(arguments: argparse.Namespace) -> int:
    from protocol.settings import parse_listen
    from sim.city.app import run_city

    host, port = parse_listen(arguments.listen)
    return run_city(host, port, arguments.data, faults=arguments.faults)


def _demo(arguments: argparse.Namespace) -> int:
    from sim.demo.day import run_demo

    return run_demo(
        pupils=arguments.pupils,
        seed=arguments.seed,
        faults=not arguments.no_faults,
        as_json=arguments.json,
        keep=arguments.keep,
    )


def _verify(arguments: argparse.Namespace) -> int:
    from edge.verify import verify_path
    from k12edge.packs import is_pack, verify_pack

    worst = EXIT_OK
    for path in arguments.paths:
        pack = is_pack(path)
        report = verify_pack(path, arguments.hub_key) if pack else verify_path(path, arguments.witness)
        if arguments.json:
            print(json.dumps(report.as_json(), ensure_ascii=False))
        else:
            print("\n".join(report.lines))
        worst = max(worst, report.exit_code)
    return worst


def _journal(arguments: argparse.Namespace) -> int:
    from edge.listing import list_journal

    for line in list_journal(arguments.path, arguments.json):
        print(line)
    return EXIT_OK


def _incident(arguments: argparse.Namespace) -> int:
    from k12edge.incident import Asking, incident

    words = {"meal": arguments.meal, "date": arguments.date, "last_hours": arguments.last_hours}
    asking = Asking(arguments.journals, arguments.out, words, arguments.ill, arguments.drill, person())
    return printed(incident(asking))


def _explain(arguments: argparse.Namespace) -> int:
    from k12edge.cards import explain

    return printed(explain(arguments.number, arguments.json))


def _list_readers(arguments: argparse.Namespace) -> int:
    from k12edge.cards import list_readers

    return printed(list_readers(arguments.json))


def _watch_reader(arguments: argparse.Namespace) -> int:
    from k12edge.cards import watch_reader

    return printed(watch_reader(arguments.reader, arguments.seconds, arguments.count, arguments.json))


def _tap(arguments: argparse.Namespace) -> int:
    from edge.readers.simulated import hold
    from protocol.cards import parse_card

    hold(arguments.name, parse_card(arguments.card), arguments.hold_ms)
    return EXIT_OK


def _identify(arguments: argparse.Namespace) -> int:
    from edge.readers.lines import BAUDS
    from k12edge.cards import BAUD, identify
    from protocol.cards import parse_card

    others = sorted(set(BAUDS) - {BAUD}, reverse=True)
    bauds = [BAUD, *others] if arguments.baud is None else [arguments.baud]
    return printed(identify(arguments.path, parse_card(arguments.card), bauds, arguments.seconds))


def _doctor(arguments: argparse.Namespace) -> int:
    from k12edge.doctor import examine

    return examine(configured(arguments))


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (docs/reference/cli.md)."""
    arguments = build_parser().parse_args(keyed(sys.argv[1:] if words is None else words))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run: Command = arguments.run
    try:
        return run(arguments)
    except K12EdgeError as problem:
        print(f"k12edge: {problem} [{problem.code}]\n  {problem.hint}", file=sys.stderr)
        if isinstance(problem, ConfigError):
            return EXIT_USAGE
        return EXIT_RUNNING if isinstance(problem, AlreadyRunning) else EXIT_FAILED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        return EXIT_OK
    except UnicodeEncodeError:
        print("k12edge: a word of the command isn't text (UTF-8)", file=sys.stderr)
        return EXIT_USAGE
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EIO):
            raise
        print(f"k12edge: the output can't be written: {problem.strerror}", file=sys.stderr)
        # What is left to be written would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
