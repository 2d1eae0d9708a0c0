"""`k12edge hub audit` and `k12edge verify FILE.zip`: one file from the hub, counted again by who has only it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.recount.archive import unzipped, zipped
from hub.recount.manifest import SERVINGS
from k12edge.cli import main
from tests.hub.days.test_mealbook import Canteen
from tests.hub.handmade import SCHOOL
from tests.hub.reporting.monthschool import MONTH, lived, stated


def test_a_pack_goes_from_the_hub_to_an_auditor_who_finds_what_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canteen = stated(lived(Canteen(tmp_path)))
    key = canteen.store.secrets.identity().key
    data_dir = canteen.room.config.data_dir
    canteen.room.close()
    config = tmp_path / "hub.toml"
    config.write_text(f'[hub]\nid = "tram"\nschool = "{SCHOOL}"\ndata_dir = "{data_dir}"\nlisten = "127.0.0.1:0"\n')
    file = tmp_path / "T11.zip"
    asked = ["hub", "audit", "--month", MONTH, "--out", str(file), "--config", str(config)]
    assert main(asked) == 0 and "counted again by rules m1" in capsys.readouterr().out
    assert main(asked) != 0, "a file that is there is never written over"
    paper = tmp_path / "bep.xlsx"
    words = ["kitchen", "--date", "2026-11-19", "--into", str(paper), "--config", str(config)]
    assert main(["hub", "meal-paper", *words]) == 0 and paper.read_bytes().startswith(b"PK")
    capsys.readouterr()
    for what, why in (("slip", "give --student"), ("public", "give --date or --month"), ("cake", "not one of kitchen")):
        words = [what, "--into", str(tmp_path / "no.pdf"), "--config", str(config)]
        assert main(["hub", "meal-paper", *words]) != 0 and why in capsys.readouterr().err
    assert main(["verify", str(file), "--hub-key", key, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] and told["first_bad"] is None
    assert main(["verify", str(file), "--hub-key", f"-{'A' * 42}"]) == 1, "a key may begin with a hyphen"
    assert "another key" in capsys.readouterr().out
    files = unzipped(file.read_bytes())
    lines = files[SERVINGS].splitlines(keepends=True)
    gone = json.loads(lines.pop(2))["tap"]
    file.write_bytes(zipped({**files, SERVINGS: b"".join(lines)}))
    assert main(["verify", str(file)]) == 1
    assert capsys.readouterr().out.startswith(f"BAD serving {gone}: it was removed")
    file.write_bytes(b"PK\x03\x04")
    assert main(["verify", str(file), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["lines"][0].startswith("UNREADABLE it is no zip file")
