"""Who signs: a key and a certificate of this user, made at first use, or the user's own.

Made here are an ES256 key (ECDSA on P-256), its certificate, and that of an issuer whose key is thrown away at once, so
that nothing else can ever be signed in its name. The certificate has the profile that C2PA asks of signers (C2PA
specification 2.2, section 14.5.1: key usage digitalSignature, extended key usages emailProtection and
c2pa-kp-claimSigning).
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso.errors import GessoError
from gesso.files import write_bytes
from gesso.files.lock import locked

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["Identity", "anchors", "check_anchors", "given", "own"]

YEARS = 10  # for which a certificate made here is good
RENEWED = timedelta(days=180)  # before its end, when another is made
CLAIM_SIGNING = "1.3.6.1.5.5.7.3.36"  # c2pa-kp-claimSigning
PASSPHRASE = "GESSO_KEY_PASSPHRASE"
LARGEST = 1 << 20  # bytes of a key or of certificates
OWN = "Let Gesso make one: gesso marks --own-identity."


@dataclass(frozen=True)
class Identity:
    """A key that signs, and the certificates that say whose it is. chain: PEM, the signer's first; until: its end."""

    algorithm: str  # as C2PA names it: es256, es384, es512, ps256, ed25519
    chain: str
    name: str
    print: str  # the first 8 digits of the SHA-256 of the signer's certificate
    until: datetime
    sign: Callable[[bytes], bytes] = field(repr=False)

    @property
    def anchors(self) -> str:
        """The certificate at the end of the chain, PEM: who trusts it trusts this signer."""
        return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", self.chain, re.DOTALL)[-1]


def own(folder: Path) -> Identity:
    """The identity in a folder, made where there is none, renewed before it expires.

    `identity.pem` holds key and certificates, for the user's eyes alone; `certificate.pem` the certificates, for
    others. Raises GessoError where it cannot be read, made or used.
    """
    path = folder / "identity.pem"
    found = _present(path)
    if found and found.until - datetime.now(UTC) > RENEWED:
        return found

    def busy(who: dict[str, Any]) -> GessoError:
        return GessoError(f"Process {who['pid']} is making the key in {folder}.", "Try again in a moment.")

    with locked(folder / "identity.lock", busy, 10.0):
        found = _present(path)
        if not found or found.until - datetime.now(UTC) <= RENEWED:
            if found:  # what it signed stays known
                write_bytes(folder / "former.pem", _former(folder) + found.anchors.encode())
            key, chain = _made()
            write_bytes(path, key + chain, mode=0o600)
            write_bytes(folder / "certificate.pem", chain)
            found = _read_own(path, *_stamped(path))
    return found


def given(key: Path, certificate: Path) -> Identity:
    """The user's own identity, from two PEM files; a key with a passphrase is opened with $GESSO_KEY_PASSPHRASE.

    certificate: of the signer, then of those above it. Raises GessoError where they cannot be read, do not belong
    together, may not sign, or have expired.
    """
    found = _read_given(key, certificate, *_stamped(key), *_stamped(certificate))
    if found.until < datetime.now(UTC):
        problem = f"The certificate in {certificate} expired on {found.until:%Y-%m-%d}."
        raise GessoError(problem, f"Renew it, or leave it out. {OWN}")
    return found


def _former(folder: Path) -> bytes:
    path = folder / "former.pem"
    return _bytes(path) if path.exists() else b""


def anchors(folder: Path, *more: Path) -> str:
    """Certificates of issuers that are trusted here, PEM: those of identities made here, and of further files.

    Raises GessoError for a file that cannot be read.
    """
    kept = [path for path in (folder / "certificate.pem", folder / "former.pem") if path.exists()]
    return "".join(_bytes(path).decode(errors="replace") + "\n" for path in (*kept, *more))


def check_anchors(path: Path) -> None:
    """Raises GessoError for a file that holds no certificates of signers to trust."""
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(_bytes(path))
    except ValueError:
        raise GessoError(f"{path} holds no certificates in PEM.", "Name another file with --anchors.") from None


def _stamped(path: Path) -> tuple[int, ...]:
    """What changes when a file does; empty where there is none."""
    try:
        at = path.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror}.", OWN) from None
    return at.st_mtime_ns, at.st_size, at.st_ino


def _present(path: Path) -> Identity | None:
    at = _stamped(path)
    return _read_own(path, *at) if at else None


