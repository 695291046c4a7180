"""A tape of kernel launches: what each was given and what it left, to be run again by replay.inc under a sanitizer."""

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from engine_cases import gallery
from kernels_on_host.host_device import HERE, Buffer, HostDevice, Memory, build, kernel_list
from made_up_fingers import finger, impression

from pcc_match.backends import Probes
from pcc_match.backends.cuda import CudaBackend
from pcc_match.backends.kernels import kernel_source
from pcc_match.dna.rule import DnaRule, MixtureRule, Rule, StringencyRule
from pcc_match.finger import FingerTemplate
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.cuda import FILE, RANGE, FingerCuda
from pcc_match.finger.devices import LATENTS, mode_of
from pcc_match.finger.tally import NOBODY, References

SANITIZE = ["-Og", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


class TapingDevice(HostDevice):
    """Writes every launch to a tape."""

    def __init__(self, tape: BinaryIO, **options: Any) -> None:
        super().__init__(**options)
        self.tape = tape

    def launch(
        self, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Buffer | np.generic]
    ) -> None:
        memories: list[Memory] = []
        described = b""
        for a in arguments:
            if isinstance(a, Buffer):
                if a.memory not in memories:
                    memories.append(a.memory)
                offset = a.array.ctypes.data - a.memory.bytes.ctypes.data
                described += struct.pack("=IIQ", 0, memories.index(a.memory), offset)
            else:
                described += struct.pack("=IIQ", a.itemsize, 0, int(a))
        before = [memory.bytes.tobytes() for memory in memories]
        super().launch(kernel, grid, threads, shared, arguments)
        name = kernel.encode()
        self.tape.write(struct.pack("=I", len(name)) + name)
        self.tape.write(struct.pack("=IIIII", *grid, threads, shared, len(arguments)) + described)
        self.tape.write(struct.pack("=I", len(memories)))
        for memory, content in zip(memories, before, strict=True):
            self.tape.write(struct.pack("=Q", len(content)) + content + memory.bytes.tobytes())


class _Batch(Probes):
    """Probes given as arrays."""

    def __init__(self, codes: np.ndarray, mixtures: np.ndarray) -> None:
        super().__init__([])
        self.codes, self.mixtures = codes, mixtures

    def __len__(self) -> int:
        return len(self.codes)


def record_dna(path: Path, profiles: int, probes: int) -> int:
    """Searches and a rematch of random profiles, so that every kernel of dna_search.cu goes every way it has.

    Returns the number of launches. No launch needs more than 48 KB of shared memory.
    """
    codes = gallery(profiles, seed=profiles)
    sets = np.zeros((probes, codes.shape[1], 256), bool)
    np.put_along_axis(sets, codes[:probes].astype(np.int64), True, 2)
    sets[:, :, 0] = False
    batch = _Batch(codes[:probes], np.packbits(sets, axis=2, bitorder="little").view(np.uint64))
    rules: list[Rule] = [
        *(DnaRule(6, k, k, k, k, True, (1, 2, 3, 4)) for k in (0, 1, 3, 4)),
        StringencyRule("moderate", 5, 1),
        MixtureRule(1, 5),
    ]
    launches = 0
    with path.open("wb") as tape:
        for shared_bytes in (48 << 10, 1 << 10):
            device = TapingDevice(tape, shared_bytes=shared_bytes, memory=1 << 20)
            parts = [(codes, np.arange(codes.shape[1], dtype=np.int32), None)]
            backend = CudaBackend(parts, codes.shape[1], device=device)
            for rule in rules:
                backend.search(batch, rule)
            backend.search(_Batch(batch.codes[:5], batch.mixtures[:5]), rules[1])
            backend.rematch(None, rules[1])
            launches += len(device.launches)
    return launches


def record_fingers(path: Path) -> int:
    """Scores of prints and latents of few and many minutiae, and of several sets; a search among subjects.

    Returns the number of launches.
    """
    whole = [finger(1, 40), finger(2, 128, size=(700, 800)), finger(3, 2), FingerTemplate.join(finger(4), finger(5))]
    probes, references = FingerColumns.pack([impression(f, 1) for f in whole]), FingerColumns.pack(whole)
    with path.open("wb") as tape:
        device = TapingDevice(tape, file=FILE)
        for latent, early in product(LATENTS, (False, True)):
            FingerCuda(device=device).scores(probes, references, mode_of(latent, early_exit=early))
        FingerCuda(device=device).scores(probes, references, mode_of("", likeness=True))
        wanted = np.array([True, False, False, True])
        FingerCuda(device=device).scores(probes, references, 0, wanted=wanted)
        tally = FingerCuda(device=device).tally(RANGE + 1)
        tally.ask(probes, 0)
        tally.add(References(references, np.array([0, RANGE, NOBODY, 300], np.uint32)), range(4))
        tally.end_group()
        tally.top(1, 3)
    return len(device.launches)


def replay_sanitized(tape: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Run a tape's launches under AddressSanitizer and UndefinedBehaviorSanitizer."""
    program = build(text, "replay.inc", "REPLAY_KERNEL", ".replay", SANITIZE)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_stack_use_after_return=0"}
    return subprocess.run([program, tape], capture_output=True, text=True, env=environment)


def cuda_source(text: str) -> str:
    """A kernel file's text as a CUDA program that replays a tape on a GPU."""
    return f'{text}\n{kernel_list(text, "REPLAY_KERNEL")}#include "{HERE / "replay.inc"}"\n'


def main() -> int:
    """`make sanitize`: more profiles than the tests take."""
    parser = argparse.ArgumentParser(description="Run the kernels on the host under ASan and UBSan.")
    parser.add_argument("--kind", choices=["dna", "finger"], default="dna")
    parser.add_argument("--profiles", type=int, default=2000)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--keep", type=Path, metavar="TAPE", help="only record, to this file")
    parser.add_argument(
        "--cuda-source", type=Path, metavar="FILE.cu", help="only write the program that replays on a GPU"
    )
    options = parser.parse_args()
    text = kernel_source(FILE if options.kind == "finger" else "dna_search.cu")
    if options.cuda_source:
        options.cuda_source.write_text(cuda_source(text))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tape = options.keep or Path(folder, "tape")
        fingers = options.kind == "finger"
        launches = record_fingers(tape) if fingers else record_dna(tape, options.profiles, options.probes)
        print(launches, "launches recorded", flush=True)
        if options.keep:
            return 0
        done = replay_sanitized(tape, text)
    print(done.stdout, done.stderr, sep="", end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
