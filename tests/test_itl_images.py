"""The image formats of records: which one the bytes are, facts from headers, pixels, and RecordError for all else."""

import contextlib
import io
import random
import struct
import subprocess
import sys
import zlib
from typing import Any

import lossless_jpeg_writer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prints import ridges
from shared_data import shared

from pcc_match.errors import RecordError
from pcc_match.itl import images
from pcc_match.itl.images import ImageFacts

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: the extra `images`")

GREY = ridges(70, 50)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)


def saved(pixels: NDArray[np.uint8], format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


LOSSLESS = {
    "png grey": (saved(GREY, "PNG", dpi=(500, 500)), ImageFacts("png", 50, 70, 8, 1, 500.0), GREY),
    "png colour": (saved(COLOUR, "PNG"), ImageFacts("png", 50, 70, 8, 3), COLOUR),
    "jp2 grey": (saved(GREY, "JPEG2000"), ImageFacts("jp2", 50, 70, 8, 1), GREY),
    "jp2 colour": (saved(COLOUR, "JPEG2000"), ImageFacts("jp2", 50, 70, 8, 3), COLOUR),
    "j2k grey": (saved(GREY, "JPEG2000", no_jp2=True), ImageFacts("j2k", 50, 70, 8, 1), GREY),
    "jpegl grey": (
        lossless_jpeg_writer.write(GREY[:, :, None], table_class=1),
        ImageFacts("jpeg-lossless", 50, 70, 8, 1),
        GREY,
    ),
    "jpegl colour": (lossless_jpeg_writer.write(COLOUR), ImageFacts("jpeg-lossless", 50, 70, 8, 3), COLOUR),
}
LOSSY = {
    "jpeg grey": (saved(GREY, "JPEG", dpi=(600, 600)), ImageFacts("jpeg", 50, 70, 8, 1, 600.0), GREY),
    "jpeg colour": (saved(COLOUR, "JPEG", quality=95, subsampling=0), ImageFacts("jpeg", 50, 70, 8, 3), COLOUR),
    "progressive": (
        saved(GREY, "JPEG", progressive=True, dpi=(500, 500)),
        ImageFacts("jpeg-progressive", 50, 70, 8, 1, 500.0),
        GREY,
    ),
    "wsq": (images.encode_wsq(GREY, ppi=1000, ratio=4), ImageFacts("wsq", 50, 70, 8, 1, 1000.0), GREY),
}
ALL = LOSSLESS | LOSSY


@pytest.mark.parametrize("name", ALL)
def test_facts_come_from_the_bytes(name: str) -> None:
    data, facts, _ = ALL[name]
    assert images.probe(data) == facts
    assert images.probe(memoryview(data + b"more")) == facts
    assert images.probe(bytearray(data)) == facts


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_pixels(name: str) -> None:
    data, _, pixels = LOSSLESS[name]
    for given_as in (data, bytearray(data), memoryview(data)):
        decoded = images.decode(given_as)
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, pixels)
        assert decoded.flags.writeable


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_pixels(name: str) -> None:
    data, _, pixels = LOSSY[name]
    decoded = images.decode(data)
    assert decoded.shape == pixels.shape
    assert np.mean(np.abs(decoded.astype(int) - pixels)) < 8