@lru_cache(maxsize=8)
def _read_own(path: Path, *_: int) -> Identity:
    try:
        data = _bytes(path)
        return _identity(data, data, path, path)
    except GessoError as error:
        raise GessoError(error.problem, "Restore it from a backup, or move it away: then another is made.") from None


@lru_cache(maxsize=8)
def _read_given(key: Path, certificate: Path, *_: int) -> Identity:
    return _identity(_bytes(key), _bytes(certificate), key, certificate)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror}.", OWN) from None
    if len(data) > LARGEST:
        raise GessoError(f"{path} is too large to hold keys or certificates.", OWN)
    return data


def _identity(key: bytes, chain: bytes, where: Path, beside: Path) -> Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    secret = os.environ.get(PASSPHRASE)
    try:
        private: Any = serialization.load_pem_private_key(key, secret.encode() if secret and where != beside else None)
    except TypeError:
        raise GessoError(f"The key in {where} has a passphrase.", f"Put it into ${PASSPHRASE}.") from None
    except Exception:  # cryptography raises many kinds
        raise GessoError(f"{where} holds no private key in PEM that can be read.", OWN) from None
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise GessoError(f"{beside} holds no certificates in PEM.", OWN) from None
    first = certificates[0]
    if first.public_key() != private.public_key():
        problem = f"The first certificate in {beside} is not that of the key in {where}."
        raise GessoError(problem, "Put the signer's own certificate first.")
    _may_sign(first, beside)
    algorithm, sign = _signing(private, where)
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    return Identity(
        algorithm, pem.decode(), _name(first), first.fingerprint(hashes.SHA256()).hex()[:8], first.not_valid_after_utc,
        sign,
    )  # fmt: skip


def _may_sign(certificate: "Certificate", where: Path) -> None:
    """Raises GessoError for a certificate whose usages do not let it sign."""
    from cryptography import x509

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        usage = extended = None
    if usage is None or extended is None or not usage.digital_signature or usage.key_cert_sign:
        raise GessoError(
            f"The certificate in {where} is not one for signing.",
            "C2PA asks for the key usage digitalSignature and an extended key usage such as emailProtection.",
        )


def _signing(private: Any, where: Path) -> tuple[str, Callable[[bytes], bytes]]:
    """How a key signs, as COSE has it (RFC 9053): ECDSA as r and s, each as long as the curve's numbers."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519", private.sign
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 2048:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return "ps256", lambda data: private.sign(data, pss, hashes.SHA256())
    if isinstance(private, ec.EllipticCurvePrivateKey):
        kinds: dict[str, tuple[str, Any]] = {
            "secp256r1": ("es256", hashes.SHA256()), "secp384r1": ("es384", hashes.SHA384()),
            "secp521r1": ("es512", hashes.SHA512()),
        }  # fmt: skip
        if private.curve.name in kinds:
            algorithm, digest = kinds[private.curve.name]
            size = (private.curve.key_size + 7) // 8

            def sign(data: bytes) -> bytes:
                r, s = decode_dss_signature(private.sign(data, ec.ECDSA(digest)))
                return r.to_bytes(size, "big") + s.to_bytes(size, "big")

            return algorithm, sign
    problem = f"The key in {where} is of a kind that C2PA does not know."
    raise GessoError(problem, "Use one on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more.")


def _name(certificate: "Certificate") -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for one in certificate.subject.get_attributes_for_oid(kind):
            return str(one.value)[:200]
    return "unnamed"


def _made() -> tuple[bytes, bytes]:
    """A new key and its certificates, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    above, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now, number = datetime.now(UTC), x509.random_serial_number()
    word = f"{number:x}"[:8]  # tells one user's from another's, and nothing of the user

    def subject(name: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Gesso, self-signed {word}")
        return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(name: str, whose: ec.EllipticCurvePrivateKey, top: bool) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=not top, key_cert_sign=top, crl_sign=top, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        made = (
            x509.CertificateBuilder(subject(f"{word} issuer"), subject(name), whose.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))  # clocks differ
            .not_valid_after(now + timedelta(days=round(365.25 * YEARS)))
            .add_extension(x509.BasicConstraints(ca=top, path_length=0 if top else None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(whose.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
        )
        if not top:
            purposes = [x509.ObjectIdentifier(CLAIM_SIGNING), ExtendedKeyUsageOID.EMAIL_PROTECTION]
            made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return made.sign(above, hashes.SHA256())

    pem = serialization.Encoding.PEM
    chain = [certificate(f"{word} signer", key, False), certificate(f"{word} issuer", above, True)]
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, b"".join(one.public_bytes(pem) for one in chain)
