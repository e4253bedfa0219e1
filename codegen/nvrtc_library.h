#pragma once
// Owns the NVRTC library: finds it on this machine, loads it, and holds the functions that are used of it.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fsa/base/result.h"

namespace fsa {

/// NVRTC's C interface, from the library of one version. Declared here, not included, so that a build needs no CUDA.
/// Signatures: NVRTC documentation, "User Interface"; they are the same in CUDA 12 and 13.
struct NvrtcLibrary {
  using Program = struct NvrtcProgram*;
  using Status = int;
  static constexpr Status kSuccess = 0, kInvalidOption = 5, kCompilation = 6, kCancelled = 16;

  const char* (*get_error_string)(Status) = nullptr;
  Status (*version)(int* major, int* minor) = nullptr;
  Status (*get_num_supported_archs)(int* count) = nullptr;
  Status (*get_supported_archs)(int* archs) = nullptr;
  Status (*create_program)(Program*, const char* source, const char* name, int count, const char* const* headers,
                           const char* const* names) = nullptr;
  Status (*destroy_program)(Program*) = nullptr;
  Status (*compile_program)(Program, int count, const char* const* options) = nullptr;
  Status (*get_cubin_size)(Program, std::size_t*) = nullptr;
  Status (*get_cubin)(Program, char*) = nullptr;
  Status (*get_program_log_size)(Program, std::size_t*) = nullptr;
  Status (*get_program_log)(Program, char*) = nullptr;
  Status (*set_flow_callback)(Program, int (*callback)(void*, void*), void* payload) = nullptr;  ///< null before 12.8

  int major = 0, minor = 0;
  std::string path;      ///< the file that was loaded
  std::size_t size = 0;  ///< its bytes: tells patch releases apart, which the interface does not

  /// Loads the newest NVRTC found. `path` (a library file, or a folder that holds one) restricts the search to it when
  /// not empty. The library stays loaded until the process ends: it does not support being unloaded. Errors:
  /// kUnavailable, with the places looked at.
  static Result<NvrtcLibrary> load(const std::string& path = {});

  /// The names to try, in order: versions 13 and 12 before an unversioned one, the loader's own path before the usual
  /// installation folders.
  static std::vector<std::string> candidates(const std::string& path = {});
};

}  // namespace fsa
