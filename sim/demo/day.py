"""The demonstration's day: arrival, lunch, kills in between, the drain, the reckoning, told as it happens."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from protocol.errors import ConfigError
from sim.demo.canteen import BOXES, Canteen
from sim.demo.chain import COUNTERS, GATES
from sim.demo.crowds import Crowds
from sim.demo.kitchen import Kitchen
from sim.demo.lunch import Kills, Lunch
from sim.demo.mealreckoning import MealReckoning, reckon_meal
from sim.demo.office import Morning, Office
from sim.demo.teller import Teller
from sim.parts import kill_by_pid_file, until
from sim.reckoning import Reckoning
from sim.school import Pupil, make_school, write_roster

PUPILS_MAX: Final = 10_000


def run_demo(*, pupils: int, seed: int, faults: bool, as_json: bool, keep: Path | None) -> int:
    """Live the day; 0 only when the reckoning shows that the promise was kept. Raises NeedsHands."""
    if not 1 <= pupils <= PUPILS_MAX:
        raise ConfigError(f"--pupils {pupils} is not from 1 to {PUPILS_MAX}")
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ConfigError(f"--keep {keep} is not empty")
        return Day(keep.absolute(), pupils, seed, faults=faults, as_json=as_json).live()
    with tempfile.TemporaryDirectory(prefix="k12edge-demo-") as folder:
        return Day(Path(folder), pupils, seed, faults=faults, as_json=as_json).live()


class Day:
    """One day of the made-up school."""

    def __init__(self, folder: Path, pupils: int, seed: int, *, faults: bool, as_json: bool) -> None:
        """Make the school; nothing runs yet."""
        self._folder, self._seed, self._faults, self._as_json = folder, seed, faults, as_json
        self._rng = Random(seed)
        self._teller = Teller(quiet=as_json)
        self._pupils = make_school(pupils, seed)
        self._chain: Canteen | None = None
        self._crowds: Crowds | None = None
        self._kitchen: Kitchen | None = None
        self._lunch: Lunch | None = None
        self._eaten: MealReckoning | None = None
        self._kills: list[str] = []
        self._office: Office | None = None
        self._morning: Morning | None = None

    def live(self) -> int:
        """The whole day; the exit code."""
        teller = self._teller
        began_s = time.monotonic()
        roster = self._folder / "roster.csv"
        write_roster(roster, self._pupils)
        chain = self._chain = Canteen(self._folder)
        self._crowds = Crowds(chain, self._rng, teller)
        try:
            with teller.phase(
                "start",
                f"Khởi động / Start: {len(self._pupils)} học sinh / pupils, 9 đầu đọc / readers,"
                f" {len(chain.gateways)} thiết bị / gateways",
            ):
                chain.start(roster)
                self._open_office(chain)
            teller.say(f"   Trạm trường / School hub  {chain.hub_url}/devices")
            teller.say(f"   Thành phố / City          {chain.city_url}/")
            self._open_kitchen(chain)
            with teller.phase("arrival", "Đến trường / Arrival, 5 cổng / gates"):
                kills = [(0.2, self._kill_broker), (0.45, self._kill_hub), (0.7, self._kill_gateway("cong"))]
                self._crowds.run(self._crowds.lines(GATES, self._here()), kills if self._faults else [])
            before = self._teach()
            self._eat(chain)
            self._await_final(before)
            with teller.phase("drain", "Chuyển hết về thành phố / Drain to the city"):
                until(chain.drained, f"not everything arrived: {chain.status()}", within_s=60, moving=chain.progress)
            self._drill(chain)
            with teller.phase("reckoning", "Đối chiếu theo mã lần quẹt / Reckoning by tap id"):
                found = self._reckon(chain)
        finally:
            if self._office is not None:
                self._office.close()
            codes = chain.stop()
        teller.phases["total"] = round(time.monotonic() - began_s, 1)
        return self._conclude(found, codes)

    # --- the pages ----------------------------------------------------------------------------------------------------

    def _open_office(self, chain: Canteen) -> None:
        office = Office(chain, self._pupils)
        if not office.possible:
            self._teller.say(
                "   (gần nửa đêm, hoặc trường quá nhỏ / near midnight, or too small a school: no pages, no kitchen)"
            )
            return
        # The HTTP client tells of every request; what comes of it, we tell.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        office.open()
        self._office = office
        self._teller.say(f"   Xem các trang, chọn mật khẩu / See the pages, choose a password: {office.link}")

    def _here(self) -> list[Pupil]:
        """Who comes today."""
        away = set() if self._office is None else {pupil.key for pupil in self._office.absent}
        return [pupil for pupil in self._pupils if pupil.key not in away]

    def _teach(self) -> Mapping[str, str]:
        if self._office is None:
            return {}
        office = self._office
        with self._teller.phase("teacher", f"Cô chủ nhiệm {office.school_class} / The homeroom teacher"):
            assert self._chain is not None
            until(self._hub_is_up, "the hub doesn't answer", within_s=30)
            before = office.teach()
            self._teller.say("   1 nghỉ phép / excused (P), 1 không phép / unexcused (K), đã xác nhận / signed")
        return before

    def _hub_is_up(self) -> bool:
        assert self._chain is not None
        return self._chain.status() is not None and self._chain.connected()

    def _await_final(self, before: Mapping[str, str]) -> None:
        if self._office is None:
            return
        with self._teller.phase("final", "Chờ đủ dữ liệu các cổng / Until every gate has proved that it holds no more"):
            self._morning = self._office.await_final(before)
        shown = ", ".join(f"{count} {mark}" for mark, count in sorted(self._morning.school.items()))
        self._teller.say(f"   Buổi sáng, đã chốt / The morning, final: {shown}")

    # --- lunch --------------------------------------------------------------------------------------------------------

    def _open_kitchen(self, chain: Canteen) -> None:
        if self._office is None or self._office.principal is None:
            return
        with self._teller.phase("kitchen", "Bếp / The kitchen"):
            self._kitchen = Kitchen(chain, self._office, self._pupils)
            self._kitchen.open(self._office.principal)
            self._teller.say("   Phiếu bếp đã chốt: 3 em cắt suất, 5 suất chay / sheet frozen: 3 cut, 5 vegetarian")

    def _eat(self, chain: Canteen) -> None:
        """Both shifts; with no kitchen cards alone are held to the counters."""
        assert self._crowds is not None
        kitchen, office, teller = self._kitchen, self._office, self._teller
        if kitchen is None or office is None or office.principal is None:
            with teller.phase("lunch", "Ăn trưa / Lunch, 4 quầy / counters"):
                strikes = [(0.3, self._kill_city), (0.6, self._kill_gateway(BOXES[1]))] if self._faults else []
                self._crowds.run(self._crowds.lines(COUNTERS, self._here()), strikes)
            return
        with teller.phase("sheet", "Danh sách đến quầy / The sheet at the counters"):
            until(self._hub_is_up, "the hub doesn't answer", within_s=30)
            border = kitchen.change(office.principal)
            chain.await_hearing(COUNTERS)
            teller.say("   Thêm 1 dị ứng, 1 em cắt muộn: quầy đã biết / an allergy, a late cut: counters know")
        kills = Kills(self._strike_hub, self._kill_city, self._kill_gateway(BOXES[1])) if self._faults else None
        lunch = self._lunch = Lunch(chain, kitchen, self._crowds, teller)
        with teller.phase("lunch", "Ăn trưa, ca 1 / Lunch, shift 1, 4 quầy / counters"):
            lunch.first(kills)
            if kills is not None:
                chain.hub.start()
                teller.say("   Trạm trường trở lại / The hub is back")
        with teller.phase("lunch2", "Ăn trưa, ca 2 / Lunch, shift 2"):
            lunch.await_second(border)
            lunch.second(kills)

    def _drill(self, chain: Canteen) -> None:
        if self._lunch is None or self._kitchen is None:
            return
        with self._teller.phase("drill", "Diễn tập: ai đã ăn / Drill: who ate, against a count by force"):
            present = [pupil.key for pupil in self._here()]
            eaten = self._eaten = reckon_meal(chain, self._kitchen, self._lunch, present)
        told = ", ".join(f"{count} {name}" for name, count in sorted(eaten.lists.items()))
        self._teller.say(f"   {told}; {eaten.drill_s} s")
        self._teller.say(
            f"   {eaten.trays} suất / trays, {eaten.seconds} lần hai / seconds, {eaten.unsettled} chờ người xem /"
            f" to settle; phiếu bếp + {eaten.adjustments} điều chỉnh / frozen sheet + adjustments"
        )

    # --- what is killed -----------------------------------------------------------------------------------------------

    def _killed(self, what: str) -> None:
        self._kills.append(what)
        self._teller.say(f"   kill -9: {what}")

    def _kill_broker(self) -> None:
        if kill_by_pid_file(self._folder / "hub" / "broker" / "pid", "nats-server"):
            self._killed("máy chủ tin / broker (trạm tự khởi động lại / the hub starts it again)")

    def _strike_hub(self) -> None:
        assert self._chain is not None
        self._chain.hub.kill()
        self._killed("trạm trường / hub, with its broker")

    def _kill_hub(self) -> None:
        assert self._chain is not None
        self._strike_hub()
        self._chain.hub.start(wait=False)

    def _kill_city(self) -> None:
        assert self._chain is not None
        self._chain.city.kill()
        self._killed("thành phố / city")
        self._chain.city.start(wait=False)

    def _kill_gateway(self, name: str) -> Callable[[], None]:
        def kill() -> None:
            assert self._chain is not None
            self._chain.gateways[name].kill()
            self._killed(f"thiết bị / gateway {name}")
            self._chain.gateways[name].start()

        return kill

    # --- the reckoning ------------------------------------------------------------------------------------------------

    def _reckon(self, chain: Canteen) -> Reckoning:
        here = [pupil.key for pupil in self._here()]
        trays = Counter(here) if self._lunch is None else self._lunch.accepted()
        found = chain.reckoned({f"canteen {key}": count for key, count in trays.items()})
        for kind, wanted in (("gate", Counter(here)), ("canteen", trays)):
            for key, count in wanted.items():
                if found.accepted[f"{kind} {key}"] < count:
                    found.lost.append(
                        f"{key}: {found.accepted[f'{kind} {key}']} accepted taps at a {kind}, not {count}"
                    )
        if self._eaten is not None:
            found.faults += [f"lunch: {problem}" for problem in self._eaten.problems]
        if self._office is not None and self._morning is not None:
            found.faults += [f"attendance: {problem}" for problem in self._office.problems(self._morning)]
        return found

    def _conclude(self, found: Reckoning, codes: dict[str, int]) -> int:
        unclean = {name: code for name, code in codes.items() if code}
        if self._as_json:
            body = {
                **found.as_json(),
                "pupils": len(self._pupils),
                "seed": self._seed,
                "kills": self._kills,
                "lunch": None if self._eaten is None else self._eaten.as_json(),
                "marks": {} if self._morning is None else dict(self._morning.school),
                "phases_s": self._teller.phases,
                "unclean_ends": unclean,
            }
            print(json.dumps(body, ensure_ascii=False))
        else:
            print("\n".join(self._words(found, unclean)), file=sys.stderr)
        return 0 if found.kept and not unclean else 1

    def _words(self, found: Reckoning, unclean: dict[str, int]) -> list[str]:
        lines = [
            f"   đã báo / signals shown {found.signals} ⊆ thiết bị / journals {found.journal}"
            f" = trạm / hub {found.hub} = thành phố / city {found.city}",
            f"   mất / lost {len(found.lost)}, trùng / double {len(found.double)}, khác / changed {len(found.changed)},"
            f" lạ / phantom {len(found.phantom)}",
        ]
        lines += [
            f"   ghi trước khi bị ngắt, chưa báo / in flight at a kill, not signalled: {name}"
            for name in found.unsignalled
        ]
        for problem in (*found.lost, *found.double, *found.changed, *found.phantom, *found.unexplained, *found.faults):
            lines.append(f"   !! {problem}")
        lines += [f"   !! {name} ended with {code}" for name, code in unclean.items()]
        kept = found.kept and not unclean
        verdict = "LỜI HỨA ĐƯỢC GIỮ / THE PROMISE WAS KEPT" if kept else "LỜI HỨA BỊ PHÁ / THE PROMISE WAS BROKEN"
        return [*lines, f"── {verdict} · {self._teller.phases['total']:.0f} s"]
