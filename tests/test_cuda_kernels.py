"""What can be known of the kernels without a GPU: they compile for every GPU, and their host is strict."""

import re
import subprocess

import numpy as np
import pytest
from cuda.bindings import nvrtc
from kernels_on_host.host_device import HostDevice, KernelFailure
from kernels_on_host.tape import SANITIZE, TapingDevice, record_dna, replay_sanitized

from pcc_match.backends import kernels
from pcc_match.backends.kernels import OPTIONS, kernel_files, kernel_names, kernel_source
from pcc_match.errors import DeviceError

GPUS = (75, 80, 90, 100, 120)


def compiled(source, gpu):
    """(cubin or None, NVRTC's log)."""

    def checked(result):
        assert result[0] == nvrtc.nvrtcResult.NVRTC_SUCCESS, result
        return result[1] if len(result) > 1 else None

    program = checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    options = [o.encode() for o in (*OPTIONS, f"--gpu-architecture=sm_{gpu}", "--ptxas-options=-v")]
    (outcome,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = bytearray(checked(nvrtc.nvrtcGetProgramLogSize(program)))
    checked(nvrtc.nvrtcGetProgramLog(program, log))
    cubin = None
    if outcome == nvrtc.nvrtcResult.NVRTC_SUCCESS:
        cubin = bytearray(checked(nvrtc.nvrtcGetCUBINSize(program)))
        checked(nvrtc.nvrtcGetCUBIN(program, cubin))
    return cubin, log.decode().rstrip("\0")


def resources(log):
    """{kernel: (registers, bytes spilled)} of an NVRTC log."""
    entries = re.split(r"Compiling entry function '", log)[1:]
    return {
        entry.split("'")[0]: (
            int(re.search(r"Used (\d+) registers", entry)[1]),
            int(re.search(r"(\d+) bytes spill stores", entry)[1]),
        )
        for entry in entries
    }


# ---- Sources


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("file", kernel_files())
def test_every_kernel_compiles_for_every_gpu_without_a_warning_or_a_spill(file, gpu, record_property):
    source = kernel_source(file)
    cubin, log = compiled(source, gpu)
    assert cubin, log
    assert cubin[:4] == b"\x7fELF"
    assert "warning" not in log, log
    used = resources(log)
    record_property("registers", {name: registers for name, (registers, _) in used.items()})
    print(file, f"sm_{gpu}", *(f"{name}: {registers} registers" for name, (registers, _) in used.items()), sep="\n  ")
    assert set(used) == set(kernel_names(source))
    assert not any(spilled for _, spilled in used.values()), used


def test_a_source_is_whole_and_its_errors_name_the_real_file_and_line():
    source = kernel_source("dna_search.cu")
    assert "#include" not in re.sub(r"//.*", "", source)
    assert source.count("struct PccTreatyRule") == 1
    header = kernels.resources.files("pcc_match.kernels").joinpath("compare_dna.h").read_text().splitlines()
    line = next(number for number, text in enumerate(header, 1) if "++t.full" in text)
    _, log = compiled(source.replace("++t.full", "++t.fall", 1), 90)
    assert f"compare_dna.h({line}): error" in log
    kernel = kernels.resources.files("pcc_match.kernels").joinpath("dna_search.cu").read_text().splitlines()
    line = next(number for number, text in enumerate(kernel, 1) if "__syncthreads()" in text)
    _, log = compiled(source.replace("__syncthreads()", "__syncthread()", 1), 90)
    assert f"dna_search.cu({line}): error" in log


def test_a_missing_header_is_an_error_that_names_the_place(tmp_path, monkeypatch):
    (tmp_path / "a.cu").write_text('// one\n#include "b.h"\n')
    (tmp_path / "b.h").write_text('#include "nothing.h"\n')
    monkeypatch.setattr(kernels.resources, "files", lambda package: tmp_path)
    with pytest.raises(
        DeviceError, match=r"kernels/b\.h, line 1 includes 'nothing\.h', but .* install pcc_match again"
    ):
        kernel_source("a.cu")
    with pytest.raises(DeviceError, match=r"'c\.cu' was asked for"):
        kernel_source("c.cu")


# ---- The kernels' host is strict

FAULTS = r"""
typedef unsigned int u32;
typedef unsigned long long u64;
extern "C" __global__ void sums(const u32* in, u32 n, u32* out, u64* total) {
  __shared__ u32 warp_sums[32];
  u32 sum = threadIdx.x < n ? __ldg(in + threadIdx.x) : 0;
  for (int d = 16; d; d /= 2) sum += __shfl_xor_sync(0xFFFFFFFF, sum, d);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    u32 all = 0;
    for (u32 w = 0; w < blockDim.x / 32; ++w) all += warp_sums[w];
    out[blockIdx.x] = all;
    atomicAdd(total, (u64)all << 32);
  }
}
extern "C" __global__ void votes(u32* out) {
  extern __shared__ u32 ballots[];
  const u32 odd = __ballot_sync(0xFFFFFFFF, threadIdx.x & 1);
  u32 lower = 0;
  if (threadIdx.x % 32 < 16) lower = __ballot_sync(0x0000FFFF, 1);
  __syncwarp();
  const int any = __any_sync(0xFFFFFFFF, threadIdx.x % 32 == 7), all = __all_sync(0xFFFFFFFF, threadIdx.x % 32 == 7);
  const u32 up = __shfl_up_sync(0xFFFFFFFF, threadIdx.x, 1), down = __shfl_down_sync(0xFFFFFFFF, threadIdx.x, 1);
  const u32 third = __shfl_sync(0xFFFFFFFF, threadIdx.x, 3);
  ballots[threadIdx.x] = odd ^ lower ^ (u32)(any << 1 | all) ^ up << 8 ^ down << 16 ^ third << 24;
  __syncthreads();
  out[threadIdx.x] = ballots[blockDim.x - 1 - threadIdx.x];
  atomicMax(out + blockDim.x, threadIdx.x);
}
extern "C" __global__ void skips_a_barrier(u32* out) {
  if (threadIdx.x != 5) __syncthreads();
  out[threadIdx.x] = 1;
}
extern "C" __global__ void leaves_early(u32* out) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}
extern "C" __global__ void meets_elsewhere(u32* out) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 1;
}
extern "C" __global__ void votes_alone(u32* out) {
  if (threadIdx.x < 3) out[threadIdx.x] = __ballot_sync(0xFFFFFFFF, 1);
}
extern "C" __global__ void reads_an_absent_lane(u32* out) {
  if (threadIdx.x < 3) out[threadIdx.x] = __shfl_sync(0x7, threadIdx.x, 9);
}
extern "C" __global__ void oversteps_shared(u32* out) {
  extern __shared__ u32 few[];
  few[threadIdx.x] = out[threadIdx.x];
}
extern "C" __global__ void oversteps_a_buffer(u32* out) { out[threadIdx.x] = 1; }
extern "C" __global__ void reads_before_writing(u32* out) {
  __shared__ u32 nothing[2];
  out[threadIdx.x] = nothing[threadIdx.x % 2];
}
"""


@pytest.fixture(scope="module")
def host():
    return HostDevice(text=FAULTS)


def test_barriers_shuffles_votes_and_atomics_work(host):
    numbers = np.arange(100, dtype=np.uint32)
    buffers = host.empty(100, np.uint32), host.empty(7, np.uint32), host.empty(1, np.uint64)
    host.write(buffers[0], numbers)
    host.write(buffers[2], np.zeros(1, np.uint64))
    host.launch("sums", (7, 1), 128, 0, (buffers[0], np.uint32(100), buffers[1], buffers[2]))
    assert host.read(buffers[1], 7).tolist() == [4950] * 7
    assert host.read(buffers[2], 1).tolist() == [7 * 4950 << 32]

    out = host.empty(65, np.uint32)
    host.write(out, np.zeros(65, np.uint32))
    host.launch("votes", (1, 1), 64, 256, (out,))
    i = np.arange(64, dtype=np.uint32)
    lane, warp = i % 32, i // 32 * 32
    up, down = np.where(lane, i - 1, i), np.where(lane < 31, i + 1, i)
    expected = 0xAAAAAAAA ^ np.where(lane < 16, 0xFFFF, 0) ^ 2 ^ up << 8 ^ down << 16 ^ (warp + 3) << 24
    assert np.array_equal(host.read(out, 64), (expected & 0xFFFFFFFF)[::-1])
    assert host.read(out, 65)[64] == 63


@pytest.mark.parametrize(
    ("kernel", "complaint"),
    [
        ("skips_a_barrier", r"no thread can go on.* waits at __syncthreads.*thread 5 has left the kernel"),
        ("leaves_early", r"no thread can go on.*thread 40 has left the kernel"),
        ("meets_elsewhere", r"no thread can go on.*thread 0 waits at __syncthreads.*thread 32 waits at __syncthreads"),
        ("votes_alone", r"no thread can go on.*warp operation for lanes ffffffff"),
        ("reads_an_absent_lane", r"a shuffle reads lane 9, which takes no part"),
        ("oversteps_shared", r"shared memory outside the launch's 252 bytes was written"),
        ("oversteps_a_buffer", r"was written outside its ends"),
    ],
)
def test_what_a_gpu_would_let_pass_is_a_failure(kernel, complaint):
    host = HostDevice(text=FAULTS)
    out = host.empty(63 if kernel == "oversteps_a_buffer" else 64, np.uint32)
    with pytest.raises(KernelFailure, match=complaint):
        host.launch(kernel, (2, 1), 64, 252, (out,))


def test_arguments_and_sizes_are_checked(host):
    out = host.empty(100, np.uint32)
    for arguments in [(out,), (out, np.uint32(1), out, np.uint64(1)), (out, np.uint64(100), out, out)]:
        with pytest.raises(KernelFailure, match="arguments do not fit"):
            host.launch("sums", (1, 1), 32, 0, arguments)
    with pytest.raises(KernelFailure, match="no such kernel"):
        host.launch("sum", (1, 1), 32, 0, ())
    with pytest.raises(KernelFailure, match="impossible grid or block"):
        host.launch("votes", (1, 1), 1025, 0, (out,))
    with pytest.raises(KernelFailure, match="bytes of shared memory"):
        host.launch("votes", (1, 1), 32, 228 << 10, (out,))


def test_shared_memory_starts_as_garbage(host):
    out = host.empty(32, np.uint32)
    for _ in range(2):
        host.launch("reads_before_writing", (1, 1), 32, 0, (out,))
        assert set(host.read(out, 32).tolist()) == {0xCDCDCDCD}


# ---- Under sanitizers

PLANTED = r"""
typedef unsigned int u32;
extern "C" __global__ void keeps_to_its_memory(const u32* in, u32* out) {
  extern __shared__ u32 few[];
  few[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = few[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void reads_past_a_buffer(const u32* in, u32* out) { out[threadIdx.x] = in[threadIdx.x + 1]; }
extern "C" __global__ void reads_past_shared(const u32* in, u32* out) {
  extern __shared__ u32 few[];
  few[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = few[threadIdx.x + 1];
}
extern "C" __global__ void shifts_too_far(const u32* in, u32* out) { out[threadIdx.x] = 1u << in[threadIdx.x]; }
"""


@pytest.fixture(scope="module")
def sanitizers(tmp_path_factory):
    source = tmp_path_factory.mktemp("sanitizers") / "empty.cpp"
    source.write_text("int main() {}\n")
    program = source.with_suffix(".out")
    done = subprocess.run(["g++", *SANITIZE, source, "-o", program], capture_output=True, text=True)
    if done.returncode or subprocess.run([program]).returncode:
        pytest.skip(f"this compiler has no AddressSanitizer: {done.stderr}")


@pytest.mark.parametrize(
    ("kernel", "complaint"),
    [
        ("keeps_to_its_memory", ""),
        ("reads_past_a_buffer", "heap-buffer-overflow"),
        ("reads_past_shared", "use-after-poison"),
        ("shifts_too_far", "shift exponent 32 is too large"),
    ],
)
@pytest.mark.usefixtures("sanitizers")
def test_a_planted_fault_is_found_by_the_sanitizers(tmp_path, kernel, complaint):
    with (tmp_path / "tape").open("wb") as tape:
        device = TapingDevice(tape, text=PLANTED)
        buffers = device.empty(32, np.uint32), device.empty(32, np.uint32)
        device.write(buffers[0], np.arange(1, 33, dtype=np.uint32))
        device.launch(kernel, (2, 1), 32, 128, buffers)
    done = replay_sanitized(tmp_path / "tape", PLANTED)
    assert (done.returncode != 0) == bool(complaint), done.stderr
    assert complaint in done.stderr


@pytest.mark.usefixtures("sanitizers")
def test_searches_are_clean_under_the_sanitizers(tmp_path):
    launches = record_dna(tmp_path / "tape", 700, 65)
    done = replay_sanitized(tmp_path / "tape", kernel_source("dna_search.cu"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{launches} launches replayed\n"


@pytest.mark.usefixtures("sanitizers")
def test_a_replay_that_differs_from_its_tape_fails(tmp_path):
    with (tmp_path / "tape").open("wb") as tape:
        device = TapingDevice(tape, text=PLANTED)
        buffers = device.empty(32, np.uint32), device.empty(32, np.uint32)
        device.write(buffers[0], np.arange(32, dtype=np.uint32))
        device.launch("keeps_to_its_memory", (1, 1), 32, 128, buffers)
    content = bytearray((tmp_path / "tape").read_bytes())
    content[-1] ^= 1
    (tmp_path / "tape").write_bytes(content)
    done = replay_sanitized(tmp_path / "tape", PLANTED)
    assert done.returncode == 1
    assert "keeps_to_its_memory left other results than on the tape" in done.stderr
