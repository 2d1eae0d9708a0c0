"""`k12edge hub backup` and `hub restore`: a copy of a running hub, and a hub made of one again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k12edge.words import EXIT_OK, add_config, configured
from protocol.errors import AlreadyRunning, ConfigError

if TYPE_CHECKING:
    from hub.config import HubConfig
    from hub.parts import Store


def add_backup(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The two words, below `k12edge hub`."""
    save = actions.add_parser("backup", help="copy a hub, running or not, into a new folder")
    save.add_argument("dir", type=Path, metavar="DIR", help="where backups go; must exist, such as a mounted stick")
    _passphrase(save, "seal it by the passphrase in this file (default: [backup] passphrase_file)")
    add_config(save, _backup)
    bring = actions.add_parser("restore", help="make a hub of a backup, and regain from the city what came after it")
    bring.add_argument(
        "place",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a backup's folder, or where backups go: the newest sound one",
    )
    bring.add_argument("--over", action="store_true", help="move a ledger that is there aside; it is kept")
    bring.add_argument("--from-city", action="store_true", help="bring back now what the city holds and the hub lacks")
    _passphrase(bring, "open a sealed backup by the passphrase in this file (default: [backup] passphrase_file)")
    add_config(bring, _restore)


def _passphrase(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help=meaning)


def _given_passphrase(arguments: argparse.Namespace, config: HubConfig) -> bytes | None:
    from hub.backups.seal import read_passphrase

    path = arguments.passphrase_file or config.backup.passphrase_file
    return None if path is None else read_passphrase(path)


def _backup(arguments: argparse.Namespace) -> int:
    from hub.backups.copying import Pace
    from hub.backups.making import Hub, make_backup
    from hub.clock import HubClock
    from hub.config import load_hub_config
    from hub.control import carry_out, handed_out
    from hub.parts import FILE_NAME, VERSION
    from hub.store.notes import encoded

    config = load_hub_config(configured(arguments))
    clock = HubClock(config.time_source, config.declared_error_ms)
    hub = Hub(
        config.school,
        config.hub_id,
        VERSION,
        config.data_dir,
        config.data_dir / FILE_NAME,
        lambda: handed_out(config, "keys-export"),
        clock.now_ms,
    )
    # By this process and not by the service, which may write nowhere else.
    made = make_backup(hub, arguments.dir.absolute(), _given_passphrase(arguments, config), Pace())
    carry_out(config, "backup-noted", {"note": encoded(made.note).decode("utf-8")})
    print(f"{made.folder}: {made.manifest.counts['events']} bản ghi / records")
    if made.manifest.seal is None:
        print(
            "không niêm phong: ai có thư mục này đọc được tên và khóa"
            " / not sealed: whoever has this folder reads names and keys (--passphrase-file)"
        )
    return EXIT_OK


def _restore(arguments: argparse.Namespace) -> int:
    from host.lock import InstanceLock
    from hub.config import load_hub_config

    config = load_hub_config(configured(arguments))
    if arguments.place is None and not arguments.from_city:
        raise ConfigError("name a backup's folder, or --from-city", hint="See k12edge hub restore --help.")
    if arguments.from_city and config.city.kind != "k12records":
        raise ConfigError('--from-city needs a city that gives records back: [city] kind = "k12records"')
    try:
        with InstanceLock(config.data_dir):
            if arguments.place is not None:
                _from_backup(arguments, config)
            if arguments.from_city:
                _from_city(config)
    except AlreadyRunning:
        if arguments.place is not None:
            raise
        _ask_hub(config)
        return EXIT_OK
    _tell_calendar(from_backup=arguments.place is not None)
    print("Khởi động trạm: thiết bị sẽ gửi lại / Start the hub: gateways fill it again")
    if config.city.kind == "k12records":
        print("Những gì đã nhập sau đó được lấy lại từ thành phố / What was entered since comes back from the city")
    else:
        print("Những gì đã nhập sau bản sao lưu này thì mất / What people entered after this backup is lost")
    return EXIT_OK


def _from_backup(arguments: argparse.Namespace, config: HubConfig) -> None:
    from hub.backups.restoring import restore
    from hub.clock import HubClock

    now_ms = HubClock(config.time_source, config.declared_error_ms).now_ms()
    try:
        passphrase = _given_passphrase(arguments, config)
    except ConfigError:
        if arguments.passphrase_file is not None:
            raise
        # What the configuration names may be gone with the old machine; a sealed backup then asks for it.
        passphrase = None
    restore(config, arguments.place.absolute(), passphrase, over=arguments.over, now_ms=now_ms, say=print)


def _from_city(config: HubConfig) -> None:
    """Regain here, where no hub runs."""
    from hub.backups.regainer import Regainer, described
    from hub.backups.restoring import finish_restore
    from hub.city.k12records import CityClient
    from hub.parts import Store

    finish_restore(config.data_dir)
    city = config.city
    assert city.url is not None
    client = CityClient(city.url, city.token_url, city.client_id, city.client_secret_file)
    store = Store(config)
    try:
        store.carry_out("regain", {})
        done = Regainer(store, client).regain()
        assert done is not None
        print(described(done))
        _tell_roster(store)
    finally:
        store.database.close()
        client.close()


def _tell_calendar(*, from_backup: bool) -> None:
    what = (
        "chỉ có của bản sao lưu / are the backup's only" if from_backup else "không có ở thành phố / no city has them"
    )
    print(f"lịch và giờ học / calendar and timetable: {what}")
    print(
        "  Hãy xem và xác nhận ở trang Lịch, hoặc đưa lại tài liệu; trước đó chưa báo gì về điểm danh cho thành phố"
        " / Look at them and confirm on the calendar page, or bring the document again: until then the city is told"
        " no marks"
    )
    print(f"dị ứng, người đứng quầy, giờ ăn / what must not be eaten, counter staff, meal plan: {what}")
    print(
        "  Quầy giữ lời nhắc dị ứng của danh sách trước cho đến khi có người xem lại và xác nhận ở trang dị ứng"
        " / Counters keep the alerts of their list before until somebody has looked and confirmed on the diets page"
    )


def _tell_roster(store: Store) -> None:
    with store.database.lock:
        if store.roster.current() is None:
            print("chưa có danh sách học sinh: kéo hoặc nhập lại / no names are here: pull or import the roster anew")


def _ask_hub(config: HubConfig) -> None:
    from hub.control import carry_out

    carry_out(config, "regain", {})
    print("trạm đang chạy tự lấy lại; xem trang trạng thái / the running hub does it; see its status page")
