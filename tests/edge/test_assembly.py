"""The gateway's parts together: written down, then shown, then told; what a restart and a broken file cost."""

from __future__ import annotations

from pathlib import Path

from edge.assembly import Assembly
from edge.clock import SystemClock
from edge.config import load_config
from edge.ports import CardRead, CardSeen, Recorded, Warning_
from protocol.cards import CardUid
from protocol.rawread import RawRead, decode_raw
from protocol.signing import Identity
from tests.edge.room import data_of, events, hub_state, records

CARD = CardUid("a", "04A1B2C3D4E580")


class Gateway:
    """An assembly on real parts, as often as one likes; what it shows and does, in its order."""

    def __init__(self, folder: Path) -> None:
        self.data, file = folder / "data", folder / "gateway.toml"
        self.data.mkdir(exist_ok=True)
        text = f'[gateway]\nid = "cong-a"\nschool = "79000701"\ndata_dir = "{self.data}"\n'
        text += '[[station]]\nname = "cong"\nkind = "gate"\nreader = "replay:none"\nrepeat_window_s = 600\n'
        file.write_text(text, encoding="utf-8")
        self.heard: list[str] = []
        self.assembly = Assembly(load_config(file), SystemClock(), self, lambda: self.heard.append("anew"))
        self.assembly.delivery.tapped = lambda: self.heard.append("told")  # type: ignore[method-assign]

    def show(self, recorded: Recorded) -> None:
        assert f"{recorded.tap.journal}.{recorded.tap.sequence}" in {event.id for event in events(self.data)}
        self.heard.append(recorded.signal)

    def warn(self, warning: Warning_) -> None:
        self.heard.append(warning.code)

    def tap(self) -> None:
        self.assembly.lanes[0].station.take(CardSeen(CARD, self.assembly.clock.mono_ns()))


def test_a_tap_is_written_down_then_shown_then_told(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.tap()
    assert gateway.heard == ["accepted", "told"]
    gateway.assembly.close()


def test_what_a_card_wrote_to_prove_itself_comes_to_the_hub_and_to_nobody_else(tmp_path: Path) -> None:
    gateway, hub = Gateway(tmp_path), Identity(b"\x02" * 32, b"\x03" * 32)
    assert gateway.assembly.keys.meet_hub(hub_state(hub))
    read = CardRead(CARD, kind="sak=20", proof="e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086")
    station = gateway.assembly.lanes[0].station
    station.take(CardSeen(CARD, gateway.assembly.clock.mono_ns(), read))
    raw = records(gateway.data)[-1]
    assert b"94EED9EE65337086" not in raw
    opened = decode_raw(hub.open(data_of(events(gateway.data)[-1])["raw"]))
    assert opened == RawRead(CARD.canonical, proof=read.proof)
    gateway.assembly.close()


def test_a_card_still_in_the_hand_after_a_restart_is_the_same_tap(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.tap()
    gateway.assembly.close()
    again = Gateway(tmp_path)
    again.tap()
    assert again.heard == ["repeated", "told"]
    again.assembly.close()


def test_a_file_that_broke_under_a_tap_is_set_aside_by_the_next_opening_and_comes_back(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.tap()
    gateway.assembly.warn(Warning_("alarm", "cong", None, "journal-damaged"))
    assert gateway.heard[2:] == ["journal-damaged", "anew"]
    gateway.assembly.close()
    before = records(gateway.data)
    again = Gateway(tmp_path)
    assert again.heard == ["journal-damaged"]
    assert len(list(again.data.glob("journal-damaged-*.db"))) == 1
    again.assembly.delivery.turn()
    assert not list(again.data.glob("journal-damaged-*.db"))
    again.assembly.close()
    assert set(before) <= set(records(again.data))
