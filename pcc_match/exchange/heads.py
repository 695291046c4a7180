"""Signed heads: the number of records of a ledger and its chain there. Kept elsewhere, one proves the ledger whole.

The key is Ed25519, a PEM file as `openssl genpkey -algorithm ed25519` writes it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pcc_match.errors import ExchangeError
from pcc_match.exchange.audit import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE: Final = b"pcc_match ledger head\n"  # what the signature is for: no other signed text begins so


@dataclass(frozen=True)
class Head:
    """State of a ledger after `count` records. public_key and signature are hexadecimal, empty without a key.

    export_sha256 ties an export to its head.
    """

    ledger: str
    count: int
    chain: str
    at: str
    export_sha256: str = ""
    public_key: str = ""
    signature: str = ""

    def text(self) -> str:
        """One line of JSON."""
        return canonical({"pcc_match": "ledger head"} | asdict(self))

    @classmethod
    def read(cls, text: str, where: str = "head") -> Self:
        """The head in a text; its signature is checked."""
        try:
            content = json.loads(text)
            if content.pop("pcc_match") != "ledger head" or not isinstance(content["count"], int):
                raise ValueError("not a head")
            head = cls(**content)
            if any(bytes.fromhex(value).hex() != value for value in (head.chain, head.public_key, head.signature)):
                raise ValueError("written in another way")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ExchangeError(f"{where}: not the head of a ledger: give the file as it was exported") from None
        if head.signature and not head.signed():
            raise ExchangeError(f"{where}: the signature does not fit: the head was changed")
        return head

    def signed(self) -> bool:
        """Whether the signature is that of `public_key`."""
        ed25519 = _ed25519()
        from cryptography.exceptions import InvalidSignature

        try:
            key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.signature), self._signed_text())
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def sign(self, key: Ed25519PrivateKey | None) -> Head:
        """The same head with the signature of the key; without a key as it is."""
        if key is None:
            return self
        head = Head(self.ledger, self.count, self.chain, self.at, self.export_sha256, public_key(key))
        signature = key.sign(head._signed_text()).hex()
        return Head(head.ledger, head.count, head.chain, head.at, head.export_sha256, head.public_key, signature)

    def _signed_text(self) -> bytes:
        return _PURPOSE + canonical(asdict(self) | {"signature": ""}).encode()


def read_head(path: Path) -> Head:
    """The head in a file: the last line of an export, whose other lines must be those that it signs, or that alone."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise ExchangeError(f"{path}: the head cannot be read: {error.strerror}") from None
    head = Head.read(lines[-1].decode("utf-8", "replace") if lines else "", str(path))
    if len(lines) > 1 and hashlib.sha256(b"".join(lines[:-1])).hexdigest() != head.export_sha256:
        raise ExchangeError(f"{path}: the export was changed: its lines are not those that its head signs")
    return head


def read_key(key: str | os.PathLike[str] | Ed25519PrivateKey) -> Ed25519PrivateKey:
    """The private key in a PEM file, or the one given."""
    if not isinstance(key, str | os.PathLike):
        return key
    ed25519 = _ed25519()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        read: object = load_pem_private_key(Path(key).read_bytes(), password=None)
    except OSError as error:
        raise ExchangeError(f"{key}: the signing key cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        read = None
    if isinstance(read, ed25519.Ed25519PrivateKey):
        return read  # type: ignore[no-any-return]
    raise ExchangeError(f"{key}: not a private Ed25519 key: make one with `openssl genpkey -algorithm ed25519`")


def public_key(key: Ed25519PrivateKey) -> str:
    """Its public half, hexadecimal."""
    return key.public_key().public_bytes_raw().hex()


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ExchangeError("signed heads need cryptography: pip install 'pcc_match[exchange]'") from None
    return ed25519
