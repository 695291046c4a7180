// Runs a .cu file's kernels on the CPU, so that tests see the GPU's code where there is no GPU: one fiber per CUDA
// thread, blocks one after another in random order, threads of a block in random order between barriers.
//
// Stricter than a GPU on purpose: a launch fails, with the place, when threads wait at different barriers or at none
// (a GPU may hang or go on), when a thread leaves the kernel while others wait, when a warp operation names a lane that
// does not take part, or when shared memory past the launch's size was written. Shared memory starts each block as
// garbage. AddressSanitizer, where compiled in, sees every access, shared memory included.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("cuda_shared")))

struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline uint3 threadIdx, blockIdx, blockDim, gridDim;

// Variables declared __shared__ lie between these two (weak: a file may have none).
extern "C" __attribute__((weak)) unsigned char __start_cuda_shared[], __stop_cuda_shared[];

namespace cuda_on_host {

constexpr unsigned kWarp = 32, kMaxThreads = 1024;
constexpr size_t kStack = 128 << 10, kMaxShared = 227 << 10, kGuard = 1024;
constexpr unsigned char kGarbage = 0xCD, kCanary = 0xA5;

enum class State { ready, at_block_barrier, at_warp_operation, left };
enum class Operation { sync, ballot, shuffle };

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};  // not cleared: pages that no thread touches cost nothing
  void* fake_stack = nullptr;
  State state = State::ready;
  // What it waits for, and what it brought to the operation.
  const char* file = "";
  int line = 0;
  Operation operation = Operation::sync;
  unsigned mask = 0, source = 0;
  uint64_t value = 0, result = 0;
};

struct Machine {
  std::vector<Thread> threads = std::vector<Thread>(kMaxThreads);
  alignas(128) unsigned char shared[kGuard + kMaxShared + kGuard];
  ucontext_t scheduler;
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_size = 0;
  unsigned current = 0, block = 0;
  size_t shared_bytes = 0;
  void (*body)(void**) = nullptr;
  void** arguments = nullptr;
  std::string error;
};
inline Machine& machine() {
  static Machine* m = new Machine;
  return *m;
}

inline void to_scheduler(bool leaving) {
  Machine& m = machine();
  Thread& t = m.threads[m.current];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(leaving ? nullptr : &t.fake_stack, m.scheduler_stack, m.scheduler_stack_size);
#else
  (void)leaving;
#endif
  swapcontext(&t.context, &m.scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(t.fake_stack, nullptr, nullptr);
#endif
}

inline void run_thread(unsigned index) {
  Machine& m = machine();
  Thread& t = m.threads[index];
  m.current = index;
  threadIdx = {index, 0, 0};
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&m.scheduler_fake_stack, t.stack.get(), kStack);
#endif
  swapcontext(&m.scheduler, &t.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(m.scheduler_fake_stack, nullptr, nullptr);
#endif
}

inline void thread_main() {
  Machine& m = machine();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &m.scheduler_stack, &m.scheduler_stack_size);
#endif
  m.body(m.arguments);
  m.threads[m.current].state = State::left;
  to_scheduler(true);
}

inline void wait(State state, const char* file, int line) {
  Machine& m = machine();
  Thread& t = m.threads[m.current];
  t.state = state;
  t.file = file;
  t.line = line;
  to_scheduler(false);
}

inline uint64_t warp_operation(Operation operation, unsigned mask, uint64_t value, unsigned source, const char* file,
                               int line) {
  Machine& m = machine();
  Thread& t = m.threads[m.current];
  t.operation = operation;
  t.mask = mask;
  t.value = value;
  t.source = source;
  wait(State::at_warp_operation, file, line);
  return t.result;
}

inline std::string place(const Thread& t) { return std::string(t.file) + ":" + std::to_string(t.line); }

inline std::string describe(const Thread& t) {
  char mask[16];
  switch (t.state) {
    case State::left:
      return "has left the kernel";
    case State::at_block_barrier:
      return "waits at __syncthreads, " + place(t);
    case State::at_warp_operation:
      std::snprintf(mask, sizeof mask, "%08x", t.mask);
      return std::string("waits at a warp operation for lanes ") + mask + ", " + place(t);
    case State::ready:
      break;
  }
  return "runs";
}

inline bool same_operation(const Thread& a, const Thread& b) {
  return a.state == b.state && a.operation == b.operation && a.mask == b.mask && a.line == b.line &&
         !std::strcmp(a.file, b.file);
}

