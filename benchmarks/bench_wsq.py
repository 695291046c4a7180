"""The pace of the WSQ codec beside NIST's code in the package `wsq`, measured in turn in one run.

    python benchmarks/bench_wsq.py [--json FILE]

Pictures are the real streams of the shared data (PCC_MATCH_SHARED), else made ones; one thread, median of several runs,
in megapixels a second. Without the package (pip install wsq) only this library is measured.
"""

import argparse
import io
import json
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from bench_dna import seconds
from numpy.typing import NDArray

from pcc_match.itl import images

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from prints import ridges
from shared_data import wsq_streams

try:
    import wsq
    from PIL import Image
except ImportError:
    wsq = None


def nist_decode(stream: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(stream)))


def nist_encode(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WSQ")
    return file.getvalue()


def measure() -> dict[str, Any]:
    streams = sorted(wsq_streams(), key=len) or [images.encode_wsq(ridges(1000, 1000, seed=i)) for i in range(8)]
    pictures = [images.decode(stream) for stream in streams]
    megapixels = sum(picture.size for picture in pictures) / 1e6

    def each(work: Any, inputs: list[Any]) -> Any:
        return lambda: [work(item) for item in inputs]

    works = {"decode": each(images.decode, streams), "encode 15:1": each(images.encode_wsq, pictures)}
    if wsq is not None:
        works["decode, package wsq"] = each(nist_decode, streams)
        works["encode, package wsq"] = each(nist_encode, pictures)
    paces = {name: megapixels / time for name, time in zip(works, seconds(*works.values(), runs=3), strict=True)}
    return {
        "streams": len(streams),
        "real": bool(wsq_streams()),
        "megapixels": round(megapixels, 1),
        "machine": platform.machine(),
        "Mpx/s": {name: round(pace, 1) for name, pace in paces.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's
        result = measure()
    for name, pace in result["Mpx/s"].items():
        print(f"{name:22} {pace:7.1f} Mpx/s")
    for what in ("decode", "encode"):
        peer = result["Mpx/s"].get(f"{what}, package wsq")
        if peer:
            own = result["Mpx/s"]["decode" if what == "decode" else "encode 15:1"]
            print(f"{what}: {own / peer:.1f} times the package wsq, {result['streams']} streams")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n")
