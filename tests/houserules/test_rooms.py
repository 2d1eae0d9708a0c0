"""Style as a test: rooms stay small, named after one noun, and free of this machine's traces."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [
    ROOT / name
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    if name and (ROOT / name).is_file()
]
PRODUCTION = [p for p in TRACKED if p.suffix == ".py" and p.relative_to(ROOT).parts[0] not in ("tests", "bench")]
ROOM_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


@pytest.mark.parametrize("room", PRODUCTION, ids=lambda p: str(p.relative_to(ROOT)))
def test_room_is_small_and_says_what_it_is(room: Path) -> None:
    text = room.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= ROOM_LINES_MAX
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a room says its noun in its docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name


def test_no_room_without_a_noun() -> None:
    bad = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert not [p for p in TRACKED if p.stem in bad]


def test_no_download_address_and_no_machine_path() -> None:
    trace = re.compile(r"--(extra-)?index-url|--find-links|files\.pythonhosted|/root/|pypi\.org")
    for path in TRACKED:
        if path == Path(__file__) or path.suffix in (".png", ".ico"):
            continue
        assert not trace.search(path.read_text(encoding="utf-8", errors="replace")), path
