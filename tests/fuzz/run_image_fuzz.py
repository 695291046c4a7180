"""Builds image_fuzz.cpp with AddressSanitizer and UndefinedBehaviorSanitizer and runs it on made and real streams.

    python tests/fuzz/run_image_fuzz.py [--small 50000] [--real 500]

Real streams come from the shared data (PCC_MATCH_SHARED) and are left out where those are not there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import lossless_jpeg_writer  # noqa: E402
from prints import ridges  # noqa: E402
from shared_data import shared, wsq_streams  # noqa: E402

SOURCES = ["tests/fuzz/image_fuzz.cpp", *(f"csrc/{name}.cpp" for name in ("wsq_decode", "wsq_encode", "wsq_wavelet"))]
SANITIZE = "address,undefined,float-cast-overflow"


def build(folder: Path) -> Path:
    program = folder / "image_fuzz"
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=c++17", "-O1", "-g", "-ffp-contract=off", f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    sources = [*SOURCES, "csrc/lossless_jpeg.cpp"]
    subprocess.run([compiler, *flags, "-Icsrc", *sources, "-o", str(program)], cwd=ROOT, check=True)
    return program


def seeds(folder: Path) -> list[Path]:
    """Lossless JPEGs made here, and the real streams of both kinds."""
    colour = np.stack([ridges(24, 20, seed=i) for i in range(3)], axis=2)
    streams = [
        lossless_jpeg_writer.write(colour[:, :, :1], table_class=1),
        lossless_jpeg_writer.write(colour, 7, rows_between_restarts=3),
        lossless_jpeg_writer.write(colour, 5, interleaved=False),
        *wsq_streams(),
    ]
    reference = shared("data/itl/nist_reference")
    if reference is not None:
        data = (reference / "type-10-14-17-piv-index-iris.an2").read_bytes()
        start = data.index(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x01\x01\xf4")  # the first at 500 ppi: JPEGL
        streams.append(data[start : data.index(b"\xff\xd9", start) + 2])
    paths = [folder / f"seed-{i}" for i in range(len(streams))]
    for path, stream in zip(paths, streams, strict=True):
        path.write_bytes(stream)
    return paths


def run(small: int, real: int) -> str:
    """The program's lines of counts; CalledProcessError with the report on stderr after a finding."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [build(folder), str(small), str(real), *seeds(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


def available() -> bool:
    return shutil.which(os.environ.get("CXX", "g++")) is not None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=50_000, help="mutants of streams below 8 kB")
    parser.add_argument("--real", type=int, default=500, help="mutants of real streams")
    asked = parser.parse_args()
    print(run(asked.small, asked.real), end="")
