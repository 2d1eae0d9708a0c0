"""Proofs of cards (NTAG 424 DNA, SUN) against the vectors of NXP's application notes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hub.cards.sun import PiccData, ProofRefused, SunAddress, SunNames, diversified, mac_of, open_picc, parse_sun, prove
from protocol.cards import CardUid, parse_card

ZERO = bytes(16)
PLAIN = "https://ntag.nxp.com/424?e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086"
PICC = "picc_data=FD91EC264309878BE6345CBE53BADF40"
ENC = "enc=CEE9A53E3E463EF1F459635736738962"
FILED = f"https://sdm.example.vn/tag?{PICC}&{ENC}&cmac=ECC1E7F6C6C73BF6"
UID = "04DE5F1EACC040"


def judged(text: str, key: bytes = ZERO) -> tuple[str, int, bytes | None]:
    address = parse_sun(text)
    proved = prove(address, open_picc(address, ZERO), key)
    return proved.card.canonical, proved.counter, proved.file


def test_the_application_notes_vectors_hold() -> None:
    """AN12196, an address with PICC data alone and one with file data; all keys zero."""
    assert judged(PLAIN) == (f"a:{UID}", 61, None)
    assert judged(FILED) == ("a:04958CAA5C5E80", 8, b"x" * 16)


def test_the_query_alone_is_enough_and_what_else_stands_in_it_does_not_matter() -> None:
    assert judged(FILED.partition("?")[2])[1] == 8
    assert judged(f"https://x.vn/?lang=vi&{PICC}&{ENC}&cmac=ECC1E7F6C6C73BF6&v=2#top")[1] == 8


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("cmac=ECC1E7F6C6C73BF6", "cmac=3CC1E7F6C6C33B33"),
        ("cmac=ECC1E7F6C6C73BF6", "cmac=ECC1E7F6C6C73BF7"),
        ("enc=CEE9", "enc=CEE8"),
        ("enc=CEE9A53E3E463EF1F459635736738962", "enc=cee9a53e3e463ef1f459635736738962"),  # covered as it was written
        (f"&{ENC}", ""),
        ("&cmac=", "&x=1&cmac="),
    ],
)
def test_one_changed_character_is_refused(changed: str, to: str) -> None:
    assert changed in FILED
    with pytest.raises(ProofRefused):
        judged(FILED.replace(changed, to))


def test_another_cards_key_and_another_meta_key_are_refused() -> None:
    with pytest.raises(ProofRefused):
        judged(PLAIN, bytes(15) + b"\x01")
    with pytest.raises(ProofRefused):
        open_picc(parse_sun(PLAIN), bytes(15) + b"\x01")


@pytest.mark.parametrize("tag", [0x87, 0x47, 0xC4, 0x07])
def test_other_ways_to_mirror_are_refused(tag: int) -> None:
    encryptor = Cipher(algorithms.AES(ZERO), modes.CBC(ZERO)).encryptor()
    picc = encryptor.update(bytes((tag,)) + bytes.fromhex(UID) + bytes((61, 0, 0)) + bytes(5))
    with pytest.raises(ProofRefused, match="another way to mirror"):
        open_picc(SunAddress(picc, bytes(8), b""), ZERO)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?" * 500,
        "picc_data=00&cmac=94EED9EE65337086",
        "c=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88",
        "e=EF963FF7828658A599F3041510671E88&c=94EED9EE653370",
        "e=EF963FF7828658A599F3041510671E8G&c=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086&cmac=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88&picc_data=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086&enc=" + "00" * 16,
        "e=EF963FF7828658A599F3041510671E88&enc=&c=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88&enc=" + "00" * 15 + "&c=94EED9EE65337086",
        "e=EF963FF7828658A599F3041510671E88&enc=" + "00" * 112 + "&c=94EED9EE65337086",
        "e=ＥF963FF7828658A599F3041510671E88&c=94EED9EE65337086",
        PLAIN + "&" + "x" * 500,
    ],
)
def test_what_is_no_proof_is_refused_before_any_key_is_used(text: str) -> None:
    with pytest.raises(ProofRefused):
        parse_sun(text)


def test_names_are_the_schools_to_choose() -> None:
    address = parse_sun("m=94EED9EE65337086&p=EF963FF7828658A599F3041510671E88", SunNames(("p",), ("m",), ("f",)))
    assert open_picc(address, ZERO).counter == 61


def test_no_error_names_a_card_or_what_it_wrote() -> None:
    for text in (
        PLAIN.replace("c=94", "c=95"),
        FILED.replace("ECC1", "ECC2"),
        PLAIN.replace("7086", "708"),
        f"e={UID}",
    ):
        with pytest.raises(ProofRefused) as caught:
            judged(text)
        said = str(caught.value)
        assert not any(secret in said for secret in (UID, "04958CAA5C5E80", "EF963FF7", "94EED9EE", "ECC"))


def test_a_cards_own_key_is_the_published_one() -> None:
    """AN10922, AES-128: the input is the UID, an application id of 3 bytes and `NXP Abu`."""
    context = bytes.fromhex("3042F5") + b"NXP Abu"
    master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    key = diversified(master, parse_card("a:04782E21801D80"), context)
    assert key.hex().upper() == "A8DD63A3B89D54B37CA802473FDA9175"
    assert diversified(master, parse_card("a:04782E21801D81"), context) != key


@pytest.mark.parametrize(("card", "octets"), [("a:DEADBEEF", 10), ("a:04782E21801D80", 8), ("a:04782E21801D80", 25)])
def test_where_the_notes_padding_would_differ_no_key_is_made(card: str, octets: int) -> None:
    with pytest.raises(ProofRefused):
        diversified(ZERO, parse_card(card), bytes(octets))


@pytest.mark.parametrize("octets", [0, 15, 24, 32])
def test_a_key_of_another_size_is_refused(octets: int) -> None:
    with pytest.raises(ProofRefused):
        mac_of(PiccData(CardUid("a", UID), 61), bytes(octets), b"")
    with pytest.raises(ProofRefused):
        open_picc(parse_sun(PLAIN), bytes(octets))
