"""What the OSDP driver refuses to open: addresses that never work, and a machine without libosdp."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.readers.opening import make_reader
from protocol.errors import ReaderRefused
from tests.readers.osdp.door import key_file


@pytest.mark.parametrize(
    "query",
    [
        "",
        "address=1",
        "key-file=/k",
        "address=127&key-file=/k",
        "address=-1&key-file=/k",
        "address=x&key-file=/k",
        "address=1&key-file=relative",
        "address=1&key-file=/k&baud=1200",
        "address=1&key-file=/k&format=dec",
        "address=1&key-file=/k&order=up",
        "address=1&key-file=/k&bytes=6",
        "address=1&key-file=/k&bytes=7&part=last",
        "address=1&key-file=/k&format=w26&bytes=7",
        "address=1&key-file=/k&secure=no",
    ],
)
def test_an_address_that_can_never_work_is_refused(query: str) -> None:
    with pytest.raises(ReaderRefused):
        make_reader(f"osdp:///dev/ttyX?{query}")
    with pytest.raises(ReaderRefused):
        make_reader("osdp://relative?address=1&key-file=/k")


@pytest.mark.parametrize("other", [False, True])
def test_a_missing_or_another_library_is_refused_with_the_command_that_helps(tmp_path: Path, other: bool) -> None:
    if other:
        # What `pip install osdp` leaves behind, where libosdp isn't: the same import name, another library.
        (tmp_path / "osdp").mkdir()
        (tmp_path / "osdp" / "__init__.py").write_text("")
        (tmp_path / "osdp-0.1.0.dist-info").mkdir()
        (tmp_path / "osdp-0.1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: osdp\nVersion: 0.1.0\n"
        )
    script = (
        "import sys; sys.modules['osdp_sys'] = None\n"
        "from edge.readers.opening import make_reader\n"
        "from protocol.errors import ReaderRefused\n"
        f"reader = make_reader('osdp:///dev/ttyX?address=1&key-file={key_file(tmp_path)}')\n"
        "try:\n    reader.open()\nexcept ReaderRefused as refused:\n    print(refused)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "pip install 'k12edge[osdp]'" in ran.stdout
    assert ("pip uninstall osdp" in ran.stdout) == other
