"""The command line: one program, `k12edge`, for gateways, hubs, the reference city, the demonstration and audits."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from protocol.errors import AlreadyRunning, ConfigError, K12EdgeError

if TYPE_CHECKING:
    from k12edge.ending import Ending

SECONDS_MAX: Final = 86_400.0
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_RUNNING: Final = 3

Command = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; docs/reference/cli.md is held against it."""
    parser = argparse.ArgumentParser(
        prog="k12edge", description="School gateways that bring every acknowledged tap to the city exactly once."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    gateway = commands.add_parser("gateway", help="run a gateway: read cards, record, signal, deliver")
    _config(gateway, _gateway)
    _init(gateway.add_subparsers(dest="action", metavar="ACTION"))
    _hub(commands)
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
    verify = commands.add_parser("verify", help="prove journal files, or name the first bad record; writes nothing")
    verify.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a journal file or a gateway's data_dir")
    verify.add_argument("--witness", metavar="FILE|URL", help="what the hub holds: its address, or a saved answer")
    verify.add_argument("--json", action="store_true", help="one JSON object a path")
    verify.set_defaults(run=_verify)
    journal = commands.add_parser("journal", help="print a journal's records, oldest first; writes nothing")
    journal.add_argument("path", type=Path, metavar="PATH", help="a journal file or a gateway's data_dir")
    journal.add_argument("--json", action="store_true", help="one JSON object a record, with id and type")
    journal.set_defaults(run=_journal)
    _cards(commands)
    doctor = commands.add_parser("doctor", help="look whether this machine and configuration can do the job")
    _config(doctor, _doctor)
    return parser


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
    _config(init, _gateway_init)


def _seconds(text: str) -> float:
    """A time to wait, in s."""
    found = float(text)
    if not 0 < found <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most {SECONDS_MAX:g}")
    return found


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
    tap.add_argument("--hold-ms", type=int, default=300, metavar="N", help="how long it stays (default: %(default)s)")
    tap.set_defaults(run=_tap)
    identify = readers.add_parser("identify", help="find out what a serial reader prints, with one known card")
    identify.add_argument("path", metavar="PATH", help="the serial port, such as /dev/ttyUSB0")
    identify.add_argument("--card", required=True, metavar="CARD", help="the card's canonical number")
    identify.add_argument("--baud", type=int, metavar="N", help="listen at this speed only")
    identify.add_argument(
        "--seconds", type=_seconds, default=10, metavar="N", help="how long at each speed (default: %(default)s)"
    )
    identify.set_defaults(run=_identify)


def _hub(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    hub = commands.add_parser("hub", help="run a school's hub, or speak to it")
    _config(hub, _run_hub)
    actions = hub.add_subparsers(dest="action", metavar="ACTION")
    roster = actions.add_parser("roster", help="the school's roster").add_subparsers(required=True, metavar="ACTION")
    load = roster.add_parser("import", help="publish a CSV as a new release, whole or not at all")
    load.add_argument("file", type=Path, metavar="FILE", help="CSV: pupil_key,display_name,class,card_uid")
    _config(load, _hub_action("roster-import", "file"))
    devices = actions.add_parser("devices", help="gateways").add_subparsers(required=True, metavar="ACTION")
    _config(devices.add_parser("list", help="every gateway, its state and fingerprints"), _hub_action("devices-list"))
    accept = devices.add_parser("accept", help="count a gateway's records; also before its first contact")
    accept.add_argument("device", metavar="ID", help="the gateway's id")
    accept.add_argument("--fingerprint", metavar="F", help="bind this key only; without it the first key is bound")
    _config(accept, _hub_action("devices-accept", "device", "fingerprint"))
    retire = devices.add_parser("retire", help="keep a gateway's later records apart")
    retire.add_argument("device", metavar="ID", help="the gateway's id")
    _config(retire, _hub_action("devices-retire", "device"))
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
    again.set_defaults(by=_person())
    _config(
        again, _hub_action("cards-rederive", "reader", "format", "order", "bytes", "part", "dry_run", "unassign", "by")
    )
    findings = cards.add_parser("findings", help="taps whose card may be a copy: when, where, whose, and why")
    findings.add_argument("--json", action="store_true", help="print one JSON array")
    _config(findings, _hub_action("cards-findings", "json"))
    keys = actions.add_parser("keys", help="hub keys, card keys, accepted devices").add_subparsers(
        required=True, metavar="ACTION"
    )
    _config(keys.add_parser("show", help="the hub's public key and fingerprint"), _hub_action("keys-show"))
    save = keys.add_parser("export", help="write them to a file, which is secret")
    save.add_argument("file", type=Path, metavar="FILE", help="where to write; must not exist")
    _config(save, _hub_action("keys-export", "file"))
    restore = keys.add_parser("import", help="take them over into an empty or restored hub")
    restore.add_argument("file", type=Path, metavar="FILE", help="what `keys export` wrote")
    _config(restore, _hub_action("keys-import", "file"))


def _config(parser: argparse.ArgumentParser, run: Command) -> None:
    # `hub` and its actions share the option; an action must not reset what stood before it.
    parser.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the TOML configuration")
    parser.set_defaults(run=run)


def _configured(arguments: argparse.Namespace) -> Path:
    path = getattr(arguments, "config", None)
    if path is None:
        raise ConfigError("--config FILE is missing")
    assert isinstance(path, Path)
    return path


def _person() -> str:
    """Who asks, as the machine knows them."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())


def _ending() -> Ending:
    # Before the rest is loaded: a stop that comes during the start is a clean one as well.
    from k12edge.ending import Ending

    return Ending()


def _gateway(arguments: argparse.Namespace) -> int:
    ending = _ending()
    from edge.app import run_gateway
    from edge.config import load_config

    return run_gateway(load_config(_configured(arguments)), ending)


def _gateway_init(arguments: argparse.Namespace) -> int:
    from k12edge.setup import init

    init(
        _configured(arguments),
        school=arguments.school,
        gateway=arguments.id,
        broker=arguments.broker,
        card=arguments.card,
        hub_key=arguments.hub_key,
        ports=arguments.port,
        seconds=arguments.seconds,
    )
    return EXIT_OK


def _run_hub(arguments: argparse.Namespace) -> int:
    ending = _ending()
    from hub.app import run_hub
    from hub.config import load_hub_config

    return run_hub(load_hub_config(_configured(arguments)), ending)


def _hub_action(action: str, *names: str) -> Command:
    def run(arguments: argparse.Namespace) -> int:
        from hub.config import load_hub_config
        from hub.control import carry_out

        words = {name: getattr(arguments, name) for name in names}
        print(carry_out(load_hub_config(_configured(arguments)), action, words))
        return EXIT_OK

    return run


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

    worst = EXIT_OK
    for path in arguments.paths:
        report = verify_path(path, arguments.witness)
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


def _explain(arguments: argparse.Namespace) -> int:
    from k12edge.cards import explain

    return _printed(explain(arguments.number, arguments.json))


def _list_readers(arguments: argparse.Namespace) -> int:
    from k12edge.cards import list_readers

    return _printed(list_readers(arguments.json))


def _watch_reader(arguments: argparse.Namespace) -> int:
    from k12edge.cards import watch_reader

    return _printed(watch_reader(arguments.reader, arguments.seconds, arguments.count, arguments.json))


def _tap(arguments: argparse.Namespace) -> int:
    from edge.readers.simulated import HOLD_MS_MAX, hold
    from protocol.cards import parse_card

    if not 1 <= arguments.hold_ms <= HOLD_MS_MAX:
        raise ConfigError(f"--hold-ms {arguments.hold_ms} is not 1 to {HOLD_MS_MAX}")
    hold(arguments.name, parse_card(arguments.card), arguments.hold_ms)
    return EXIT_OK


def _identify(arguments: argparse.Namespace) -> int:
    from edge.readers.lines import BAUDS
    from k12edge.cards import BAUD, identify
    from protocol.cards import parse_card

    others = sorted(set(BAUDS) - {BAUD}, reverse=True)
    bauds = [BAUD, *others] if arguments.baud is None else [arguments.baud]
    return _printed(identify(arguments.path, parse_card(arguments.card), bauds, arguments.seconds))


def _printed(lines: Iterable[str]) -> int:
    for line in lines:
        # Somebody stands at the reader and looks.
        print(line, flush=True)
    return EXIT_OK


def _doctor(arguments: argparse.Namespace) -> int:
    from k12edge.doctor import examine

    return examine(_configured(arguments))


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (docs/reference/cli.md)."""
    arguments = build_parser().parse_args(words)
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
