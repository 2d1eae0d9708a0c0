"""Journals changed by hand in every way and at random: each found, and the first bad record named."""

from __future__ import annotations

from pathlib import Path

from sim.tampering.campaign import tamper_all
from sim.tampering.kinds import KINDS

COUNT = 260


def test_every_tampering_is_found_and_its_first_bad_record_named(tmp_path: Path) -> None:
    outcome = tamper_all(tmp_path, 3, COUNT)
    print(outcome.as_json(3))
    assert outcome.problems == []
    assert outcome.found == outcome.named == outcome.count == COUNT
    assert set(outcome.kinds) == {*KINDS, "rollback"}
