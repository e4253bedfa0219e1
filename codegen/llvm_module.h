#pragma once
// Owns the way of one bitcode module through LLVM: constants in, O3, object bytes out. No LLVM type in this header.
#include <cstddef>
#include <span>
#include <stop_token>
#include <string_view>

#include "codegen/compiler.h"
#include "codegen/specialization.h"
#include "fsa/base/result.h"

namespace fsa {

/// Name of the global that every CPU kernel declares `extern "C" const` and reads its shape and config from.
inline constexpr std::string_view kConstantsSymbol = "fsa_constants";

/// "llvm-19.1.7;O3;v1": LLVM's version, the pipeline, and a number to bump when this file changes its output.
std::string_view llvm_identity();

/// Compiles `bitcode` for the CPU target of `specialization`. Private LLVM context: any number may run in parallel.
/// Errors as documented at make_llvm_compiler().
Result<Binary> compile_bitcode(std::span<const std::byte> bitcode, const Specialization& specialization, std::stop_token stop);

}  // namespace fsa
