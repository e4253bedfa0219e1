#pragma once
// Owns Target: what a kernel is compiled for. Needs no device; round-trips through a string.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

enum class Backend { kCuda, kCpu };
/// "cuda" or "cpu".
std::string_view to_string(Backend backend);

/// Limits of a CUDA architecture that kernels are planned against (CUDA C++ Programming Guide, compute capabilities).
struct CudaLimits {
  int major = 0, minor = 0;              ///< compute capability
  std::size_t smem_per_block = 0;        ///< bytes one block may use, opt-in maximum
  std::size_t smem_per_sm = 0;           ///< bytes per multiprocessor
  int registers_per_sm = 65536;
  int max_threads_per_sm = 0;
  bool operator==(const CudaLimits&) const = default;
};

/// What the CPU code generator may use.
struct CpuFeatures {
  int level = 3;            ///< x86-64-v3 (AVX2, FMA) or x86-64-v4 (AVX-512)
  bool bf16_dot = false;    ///< avx512_bf16: vdpbf16ps
  int vector_registers() const { return level >= 4 ? 32 : 16; }
  int vector_bytes() const { return level >= 4 ? 64 : 32; }
  bool operator==(const CpuFeatures&) const = default;
};

struct Target {
  Backend backend = Backend::kCpu;
  std::string arch;  ///< canonical: "sm_90a", "x86-64-v3", "x86-64-v4", "x86-64-v4+avx512bf16"
  CudaLimits cuda;   ///< filled for Backend::kCuda
  CpuFeatures cpu;   ///< filled for Backend::kCpu

  bool operator==(const Target&) const = default;
  const std::string& to_string() const { return arch; }

  /// Parses "sm_80", "sm_90a", "x86-64-v4+avx512bf16", ...; an unknown one is an error that lists the known ones.
  static Result<Target> parse(std::string_view text);
  /// The CPU this process runs on; an error below x86-64-v3 or on another architecture.
  static Result<Target> host_cpu();
  /// The target for a device of the given compute capability; 9.0 gives sm_90a, 10.0 gives sm_100a.
  static Result<Target> cuda_device(int major, int minor);
  /// Every target that can be named, in the order help texts list them.
  static std::vector<std::string> known();

  /// True when code compiled for `code` runs on this target: equal for CUDA, a subset of features for CPUs.
  bool runs(const Target& code) const;
};

}  // namespace fsa
