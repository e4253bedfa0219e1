#pragma once
// Owns TensorView: a borrowed, strided tensor in host or device memory.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "fsa/base/dtype.h"
#include "fsa/base/export.h"

namespace fsa {

/// How the memory of a caller's tensor may be laid out.
enum class TensorLayout {
  kPacked,   ///< contiguous; aligned to the element
  kRows,     ///< [tokens, heads, dim]: token and head strides free multiples of 16 bytes, dim contiguous; base 16-byte aligned
  kScalars,  ///< [tokens, heads, n]: token and head strides free, 0 included, n contiguous; aligned to the element
};

/// A borrowed tensor of at most four dimensions. Strides are in elements. Owns nothing and never reads the data.
struct FSA_API TensorView {
  static constexpr int kMaxRank = 4;

  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<std::int64_t, kMaxRank> shape{};
  std::array<std::int64_t, kMaxRank> stride{};  ///< elements between neighbours of a dimension

  /// A view of `data` with the given shape, rows packed without gaps. At most four dimensions.
  static TensorView contiguous(const void* data, DType dtype, std::initializer_list<std::int64_t> shape);
  static TensorView contiguous(const void* data, DType dtype, std::span<const std::int64_t> shape);

  /// Product of the shape; 1 for rank 0.
  std::int64_t num_elements() const;
  /// True when the strides are those of `contiguous` (dimensions of length 1 may have any stride).
  bool is_contiguous() const;
  /// "bf16 [65536, 16, 128]", for messages.
  std::string describe() const;
};

}  // namespace fsa
