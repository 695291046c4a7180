"""The AVX-512 level on machines that lack it: the tests that hold all levels equal, run with emulated instructions.

SIMDe (Debian's libsimde-dev) does in C what the instructions do, and avx512_emulated/immintrin.h what SIMDe lacks. The
extension is built once more with them, and says that the CPU had every level.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pybind11
import pytest

from pcc_match import _cpu

ROOT = Path(__file__).parents[1]
CXX = os.environ.get("CXX", "g++")
KERNELS = ("finger_kernels", "dna_kernels", "dna_matrix")  # the others only have to be there
LEVEL = ("-mavx2", "-mbmi", "-mbmi2", "-mpopcnt")
FLAGS = ("-std=c++17", "-ffp-contract=off", "-w", "-fPIC", "-fvisibility=hidden", *LEVEL)
TESTS = ("test_finger_compare.py", "test_engine_search.py", "test_dna_statistics.py")


def why_not():
    if platform.machine() != "x86_64" or "avx2" not in _cpu.available_isas():
        return "instructions are emulated with AVX2"
    if "avx512" in _cpu.available_isas():
        return "this machine has AVX-512: all tests run with it"
    if not (ROOT / "csrc").is_dir() or not shutil.which(CXX):
        return "needs the sources and a C++ compiler"
    probe = [CXX, "-x", "c++", "-E", "-include", "simde/x86/avx512.h", "/dev/null"]
    if subprocess.run(probe, capture_output=True).returncode:
        return "needs SIMDe: apt install libsimde-dev"
    return ""


@pytest.fixture
def package(tmp_path):
    """A folder with the package and an extension that emulates AVX-512."""
    if reason := why_not():
        pytest.skip(reason)
    sources = tmp_path / "csrc"
    shutil.copytree(ROOT / "csrc", sources)
    for source in sources.glob("*.cpp"):  # else the compiler makes instructions of it that are not there
        source.write_text(re.sub(r",avx512\w*", "", source.read_text()))
    include = [Path(__file__).parent / "avx512_emulated", sources, ROOT / "kernels", pybind11.get_include()]
    options = [*FLAGS, "-D__builtin_cpu_supports(x)=1", *(f"-I{folder}" for folder in include)]
    options.append(f"-I{sysconfig.get_path('include')}")

    def compiled(source):
        optimised = "-O2" if source.stem in KERNELS else "-O0"
        subprocess.run([CXX, optimised, *options, "-c", source, "-o", source.with_suffix(".o")], check=True)
        return source.with_suffix(".o")

    largest_first = sorted(sources.glob("*.cpp"), key=lambda source: -source.stat().st_size)
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, largest_first))
    inside = tmp_path / "pcc_match"
    inside.mkdir()
    for place in (ROOT / "pcc_match").iterdir():
        if not place.name.startswith(("_cpu.", "__pycache__", "datasets", "kernels")) or place.suffix == ".pyi":
            (inside / place.name).symlink_to(place)
    for name in ("datasets", "kernels"):
        (inside / name).symlink_to(ROOT / name)
    extension = inside / f"_cpu{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([CXX, "-shared", *objects, "-o", extension], check=True)
    return tmp_path


def test_all_levels_are_equal_where_avx512_is_emulated(package):
    files = [str(ROOT / "tests" / name) for name in TESTS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        *files,
    ]
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    levels = [sys.executable, "-c", "from pcc_match import _cpu; print(*_cpu.available_isas())"]
    found = subprocess.run(levels, env=environment, cwd=package, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["avx512", "avx2", "portable"]
    done = subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
