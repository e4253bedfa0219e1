#pragma once
// Owns the description of the compress_kv kernel family.
#include "templates/compress_kv/cpu_kernel.h"
#include "templates/compress_kv/cuda_kernel.h"

namespace fsa {

/// Turns every window of l neighbouring tokens into one (Native Sparse Attention, arXiv 2502.11089, section 3.3.1).
struct CompressKvFamily {
  static constexpr std::string_view kName = "compress_kv";
  static constexpr int kVersion = 1;
  using Problem = CompressKvProblem;
  using Shape = compress_kv::Shape;
  static const FieldTable<Problem>& problem_fields() { return compress_kv::problem_fields(); }
  static const FieldTable<Shape>& shape_fields() { return compress_kv::shape_fields(); }
  static Shape shape(const Problem& p) { return compress_kv::shape(p); }
  static Result<void> check(const Problem& p, const Target& target) { return compress_kv::check(p, target); }
  static Work work(const Problem& p) { return compress_kv::work(p); }
  /// Sums are fp32; a 16-bit output is rounded once.
  static double tolerance(const Problem& p) { return p.element == Element::kF32 ? 1e-5 : 2e-3; }
  using Cuda = compress_kv::Cuda;
  using Cpu = compress_kv::Cpu;
};

}  // namespace fsa
