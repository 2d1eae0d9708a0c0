"""A pack from a stranger: bombs, paths, doubles, huge counts and hostile JSON are refused in words, within bounds."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from hub.recount import archive
from hub.recount.archive import PackRefused, unzipped, zipped
from hub.recount.verdict import BAD, UNREADABLE, VALID, verify_contents
from k12edge.packs import is_pack, verify_pack
from sim.fuzz.packs import sound_pack


def book(*entries: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed) as made:
        for name, octets in entries:
            made.writestr(zipfile.ZipInfo(name), octets, packed)
    return out.getvalue()


def test_a_pack_is_the_same_bytes_each_time_and_comes_back_whole() -> None:
    pack = sound_pack()
    assert zipped(pack) == zipped(dict(reversed(pack.items()))) and unzipped(zipped(pack)) == pack
    assert verify_contents(pack).exit_code == VALID


@pytest.mark.parametrize("name", ["../facts.json", "/facts.json", "a/b/c.json", "records\\a.jsonl", "x" * 90, "A.json"])
def test_a_name_that_no_pack_has_is_refused(name: str) -> None:
    with pytest.raises(PackRefused, match="no name of a pack's file"):
        unzipped(book((name, b"{}")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(PackRefused, match="twice"):
        unzipped(book(("facts.json", b"{}"), ("facts.json", b"[]")))


def test_a_bomb_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = book(("facts.json", b"0" * 20_000_000))
    with pytest.raises(PackRefused, match="unpacked it has more than"):
        unzipped(bomb)
    monkeypatch.setattr(archive, "UNPACKED_BYTES_MAX", 1_000)
    with pytest.raises(PackRefused, match="more than 1000 bytes"):
        unzipped(book(("a.json", b"0" * 600), ("b.json", b"0" * 600), packed=zipfile.ZIP_STORED))


def test_more_entries_than_a_pack_has_are_refused_before_they_are_listed() -> None:
    many = book(*((f"records/{number:016x}.jsonl", b"") for number in range(archive.ENTRIES_MAX + 1)))
    with pytest.raises(PackRefused, match="lists 1001 entries"):
        unzipped(many)
    end = many.rfind(b"PK\x05\x06")
    with pytest.raises(PackRefused, match="entries in 4294967295 bytes"):
        unzipped(many[: end + 10] + struct.pack("<HI", 3, 0xFFFFFFFF) + many[end + 16 :])


def test_what_is_no_zip_or_packed_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for octets in (b"", b"PK", b"PK\x03\x04" + b"0" * 100, zipped(sound_pack())[:-30]):
        with pytest.raises(PackRefused):
            unzipped(octets)
    with pytest.raises(PackRefused, match="packed in a way"):
        unzipped(book(("a.json", b"{}"), packed=zipfile.ZIP_BZIP2))
    broken = bytearray(book(("a.json", b"{}" * 50), packed=zipfile.ZIP_STORED))
    broken[60] ^= 1
    with pytest.raises(PackRefused, match="can't be read"):
        unzipped(bytes(broken))
    monkeypatch.setattr(archive, "ZIP_BYTES_MAX", 10)
    with pytest.raises(PackRefused, match="at most 10 are read"):
        unzipped(zipped(sound_pack()))


def beside() -> dict[str, bytes]:
    """A sound pack, and bytes that are no file of it: at its ends, in comments, hidden between its files."""
    pack, junk = zipped(sound_pack()), b"no one listed this"
    out = io.BytesIO(junk)
    with zipfile.ZipFile(out, "a") as grown:
        grown.writestr("facts.json", b"{}")
    commented = io.BytesIO(pack)
    with zipfile.ZipFile(commented, "a") as one:
        one.comment = b"paid in full"
    noted = io.BytesIO()
    with zipfile.ZipFile(noted, "w") as made:
        entry = zipfile.ZipInfo("facts.json")
        entry.comment = junk
        made.writestr(entry, b"{}")
    end = pack.rfind(b"PK\x05\x06")
    start = struct.unpack_from("<I", pack, end + 16)[0]
    moved = struct.pack("<I", start + len(junk))
    return {
        "two": pack + pack,
        "before": junk + pack,
        "before, and counted": out.getvalue(),
        "after": pack + junk,
        "comment": commented.getvalue(),
        "comment of an entry": noted.getvalue(),
        "between": pack[:start] + junk + pack[start : end + 16] + moved + pack[end + 20 :],
        "before the end": pack[:end] + junk + pack[end:],
    }


@pytest.mark.parametrize("name", beside())
def test_bytes_that_are_no_file_of_the_pack_are_refused(name: str, tmp_path: Path) -> None:
    """What stands beside the files nobody signed; two packs in one file would be whichever a reader looks at."""
    octets = beside()[name]
    with pytest.raises(PackRefused, match="beside its files"):
        unzipped(octets)
    (tmp_path / "goi.zip").write_bytes(octets)
    found = verify_pack(tmp_path / "goi.zip", None)
    assert found.exit_code == UNREADABLE and "beside its files" in found.lines[0]


def test_a_pack_that_another_program_zipped_again_is_read() -> None:
    class Piped(io.BytesIO):
        """What can't be sought in: sizes then follow their file."""

        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    pack, out = sound_pack(), Piped()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, octets in pack.items():
            made.writestr(name, octets)
    assert unzipped(out.getvalue()) == pack


@pytest.mark.parametrize("name", ["manifest.json", "facts.json", "signatures.json", "index.json", "manifest.sig"])
@pytest.mark.parametrize("octets", [b"", b"[" * 5_000, b'{"a":1}', b"\xff\xfe", b"9" * 5_000, b"null"])
def test_hostile_json_is_named_and_never_a_fault(name: str, octets: bytes) -> None:
    found = verify_contents({**sound_pack(), name: octets})
    assert found.exit_code in (BAD, UNREADABLE) and found.lines
    assert (found.exit_code == BAD) == (name == "manifest.sig")


@pytest.mark.parametrize("name", ["manifest.json", "facts.json"])
def test_a_pack_without_what_it_needs_says_so(name: str) -> None:
    found = verify_contents({one: octets for one, octets in sound_pack().items() if one != name})
    assert found.exit_code == UNREADABLE and name in found.lines[0] and found.as_json()["first_bad"] is None


def test_the_word_takes_a_file_by_its_name_or_first_bytes(tmp_path: Path) -> None:
    file, other = tmp_path / "goi", tmp_path / "a.zip"
    file.write_bytes(zipped(sound_pack()))
    other.write_bytes(b"x")
    assert is_pack(file) and is_pack(other) and not is_pack(tmp_path)
    assert verify_pack(file, None).exit_code == VALID
    assert verify_pack(other, None).lines[0].startswith("UNREADABLE it is no zip file")
    assert verify_pack(tmp_path / "khong-co.zip", None).exit_code == UNREADABLE
