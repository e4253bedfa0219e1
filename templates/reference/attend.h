#pragma once
// Owns what the float64 oracles share: where a query stands in its sequence, and one row's attention over the keys it sees.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fsa/base/result.h"
#include "fsa/base/tensor_view.h"
#include "templates/reference/selected_reference.h"

namespace fsa::reference {

/// An error of the operands.
Error invalid(std::string given, std::string supported);

std::span<const std::int32_t> ints(const TensorView& tensor);

/// i32 and contiguous prefix sums that start at 0, never decrease, and end at `total`; or up to `total` where `or_less` is set.
Result<void> check_prefix_sums(std::string_view name, const TensorView& cu, std::int64_t total, bool or_less = false);

/// Where a query token stands.
struct QueryPlace {
  std::int64_t sequence;
  std::int64_t len_k;
  std::int64_t position;  ///< in its sequence; negative where that has more queries than keys
};
QueryPlace place_query(const TensorView& cu_q, const TensorView& cu_k, std::int64_t token);

/// Attention of one query row over the rows `first + keys[i]` of k and v: adds to `o` [Dv], which holds zeros, and returns the
/// LSE, -infinity where there are no keys.
double attend_keys(const TensorView& q, const TensorView& k, const TensorView& v, Row row, std::int64_t first,
                   std::span<const std::int64_t> keys, float scale, std::span<double> o);

}  // namespace fsa::reference
