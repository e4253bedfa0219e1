#pragma once
// Owns the CPU compiler: bitcode of a template + constants + target -> relocatable object, by LLVM inside this process.
#include <memory>

#include "codegen/compiler.h"
#include "codegen/template_store.h"

namespace fsa {

/// The compiler for Backend::kCpu. Works from the store's bitcode; for a store that was read from a folder it has clang
/// make the bitcode on demand. kUnavailable in a build without LLVM.
///
/// compile() answers kInvalidArgument for a target that is not a CPU, kNotFound for a family without a CPU kernel,
/// kInternal when the constants do not fit the kernel's `fsa_constants`, kCompile with LLVM's diagnostics otherwise.
/// Its report states seconds, the stack frame and LLVM's warnings; registers and spills are not known.
Result<std::unique_ptr<Compiler>> make_llvm_compiler(std::shared_ptr<const TemplateStore> templates);

}  // namespace fsa
