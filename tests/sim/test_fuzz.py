"""The fuzz campaign in small: some inputs of each parser; and that a parser with a fault is found and named."""

from __future__ import annotations

import ast
import inspect
import json
import mmap
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

import edge.readers.pcscwords
import hub.cards.sun
import hub.road.states
import protocol.batch
import protocol.cardforms
import protocol.envelope
import protocol.receipts
import protocol.roster
import protocol.served
from protocol.errors import BadMessage
from sim.fuzz import running
from sim.fuzz.__main__ import PARSERS, main
from sim.fuzz.parser import Parser, must
from sim.fuzz.running import input_of, run, take_all
from tests.patience import within

COUNTS = {
    "config": 150, "roster": 300, "keys": 80, "keyfile": 60, "pages": 150, "driver": 3, "query": 80,
    "witness": 200, "replay": 250, "cardforms": 1000, "lists": 300, "oneroster": 300, "books": 8, "csv": 1000,
    "pack": 120, "pile": 70, "city": 300, "event": 300, "batch": 300,
}  # fmt: skip
SEED = 7


@pytest.mark.parametrize("name", PARSERS)
def test_every_parser_takes_or_refuses_and_the_next_room_takes_what_it_took(name: str, tmp_path: Path) -> None:
    parser = PARSERS[name](tmp_path)
    parser.every = min(parser.every, 40)  # type: ignore[misc]  # More of them go on than in a campaign.
    try:
        outcome = take_all(parser, SEED, 0, COUNTS.get(name, 500))
    finally:
        parser.close()
    assert not outcome.problems
    assert outcome.taken and (outcome.followed or name == "driver")


@pytest.mark.parametrize(
    ("name", "room", "function"),
    [
        ("receipt", protocol.receipts, "decode_receipt"),
        ("receipt", protocol.receipts, "_check"),
        ("event", protocol.envelope, "decode_event"),
        ("roster", protocol.roster, "unpack_release"),
        ("state", hub.road.states, "checked_state"),
        ("batch", protocol.batch, "decode_batch"),
        ("served", protocol.served, "decode_word"),
        ("raw", hub.cards.sun, "parse_sun"),
        ("raw", hub.cards.sun, "_octets"),
        ("pcsc", edge.readers.pcscwords, "choose_reader"),
        ("cardforms", protocol.cardforms, "parse_partial"),
        ("cardforms", protocol.cardforms, "number_plan"),
    ],
)
def test_the_inputs_reach_every_refusal(name: str, room: Any, function: str, tmp_path: Path) -> None:
    """Else the mutator is too kind, or too rough to come that far."""
    tree = ast.parse(inspect.getsource(room))
    wanted = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
    missing = {node.lineno for node in ast.walk(wanted) if isinstance(node, ast.Raise)}
    assert missing
    parser = PARSERS[name](tmp_path)
    try:
        for low in range(0, 10_000, 1_000):
            missing -= {line for _, line in take_all(parser, 1, low, low + 1_000).sites}
            if not missing:
                break
    finally:
        parser.close()
    assert not missing, f"refusals of {function} at these lines are never reached"


def test_an_input_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = PARSERS["event"](tmp_path / "a"), PARSERS["event"](tmp_path / "b")
    take_all(one, 5, 0, 20)
    assert [input_of(one, 5, n) for n in (17, 3)] == [input_of(other, 5, n) for n in (17, 3)]
    assert input_of(one, 5, 17) != input_of(one, 6, 17)


class Faulty(Parser):
    """Takes numbers; what it does with the one named is the fault to be found."""

    name = "faulty"

    def made(self, rng: Random) -> bytes:
        return rng.getrandbits(8).to_bytes(1, "big") * 100

    def fault(self) -> None:
        raise KeyError("x")

    def take(self, octets: bytes) -> int:
        if octets[0] == 77:
            self.fault()
        if octets[0] < 40:
            raise BadMessage("small")
        return octets[0]


def numbers_of(what: int, count: int) -> list[int]:
    return [n for n in range(count) if input_of(Faulty(Path()), 1, n)[0] == what]


def test_an_error_that_is_no_refusal_is_named_by_its_first_input() -> None:
    outcome = run(Faulty, 1, 2000, jobs=2)
    known = numbers_of(77, 2000)
    assert list(outcome.problems.values()) == [(known[0], len(known))]
    assert "KeyError" in next(iter(outcome.problems))
    assert outcome.inputs == 2000 and outcome.taken + len(known) < 2000 and len(outcome.sites) == 1


def test_what_the_next_room_does_not_take_is_named() -> None:
    class Lost(Faulty):
        def fault(self) -> None:
            pass

        def follow(self, octets: bytes, taken: Any) -> None:
            must(taken != 77, "a record is nowhere")

    outcome = run(Lost, 1, 2000)
    assert list(outcome.problems.values()) == [(numbers_of(77, 2000)[0], len(numbers_of(77, 2000)))]
    assert "a record is nowhere" in next(iter(outcome.problems))


def test_a_hang_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Faulty):
        def fault(self) -> None:
            while True:
                pass

    monkeypatch.setattr(running, "HANG_CPU_S", within(0.5))
    outcome = run(Hanging, 1, 2000)
    assert [(what[:6], at) for what, at in outcome.problems.items()] == [("a hang", (numbers_of(77, 2000)[0], 1))]


def test_the_death_of_the_process_is_named() -> None:
    class Dying(Faulty):
        def fault(self) -> None:
            os._exit(139)

    outcome = run(Dying, 1, 2000)
    assert outcome.problems == {"the process ended with 139": (numbers_of(77, 2000)[0], 1)}


def test_growth_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[mmap.mmap] = []

    class Growing(Faulty):
        inputs = 0

        def take(self, octets: bytes) -> int:
            # Pages of the system's: the allocator may have room left from earlier tests.
            self.inputs += 1
            if self.inputs % 20 == 0:
                kept.append(mmap.mmap(-1, 200_000))
                kept[-1].write(b"x" * 200_000)
            return 0

    monkeypatch.setattr(running, "GROWTH_BYTES_MAX", 2 * 1024 * 1024)
    assert [what[:16] for what in run(Growing, 1, 6000).problems] == ["the process grew"]


def test_a_slow_input_and_one_that_needs_much_are_named() -> None:
    class Costly(Faulty):
        cpu_ms_max = 5.0
        bytes_max = 1024 * 1024

        def fault(self) -> None:
            sum(range(2_000_000))

        def take(self, octets: bytes) -> int:
            bytearray(2 * 1024 * 1024 if octets == input_of(self, 1, 0) else 1)
            return super().take(octets)

    said = {what: at for what, (at, _) in run(Costly, 1, 1000).problems.items()}
    slow, large = "an input takes more than 5 ms", "an input needs more than 1048576 bytes of memory"
    assert said == {slow: numbers_of(77, 1000)[0], large: 0}


def test_the_command_tells_and_takes_an_input_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seed", "2", "--count", "200", "--parser", "word", "--parser", "signed", "--json", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.count("200 inputs") == 2
    told = json.loads((tmp_path / "out").read_text(encoding="utf-8"))
    assert told["kept"] and told["figures"]["word_inputs"] == 200 and told["problems"] == [] and told["seed"] == 2
    assert main(["--parser", "word", "--only", "3", "--seed", "2"]) == 0
    assert "word --seed 2 --only 3" in capsys.readouterr().out
    for wrong in (["--count", "0"], ["--only", "3"], ["--parser", "none"]):
        with pytest.raises(SystemExit) as refused:
            main(wrong)
        assert refused.value.code == 2