// Lets the lanes of one warp operation go on when all that its mask names have come; false: not yet.
inline bool finish_warp_operation(unsigned index) {
  Machine& m = machine();
  const Thread& t = m.threads[index];
  const unsigned first = index / kWarp * kWarp, mask = t.mask;
  if (!(mask >> (index - first) & 1)) {
    m.error = "thread " + std::to_string(index) + " is not among the lanes that it names: " + describe(t);
    return false;
  }
  uint64_t ballot = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    if (first + lane >= blockDim.x || !same_operation(m.threads[first + lane], t)) return false;
    if (m.threads[first + lane].value) ballot |= uint64_t(1) << lane;
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Thread& other = m.threads[first + lane];
    if (other.operation == Operation::shuffle) {
      if (!(mask >> other.source & 1)) {
        m.error = "a shuffle reads lane " + std::to_string(other.source) + ", which takes no part: " + describe(other);
        return false;
      }
      other.result = m.threads[first + other.source].value;
    } else {
      other.result = ballot;
    }
  }
  for (unsigned lane = 0; lane < kWarp; ++lane)
    if (mask >> lane & 1) m.threads[first + lane].state = State::ready;
  return true;
}

inline bool finish_block_barrier() {
  Machine& m = machine();
  for (unsigned i = 0; i < blockDim.x; ++i)
    if (m.threads[i].state != State::at_block_barrier || !same_operation(m.threads[i], m.threads[0])) return false;
  for (unsigned i = 0; i < blockDim.x; ++i) m.threads[i].state = State::ready;
  return true;
}

inline void explain_standstill() {
  Machine& m = machine();
  m.error = "no thread can go on";
  std::vector<std::string> seen;
  for (unsigned i = 0; i < blockDim.x; ++i) {
    const std::string text = describe(m.threads[i]);
    if (std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
    seen.push_back(text);
    m.error += "; thread " + std::to_string(i) + " " + text;
  }
}

inline unsigned char* shared_begin() { return machine().shared + kGuard; }

inline void prepare_shared(size_t bytes) {
  Machine& m = machine();
  m.shared_bytes = bytes;
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(m.shared, sizeof m.shared);
  __asan_unpoison_memory_region(shared_begin(), bytes);
#else
  std::memset(m.shared, kCanary, kGuard);
  std::memset(shared_begin() + bytes, kCanary, kGuard);
#endif
  std::memset(shared_begin(), kGarbage, bytes);
  if (__start_cuda_shared) std::memset(__start_cuda_shared, kGarbage, size_t(__stop_cuda_shared - __start_cuda_shared));
}

inline void check_shared() {
#if !defined(__SANITIZE_ADDRESS__)
  Machine& m = machine();
  for (const unsigned char* guard : {m.shared, shared_begin() + m.shared_bytes})
    if (!std::all_of(guard, guard + kGuard, [](unsigned char c) { return c == kCanary; }))
      m.error = "shared memory outside the launch's " + std::to_string(m.shared_bytes) + " bytes was written";
#endif
}

inline void run_block(std::mt19937& random) {
  Machine& m = machine();
  std::vector<unsigned> order(blockDim.x);
  std::iota(order.begin(), order.end(), 0u);
  for (unsigned i : order) {
    Thread& t = m.threads[i];
    t.state = State::ready;
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = t.stack.get();
    t.context.uc_stack.ss_size = kStack;
    t.context.uc_link = nullptr;
    makecontext(&t.context, thread_main, 0);
  }
  for (;;) {
    std::shuffle(order.begin(), order.end(), random);
    bool ran = false, all_left = true;
    for (unsigned i : order) {
      if (m.threads[i].state != State::ready) continue;
      ran = true;
      run_thread(i);
    }
    for (unsigned i : order) {
      if (m.threads[i].state == State::at_warp_operation) ran |= finish_warp_operation(i);
      all_left &= m.threads[i].state == State::left;
      if (!m.error.empty()) return;
    }
    if (all_left) return;
    ran |= finish_block_barrier();
    if (!ran) return explain_standstill();
  }
}

struct Kernel {
  const char* name;
  void (*call)(void** arguments);
  std::vector<unsigned> sizes;  // bytes of each argument; 0: a pointer
};

template <auto function, class... A, size_t... I>
Kernel make_kernel(const char* name, void (*)(A...), std::index_sequence<I...>) {
  return {name,
          [](void** arguments) { function(*static_cast<std::remove_const_t<A>*>(arguments[I])...); },
          {(std::is_pointer_v<A> ? 0u : unsigned(sizeof(A)))...}};
}
template <auto function, class... A>
Kernel make_kernel(const char* name, void (*f)(A...)) {
  return make_kernel<function>(name, f, std::index_sequence_for<A...>{});
}
#define CUDA_ON_HOST_KERNEL(name) cuda_on_host::make_kernel<&name>(#name, &name)

// "" or what went wrong. `sizes` as in Kernel, so that an argument of the wrong width is found here, not on a GPU.
inline std::string launch(const Kernel& kernel, unsigned grid_x, unsigned grid_y, unsigned block, size_t shared_bytes,
                          void** arguments, const std::vector<unsigned>& sizes, unsigned seed) {
  if (sizes != kernel.sizes) return "its arguments do not fit the kernel's parameters in number, kind or width";
  if (!grid_x || !grid_y || !block || block > kMaxThreads || grid_y > 65535) return "impossible grid or block";
  if (shared_bytes > kMaxShared) return "more shared memory than any device has";
  Machine& m = machine();
  m.body = kernel.call;
  m.arguments = arguments;
  m.error.clear();
  blockDim = {block, 1, 1};
  gridDim = {grid_x, grid_y, 1};
  std::mt19937 random(seed);
  std::vector<unsigned> blocks(size_t(grid_x) * grid_y);
  std::iota(blocks.begin(), blocks.end(), 0u);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (unsigned b : blocks) {
    blockIdx = {b % grid_x, b / grid_x, 0};
    prepare_shared(shared_bytes);
    run_block(random);
    if (m.error.empty()) check_shared();
    if (!m.error.empty())
      return "block " + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + ": " + m.error;
  }
  return "";
}

// What `extern __shared__ T name[];` becomes.
template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(shared_begin());
}

