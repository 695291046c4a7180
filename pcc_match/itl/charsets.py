"""Character sets of a transaction (field 1.015 DCS): from its declaration to text, without ever failing.

Type-1, every tag, LEN and IDC are 7-bit ASCII whatever is declared. UTF-8 never collides with the four separators;
bytes of UTF-16 and UTF-32 text can equal them, so those two ("wide") need care where a field is split.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, field

FS, GS, RS, US = 0x1C, 0x1D, 0x1E, 0x1F
SEPARATORS = "\x1c\x1d\x1e\x1f"
# Reserved besides the separators since 2011: they open and close a passage in another character set.
STX, ETX = "\x02", "\x03"

# Indices of the standard; 1 is "8-bit Latin" of the versions before 2011. 128-999 are the user's, named by the second
# item of 1.015.
_BY_INDEX = {0: "ascii", 1: "latin-1", 2: "utf-16", 3: "utf-8", 4: "utf-32"}
# The names a user's index may carry. Python knows more codecs, but some of them are not text or cost quadratic time.
_BY_NAME = re.compile(
    r"(?:us-?)?ascii|utf-?(?:8|16|32)|latin-?1|iso-?8859-?\d{1,2}|(?:windows|cp|win)-?(?:125\d|437|850|852|855|866|874)"
    r"|koi8-?[ru]|big5|gb2312|gbk|gb18030|shift[-_]?jis|euc[-_]?(?:jp|kr)|tis-?620"
)


@dataclass(frozen=True)
class Charset:
    """How text fields are decoded: a codec, and the size of its code unit (1, 2 or 4 bytes).

    declared   False where the transaction has no (readable) 1.015: then `codec` is the caller's fallback, and "" stands
               for UTF-8 where the bytes are that, else Latin-1
    """

    codec: str
    declared: bool
    unit: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", {"utf-16": 2, "utf-32": 4}.get(self.codec, 1))

    def decode(self, raw: bytes) -> tuple[str, bool]:
        """The text, and whether every byte of it was right; wrong bytes become U+FFFD."""
        if self.unit > 1:
            return _decode_wide(raw, self.codec, self.unit)
        if raw.isascii():
            return raw.decode("ascii"), True
        try:
            return raw.decode(self.codec or "utf-8"), True
        except UnicodeDecodeError:
            if not self.codec:
                return raw.decode("latin-1"), True
            return raw.decode(self.codec, "replace"), False

    def encode(self, text: str) -> bytes:
        """The bytes of a text; UnicodeEncodeError where the character set lacks a character."""
        wide = {"utf-16": "utf-16-be", "utf-32": "utf-32-be"}
        return text.encode(wide.get(self.codec, self.codec or "ascii"))


def fallback_charset(codec: str | None) -> Charset | None:
    """The charset of a transaction that declares none; None for a name that is no character set."""
    if codec is None:
        return Charset("", False)
    if not _BY_NAME.fullmatch(_plain(codec)):
        return None
    try:
        return Charset(codecs.lookup(_plain(codec)).name, False)
    except LookupError:
        return None


def declared_charset(index: str, name: str) -> Charset | None:
    """The charset of the two first items of 1.015, or None where they mean nothing known here."""
    if not re.fullmatch(r"0{0,2}\d|[1-9]\d\d", index):
        return None
    known = _BY_INDEX.get(int(index))
    if known is None:
        if int(index) < 128:
            return None
        named = fallback_charset(_plain(name))
        if named is None:
            return None
        known = named.codec
    return Charset(known, True)


def _plain(name: str) -> str:
    return name.strip().lower().replace("windows", "cp").replace("win", "cp").replace("cp-", "cp")


def _decode_wide(raw: bytes, codec: str, unit: int) -> tuple[str, bool]:
    """UTF-16 or UTF-32 text whose items may be parted by full-width or by single-byte separators.

    A byte 0x1E or 0x1F at a unit boundary is either part of a character (U+1Exx, or U+xx1E little-endian) or a
    separator, and the latter shifts all that follows. Of the two readings the more natural one stands.
    """
    order = _byte_order(raw, unit)
    plain = _decode_units(raw, codec, order)
    parted = _decode_parted(raw, codec, order, unit)
    if plain is None and parted is None:
        return (raw.decode("ascii"), False) if raw.isascii() else (raw.decode(f"{codec}-{order}", "replace"), False)
    if plain is None or (parted is not None and _oddity(parted) < _oddity(plain)):
        assert parted is not None
        return parted, True
    return plain, True


def _decode_parted(raw: bytes, codec: str, order: str, unit: int) -> str | None:
    """The text with single-byte separators at unit boundaries; None where there is none or a piece does not decode."""
    pieces: list[str] = []
    start = position = 0
    while position < len(raw):
        if raw[position] in (RS, US):
            piece = _decode_units(raw[start:position], codec, order)
            if piece is None:
                return None
            pieces.append(piece + chr(raw[position]))
            start = position = position + 1
        else:
            position += unit
    last = _decode_units(raw[start:], codec, order)
    return None if last is None or not pieces else "".join(pieces) + last


def _byte_order(raw: bytes, unit: int) -> str:
    if raw.startswith((b"\xff\xfe",)):
        return "le"
    if raw.startswith((b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return "be"
    # No mark: the standard means big-endian; text of alphabets, all below U+2100, gives a little-endian writer away.
    big, little = (sum(byte < 0x21 for byte in raw[place::unit]) for place in (0, unit - 1))
    return "le" if little > big and 2 * unit * little >= len(raw) else "be"


def _decode_units(raw: bytes, codec: str, order: str) -> str | None:
    try:
        return raw.decode(f"{codec}-{order}").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None


def _oddity(text: str) -> tuple[int, int]:
    """How unlike text it is: control and unassigned characters, then rows of 256 characters in use."""
    odd = sum(unicodedata.category(c) in ("Cc", "Cn", "Co") and c not in "\t\r\n\x1e\x1f" for c in text)
    return odd, len({ord(c) >> 8 for c in text})