def test_resolutions_of_every_kind() -> None:
    png = LOSSLESS["png colour"][0]
    for across, down, unit, ppi in ((39370, 39370, 1, 1000.0), (19685, 19685, 0, None), (19685, 39370, 1, None)):
        body = b"pHYs" + struct.pack(">IIB", across, down, unit)
        chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
        assert images.probe(png[:33] + chunk + png[33:]).ppi == ppi
    jpeg = LOSSY["jpeg grey"][0]
    assert jpeg[6:11] == b"JFIF\0"
    for unit, across, down, ppi in ((2, 200, 200, 508.0), (0, 1, 1, None), (1, 500, 250, None)):
        assert images.probe(jpeg[:13] + struct.pack(">BHH", unit, across, down) + jpeg[18:]).ppi == ppi
    # NIST's JPEG writers state the resolution in a comment, as their WSQ writer does.
    comment = b"NIST_COM 3\nPPI 1000\nLOSSY 0"
    jpegl = LOSSLESS["jpegl grey"][0]
    commented = jpegl[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + jpegl[2:]
    assert images.probe(commented).ppi == 1000.0
    # JP2: a resolution box of 19685 / 1 * 10^0 pixels a metre, in the header box.
    jp2 = LOSSLESS["jp2 grey"][0]
    start = jp2.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", jp2, start)
    inner = b"resc" + struct.pack(">HHHHbb", 19685, 1, 19685, 1, 0, 0)
    inner = struct.pack(">I", len(inner) + 4) + inner
    box = struct.pack(">I", len(inner) + 8) + b"res " + inner
    grown = struct.pack(">I", length + len(box)) + jp2[start + 4 : start + length] + box + jp2[start + length :]
    assert images.probe(jp2[:start] + grown).ppi == 500.0
    assert np.array_equal(images.decode(jp2[:start] + grown), GREY)


def test_wsq_resolution_only_from_its_comment() -> None:
    stream = LOSSY["wsq"][0]
    for comment, ppi in ((b"PPI 1000", 1000.0), (b"PPI 1x00", None), (b"ppi 1000", None), (b"PPI 0000", None)):
        assert images.probe(stream.replace(b"PPI 1000", comment)).ppi == ppi


# ---- raw pixels ----


def test_raw_pixels_need_their_size() -> None:
    raw = bytes(range(200)) * 3
    assert images.probe(raw) == ImageFacts("unknown")
    assert np.array_equal(images.decode(raw, size=(20, 30)), np.frombuffer(raw, np.uint8).reshape(30, 20))
    assert np.array_equal(images.decode(raw, size=(20, 10)), np.frombuffer(raw, np.uint8).reshape(10, 20, 3))
    for size, sentence in ((None, "not an image format"), ((20, 29), "600 bytes are not 20 x 29"), ((0, 5), "0 x 5")):
        with pytest.raises(RecordError, match=sentence):
            images.decode(raw, size=size)
    with pytest.raises(RecordError, match="not an image format"):
        images.decode(b"")


def test_the_format_decides_over_the_stated_size() -> None:
    assert np.array_equal(images.decode(LOSSLESS["png grey"][0], size=(3, 3)), GREY)


# ---- kinds of pixels ----


def test_palettes_transparency_and_single_bits() -> None:
    alpha = np.dstack([COLOUR, GREY])
    assert np.array_equal(images.decode(saved(alpha, "PNG")), COLOUR)
    grey_alpha = io.BytesIO()
    Image.fromarray(np.dstack([GREY, GREY])).save(grey_alpha, "PNG")
    assert np.array_equal(images.decode(grey_alpha.getvalue()), GREY)
    palette = io.BytesIO()
    Image.fromarray(COLOUR).quantize(16).save(palette, "PNG", transparency=bytes(range(16)))
    assert images.decode(palette.getvalue()).shape == (70, 50, 3)
    bilevel = io.BytesIO()
    Image.fromarray(GREY > 128).save(bilevel, "PNG")
    assert np.array_equal(images.decode(bilevel.getvalue()), np.where(GREY > 128, 255, 0))


def test_deep_samples_are_refused() -> None:
    deep = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint16) * 256).save(deep, "PNG")
    with pytest.raises(RecordError, match="1 components of 16 bits"):
        images.decode(deep.getvalue())
    assert images.probe(deep.getvalue()).bits == 16


# ---- lossless JPEG ----


@pytest.mark.parametrize("selector", range(1, 8))
def test_lossless_jpeg_predictors(selector: int) -> None:
    for pixels in (GREY[:, :, None], COLOUR):
        for interleaved in (True, False):
            stream = lossless_jpeg_writer.write(pixels, selector, interleaved=interleaved)
            assert np.array_equal(images.decode(stream), pixels.squeeze())


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.integers(1, 7),
    st.integers(0, 3),
    st.integers(0, 5),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_lossless_jpeg_in_all_its_forms(
    height: int, width: int, components: int, selector: int, shift: int, restart: int, interleaved: bool
) -> None:
    noise = np.random.default_rng(height * width).integers(0, 256, (height, width, components), dtype=np.uint8)
    stream = lossless_jpeg_writer.write(
        noise, selector, shift=shift, rows_between_restarts=restart, interleaved=interleaved, table_class=restart % 2
    )
    expected = noise >> shift << shift
    assert np.array_equal(images.decode(stream), expected[:, :, 0] if components == 1 else expected)


def test_damaged_lossless_jpegs_name_the_place() -> None:
    good = LOSSLESS["jpegl grey"][0]
    frame, scan, table = good.index(b"\xff\xc3"), good.index(b"\xff\xda"), good.index(b"\xff\xc4")
    restarts = lossless_jpeg_writer.write(GREY[:, :, None], rows_between_restarts=10)
    cases = {
        "12 bits; 8 can be read": good[: frame + 4] + b"\x0c" + good[frame + 5 :],
        "without a frame header": good[:2] + good[scan:],
        "table 0, which is not defined": good[:table] + good[scan:],
        "ends before the image": good[: scan + 3000] + b"\xff\xd9",
        "predictor 8": good[: scan + 7] + b"\x08" + good[scan + 8 :],
        "too short for its image": good[: frame + 5] + b"\xff\xff" + good[frame + 7 :],
        "restart marker is missing": restarts.replace(b"\xff\xd3", b"\xff\xfe"),
        "ends inside a header": good[:scan],
        "two components": lossless_jpeg_writer.write(COLOUR[:, :, :2]),
    }
    for sentence, data in cases.items():
        with pytest.raises(RecordError, match="2 components" if sentence == "two components" else sentence):
            images.decode(data)


