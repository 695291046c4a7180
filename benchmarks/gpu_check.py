"""`make gpu-check`: everything about the CUDA back end that only a machine with a GPU can show, in one command.

    python3 benchmarks/gpu_check.py [--host] [--only STEP ...]

Needs no network and no virtual environment: this machine's own python3 with numpy, CuPy, pybind11, setuptools, pytest
and hypothesis, a C++ compiler, and nvcc and compute-sanitizer for the last step. Takes less than nine minutes.
The steps, each of which runs even if one before it failed:

    build        installs the package into build/gpu
    tests        pytest --require-gpu of the CUDA tests
    parity       millions of pairs and more: the CPU's hits and the GPU's are equal, under every kind of rule
    throughput   one probe and batches against 10^4 to 10^7 profiles, all with all, beside the copy bandwidth
    sanitizers   each kernel under compute-sanitizer's tools; first, whether each tool finds a planted fault here

Writes benchmarks/results/gpu-<date>.json after every step; the exit code is 1 if one failed. --host rehearses with the
kernels on the host where there is no GPU; it writes build/gpu-rehearsal.json instead.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "build" / "gpu"
WORK = ROOT / "build" / "gpu-check"
LIMIT = 530  # seconds for all steps together
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")

# Each has the fault that the tool of its name is to find.
PLANTED = r"""
#include <cstdio>
#include <cstdlib>
#include <cstring>
__global__ void memcheck(unsigned* out, unsigned* in) { out[threadIdx.x] = in[threadIdx.x + 1]; }
__global__ void racecheck(unsigned* out, unsigned*) {
  __shared__ unsigned few[64];
  few[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = few[63 - threadIdx.x];
}
__global__ void synccheck(unsigned* out, unsigned*) {
  if (threadIdx.x < 16) __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void initcheck(unsigned* out, unsigned* in) { out[threadIdx.x] = in[threadIdx.x]; }
int main(int, char** arguments) {
  unsigned *out, *in;
  if (cudaMalloc(&out, 256) != cudaSuccess || cudaMalloc(&in, 256) != cudaSuccess) return 3;
  const char* tool = arguments[1];
  if (strcmp(tool, "initcheck")) cudaMemset(in, 0, 256);
  if (!strcmp(tool, "memcheck")) memcheck<<<1, 64>>>(out, in);
  if (!strcmp(tool, "racecheck")) racecheck<<<1, 64>>>(out, in);
  if (!strcmp(tool, "synccheck")) synccheck<<<1, 64>>>(out, in);
  if (!strcmp(tool, "initcheck")) initcheck<<<1, 64>>>(out, in);
  return cudaDeviceSynchronize() == cudaSuccess ? 0 : 4;
}
"""


class Failure(Exception):
    """A step failed; the message says what and where to look."""


class Check:
    def __init__(self, host: bool) -> None:
        self.host = host
        self.end = time.monotonic() + LIMIT
        self.report: dict[str, Any] = {"steps": {}}

    def run(self, command: list[Any], limit: float, **environment: str) -> str:
        """Output of a command, shown and kept; Failure where it fails, is missing or takes too long."""
        words = [str(word) for word in command]
        paths = os.pathsep.join([str(TARGET), str(ROOT / "tests")])
        settings = {**os.environ, "PYTHONPATH": paths, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        limit = min(limit, self.end - time.monotonic())
        if limit < 5:
            raise Failure(f"no time left for: {' '.join(words)}")
        try:
            done = subprocess.run(
                words,
                cwd=ROOT,
                env={**settings, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=limit,
            )
        except FileNotFoundError as e:
            raise Failure(f"{words[0]} is not on this machine") from e
        except subprocess.TimeoutExpired as e:
            tail = e.stdout.decode(errors="replace") if isinstance(e.stdout, bytes) else e.stdout or ""
            raise Failure(f"not done after {limit:.0f} s: {' '.join(words)}\n{tail[-3000:]}") from e
        if done.returncode:
            raise Failure(f"exit code {done.returncode}: {' '.join(words)}\n{done.stdout[-6000:]}")
        return done.stdout

    def python(self, *command: Any, limit: float) -> str:
        """This python without the source folder on its path, so that the installed package is the one that runs."""
        return self.run([sys.executable, "-P", *command], limit)

    # ---- Steps: each returns what goes into the report

    def build(self) -> dict[str, Any]:
        shutil.rmtree(TARGET, ignore_errors=True)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", TARGET]
        self.run([sys.executable, "-m", "pip", "install", *options, "."], 240, PCC_MATCH_BUILD_JOBS=str(os.cpu_count()))
        where = self.python("-c", "import pcc_match; print(pcc_match.__file__)", limit=60).strip()
        if not where.startswith(str(TARGET)):
            raise Failure(f"the package that python finds is {where}, not the one in {TARGET}")
        return {"installed": where}

    def tests(self) -> dict[str, Any]:
        options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]  # warnings do not fail here
        gpu = [] if self.host else ["--require-gpu"]
        files = [f"tests/test_{what}.py" for what in ("cuda", "cuda_kernels", "finger_cuda", "finger_tally")]
        output = self.python("-m", "pytest", *options, *gpu, *files, limit=240)
        print(indent(output[-1500:]))
        return {"summary": output.strip().splitlines()[-1]}

    def measured(self, what: str, limit: float) -> dict[str, Any]:
        output = WORK / f"{what}.json"
        output.unlink(missing_ok=True)
        host = ["--host"] if self.host else []
        seconds = ["--seconds", f"{min(limit, self.end - time.monotonic()) * 0.7:.0f}"]
        print(self.python("benchmarks/gpu_measure.py", what, output, *host, *seconds, limit=limit), end="")
        result: dict[str, Any] = json.loads(output.read_text())
        return result

    def parity(self) -> dict[str, Any]:
        return self.measured("parity", 150)

    def throughput(self) -> dict[str, Any]:
        return self.measured("throughput", 240)

    def sanitizers(self) -> dict[str, Any]:
        """compute-sanitizer on the launches of a tape, that is, on every kernel the way the driver starts it."""
        planted, replays = WORK / "planted", []
        for kind in ("dna", "finger"):
            tape, program = WORK / f"{kind}.tape", WORK / f"{kind}_replay"
            recorded = ("--kind", kind, "--keep", tape, "--profiles", 1100, "--probes", 70)
            self.python("-m", "kernels_on_host.tape", *recorded, limit=100)
            source = ("--kind", kind, "--cuda-source", program.with_suffix(".cu"))
            self.python("-m", "kernels_on_host.tape", *source, limit=60)
            replays.append((program, tape))
        planted.with_suffix(".cu").write_text(PLANTED)
        nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
        architecture = "sm_90" if self.host else self.architecture()
        for built in (*(program for program, _ in replays), planted):
            options = ["-std=c++17", "-O2", "-lineinfo", f"-arch={architecture}"]
            self.run([nvcc, *options, built.with_suffix(".cu"), "-o", built], 120)
        if self.host:
            return {"left out": "a rehearsal ends with the compilation"}
        result = {"without a tool": " ".join(self.run([*replay], 60).strip() for replay in replays)}
        sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        failures = []
        for tool in TOOLS:
            command = [sanitizer, "--tool", tool, "--error-exitcode", 9]
            if useless := self.blind([*command, planted, tool]):
                result[tool] = f"does not work on this machine: {useless}"
            else:
                try:
                    compare = {"REPLAY_WITHOUT_COMPARISON": "1"} if tool == "initcheck" else {}
                    output = "".join(self.run([*command, *replay], 90, **compare) for replay in replays)
                    result[tool] = " ".join(re.findall(r"ERROR SUMMARY.*|\d+ launches replayed", output))
                except Failure as e:
                    failures.append(f"{tool}: {e}")
                    result[tool] = f"failed: {e}"
            print(f"   {tool}: {result[tool]}", flush=True)
        if failures:
            raise Failure("\n".join(failures))
        return result

    def blind(self, command: list[Any]) -> str:
        """Why a tool does not find the fault that was planted for it; empty if it does."""
        try:
            output = self.run(command, 60)
        except Failure as e:
            text = str(e)
            return "" if text.startswith("exit code 9") else text[:800]
        return f"a planted fault was not found: {output[-400:]}"

    def architecture(self) -> str:
        code = "import cupy; print(cupy.cuda.Device(0).compute_capability)"
        return "sm_" + self.python("-c", code, limit=60).strip().splitlines()[-1]

    # ---- All of them

    def step(self, name: str, work: Callable[[], dict[str, Any]], path: Path) -> bool:
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        try:
            entry = {"passed": True, "result": work()}
        except Failure as e:
            entry = {"passed": False, "why": str(e)}
            print(indent(str(e)), flush=True)
        except Exception as e:  # a step that breaks must not keep the others from running
            entry = {"passed": False, "why": f"{type(e).__name__}: {e}"}
            print(indent(entry["why"]), flush=True)
        entry["seconds"] = round(time.monotonic() - start, 1)
        self.report["steps"][name] = entry
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.report, indent=1))
        print(f"   {'passed' if entry['passed'] else 'FAILED'}, {entry['seconds']} s", flush=True)
        return bool(entry["passed"])

    def machine(self) -> dict[str, str]:
        """What the figures were measured on; a fact that cannot be had is left out, with the reason."""
        facts = {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cpus": str(os.cpu_count()),
            "command": " ".join(sys.argv),
        }
        cpu = Path("/proc/cpuinfo")
        if cpu.exists() and (model := re.search(r"model name\s*: (.*)", cpu.read_text())):
            facts["cpu"] = model[1]
        query = "name,driver_version,memory.total,clocks.max.sm,clocks.max.memory"
        versions = (
            "import cupy, numpy; r = cupy.cuda.runtime; p = r.getDeviceProperties(0); print(f'CuPy {cupy.__version__}, "
            "CUDA runtime {r.runtimeGetVersion()}, driver {r.driverGetVersion()}, numpy {numpy.__version__}, compute "
            'capability {p["major"]}.{p["minor"]}, {p["multiProcessorCount"]} multiprocessors, L2 '
            '{p["l2CacheSize"]} bytes, shared memory {p["sharedMemPerBlockOptin"]} bytes a block\')'
        )
        commands = {
            "gpu": ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
            "cuda": [sys.executable, "-P", "-c", versions],
            "nvcc": ["nvcc", "--version"],
            "compiler": ["g++", "--version"],
            "commit": ["git", "rev-parse", "HEAD"],
        }
        for name, command in commands.items():
            try:
                lines = self.run(command, 60).strip().splitlines()
                facts[name] = lines[0] if name == "compiler" else lines[-1]
            except (Failure, IndexError) as e:
                facts[name] = f"unknown: {str(e)[:300]}"
        return facts


def indent(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = ("build", "tests", "parity", "throughput", "sanitizers")
    parser.add_argument("--host", action="store_true", help="rehearse with the kernels on the host")
    parser.add_argument("--only", nargs="+", choices=steps, default=steps, metavar="STEP")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    check = Check(options.host)
    today = datetime.date.today().isoformat()
    path = ROOT / "build/gpu-rehearsal.json" if options.host else ROOT / f"benchmarks/results/gpu-{today}.json"
    check.report["date"] = today
    check.report["machine"] = check.machine()
    print(indent("\n".join(f"{name}: {fact}" for name, fact in check.report["machine"].items())))
    passed = [check.step(name, getattr(check, name), path) for name in options.only]
    print(f"\n{path}: {sum(passed)} of {len(passed)} steps passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
