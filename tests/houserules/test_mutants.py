"""The list of mutants is current: each fragment stands where it is said to stand, once, and each named test exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutant import Edit, Mutant, apply, faults, listed

MUTANTS = listed()
ROOMS = {
    "protocol": "anchors audit batch cardforms envelope ranges receipts signing time",
    "edge": "assembly clock decide delivery devicekeys journal journalfile lane owed pace patterns player pruning"
    " rescue rosterstore salvage slots soundness station upkeep uplink verify waterline watermark watermarking"
    " readers/keyboard readers/keydecoder readers/lines readers/osdpcards readers/osdpwire readers/pcscwords"
    " readers/presence readers/stableport readers/keeping readers/tty",
    "hub": "clock mending parts roster tls road/announcer road/intake road/mailroom road/receipts road/reception"
    " forwarding/forwarder forwarding/owing days/rederiving"
    " lists/books lists/changes lists/enrolling lists/matching lists/oneroster lists/reading lists/rows"
    " access/passwords access/rights access/sessions web/doorman web/ground web/pages/loginpages"
    " attendance/claims attendance/coverage city/k12records city/login city/oneroster store/books store/coveragerows"
    " store/database store/forwardrows store/ledger store/rosterrows store/sessionrows store/userrows"
    " rostersync/held rostersync/plan rostersync/puller rostersync/register rostersync/settling rostersync/walk",
}


def test_every_mutant_can_be_made_and_names_a_test() -> None:
    wrong = [fault for mutant in MUTANTS for fault in faults(mutant)]
    assert not wrong, "\n".join(wrong)


def test_names_are_unique_and_every_room_of_the_promise_has_one() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 100
    wanted = {f"{root}/{room}.py" for root, rooms in ROOMS.items() for room in rooms.split()}
    assert wanted - {edit.file for mutant in MUTANTS for edit in mutant.edits} == set()


@pytest.mark.parametrize(
    ("edit", "tests", "fault"),
    [
        (Edit("a.py", "x = 1", "x = 2"), ("t.py::test_a",), None),
        (Edit("a.py", "x = 3", "x = 2"), ("t.py::test_a",), "stands 0 times"),
        (Edit("a.py", "x", "y"), ("t.py::test_a",), "stands 2 times"),
        (Edit("a.py", "x = 1", "x = 1"), ("t.py::test_a",), "changes nothing"),
        (Edit("a.py", "x = 1", "x = 2"), ("t.py::test_b[1]",), "there is no test"),
        (Edit("a.py", "x = 1", "x = 2"), ("u.py",), "there is no test"),
        (Edit("a.py", "x = 1", "x = 2"), (), "no test is named"),
    ],
)
def test_a_list_that_is_out_of_date_is_seen(
    tmp_path: Path, edit: Edit, tests: tuple[str, ...], fault: str | None
) -> None:
    (tmp_path / "a.py").write_text("x = 1\nprint(x)\n", encoding="utf-8")
    (tmp_path / "t.py").write_text("def test_a():\n    pass\n", encoding="utf-8")
    mutant = Mutant("m", "-", (edit,), tests)
    said = faults(mutant, tmp_path)
    assert [fault in one for one in said] == [True] if fault else said == []
    if fault is None:
        apply(mutant, tmp_path)
        assert (tmp_path / "a.py").read_text(encoding="utf-8") == "x = 2\nprint(x)\n"
