"""The parts of CuPy that backends/device.py uses, over a HostDevice: so that its code runs where there is no GPU."""

from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

import numpy as np
from kernels_on_host.host_device import Buffer, HostDevice
from numpy.typing import NDArray

from pcc_match.backends.kernels import kernel_names


class CudaError(RuntimeError):
    """In the place of each error class of CuPy's."""


class _Context:
    def __enter__(self) -> "_Context":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


class _Array:
    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer

    def __len__(self) -> int:
        return len(self.buffer)

    def __getitem__(self, part: slice) -> "_Array":
        return _Array(self.buffer[part])

    def set(self, array: NDArray[Any]) -> None:
        assert array.flags.c_contiguous
        assert array.shape == (len(self.buffer),)
        self.buffer.array[:] = array

    def get(self) -> NDArray[Any]:
        return self.buffer.array.copy()


class _Kernel:
    def __init__(self, host: HostDevice, name: str) -> None:
        self.host, self.name = host, name
        self.max_dynamic_shared_size_bytes = 48 << 10

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int
    ) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CudaError("too much shared memory asked for")
        buffers = [a.buffer if isinstance(a, _Array) else a for a in args]
        self.host.launch(self.name, grid, block[0], shared_mem, buffers)


def fake_cupy(host: HostDevice, gpus: int = 1) -> ModuleType:
    """A module to stand in sys.modules as "cupy"."""

    class RawModule:
        def __init__(self, code: str, options: tuple[str, ...]) -> None:
            assert "--fmad=false" in options
            self.names = kernel_names(code)

        def get_function(self, name: str) -> _Kernel:
            assert name in self.names
            return _Kernel(host, name)

    class Device(_Context):
        def __init__(self, ordinal: int) -> None:
            self.mem_info = host.free_bytes(), host.memory

    class Stream(_Context):
        def __init__(self, non_blocking: bool) -> None:
            pass

    facts = {
        "name": b"Fake GPU",
        "major": 9,
        "minor": 0,
        "multiProcessorCount": host.multiprocessors,
        "sharedMemPerBlockOptin": host.shared_bytes,
    }
    cupy: Any = ModuleType("cupy")
    cupy.RawModule = RawModule
    cupy.empty = lambda count, dtype: _Array(host.empty(count, np.dtype(dtype)))
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 0)
    cupy.cuda = SimpleNamespace(
        Device=Device,
        Stream=Stream,
        runtime=SimpleNamespace(
            CUDARuntimeError=CudaError,
            getDeviceCount=lambda: gpus,
            getDeviceProperties=lambda ordinal: facts,
        ),
        driver=SimpleNamespace(CUDADriverError=CudaError),
        compiler=SimpleNamespace(CompileException=CudaError),
        nvrtc=SimpleNamespace(NVRTCError=CudaError),
    )
    return cupy  # type: ignore[no-any-return]
