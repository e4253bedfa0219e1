#include "codegen/nvrtc_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>

namespace fsa {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kNames = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

/// Folders of installed CUDA toolkits, the newest first; "" stands for the loader's own search path.
std::vector<std::string> install_folders() {
  std::vector<std::string> versioned;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/usr/local", ec))
    if (entry.path().filename().string().starts_with("cuda-")) versioned.push_back(entry.path().string() + "/lib64");
  std::sort(versioned.begin(), versioned.end(), std::greater<>());
  std::vector<std::string> folders{"", "/usr/local/cuda/lib64"};
  folders.insert(folders.end(), versioned.begin(), versioned.end());
  for (const char* folder : {"/opt/cuda/lib64", "/usr/lib/cuda/lib64", "/usr/lib/nvidia-cuda-toolkit/lib64"}) folders.emplace_back(folder);
  return folders;
}

template <class Function>
bool resolve(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

/// The first function that is missing, or null.
const char* resolve_all(void* handle, NvrtcLibrary& lib) {
  resolve(handle, "nvrtcSetFlowCallback", lib.set_flow_callback);
  if (!resolve(handle, "nvrtcGetErrorString", lib.get_error_string)) return "nvrtcGetErrorString";
  if (!resolve(handle, "nvrtcVersion", lib.version)) return "nvrtcVersion";
  if (!resolve(handle, "nvrtcGetNumSupportedArchs", lib.get_num_supported_archs)) return "nvrtcGetNumSupportedArchs";
  if (!resolve(handle, "nvrtcGetSupportedArchs", lib.get_supported_archs)) return "nvrtcGetSupportedArchs";
  if (!resolve(handle, "nvrtcCreateProgram", lib.create_program)) return "nvrtcCreateProgram";
  if (!resolve(handle, "nvrtcDestroyProgram", lib.destroy_program)) return "nvrtcDestroyProgram";
  if (!resolve(handle, "nvrtcCompileProgram", lib.compile_program)) return "nvrtcCompileProgram";
  if (!resolve(handle, "nvrtcGetCUBINSize", lib.get_cubin_size)) return "nvrtcGetCUBINSize";
  if (!resolve(handle, "nvrtcGetCUBIN", lib.get_cubin)) return "nvrtcGetCUBIN";
  if (!resolve(handle, "nvrtcGetProgramLogSize", lib.get_program_log_size)) return "nvrtcGetProgramLogSize";
  if (!resolve(handle, "nvrtcGetProgramLog", lib.get_program_log)) return "nvrtcGetProgramLog";
  return nullptr;
}

/// Where the loader found the library, and how large that file is.
void locate(NvrtcLibrary& lib, const std::string& fallback) {
  Dl_info info{};
  lib.path = dladdr(reinterpret_cast<const void*>(lib.version), &info) != 0 && info.dli_fname ? info.dli_fname : fallback;
  std::error_code ec;
  const auto size = fs::file_size(lib.path, ec);
  lib.size = ec ? 0 : static_cast<std::size_t>(size);
}

/// Why the candidate is no usable NVRTC; empty on success.
std::string try_load(const std::string& candidate, NvrtcLibrary& lib) {
  void* handle = dlopen(candidate.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) return dlerror();
  if (const char* missing = resolve_all(handle, lib)) return fmt::format("{} has no {}", candidate, missing);
  if (lib.version(&lib.major, &lib.minor) != NvrtcLibrary::kSuccess) return candidate + " does not tell its version";
  if (lib.major < 12) return fmt::format("{} is NVRTC {}.{}, too old", candidate, lib.major, lib.minor);
  locate(lib, candidate);
  return {};
}

}  // namespace

std::vector<std::string> NvrtcLibrary::candidates(const std::string& path) {
  std::error_code ec;
  if (!path.empty() && !fs::is_directory(path, ec)) return {path};
  const std::vector<std::string> folders = path.empty() ? install_folders() : std::vector<std::string>{path};
  std::vector<std::string> list;
  for (std::string_view name : kNames)
    for (const std::string& folder : folders) list.push_back((fs::path(folder) / name).string());
  return list;
}

Result<NvrtcLibrary> NvrtcLibrary::load(const std::string& path) {
  const std::vector<std::string> tried = candidates(path);
  std::string reason;
  for (const std::string& candidate : tried) {
    NvrtcLibrary lib;
    std::string failure = try_load(candidate, lib);
    if (failure.empty()) return lib;
    // A file that is there and does not load says more than those that are not.
    std::error_code ec;
    if (reason.empty() || fs::exists(candidate, ec)) reason = std::move(failure);
  }
  return make_error(
      ErrorKind::kUnavailable,
      {.given = fmt::format("NVRTC, the CUDA run-time compiler, was not found: tried {} ({})", fmt::join(tried, ", "), reason),
       .supported = "libnvrtc.so of CUDA 12 or 13",
       .remedy = "install the CUDA toolkit or the package nvidia-cuda-nvrtc, or set FSA_NVRTC_PATH to the library; kernels from an "
                 "export pack or the cache need no compiler"});
}

}  // namespace fsa
