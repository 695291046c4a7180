"""WSQ: the decoder against NIST's pixels and a readable oracle, the encoder against its promises and other readers."""

import hashlib
import io
import itertools
import random
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import wsq_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prints import ridges
from shared_data import wsq_streams

from pcc_match.errors import RecordError
from pcc_match.itl import images

REAL = wsq_streams()
needs_real = pytest.mark.skipif(not REAL, reason="no shared data (PCC_MATCH_SHARED)")


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(float) - b) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def decode_or_refusal(stream: bytes) -> tuple[NDArray[np.uint8] | None, RecordError]:
    """The pixels, or None and the error."""
    try:
        return images.decode(stream), RecordError("none")
    except RecordError as error:
        return None, error


def sha(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


# ---- decoding ----


@needs_real
@pytest.mark.parametrize("seed", range(3))
def test_pixels_of_real_streams_are_nists_in_any_order(seed: int) -> None:
    # NIST's decoder reads memory that earlier images left behind; here, what came before must not matter.
    streams = list(REAL)
    random.Random(seed).shuffle(streams)
    wrong = [stream[:64] for stream in streams if sha(images.decode(stream)) != REAL[stream]]
    assert wrong == []


@needs_real
def test_threads_share_nothing() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert [sha(pixels) for pixels in pool.map(images.decode, REAL)] == list(REAL.values())


@needs_real
def test_real_streams_cut_anywhere_are_refused_or_complete() -> None:
    stream, expected = min(REAL.items(), key=lambda item: len(item[0]))
    for end in range(0, len(stream), 97):
        pixels, refusal = decode_or_refusal(stream[:end])
        assert sha(pixels) == expected if pixels is not None else refusal.offset is not None and refusal.offset <= end


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1.0, 3.0, 15.0]), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_pixels_are_the_oracles(height: int, width: int, ratio: float, seed: int) -> None:
    stream = images.encode_wsq(ridges(max(height, 16), max(width, 16), seed=seed), ratio=ratio)
    # The encoder starts at 16 pixels, the decoder at one: coefficients that no longer fit are dropped.
    frame = next(content for marker, content, _ in oracle.split(stream) if marker == oracle.SOF)
    stream = oracle.replace(stream, oracle.SOF, frame[:2] + struct.pack(">HH", height, width) + frame[6:])
    pixels, refusal = decode_or_refusal(stream)
    if pixels is None:
        assert "more coefficients" in str(refusal)
        with pytest.raises(AssertionError):
            oracle.decode(stream)
    else:
        assert pixels.shape == (height, width)
        assert np.array_equal(pixels, oracle.decode(stream))


def half_filter(values: list[float]) -> bytes:
    return b"".join(struct.pack(">BBI", v < 0, 8, round(abs(v) * 10**8)) for v in values)


