#pragma once
// Owns the description of the compressed_sequences kernel family.
#include "templates/compressed_sequences/cpu_kernel.h"
#include "templates/compressed_sequences/cuda_kernel.h"

namespace fsa {

/// The sequences' places among the compressed keys: prefix sums of floor((n - l) / s) + 1.
struct CompressedSequencesFamily {
  static constexpr std::string_view kName = "compressed_sequences";
  static constexpr int kVersion = 1;
  using Problem = CompressedSequencesProblem;
  using Shape = compressed_sequences::Shape;
  static const FieldTable<Problem>& problem_fields() { return compressed_sequences::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return compressed_sequences::shape_fields(); }
  static Shape shape(const Problem& p) { return {.kernel_size = p.kernel_size, .stride = p.stride}; }
  static Result<void> check(const Problem& p, const Target&) { return compressed_sequences::check(p); }
  static Work work(const Problem& p) { return {.flops = 0, .bytes = 8.0 * (p.num_seqs + 1.0)}; }
  static double tolerance(const Problem&) { return 0; }
  using Cuda = compressed_sequences::Cuda;
  using Cpu = compressed_sequences::Cpu;
};

}  // namespace fsa
