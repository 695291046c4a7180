"""What the CUDA driver needs of a GPU, and how CuPy provides it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends.kernels import OPTIONS, kernel_names, kernel_source
from pcc_match.errors import DeviceError


class Device(Protocol):
    """What the driver needs of a GPU. Buffers can be sliced; work is done in the order in which it is given."""

    name: str
    multiprocessors: int
    shared_bytes: int
    """Most shared memory of a thread block."""

    def free_bytes(self) -> int:
        """Memory that can still be allocated."""

    def empty(self, count: int, dtype: Any) -> Any:
        """A buffer of `count` elements, not initialised. Raises MemoryError."""

    def write(self, buffer: Any, array: NDArray[Any]) -> None:
        """Copy the array to the start of the buffer."""

    def read(self, buffer: Any, count: int) -> NDArray[Any]:
        """The buffer's first elements, when the work given before is done."""

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Any]) -> None:
        """Run a kernel on buffers and numpy scalars."""


def devices() -> list[str]:
    """The GPUs of this machine, as "cuda:0 NVIDIA H200 (compute capability 9.0)". Raises DeviceError as CupyDevice."""
    runtime = _cupy().cuda.runtime
    with _reported("looking at the GPUs"):
        facts = [runtime.getDeviceProperties(ordinal) for ordinal in range(runtime.getDeviceCount())]
    names = (f"{f['name'].decode()} (compute capability {f['major']}.{f['minor']})" for f in facts)
    return [f"cuda:{ordinal} {name}" for ordinal, name in enumerate(names)]


class CupyDevice:
    """An NVIDIA GPU. Raises DeviceError with the reason where there is none, or no CuPy."""

    def __init__(self, ordinal: int = 0, file: str = "dna_search.cu") -> None:
        self._cupy = cupy = _cupy()
        count = cupy.cuda.runtime.getDeviceCount()
        if ordinal >= count:
            raise DeviceError(f"there is no GPU {ordinal}: this machine has {count}, counted from 0")
        source = kernel_source(file)
        with _reported(f"preparing GPU {ordinal}"):
            self._device = cupy.cuda.Device(ordinal)
            facts = cupy.cuda.runtime.getDeviceProperties(ordinal)
            with self._device:
                self._stream = cupy.cuda.Stream(non_blocking=True)
                module = cupy.RawModule(code=source, options=OPTIONS)
                self._kernels = {name: module.get_function(name) for name in kernel_names(source)}
        self.name = f"cuda:{ordinal} {facts['name'].decode()}"
        self.multiprocessors = int(facts["multiProcessorCount"])
        self.shared_bytes = int(facts["sharedMemPerBlockOptin"])

    @contextmanager
    def _here(self, doing: str) -> Iterator[None]:
        with _reported(doing), self._device, self._stream:
            yield

    def free_bytes(self) -> int:
        with self._here("counting its memory"):
            return int(self._device.mem_info[0]) + int(self._cupy.get_default_memory_pool().free_bytes())

    def empty(self, count: int, dtype: Any) -> Any:
        with self._here("allocating memory"):
            return self._cupy.empty(count, dtype)

    def write(self, buffer: Any, array: NDArray[Any]) -> None:
        if not array.size:
            return
        with self._here("copying to its memory"):
            buffer[: array.size].set(np.ascontiguousarray(array).reshape(-1))

    def read(self, buffer: Any, count: int) -> NDArray[Any]:
        with self._here("working, or copying from its memory"):
            return np.asarray(buffer[:count].get())

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Any]) -> None:
        with self._here(f"starting {kernel}"):
            function = self._kernels[kernel]
            if shared > function.max_dynamic_shared_size_bytes:
                function.max_dynamic_shared_size_bytes = self.shared_bytes
            function(grid, (threads,), tuple(arguments), shared_mem=shared)


def _cupy() -> Any:
    """CuPy, where it is installed and finds a GPU."""
    try:
        import cupy
    except ImportError as e:
        raise DeviceError(f"device 'cuda' needs CuPy ({e}); pip install 'pcc_match[gpu]'") from e
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as e:
        raise DeviceError(f"CuPy finds no GPU ({e}); is there one, with a driver recent enough for this CuPy?") from e
    if not found:
        raise DeviceError("CuPy finds no GPU; is one hidden by CUDA_VISIBLE_DEVICES?")
    return cupy


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    """CUDA's errors as DeviceError; MemoryError, which CuPy's own is, goes through."""
    from cupy import cuda

    try:
        yield
    except (
        cuda.runtime.CUDARuntimeError,
        cuda.driver.CUDADriverError,
        cuda.compiler.CompileException,
        cuda.nvrtc.NVRTCError,
    ) as e:
        raise DeviceError(f"the GPU failed while {doing}: {e}") from e
