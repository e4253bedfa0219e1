#pragma once
// Owns the checks that the attention problems share: element types, head dims, groups, sizes and scales.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fields.h"
#include "codegen/target.h"
#include "fsa/base/dtype.h"
#include "templates/selected_shape.h"

namespace fsa {

const std::vector<EnumName>& element_names();
/// "bf16", "f16" or "f32".
std::string_view to_string(Element element);
DType dtype_of_element(Element element);
inline int bytes_of_element(Element element) { return element == Element::kF32 ? 4 : 2; }

/// The error of a problem that no kernel supports.
Error unsupported(std::string given, std::string supported, std::string remedy = {});

/// Multiples of 8 from 16 to 256.
Result<void> check_head_dim(std::string_view name, int dim);
Result<void> check_group(int group);
/// Selection: multiples of 16 from 16 to 128.
Result<void> check_block_size(int block_size);
/// Compression: kernel_size 1 to 256, a multiple of the stride.
Result<void> check_windows(int kernel_size, int stride);
/// Selection: 1 to 64.
Result<void> check_topk(int topk);
/// Heads, sequences and totals that are not negative, and totals that fit an index.
Result<void> check_sizes(int heads_kv, int num_seqs, std::int64_t total_q, std::int64_t total_k);
Result<void> check_scale(float scale);
/// f32 has kernels on CPUs alone.
Result<void> check_element(Element element, const Target& target);

}  // namespace fsa
