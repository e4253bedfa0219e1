#include "codegen/nvrtc_compiler.h"

namespace fsa {

Result<std::unique_ptr<Compiler>> make_nvrtc_compiler(std::shared_ptr<const TemplateStore>, const std::string&) {
  return make_error(ErrorKind::kUnavailable, {.given = "this build has no CUDA compiler (FSA_NVRTC=OFF)",
                                              .supported = "kernels from an export pack or the artifact cache",
                                              .remedy = "export the kernels with a full build, or configure with -DFSA_NVRTC=ON"});
}

}  // namespace fsa
