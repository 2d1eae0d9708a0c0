"""Every driver has its row in edge/readers/quality.toml, and the row says of every rule how the driver stands to it."""

from __future__ import annotations

import tomllib

import pytest

from edge.readers.opening import SCHEMES, make_reader
from tests.houserules.readers import document, faults
from tests.houserules.reading import ROOT

NAMES = sorted(SCHEMES)


def test_every_driver_stands_to_every_rule_and_says_why_where_it_is_not_done() -> None:
    assert faults(document(), set(SCHEMES)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_drivers_example_opens_its_file_and_its_extra_exists(name: str) -> None:
    about = document()["driver"][name]
    assert about["example"].startswith(f"{name}:") and about["address"].startswith(f"{name}:")
    assert type(make_reader(about["example"])).__module__ == f"edge.readers.{name}"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert not about["extra"] or about["extra"] in extras


HERE = "tests/houserules/test_readers.py"
GOOD = f"""
[rules]
a = "A."
b = "B."
[driver.x]
example = "x:1"
address = "x:N"
extra = ""
cards = "all"
two_cards = "yes"
returns = "yes"
notes = "none"
[driver.x.rules]
a = {{ done = "{HERE}::test_a_list_that_is_out_of_date_is_seen" }}
b = {{ open = "nobody had one" }}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", None),
        ("[driver.x", "[driver.y", "in SCHEMES, and not in quality.toml"),
        ('cards = "all"\n', "", "cards is missing or unknown"),
        ('b = "B."', 'b = "B."\nc = "C."', "the rule c is missing or unknown"),
        ('b = "B."\n', "", "the rule b is missing or unknown"),
        ("open =", "closed =", "b is closed, not one of"),
        ('"nobody had one"', '"–"', "b is open, and why?"),
        ("open =", "exempt = 'yes', open =", "b has one standing"),
        ("test_a_list", "test_no_list", "which isn't there"),
        (HERE, "tests/houserules/nothing.py", "which isn't there"),
    ],
)
def test_a_list_that_is_out_of_date_is_seen(old: str, new: str, said: str | None) -> None:
    found = faults(document(GOOD.replace(old, new)), {"x"})
    assert found == [] if said is None else any(said in one for one in found), found
