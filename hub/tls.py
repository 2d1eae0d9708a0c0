"""TLS of the pages: the school's certificate, or the hub's own authority and a server certificate that renews itself.

The authority is made at the first start and lies in `data_dir/tls`, readable by the hub alone. It may only speak for
private addresses and local names, so that a phone that trusts it trusts it with nothing else.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host.durable import write_durably
from hub.clock import BORN_MS
from protocol.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("k12edge.tls")

FOLDER: Final = "tls"
CA_NAME, CA_KEY_NAME = "ca.pem", "ca.key"
SERVER_NAME, SERVER_KEY_NAME = "server.pem", "server.key"
CA_DAYS: Final = 3_650
SERVER_DAYS: Final = 200
"""Phones take no server certificate of more than 825 days from an authority that a person added."""
RENEW_DAYS: Final = 60
BACK_DATED: Final = timedelta(days=2)
"""A phone's clock may be behind."""
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.64.0.0/10")
PRIVATE_6: Final = ("fc00::/7", "fe80::/10", "::1/128")
LOCAL: Final = ("localhost", "local", "lan", "internal", "home.arpa")
SIOCGIFADDR: Final = 0x8915
"""netdevice(7): an interface's IPv4 address."""


class Certificates:
    """See the room. Serves one listening address."""

    def __init__(
        self,
        data_dir: Path,
        school: str,
        host: str,
        names: tuple[str, ...] = (),
        own: tuple[Path, Path] | None = None,
    ) -> None:
        """`own`: certificate and key of the school's. Raises ConfigError where they can't be used, OSError."""
        self.folder, self._school = data_dir / FOLDER, school
        self._host, self._names, self._own = host, names, own
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded_ns = -1
        self._covered: list[str] = []

    def context(self, now_ms: int) -> ssl.SSLContext:
        """What the server serves with; `refresh` changes it for later connections. Raises ConfigError, OSError."""
        self.refresh(now_ms)
        return self._context

    def refresh(self, now_ms: int) -> None:
        """Renew what falls due, load what has changed. Raises ConfigError, OSError."""
        if self._own is None:
            self._renew(_moment(now_ms))
        certificate, key = self._own or (self.folder / SERVER_NAME, self.folder / SERVER_KEY_NAME)
        try:
            changed_ns = certificate.stat().st_mtime_ns
            if changed_ns != self._loaded_ns:
                self._context.load_cert_chain(certificate, key)
                self._loaded_ns = changed_ns
        except (ssl.SSLError, OSError) as problem:
            raise ConfigError(f"[web]: certificate_file = {certificate} can't be used: {problem}") from problem

    @property
    def authority(self) -> bytes | None:
        """The authority's certificate (DER) for phones and computers; None where the school has its own."""
        if self._own is not None:
            return None
        return ssl.PEM_cert_to_DER_cert((self.folder / CA_NAME).read_text(encoding="ascii"))

    # --- the hub's own authority --------------------------------------------------------------------------------------

    def _renew(self, now: datetime) -> None:
        from cryptography import x509

        self.folder.mkdir(mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)
        if not (self.folder / CA_NAME).exists() or not (self.folder / CA_KEY_NAME).exists():
            self._make_authority(now)
        wanted = _names_of(self._host, self._names)
        path = self.folder / SERVER_NAME
        if path.exists() and self._covered == wanted:
            found = x509.load_pem_x509_certificate(path.read_bytes())
            if found.not_valid_before_utc <= now < found.not_valid_after_utc - timedelta(days=RENEW_DAYS):
                return
        self._make_server(now, wanted)
        self._covered = wanted

    def _make_authority(self, now: datetime) -> None:
        from cryptography import x509

        key = _new_key()
        name = _named(f"k12edge {self._school} {os.urandom(3).hex()}")
        networks = [x509.IPAddress(ipaddress.ip_network(net)) for net in (*PRIVATE, *PRIVATE_6)]
        domains = [
            x509.DNSName(name) for name in dict.fromkeys((*LOCAL, *_names_of(self._host, self._names))) if _is_dns(name)
        ]
        addresses = [
            x509.IPAddress(ipaddress.ip_network(name))
            for name in _names_of(self._host, self._names)
            if not _is_dns(name) and not _is_private(name)
        ]
        made = (
            _begun(name, name, key, now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.NameConstraints([*networks, *addresses, *domains], None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        write_durably(self.folder / CA_KEY_NAME, _pem(key))
        write_durably(self.folder / CA_NAME, _signed(made, key))
        (self.folder / SERVER_NAME).unlink(missing_ok=True)
        log.info("an authority of this hub's own was made for HTTPS")

    def _make_server(self, now: datetime, wanted: list[str]) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509.oid import ExtendedKeyUsageOID

        authority = x509.load_pem_x509_certificate((self.folder / CA_NAME).read_bytes())
        signer = load_pem_private_key((self.folder / CA_KEY_NAME).read_bytes(), None)
        kept = [name for name in wanted if _permits(authority, name)]
        if len(kept) < len(wanted):
            lacking = ", ".join(sorted(set(wanted) - set(kept)))
            log.warning("the hub's own authority may not speak for %s; remove %s to make another", lacking, self.folder)
        key = _new_key()
        subjects = [
            x509.DNSName(name) if _is_dns(name) else x509.IPAddress(ipaddress.ip_address(name)) for name in kept
        ]
        made = (
            _begun(_named(kept[0]), authority.subject, key, now, SERVER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)  # type: ignore[arg-type]
        )
        write_durably(self.folder / SERVER_KEY_NAME, _pem(key))
        write_durably(self.folder / SERVER_NAME, _signed(made, signer) + (self.folder / CA_NAME).read_bytes())  # type: ignore[arg-type]
        log.info("a server certificate was made for %s", ", ".join(kept))


def page_address(tls: bool, host: str, port: int, names: tuple[str, ...]) -> str:
    """Where people on other machines open the pages: a name from the configuration, or an address of this machine."""
    if names:
        host = names[0]
    elif host in ("0.0.0.0", "::"):
        host = next((one for one in _addresses() if not ipaddress.ip_address(one).is_loopback), "127.0.0.1")
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def _moment(now_ms: int) -> datetime:
    # A clock that was never set would make a certificate that nobody takes today.
    return datetime.fromtimestamp(max(now_ms, BORN_MS) / 1000, UTC).replace(microsecond=0)


def _named(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACK_DATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(made: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _is_dns(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


def _is_private(name: str) -> bool:
    return any(ipaddress.ip_address(name) in ipaddress.ip_network(net) for net in (*PRIVATE, *PRIVATE_6))


def _permits(authority: x509.Certificate, name: str) -> bool:
    from cryptography import x509

    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    for one in permitted:
        if isinstance(one, x509.DNSName) and _is_dns(name) and f".{name}".endswith(f".{one.value}"):
            return True
        if isinstance(one, x509.IPAddress) and not _is_dns(name):
            network = ipaddress.ip_network(str(one.value))
            if ipaddress.ip_address(name) in network:
                return True
    return False


def _names_of(host: str, names: tuple[str, ...]) -> list[str]:
    """What people may call this hub: names from the configuration, the address it listens at, this machine's."""
    machine = socket.gethostname().lower()
    found = [*names]
    if host in ("0.0.0.0", "::"):
        found += _addresses()
    else:
        found.append(host)
    found += [machine, f"{machine.partition('.')[0]}.local", "localhost", "127.0.0.1"]
    return [name for name in dict.fromkeys(name.lower() for name in found) if name]


def _addresses() -> list[str]:
    """This machine's IPv4 addresses, and its global and local IPv6 ones."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        from fcntl import ioctl

        for _, name in socket.if_nameindex():
            with suppress(OSError):
                answer = ioctl(asking.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(answer[20:24]))
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
            if not address.is_link_local and not address.is_loopback:
                found.append(str(address))
    return sorted(found)
