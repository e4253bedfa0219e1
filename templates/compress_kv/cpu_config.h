#pragma once
// Owns the configuration of compress_kv on a CPU and the scratch it takes. Clean for host compilers and bitcode.
#include "compress_kv/params.h"
#include "cpu/tile_layout.h"

namespace fsa::compress_kv {

struct CpuConfig {
  cpu::Math math;  ///< linear: the multiply-add
  int mr;          ///< linear: rows of the microkernel
  int nr;          ///< linear: 16-lane vectors in each of its rows
  int rows;        ///< compressed keys of a work item; linear: a multiple of cpu::kTileRows
};

/// The linear mode in the terms of attention: one token's part of w is a block of D values, and a window's token is a row
/// of D weights. So packing and microkernel are those of the product of probabilities and values.
constexpr cpu::TileShape tile_shape(const Shape& s, const CpuConfig& c) {
  return {.shape = {.element = s.element,
                    .head_dim = s.head_dim,
                    .head_dim_v = s.head_dim,
                    .group = 1,
                    .block_size = cpu::round_up(s.head_dim, cpu::kLanes),
                    .topk = 1},
          .math = c.math,
          .mr = c.mr,
          .nr = c.nr};
}

/// Offsets, in 32-bit words, of a worker's scratch in the linear mode; each a multiple of 16.
struct CpuScratch {
  int weights;  ///< [panels][words of D][width * 16]: one token's part of w
  int tokens;   ///< [rows][token_stride]: that token of each window
  int sums;     ///< [rows][sum_stride], fp32
  int begins;   ///< [rows]: first token of each window, -1 for none
  int end;
  int token_stride, sum_stride;
};

constexpr CpuScratch cpu_scratch(const Shape& shape, const CpuConfig& c) {
  const cpu::TileShape t = tile_shape(shape, c);
  CpuScratch s{};
  s.token_stride = cpu::round_up(cpu::key_words(t), cpu::kLanes);
  s.sum_stride = cpu::value_vectors(t) * cpu::kLanes;
  s.tokens = s.weights + s.sum_stride * cpu::value_words(t);
  s.sums = s.tokens + c.rows * s.token_stride;
  s.begins = s.sums + c.rows * s.sum_stride;
  s.end = s.begins + c.rows;
  return s;
}

}  // namespace fsa::compress_kv
