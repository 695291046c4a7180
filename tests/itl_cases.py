"""Small transactions, put together byte by byte without the library's writer."""

from collections.abc import Sequence

import numpy as np

FS, GS, RS, US = "\x1c", "\x1d", "\x1e", "\x1f"


def tagged(type: int, *fields: str | bytes, length: str | None = None, digits: int = 3) -> bytes:
    """A tagged record of "NNN:value" fields; LEN is computed, or stands as given."""
    rest = b"".join(
        b"\x1d%d." % type + (field if isinstance(field, bytes) else field.encode("latin-1")) for field in fields
    )
    head = f"{type}.{1:0{digits}d}:"
    size = len(head) + len(rest) + 1
    total = size + 1
    while total != size + len(str(total)):
        total = size + len(str(total))
    return (head + (length or str(total))).encode() + rest + b"\x1c"


def header(entries: Sequence[tuple[int, str]], *more: str, **changes: str) -> bytes:
    """A Type-1 record that announces (type, IDC) entries; `changes` as f004="SRE", "" leaves the field out."""
    count = f"1{US}{len(entries)}" + "".join(f"{RS}{type}{US}{idc}" for type, idc in entries)
    fields = {
        "f002": "0502",
        "f003": count,
        "f004": "CPS",
        "f005": "20240229",
        "f007": "DE/A",
        "f008": "AT/B",
        "f009": "1",
        "f011": "19.69",
        "f012": "19.69",
    } | changes
    return tagged(1, *(f"{name[1:]}:{value}" for name, value in fields.items() if value), *more)


def binary(
    type: int = 4,
    idc: int = 1,
    fgp: Sequence[int] = (1,),
    size: tuple[int, int] = (4, 2),
    compression: int = 0,
    data: bytes = b"\x00\x1c\x1d\x1e\x1f\xff12",
    length: int | None = None,
    isr: int = 0,
    impression: int = 0,
) -> bytes:
    """A record of Type-3 to 6."""
    rest = bytes((idc, impression, *fgp, *[255] * (6 - len(fgp)), isr))
    rest += size[0].to_bytes(2, "big") + size[1].to_bytes(2, "big") + bytes((compression,)) + data
    return (4 + len(rest) if length is None else length).to_bytes(4, "big") + rest


def mrc(count: int, seed: int = 1) -> str:
    """9.012 of so many minutiae with two ridge counts each."""
    rng = np.random.default_rng(seed)
    rows = zip(rng.integers(0, 4000, (count, 2)), rng.integers(0, 360, count), rng.integers(0, 64, count), strict=True)
    return RS.join(
        f"{i:03d}{US}{x:04d}{y:04d}{t:03d}{US}{q:02d}{US}{'ABCD'[i % 4]}{US}{i % 9},{i % 7}{US}255,15"
        for i, ((x, y), t, q) in enumerate(rows, 1)
    )


def fmd(count: int, seed: int = 1) -> str:
    """9.137 of so many minutiae."""
    rng = np.random.default_rng(seed)
    rows = zip(rng.integers(0, 700, (count, 2)), rng.integers(0, 180, count), rng.integers(0, 101, count), strict=True)
    return RS.join(f"{i}{US}{x}{US}{y}{US}{t}{US}{i % 3}{US}{q}" for i, ((x, y), t, q) in enumerate(rows, 1))


M1_FIELDS = (
    "126:27\x1f513\x1f0",
    "127:NONE\x1f0",
    "128:800",
    "129:750",
    "130:1",
    "131:500",
    "132:500",
    "133:0",
    "134:1",
)


def std_record(count: int = 3, idc: str = "01", minutiae: str | None = None) -> bytes:
    rows = mrc(count) if minutiae is None else minutiae
    return tagged(
        9, f"002:{idc}", "003:4", "004:S", "005:X\x1fA", "006:1", "007:T\x1fLS", f"010:{count}", "011:1", f"012:{rows}"
    )


def m1_record(count: int = 3, idc: str = "01", minutiae: str | None = None) -> bytes:
    rows = fmd(count) if minutiae is None else minutiae
    return tagged(9, f"002:{idc}", "003:4", "004:U", *M1_FIELDS, f"136:{count}", f"137:{rows}")


def latent(idc: str = "01", data: bytes | None = None, size: tuple[int, int] = (4, 2), cga: str = "NONE") -> bytes:
    """A Type-13 record; its raw pixels hold every separator."""
    pixels = b"\x1c\x1d\x1e\x1f13.999:"[: size[0] * size[1]] if data is None else data
    fields = ("003:4", "004:SRC", "005:20240229", f"006:{size[0]}", f"007:{size[1]}", "008:1", "009:500", "010:500")
    return tagged(13, f"002:{idc}", *fields, f"011:{cga}", "012:8", "013:1", b"999:" + pixels)


def prints() -> bytes:
    """Type-2, two Type-4 and a Type-14 without image."""
    records = (tagged(2, "002:00", "030:Name"), binary(4, 1), binary(4, 2, (2,)), tagged(14, "002:03", "018:3\x1fXX"))
    return header([(2, "00"), (4, "01"), (4, "02"), (14, "03")]) + b"".join(records)


def latents() -> bytes:
    """Type-2, Type-9 in M1 form with its Type-13, Type-9 in standard form without its image, another Type-13."""
    records = (tagged(2, "002:00", "030:Name"), m1_record(), latent(), std_record(idc="02"), latent("03"))
    return header([(2, "00"), (9, "01"), (13, "01"), (9, "02"), (13, "03")]) + b"".join(records)


def european() -> bytes:
    """UTF-8 text by 1.015, tags of two and four digits, a field with 999: in its text, zero-padded LEN."""
    text = tagged(2, "02:0", "30:Žižka Ω".encode(), "8067:x", digits=2)
    comment = tagged(14, "002:1", "020:bay 999: door", "999:IMG", length="00000057")
    return header([(2, "0"), (14, "1")], f"015:003{US}UTF-8{US}") + text + comment


ALL = {"prints": prints, "latents": latents, "european": european}