@pytest.mark.parametrize("name", ["ljpeg_decode", "jpegsof3_decode"])
def test_lossless_jpegs_of_nists_encoder(name: str) -> None:
    codecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
    folder = shared("data/itl/nist_reference")
    if folder is None:
        pytest.skip("no shared data (PCC_MATCH_SHARED)")
    data = (folder / "type-10-14-17-piv-index-iris.an2").read_bytes()
    found = 0
    start = data.find(b"\xff\xd8\xff")
    while start >= 0:
        stream = data[start:]
        if images.probe(stream).format == "jpeg-lossless":
            found += 1
            stream = stream[: stream.index(b"\xff\xd9") + 2]
            assert images.probe(stream).ppi == 500.0
            assert np.array_equal(images.decode(stream), getattr(codecs, name)(stream))
        start = data.find(b"\xff\xd8\xff", start + 3)
    assert found == 2


# ---- hostile and damaged bytes ----


@pytest.mark.parametrize("name", [name for name in ALL if "grey" in name])
def test_huge_sizes_are_refused_before_memory_is_taken(name: str) -> None:
    data, facts, _ = ALL[name]
    where = {
        "png": 16,
        "jpeg": data.find(b"\xff\xc0") + 5,
        "jpeg-lossless": data.find(b"\xff\xc3") + 5,
        "jp2": data.find(b"\xff\x51") + 6,
        "j2k": 8,
    }[facts.format]
    width = 2 if facts.format.startswith("jpeg") else 4
    side = (65535).to_bytes(width, "big")
    with pytest.raises(RecordError, match=r"65535 x 65535 pixels is over the limit"):
        images.decode(data[:where] + side * 2 + data[where + 2 * width :])


def test_a_second_header_cannot_get_around_the_limit() -> None:
    png = LOSSLESS["png grey"][0]
    body = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    second = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(RecordError, match="headers disagree"):
        images.decode(png[:33] + second + png[33:])


def test_progressive_jpegs_of_endless_scans_are_refused() -> None:
    data = LOSSY["progressive"][0]
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(RecordError, match="over 100 scans"):
        images.decode(data[:scan] + data[scan:-2] * 200 + data[-2:])


@pytest.mark.parametrize("frame", [0xC5, 0xC9, 0xCB, 0xCF])
def test_other_jpeg_processes_are_named(frame: int) -> None:
    data = LOSSY["jpeg grey"][0].replace(b"\xff\xc0", bytes((0xFF, frame)))
    with pytest.raises(RecordError, match=f"process FF{frame:02X}"):
        images.probe(data)


@pytest.mark.parametrize("name", ALL)
def test_every_cut_is_refused_or_complete(name: str) -> None:
    data, facts, _ = ALL[name]
    complete = images.decode(data)
    for end in {*range(0, 400), *range(400, len(data), 53)}:
        cut = data[: min(end, len(data) - 1)]
        try:
            assert images.probe(cut) in (facts, ImageFacts("unknown"), ImageFacts(*list(vars(facts).values())[:-1]))
            assert np.array_equal(images.decode(cut), complete)
        except RecordError:
            pass


@pytest.mark.parametrize("name", ALL)
def test_mutants_raise_nothing_but_record_errors(name: str) -> None:
    data = ALL[name][0]
    dice = random.Random(name)
    for _ in range(150):
        mutant = bytearray(data)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(min(len(mutant), dice.choice((60, 400, 10**6))))
            mutant[at] = dice.choice((0, 1, 255, dice.randrange(256)))
        if dice.random() < 0.2:
            del mutant[dice.randrange(len(mutant)) :]
        try:
            images.probe(mutant)
            pixels = images.decode(mutant, pixel_limit=10**6)
        except RecordError:
            continue
        assert pixels.dtype == np.uint8
        assert pixels.ndim in (2, 3)


@given(
    st.sampled_from(
        [b"\xff\xa0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"]
    ),
    st.binary(max_size=80),
)
@settings(max_examples=300, deadline=None)
def test_noise_behind_a_signature(signature: bytes, noise: bytes) -> None:
    with contextlib.suppress(RecordError):
        assert images.probe(signature + noise).format != "unknown"
    with pytest.raises(RecordError):
        images.decode(signature + noise)


def test_without_pillow_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["PIL"] = None
from pcc_match.itl import images
try:
    images.decode(bytes.fromhex(sys.argv[1]))
except images.RecordError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, LOSSLESS["png grey"][0].hex()], capture_output=True, text=True, check=True
    )
    assert "pcc_match[images]" in done.stdout
