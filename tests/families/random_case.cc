#include "tests/families/random_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "templates/reference/random_numbers.h"
#include "tests/families/input_changes.h"

namespace fsa::test {
namespace {

using reference::Random;

int between(Random& random, int low, int high) { return low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1))); }

template <class T, std::size_t N>
T one_of(Random& random, const T (&values)[N]) {
  return values[random.below(N)];
}

/// Half of them those of models, half of them odd.
int head_dim(Random& random) {
  return random.chance(0.5) ? one_of(random, {64, 128, 128, 192, 256}) : 8 * between(random, 2, 32);
}

Element element(Random& random, Backend backend) {
  if (backend == Backend::kCpu && random.chance(0.3)) return Element::kF32;
  return random.chance(0.7) ? Element::kBF16 : Element::kF16;
}

/// Some sequences, empty and one-token ones among them; queries of every key or of the last keys alone.
struct Lengths {
  std::vector<int> q, k;
};

Lengths lengths(Random& random, int most_tokens) {
  Lengths lens;
  const bool suffixes = random.chance(0.4);
  const int sequences = random.chance(0.4) ? 1 : between(random, 2, 6);
  for (int left = most_tokens, i = 0; i < sequences; ++i) {
    const int queries = random.chance(0.1) ? 0 : random.chance(0.1) ? 1 : between(random, 1, std::max(1, left / (sequences - i)));
    lens.q.push_back(queries);
    lens.k.push_back(queries + (suffixes ? between(random, 0, 700) : 0));
    left -= queries;
  }
  return lens;
}

/// As many query tokens as the float64 oracle reads in a moment.
int most_tokens(int heads, int keys, int columns) {
  return static_cast<int>(std::clamp(6e7 / (static_cast<double>(heads) * keys * columns), 24.0, 900.0));
}

void spoil_with_nan(reference::SelectedInputs& inputs) { spoil_unseen_keys(inputs, std::numeric_limits<float>::quiet_NaN()); }

/// Logits grow with the square of the gain: what f32 sums of f32 products keep of large ones is less than its tolerance.
reference::InputOptions pattern(Random& random, Element element) {
  return {.seed = random.next(),
          .init_blocks = between(random, 0, 2),
          .local_blocks = between(random, 0, 3),
          .overlap = one_of(random, {0.0, 0.5, 0.9, 0.98}),
          .shuffled = random.chance(0.3),
          .empty_rows = one_of(random, {0.0, 0.0, 0.1, 0.6}),
          .gain = one_of(random, {1.0, 1.0, 0.1, element == Element::kF32 ? 2.0 : 5.0})};
}

}  // namespace

SelectedCase random_selected_case(std::uint64_t shape, std::uint64_t draw, Backend backend) {
  Random fixed(shape, 1), random(shape, 2 + draw);
  SelectedCase c{.name = fmt::format("selected_{}_{}", shape, draw), .problem = {}};
  SelectedProblem& p = c.problem;
  p.element = p.output = element(fixed, backend);
  if (fixed.chance(0.2)) p.output = Element::kF32;
  p.head_dim = head_dim(fixed);
  p.head_dim_v = fixed.chance(0.7) ? p.head_dim : head_dim(fixed);
  p.group = fixed.chance(0.6) ? one_of(fixed, {1, 2, 4, 8, 16}) : between(fixed, 1, 17);
  p.block_size = fixed.chance(0.5) ? 64 : 16 * between(fixed, 1, 8);
  p.topk = fixed.chance(0.5) ? 16 : between(fixed, 1, 20);
  p.heads_kv = between(random, 1, 3);
  c.options = pattern(random, p.element);
  const Lengths lens = lengths(random, most_tokens(p.heads_kv * p.group, std::min(p.topk * p.block_size, 500), p.head_dim + p.head_dim_v));
  c.options.lens_q = lens.q, c.options.lens_k = lens.k;
  c.merges = false;
  c.layout = one_of(random, {Layout::kPacked, Layout::kPacked, Layout::kPadded, Layout::kHeadMajor});
  if (random.chance(0.3)) c.change = spoil_with_nan;
  return c;
}

NsaCase random_nsa_case(std::uint64_t shape, std::uint64_t draw, Backend backend) {
  Random fixed(shape, 1), random(shape, 2 + draw);
  NsaCase c{.name = fmt::format("nsa_{}_{}", shape, draw), .problem = {}};
  NsaProblem& p = c.problem;
  p.element = element(fixed, backend);
  p.gates = random.chance(0.5) ? p.element : Element::kF32;
  p.head_dim = head_dim(fixed);
  p.head_dim_v = fixed.chance(0.7) ? p.head_dim : head_dim(fixed);
  p.group = fixed.chance(0.6) ? one_of(fixed, {1, 2, 4, 8, 16}) : between(fixed, 1, 17);
  p.stride = one_of(fixed, {8, 16, 16, 16});
  p.kernel_size = p.stride * between(fixed, 1, 3);
  p.block_size = fixed.chance(0.5) ? 64 : 16 * between(fixed, 1, 8);
  p.topk = between(fixed, 1, 16);
  p.init_blocks = between(fixed, 0, 2);
  p.local_blocks = between(fixed, 0, 3);
  p.window = one_of(random, {1, 17, 64, 130, 512});
  p.compression = one_of(fixed, {Compression::kNone, Compression::kNone, Compression::kMean, Compression::kWeighted, Compression::kLinear});
  p.positional = p.compression == Compression::kLinear && fixed.chance(0.5);
  p.branch_outputs = fixed.chance(0.5);
  p.heads_kv = between(random, 1, 3);
  c.seed = random.next();
  const int keys = std::min(p.topk * p.block_size, 500) + std::min(p.window, 300) + 60;
  const Lengths lens = lengths(random, most_tokens(p.heads_kv * p.group, keys, p.head_dim + p.head_dim_v));
  c.lens_q = lens.q, c.lens_k = lens.k;
  return c;
}

}  // namespace fsa::test