def with_filters(stream: bytes, low: int, high: int, seed: int) -> bytes:
    values = [float(v) for v in np.random.default_rng(seed).normal(0, 0.4, 40)]
    halves = half_filter(values[: (low + 1) // 2]) + half_filter(values[20 : 20 + (high + 1) // 2])
    return oracle.replace(stream, oracle.DTT, bytes((low, high)) + halves)


LENGTHS = [(9, 7), (7, 9), (5, 3), (13, 11), (31, 31), (1, 1), (8, 8), (10, 6), (6, 10), (2, 2), (8, 4), (32, 32)]


@pytest.mark.parametrize(("low", "high"), LENGTHS)
@pytest.mark.parametrize("shape", [(40, 41), (33, 16), (64, 100)])
def test_filters_of_any_length_odd_and_even(low: int, high: int, shape: tuple[int, int]) -> None:
    stream = with_filters(images.encode_wsq(ridges(*shape), ratio=4), low, high, seed=low + high)
    assert np.array_equal(images.decode(stream), oracle.decode(stream))


def test_a_stream_that_ends_its_blocks_early_has_zeros_there() -> None:
    complete = oracle.split(images.encode_wsq(ridges(60, 50), ratio=3))
    blocks = [i for i, (marker, _, _) in enumerate(complete) if marker == oracle.SOB]
    for kept, bytes_kept in itertools.product(range(3), (0, 7)):
        segments = complete[: blocks[kept] + 1]
        marker, content, data = segments.pop()
        stream = oracle.join([*segments, (marker, content, data[:bytes_kept].removesuffix(b"\xff"))])
        images.decode(images.encode_wsq(ridges(60, 50, seed=1), ratio=1))
        pixels, refusal = decode_or_refusal(stream)
        assert (
            "inside a coefficient" in str(refusal) if pixels is None else np.array_equal(pixels, oracle.decode(stream))
        )


def test_restart_markers_only_realign() -> None:
    stream = images.encode_wsq(ridges(48, 64), ratio=3)
    segments = oracle.split(stream)
    codes: dict[int, dict[str, int]] = {}
    changed = [(oracle.DRI, b"\0\x20", b"")]
    for marker, content, data in segments:
        if marker == oracle.DHT:
            codes[content[0]] = oracle._codes(content[1:17], content[17:])
        if marker == oracle.SOB:
            (bits,) = oracle.bit_strings(data)
            ends = [end for _, _, end in oracle.tokens(bits, codes[content[0]])]
            parts = []
            for n, (start, end) in enumerate(itertools.pairwise([0, *ends[31::32], ends[-1]])):
                part = bits[start:end] + "1" * ((start - end) % 8)
                packed = int(part or "0", 2).to_bytes(len(part) // 8, "big").replace(b"\xff", b"\xff\0")
                parts.append(packed if n == 0 else bytes((0xFF, 0xB0 + (n - 1) % 8)) + packed)
            data = b"".join(parts)
        changed.append((marker, content, data))
    assert len(oracle.join(changed)) > len(stream)
    assert np.array_equal(images.decode(oracle.join(changed)), images.decode(stream))


def test_what_the_standard_allows_between_segments() -> None:
    stream = images.encode_wsq(ridges(48, 64), ratio=3)
    expected = images.decode(stream)
    segments = oracle.split(stream)
    commented = oracle.join([s for segment in segments for s in ((oracle.COM, b"a comment", b""), segment)])
    filled = stream.replace(b"\xff\xa3", b"\xff\xff\xff\xa3").replace(b"\xff\xa6", b"\xff\xff\xa6")
    tables = [content for marker, content, _ in segments if marker == oracle.DHT]
    first = next(i for i, (marker, _, _) in enumerate(segments) if marker == oracle.DHT)
    together = [s for s in segments if s[0] != oracle.DHT]
    together.insert(first, (oracle.DHT, b"".join(tables), b""))
    # Lengths that no reader needs may be wrong, as in streams that are in use.
    frame = stream.replace(b"\xff\xa2\x00\x11", b"\xff\xa2\x00\x13").replace(b"\xff\xa3\x00\x03", b"\xff\xa3\x00\x04")
    for variant in (
        commented,
        filled,
        oracle.join(together),
        frame,
        stream + b"\0\0trailing",
        stream[:-2],
        stream[:-1],
    ):
        assert np.array_equal(images.decode(variant), expected)


def stream_and_place(marker: int) -> tuple[bytes, int]:
    stream = images.encode_wsq(ridges(40, 40), ratio=4)
    return stream, stream.index(struct.pack(">H", marker))


def edited(marker: int, at: int, new: bytes) -> bytes:
    """The stream with `new` written at bytes `at`.. after a marker."""
    stream, place = stream_and_place(marker)
    place += 2 + at
    return stream[:place] + new + stream[place + len(new) :]


def without(marker: int) -> bytes:
    return oracle.join([s for s in oracle.split(stream_and_place(marker)[0]) if s[0] != marker])


def bad_streams() -> dict[str, tuple[bytes, str]]:
    stream, frame = stream_and_place(oracle.SOF)
    block = stream.index(b"\xff\xa3")
    return {
        "start marker alone": (stream[:2], "ends inside"),
        "cut in a table": (stream[:200], "ends inside"),
        "cut in the frame": (stream[: frame + 9], "ends inside a frame header"),
        "cut in a block": (stream[: block + 20], "ends inside a block"),
        "no frame": (without(oracle.SOF), "no frame header"),
        "no filters": (without(oracle.DTT), "no transform table"),
        "no bin widths": (without(oracle.DQT), "no quantisation table"),
        "no Huffman table": (without(oracle.DHT), "Huffman table 0, which is not defined"),
        "no block": (without(oracle.SOB), "marker FFA1 has no place here"),
        "no width": (edited(oracle.SOF, 6, b"\0\0"), "0 x 40 pixels"),
        "no filter taps": (edited(oracle.DTT, 2, b"\0\7"), "filters of 0 and 7 taps"),
        "too many taps": (edited(oracle.DTT, 2, b"\x21\7"), "filters of 33 and 7 taps"),
        "odd and even": (edited(oracle.DTT, 2, b"\x08\7"), "both must be odd or both even"),
        "table 9": (edited(oracle.DHT, 2, b"\x09"), "Huffman table 9"),
        "too many codes": (edited(oracle.DHT, 3, b"\3" + bytes(15)), "more codes than its lengths allow"),
        "table of the block": (edited(oracle.SOB, 2, b"\x07"), "Huffman table 7, which is not defined"),
        "empty segment": (edited(oracle.COM, 0, b"\0\1"), "length 1"),
        "unknown marker": (edited(oracle.COM, -2, b"\xff\xd8"), "marker FFD8 has no place here"),
        "no marker": (edited(oracle.COM, -2, b"\x12\x34"), "a marker is expected here, not 1234"),
        "too small an image": (edited(oracle.SOF, 4, b"\0\x20\0\x20"), "more coefficients"),
    }


@pytest.mark.parametrize("name", bad_streams())
def test_errors_name_the_place(name: str) -> None:
    stream, sentence = bad_streams()[name]
    with pytest.raises(RecordError, match=sentence) as caught:
        images.decode(stream)
    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(stream)


def test_the_pixel_limit_holds_before_memory_is_taken() -> None:
    huge = edited(oracle.SOF, 4, b"\xff\xff\xff\xff")
    with pytest.raises(RecordError, match=r"65535 x 65535 pixels is over the limit of 100000000"):
        images.decode(huge)
    small = images.encode_wsq(ridges(20, 30))
    assert images.decode(small, pixel_limit=600).shape == (20, 30)
    with pytest.raises(RecordError, match=r"30 x 20 pixels is over the limit of 599"):
        images.decode(small, pixel_limit=599)


# ---- encoding ----

# PSNR in dB that a stream of these pictures keeps at a ratio: measured up to 0.5 above. Their noise alone is at 32.6.
FLOORS = {5: 35.0, 10: 32.5, 15: 32.0, 20: 31.7}


@pytest.mark.parametrize("ratio", FLOORS)
@pytest.mark.parametrize("shape", [(500, 400), (801, 777), (256, 1000)])
def test_size_and_loss(ratio: int, shape: tuple[int, int]) -> None:
    picture = ridges(*shape)
    stream = images.encode_wsq(picture, ratio=ratio)
    assert 0.97 * picture.size / ratio <= len(stream) <= picture.size / ratio
    assert psnr(images.decode(stream), picture) >= FLOORS[ratio]


@needs_real
def test_size_and_loss_of_prints_that_went_through_wsq_before() -> None:
    for stream in sorted(REAL, key=len)[::6]:
        picture = images.decode(stream)
        again = images.encode_wsq(picture, ratio=10)
        assert len(again) <= picture.size / 10
        assert psnr(images.decode(again), picture) >= 45


@given(st.integers(16, 90), st.integers(16, 90), st.sampled_from([1, 2.5, 15, 1000]), st.sampled_from([0.0, 6.0, 90.0]))
@settings(max_examples=40, deadline=None)
def test_any_size_ratio_and_noise_makes_a_stream(height: int, width: int, ratio: float, noise: float) -> None:
    picture = ridges(height, width, noise=noise)
    pixels = images.decode(images.encode_wsq(picture, ratio=ratio))
    assert pixels.shape == picture.shape


def test_extremes_of_grey() -> None:
    for grey in (0, 1, 77, 255):
        flat = np.full((50, 61), grey, np.uint8)
        assert np.array_equal(images.decode(images.encode_wsq(flat)), flat)
    # Edges of full contrast ring: they lack the highest frequencies.
    board = np.kron(np.indices((9, 8)).sum(axis=0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    assert psnr(images.decode(images.encode_wsq(board, ratio=2)), board) > 29
    grain = np.random.default_rng(0).integers(0, 256, (90, 80), dtype=np.uint8)
    assert images.decode(images.encode_wsq(grain, ratio=1)).shape == grain.shape


def test_strides_do_not_matter() -> None:
    picture = ridges(120, 90)
    assert images.encode_wsq(picture[::2, ::-1]) == images.encode_wsq(picture[::2, ::-1].copy())


@pytest.mark.parametrize("ppi", [500, 1000, 72, 65535])
def test_the_resolution_is_kept(ppi: int) -> None:
    facts = images.probe(images.encode_wsq(ridges(40, 30), ppi=ppi))
    assert facts == images.ImageFacts("wsq", 30, 40, 8, 1, ppi)


@pytest.mark.parametrize(
    ("array", "ppi", "ratio", "sentence"),
    [
        (np.zeros((15, 40), np.uint8), 500, 15, "40 x 15 pixels: WSQ needs 16 to 65535"),
        (np.zeros((20, 65536), np.uint8), 500, 15, "65536 x 20"),
        (np.zeros((0, 0), np.uint8), 500, 15, "0 x 0"),
        (np.zeros((40, 40, 3), np.uint8), 500, 15, r"not uint8 \(40, 40, 3\)"),
        (np.zeros((40, 40), np.float32), 500, 15, "not float32"),
        (np.zeros((40, 40), np.uint8), 0, 15, "0 ppi"),
        (np.zeros((40, 40), np.uint8), 500, 0.5, "ratio of 0.5"),
        (np.zeros((40, 40), np.uint8), 500, float("nan"), "ratio of nan"),
    ],
)
def test_impossible_images_are_refused(array: NDArray[np.uint8], ppi: int, ratio: float, sentence: str) -> None:
    with pytest.raises(RecordError, match=sentence):
        images.encode_wsq(array, ppi, ratio)


# ---- other readers ----


def nist_decode(stream: bytes) -> NDArray[np.uint8]:
    """By NIST's code, in the package `wsq`."""
    pytest.importorskip("wsq", reason="the package wsq is not installed")
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(io.BytesIO(stream)).convert("L"))


@pytest.mark.parametrize("shape", [(96, 96), (100, 257), (333, 128), (640, 480)])
@pytest.mark.parametrize("ratio", [2, 15])
def test_nists_decoder_reads_the_same_pixels(shape: tuple[int, int], ratio: int) -> None:
    stream = images.encode_wsq(ridges(*shape), ratio=ratio)
    assert np.array_equal(images.decode(stream), nist_decode(stream))


@pytest.mark.parametrize(("low", "high"), [(9, 7), (5, 3), (8, 8), (10, 6), (6, 10), (2, 2)])
def test_nists_decoder_agrees_on_other_filters(low: int, high: int) -> None:
    stream = with_filters(images.encode_wsq(ridges(200, 161), ratio=4), low, high, seed=low)
    assert np.array_equal(images.decode(stream), nist_decode(stream))


def test_nists_decoder_reads_small_images_with_little_loss() -> None:
    # In bands of one or two samples its edges go astray: below about 96 pixels the two agree in the picture only.
    picture = ridges(72, 64, noise=0)
    assert psnr(nist_decode(images.encode_wsq(picture, ratio=3)), picture) > 20
