"""A gateway that can't begin says so on its counter's screens, and takes them over when it can."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from edge.kiosk.screens import StationScreens
from edge.kiosk.standby import Standby
from sim.parts import free_ports
from tests.edge.kiosk.counters import STATION, Asker
from tests.edge.running import until


class _At:
    """Where a kiosk will be."""

    def __init__(self, port: int) -> None:
        self.port = port


def test_while_nothing_can_be_written_every_act_says_so_and_food_goes_on() -> None:
    counter = Standby([STATION], lambda: 0, "journal-full")
    screens = StationScreens(counter, STATION, lambda: 0)
    for keys in ("1 2", "3 Enter", "6 1 2 3 4 5 6 Enter", "6 Enter", "4 1", "5 1", "undo:j.1", "2 1", "name:st-1"):
        for key in ["Escape", "Escape", *keys.split()]:
            screens.press(key)
        frames, _ = screens.frames([("pupil", "vi"), ("staff", "vi")])
        staff, pupil = frames["staff", "vi"].html, frames["pupil", "vi"].html
        assert "Vẫn phát cơm: ghi giấy" in staff and "[journal-full]" in staff
        assert "Máy chưa ghi được" in pupil and "vẫn nhận cơm" in pupil
        assert "thẻ vẫn được ghi" not in pupil + staff and "Thẻ vẫn được ghi" not in pupil + staff, "that is not so"
    assert counter.rate(STATION, "good").code == "journal-full"
    assert counter.find("an") == () and counter.log_in(STATION, "123456").code == "journal-full"


def test_a_gateway_that_waits_for_its_disk_says_so_on_its_screens_until_it_begins(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file, hard = tmp_path / "gateway.toml", resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    (tmp_path / "no-cards.txt").write_text("", encoding="ascii")
    file.write_text(
        f'[gateway]\nid = "quay-a"\nschool = "79000701"\ndata_dir = "{tmp_path}/data"\n'
        f'[kiosk]\nlisten = "127.0.0.1:{port}"\n'
        f'[[station]]\nname = "{STATION}"\nkind = "canteen"\nreader = "replay:{tmp_path}/no-cards.txt"\n',
        encoding="utf-8",
    )
    gateway = subprocess.Popen(
        [sys.executable, "-m", "k12edge", "gateway", "--config", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A disk that takes not one byte.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard)),
    )
    ask = Asker(_At(port))  # type: ignore[arg-type]  # Its port is all that is asked of it.

    def page(name: str) -> str:
        try:
            return ask.get(f"/{name}?station={STATION}")[2]
        except OSError:
            return ""

    try:
        until(lambda: "Máy chưa ghi được" in page("pupil"), "pupils read that nothing can be recorded")
        assert any(f"[{code}]" in page("staff") for code in ("journal-failed", "journal-full"))
        with ask.stream("pupil") as events:
            run = next(events)
            assert "Máy chưa ghi được" in json.loads(next(data for name, data in events if name == "message"))["html"]
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))
            assert all(name in ("message", "beat") for name, _ in events), "it ends, and the page asks anew"
        until(lambda: "Mời con chạm thẻ" in page("pupil"), "the gateway's own screens")
        with ask.stream("pupil") as events:
            assert next(events) != run, "by which an open page knows to load itself anew"
        gateway.terminate()
        assert gateway.wait(10) == 0
    finally:
        if gateway.poll() is None:
            gateway.kill()
            gateway.wait(5)
