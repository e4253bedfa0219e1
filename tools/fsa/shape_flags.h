#pragma once
// Owns ShapeFlags: the flags by which a user names problems: a model preset, single sizes, or the sizes of an input file.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fsa/base/result.h"
#include "fsa/selected_attention.h"
#include "runtime/operator.h"
#include "runtime/presets.h"
#include "templates/reference/random_parts.h"

namespace fsa::cli {

/// A problem and what to call it in tables.
struct NamedProblem {
  std::string label;  ///< "llama3-8b 8k"
  const Operator* op = nullptr;
  Json problem;       ///< as Operator::from_public() gives it
};

struct ShapeFlags {
  std::string op = "selected";
  std::string presets;         ///< comma separated
  std::string seqlens = "8k";  ///< comma separated; tokens per sequence
  std::string dtype = "bf16";
  std::string input;                                              ///< a safetensors file whose sizes to take
  int heads_q = 0, heads_kv = 1, head_dim = 128, head_dim_v = 0;  ///< without a preset; 0: see the flags' help
  int block_size = 64, topk = 16, num_seqs = 1;
  int kernel_size = 32, stride = 16, init_blocks = 1, local_blocks = 2, window = 512;  ///< --op nsa
  std::string compression = "none";                                                      ///< --op nsa
  std::int64_t queries = 0;  ///< per sequence; 0: all of its tokens

  /// Registers the flags on a subcommand.
  void add_to(CLI::App& command);
  /// Registers the flags for what random inputs of these shapes look like.
  static void add_pattern_to(CLI::App& command, reference::InputPattern& pattern);
  /// Every combination of preset and sequence length.
  Result<std::vector<NamedProblem>> problems() const;
  /// The sizes that operators have in common.
  SelectedAttentionProblem selected_problem(const ModelPreset& model, std::int64_t length, DType element) const;
  Result<Json> problem_of(const Operator& named_op, const SelectedAttentionProblem& p) const;
  /// True when the user named any shape.
  bool given() const { return !presets.empty() || !input.empty() || heads_q > 0; }
};

}  // namespace fsa::cli
