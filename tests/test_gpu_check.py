"""`make gpu-check` rehearsed without a GPU: its measurements on the kernels' host, and what a failing step leads to."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command, **environment):
    settings = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), **environment}
    return subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=settings, capture_output=True, text=True)


def test_parity_and_throughput_measure_what_they_say(tmp_path):
    output = tmp_path / "parity.json"
    done = run("benchmarks/gpu_measure.py", "parity", output, "--host")
    assert done.returncode == 0, done.stderr
    parity = json.loads(output.read_text())
    assert parity["all with all"]["matches"] == parity["all with all, streamed"]["matches"] > 10
    assert all(compared["pairs"] > 0 for compared in parity.values())

    output = tmp_path / "throughput.json"
    done = run("benchmarks/gpu_measure.py", "throughput", output, "--host")
    assert done.returncode == 0, done.stderr
    throughput = json.loads(output.read_text())
    assert throughput["fingers"]["1 probes"]["comparisons_per_second"] > 0
    for gallery in throughput["galleries"]:
        assert gallery["one probe"]["kernel_seconds"].keys() == {"dna_compile", "dna_filter_direct", "dna_verify"}
        assert gallery["all with all"]["equal_to_the_cpu"]


def test_a_step_that_fails_is_reported_in_words_and_by_the_exit_code():
    """Here for want of a compiler."""
    report = ROOT / "build/gpu-rehearsal.json"
    done = run("benchmarks/gpu_check.py", "--host", "--only", "sanitizers", PATH="/nowhere")
    assert done.returncode == 1
    step = json.loads(report.read_text())["steps"]["sanitizers"]
    assert not step["passed"]
    assert step["why"]
    assert f"{report}: 0 of 1 steps passed" in done.stdout
    assert not done.stderr