template <class T>
uint64_t bits(T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "a shuffle carries at most 8 bytes");
  uint64_t b = 0;
  std::memcpy(&b, &value, sizeof value);
  return b;
}
template <class T>
T from_bits(uint64_t b) {
  T value;
  std::memcpy(&value, &b, sizeof value);
  return value;
}
template <class T>
T shuffle(unsigned mask, T value, unsigned source, const char* file, int line) {
  return from_bits<T>(warp_operation(Operation::shuffle, mask, bits(value), source, file, line));
}
inline unsigned lane() { return threadIdx.x % kWarp; }

}  // namespace cuda_on_host

// The caller's place, so that threads at different barriers are told apart.
#define CUDA_ON_HOST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CUDA_ON_HOST_PLACE) {
  auto& t = cuda_on_host::machine().threads[threadIdx.x];
  t.operation = cuda_on_host::Operation::sync;
  t.mask = 0;
  cuda_on_host::wait(cuda_on_host::State::at_block_barrier, file, line);
}
inline void __syncwarp(unsigned mask = ~0u, CUDA_ON_HOST_PLACE) {
  cuda_on_host::warp_operation(cuda_on_host::Operation::sync, mask, 0, 0, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int vote, CUDA_ON_HOST_PLACE) {
  return unsigned(cuda_on_host::warp_operation(cuda_on_host::Operation::ballot, mask, vote != 0, 0, file, line));
}
inline int __any_sync(unsigned mask, int vote, CUDA_ON_HOST_PLACE) {
  return __ballot_sync(mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, CUDA_ON_HOST_PLACE) {
  return __ballot_sync(mask, vote, file, line) == mask;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDA_ON_HOST_PLACE) {
  const unsigned lane = cuda_on_host::lane(), first = lane / unsigned(width) * unsigned(width);
  return cuda_on_host::shuffle(mask, value, first + unsigned(source) % unsigned(width), file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, CUDA_ON_HOST_PLACE) {
  const unsigned lane = cuda_on_host::lane(), source = lane ^ unsigned(lanes);
  const bool inside = source / unsigned(width) <= lane / unsigned(width);
  return cuda_on_host::shuffle(mask, value, inside ? source : lane, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_HOST_PLACE) {
  const unsigned lane = cuda_on_host::lane();
  return cuda_on_host::shuffle(mask, value, lane % unsigned(width) >= delta ? lane - delta : lane, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_HOST_PLACE) {
  const unsigned lane = cuda_on_host::lane();
  const bool inside = lane % unsigned(width) + delta < unsigned(width);
  return cuda_on_host::shuffle(mask, value, inside ? lane + delta : lane, file, line);
}

// Only one thread runs at a time.
inline unsigned atomicAdd(unsigned* at, unsigned value) { return std::exchange(*at, *at + value); }
inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long value) {
  return std::exchange(*at, *at + value);
}
inline unsigned atomicMax(unsigned* at, unsigned value) { return std::exchange(*at, std::max(*at, value)); }
inline unsigned long long atomicMax(unsigned long long* at, unsigned long long value) {
  return std::exchange(*at, std::max(*at, value));
}
inline unsigned atomicMin(unsigned* at, unsigned value) { return std::exchange(*at, std::min(*at, value)); }
inline unsigned atomicOr(unsigned* at, unsigned value) { return std::exchange(*at, *at | value); }
inline unsigned atomicCAS(unsigned* at, unsigned compare, unsigned value) {
  return std::exchange(*at, *at == compare ? value : *at);
}
inline unsigned long long atomicCAS(unsigned long long* at, unsigned long long compare, unsigned long long value) {
  return std::exchange(*at, *at == compare ? value : *at);
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(unsigned(bits)) : 32; }
