// The CPU compiler of a build without LLVM: an explanation.
#include "codegen/llvm_compiler.h"

namespace fsa {

Result<std::unique_ptr<Compiler>> make_llvm_compiler(std::shared_ptr<const TemplateStore>) {
  return make_error(ErrorKind::kUnavailable, {.given = "this build cannot compile CPU kernels: it was configured with FSA_LLVM=OFF",
                                              .supported = "CPU kernels from an exported pack or from a filled cache",
                                              .remedy = "load a pack that has this kernel, or use a build with -DFSA_LLVM=ON"});
}

}  // namespace fsa
