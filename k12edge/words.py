"""What the parts of the command line share: exit codes, the configuration's option, lines printed as they come."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host.accounts import this_command
from protocol.errors import ConfigError

if TYPE_CHECKING:
    from k12edge.ending import Ending

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_RUNNING: Final = 3
KEYS: Final = ("--hub-key",)
"""Options whose value is a public key in base64url."""

Command = Callable[[argparse.Namespace], int]


def add_config(parser: argparse.ArgumentParser, run: Command) -> None:
    """The option `--config`, and what a command runs."""
    # `hub` and its actions share the option; an action must not reset what stood before it.
    parser.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the TOML configuration")
    parser.set_defaults(run=run)


def configured(arguments: argparse.Namespace) -> Path:
    """The configuration that was named. Raises ConfigError where none was."""
    path = getattr(arguments, "config", None)
    if path is None:
        raise ConfigError("--config FILE is missing")
    assert isinstance(path, Path)
    return path


def keyed(words: Sequence[str]) -> list[str]:
    """The words of a command, a key kept with its option: every 64th begins with a hyphen, as options do."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in KEYS and word.startswith("-") and not word.startswith("--"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def person() -> str:
    """Who asks, as the machine knows them: see host.accounts."""
    return this_command()


def ending_of_signals() -> Ending:
    """How the process is asked to end."""
    # Before the rest is loaded: a stop that comes during the start is a clean one as well.
    from k12edge.ending import Ending

    return Ending()


def printed(lines: Iterable[str]) -> int:
    """Print lines as they come; the exit code."""
    for line in lines:
        # Somebody stands at the reader and looks.
        print(line, flush=True)
    return EXIT_OK
