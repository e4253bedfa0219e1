#pragma once
// Owns parallel_for of the host references: work split over the cores this process may use.
#include <cstdint>
#include <functional>

namespace fsa::reference {

/// Calls body(first, last) on disjoint ranges of at most `grain` that cover [0, count), from several threads. Which thread takes
/// which range is not fixed: a result must depend on the range alone. Returns when all are done.
void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t first, std::int64_t last)>& body);

}  // namespace fsa::reference
