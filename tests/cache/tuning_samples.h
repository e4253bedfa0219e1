#pragma once
// Owns the sample tuning keys and entries that the tuning and pack tests share.
#include <string>

#include "cache/tuning_entry.h"

namespace fsa::test {

inline Json sample_problem(int total = 65536) {
  return {{"element", "bf16"}, {"head_dim", 128}, {"head_dim_v", 128}, {"group", 4},       {"block_size", 64},
          {"topk", 16},        {"heads_kv", 4},   {"num_seqs", 1},     {"total_q", total}, {"total_k", total}};
}

inline Json sample_device() { return {{"arch", "sm_90a"}, {"units", 132}, {"l2_mib", 50}, {"bandwidth_class", "4800"}}; }

inline TuningKey sample_key(int total = 65536) {
  return {.op = "selected_attention",
          .families = {{"block_index", 1}, {"partial_reduce", 1}, {"selected_block_major", 2}, {"selected_query_major", 1}},
          .device = sample_device(),
          .toolchain = "nvrtc 13.0",
          .problem = sample_problem(total)};
}

inline TuningEntry sample_entry(int total = 65536, std::string date = "2026-01-31T12:00:00Z", int rows = 64) {
  return {.key = sample_key(total),
          .choice = {{"variant", "block_major"}, {"configs", {{"selected_block_major", {{"rows", rows}}}}}},
          .measurement = {.seconds = 0.0041, .default_seconds = 0.0052, .runner_up_seconds = 0.0042, .samples = 30},
          .provenance = {.device_name = "Fictional 9000", .driver = "580.1", .date = std::move(date), .library = "fsa 0.1.0"}};
}

inline int rows_of(const TuningEntry& entry) { return entry.choice["configs"]["selected_block_major"]["rows"].get<int>(); }

}  // namespace fsa::test
