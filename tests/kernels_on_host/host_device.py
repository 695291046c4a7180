"""The CUDA kernels on the CPU: `HostDevice` stands where a GPU would, under the same driver (backends/cuda.py).

A kernel file's text, with cuda_on_host.h before it, is compiled by the C++ compiler into a shared library, kept under
build/kernels_on_host by the hash of everything that went into it.
"""

import ctypes
import hashlib
import os
import re
import subprocess
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends.kernels import kernel_names, kernel_source

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / "build" / "kernels_on_host"
FLAGS = ["-std=c++17", "-g", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unknown-pragmas"]
CANARY = 0xA5


class KernelFailure(AssertionError):
    """A kernel did on the host what it must not do on a GPU."""


def kernel_list(text: str, macro: str) -> str:
    """#define macroS(one)  one(first kernel), one(second kernel) ..., for a file appended to the kernels' text."""
    kernels = ", ".join(f"{macro}({name})" for name in kernel_names(text))
    return f"#define {macro}S {kernels}\n"


def build(text: str, extra: str, macro: str, output: str, flags: Sequence[str]) -> Path:
    """Compile a kernel file's text as C++, with `extra` behind it, unless that was done before."""
    shared = r"extern __shared__ (\w+) (\w+)\[\];"
    text = re.sub(shared, r"\1* const \2 = cuda_on_host::dynamic_shared<\1>();", text)
    assert "extern __shared__" not in text, "write it as `extern __shared__ T name[];` on one line"
    source = f'#include "cuda_on_host.h"\n{text}\n{kernel_list(text, macro)}#include "{extra}"\n'
    command = [os.environ.get("CXX", "g++"), *FLAGS, *flags, f"-I{HERE}"]
    content = source + "".join((HERE / name).read_text() for name in ("cuda_on_host.h", extra)) + " ".join(command)
    path = CACHE / f"{hashlib.sha256(content.encode()).hexdigest()[:20]}{output}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unit = path.with_suffix(f".{os.getpid()}.cpp")
        built = path.with_suffix(f".{os.getpid()}.tmp")
        unit.write_text(source)
        done = subprocess.run([*command, str(unit), "-o", str(built)], capture_output=True, text=True)
        if done.returncode:
            raise KernelFailure(f"the kernels do not compile as C++:\n{done.stderr}")
        unit.unlink()
        built.replace(path)
    return path


class Memory:
    """Bytes with canaries before and behind them, and garbage in them until they are written."""

    GUARD = 64

    def __init__(self, size: int) -> None:
        raw = np.full(size + 2 * self.GUARD + 16, CANARY, np.uint8)
        start = self.GUARD + -(raw.ctypes.data + self.GUARD) % 16
        self.bytes = raw[start : start + size]
        self.bytes[:] = 0xCB
        self.guards = raw[:start], raw[start + size :]

    def check(self) -> None:
        if any((guard != CANARY).any() for guard in self.guards):
            raise KernelFailure(f"a buffer of {len(self.bytes)} bytes was written outside its ends")


class Buffer:
    """A piece of the device's memory as an array."""

    def __init__(self, memory: Memory, array: NDArray[Any]) -> None:
        self.memory = memory
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, part: slice) -> "Buffer":
        return Buffer(self.memory, self.array[part])


class HostDevice:
    """A stand-in for a GPU with the given shared memory and memory, in bytes."""

    name = "cuda-on-host"

    def __init__(
        self,
        file: str = "dna_search.cu",
        *,
        shared_bytes: int = 227 << 10,
        memory: int = 1 << 33,
        multiprocessors: int = 2,
        seed: int = 0,
        text: str | None = None,
    ) -> None:
        self.shared_bytes = shared_bytes
        self.multiprocessors = multiprocessors
        self.memory = memory
        self.launches: list[str] = []
        self.seed = seed
        self.live: weakref.WeakSet[Memory] = weakref.WeakSet()
        library = build(
            text or kernel_source(file), "launcher.inc", "CUDA_ON_HOST_KERNEL", ".so", ["-O1", "-fPIC", "-shared"]
        )
        self.call = ctypes.CDLL(str(library)).cuda_on_host_launch

    def free_bytes(self) -> int:
        return self.memory - sum(len(m.bytes) for m in self.live)

    def empty(self, count: int, dtype: Any) -> Buffer:
        size = count * np.dtype(dtype).itemsize
        if size > self.free_bytes():
            raise MemoryError(f"{size} bytes asked for, {self.free_bytes()} of {self.memory} left")
        memory = Memory(size)
        self.live.add(memory)
        return Buffer(memory, memory.bytes.view(dtype))

    def write(self, buffer: Buffer, array: NDArray[Any]) -> None:
        assert array.dtype == buffer.array.dtype
        buffer.array[: array.size] = array.reshape(-1)

    def read(self, buffer: Buffer, count: int) -> NDArray[Any]:
        assert count <= len(buffer)
        return buffer.array[:count].copy()

    def launch(
        self, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Buffer | np.generic]
    ) -> None:
        if shared > self.shared_bytes:
            raise KernelFailure(f"{kernel}: {shared} bytes of shared memory, the device has {self.shared_bytes}")
        cells = [np.array(a.array.ctypes.data, np.uint64) if isinstance(a, Buffer) else np.array(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(cells))(*[c.ctypes.data for c in cells])
        sizes = (ctypes.c_uint * len(cells))(*[0 if isinstance(a, Buffer) else a.itemsize for a in arguments])
        message = ctypes.create_string_buffer(2000)
        self.seed += 1
        self.launches.append(kernel)
        failed = self.call(
            kernel.encode(), *grid, threads, shared, len(cells), pointers, sizes, self.seed, message, len(message)
        )
        if failed:
            raise KernelFailure(message.value.decode())
        for memory in self.live:
            memory.check()
