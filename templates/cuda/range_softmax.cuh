#pragma once
// Owns the online softmax of attention over ranges on a warp's accumulators, the scale that takes V to f16, and the outputs' way out.
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"
#include "cuda/range_rows.cuh"
#include "cuda/row_maxima.cuh"

namespace fsa::cuda {

/// The power of two that takes V to f16, as its exponent field; 0 before the first is chosen. bf16 probabilities would add
/// as much error as the rounding of a bf16 output does, so they are f16, and so is V: exact down to 2^-26 of the largest
/// |V| the tile has met, which is taken to 2^11 or 2^12. V up to 16 times as large still fits; then a new scale is chosen.
struct ValueScale {
  int field = 0;
  unsigned limit = 0;  // bits of the smallest bf16 magnitude that overflows

  FSA_DEVICE void choose(unsigned largest_bits) {
    field = min(max(127 + 138 - static_cast<int>(largest_bits >> 7), 7), 247);
    limit = static_cast<unsigned>(270 - field) << 7;
  }
  /// Two bf16 as f16, times the scale.
  static FSA_DEVICE unsigned to_f16(unsigned word, unsigned factor) {
    const float2 pair = unpack2<false>(multiply_bf16x2(word, factor));
    return pack2<true>(pair.x, pair.y);
  }
  static FSA_DEVICE uint4 to_f16(const uint4& x, unsigned factor) {
    return make_uint4(to_f16(x.x, factor), to_f16(x.y, factor), to_f16(x.z, factor), to_f16(x.w, factor));
  }
  FSA_DEVICE unsigned bf16x2() const { return static_cast<unsigned>(field) << 7 | static_cast<unsigned>(field) << 23; }
};

/// Bits of the largest magnitude of two bf16 each in a word, infinities included; words are gone through one by one.
struct LargestMagnitude {
  unsigned bits = 0;

  FSA_DEVICE void add(const uint4& x) {
    const unsigned words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (unsigned word : words) bits = max_bf16x2(bits, word & 0x7fff7fffu);
  }
  /// The same without infinities. Seldom asked for, so small rather than fast.
  FSA_DEVICE void add_finite(const uint4& x) {
    const unsigned words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (unsigned word : words) {
      const unsigned low = word & 0x7fffu, high = word >> 16 & 0x7fffu;
      bits = max(bits, max(low < kInfinity ? low : 0, high < kInfinity ? high : 0));
    }
  }
  FSA_DEVICE unsigned value() const { return max(bits & 0xffffu, bits >> 16); }

  static constexpr unsigned kInfinity = 0x7f80;
};

/// A warp's running softmax. Of each of its row tiles a lane holds the rows lane/4 and that + 8.
template <class T>
struct RangeState {
  float o[T::kRowTiles][T::kOutputTiles][4];  // relative to 2^reference and to V's scale
  float reference[T::kRowTiles][2];           // in units of log2; kMasked before the first key
  float sum[T::kRowTiles][2];                 // of the lane's own columns
  int field = 0;                              // of the scale that o is in units of

  FSA_DEVICE void clear_outputs() {
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) o[r][n][e] = 0;
  }
  FSA_DEVICE void clear_softmax() {
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r) {
      reference[r][0] = reference[r][1] = kMasked;
      sum[r][0] = sum[r][1] = 0;
    }
  }
  FSA_DEVICE void clear() {
    clear_outputs();
    clear_softmax();
  }

  /// Moves to references that suit the logits' maxima `top` (of the lane's own columns). Outputs are to be scaled by `decay`.
  FSA_DEVICE void raise(const float (&top)[T::kRowTiles][2], float (&decay)[T::kRowTiles][2]) {
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float row_top = quad_max(top[r][half]), before = reference[r][half];
        if (row_top > before + T::kHeadroom) reference[r][half] = row_top;
        decay[r][half] = exp2_fast(before - reference[r][half]);
        sum[r][half] *= decay[r][half];
      }
  }

  FSA_DEVICE void scale(const float (&factor)[T::kRowTiles][2]) {
#pragma unroll
    for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) o[r][n][e] *= factor[r][e / 2];
  }

  /// Takes on a scale of V; returns what takes outputs to its units.
  FSA_DEVICE float change_units(int new_field) {
    const float carry = field == 0 || field == new_field ? 1.0f : exp2_fast(static_cast<float>(new_field - field));
    field = new_field;
    return carry;
  }
};

/// Minus infinity for the keys that a row does not see, and for those from `end` on, which the buffer does not hold: a row of
/// the next segment may well see them. `rows` is the range of the lane's first row.
template <class T>
FSA_DEVICE void mask(float (&s)[T::kRowTiles][T::kKeyTiles][4], const RowRange* rows, int first_key, int end, int lane) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const RowRange range = rows[r * 16 + half * 8];
      const int first = first_key + 2 * (lane % 4) - range.begin, count = max(0, min(range.count, end - range.begin));
#pragma unroll
      for (int n = 0; n < T::kKeyTiles; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (static_cast<unsigned>(first + n * 8 + e) >= static_cast<unsigned>(count)) s[r][n][2 * half + e] = negative_infinity();
    }
}

/// The rows' highest logits among the lane's own columns, times the scale; whether one asks for a new reference.
template <class T>
FSA_DEVICE bool find_highest(const float (&s)[T::kRowTiles][T::kKeyTiles][4], const RangeState<T>& state, float scale_log2,
                             float (&top)[T::kRowTiles][2]) {
  bool rises = false;
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r) {
    find_row_maxima<false>(s[r], top[r]);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      top[r][half] *= scale_log2;
      rises |= top[r][half] > state.reference[r][half] + T::kHeadroom;
    }
  }
  return rises;
}

/// Turns logits into exponentials, in place, and adds them to the rows' sums.
template <class T>
FSA_DEVICE void exponentiate(float (&s)[T::kRowTiles][T::kKeyTiles][4], RangeState<T>& state, float scale_log2) {
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int n = 0; n < T::kKeyTiles; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) s[r][n][e] = exp2_fast(fmaf(s[r][n][e], scale_log2, -state.reference[r][e / 2]));
#pragma unroll
      for (int half = 0; half < 2; ++half) state.sum[r][half] += s[r][n][2 * half] + s[r][n][2 * half + 1];
    }
}

/// The left operand of 16 keys of P V, as f16.
template <class T>
FSA_DEVICE void pack_probabilities(unsigned (&a)[4], const float (&s)[T::kKeyTiles][4], int k) {
#pragma unroll
  for (int i = 0; i < 4; ++i) a[i] = pack2<true>(s[2 * k + i / 2][2 * (i % 2)], s[2 * k + i / 2][2 * (i % 2) + 1]);
}

/// Stores the first `columns` (nothing where that is negative) of a row's columns in four output tiles, `at` is column 0 of the first. x[i]
/// are the lane's two of tile i, or with kNeighbours two of its eight neighbours.
template <Element kOutput, bool kNeighbours>
FSA_DEVICE void store_columns(char* at, int columns, const float (&x)[4][2], int lane) {
  if constexpr (kOutput == Element::kF32 && kNeighbours) {
    // A lane's eight fill a sector of memory, which stores should not write by halves: two lanes store the first's, then the second's.
    const bool odd = lane & 1;
    float others[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) others[i] = __shfl_xor_sync(~0u, odd ? x[i / 2][i % 2] : x[2 + i / 2][i % 2], 1);
    const float4 other = make_float4(others[0], others[1], others[2], others[3]);
    const int sector = lane % 4 & 2;
    float4* const half = reinterpret_cast<float4*>(at + 8 * sector * 4) + odd;
    if (8 * sector < columns) half[0] = odd ? other : make_float4(x[0][0], x[0][1], x[1][0], x[1][1]);
    if (8 * sector + 8 < columns) half[2] = odd ? make_float4(x[2][0], x[2][1], x[3][0], x[3][1]) : other;
  } else if constexpr (kOutput == Element::kF32) {
    // The quad's four stores of 8 bytes fill a sector of memory.
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (i * 8 < columns) *reinterpret_cast<float2*>(at + (i * 8 + 2 * (lane % 4)) * 4) = make_float2(x[i][0], x[i][1]);
  } else {
    unsigned words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = pack2 < kOutput == Element::kF16 > (x[i][0], x[i][1]);
    if constexpr (!kNeighbours) quad_transpose(words, lane);
    if (8 * (lane % 4) < columns) *reinterpret_cast<uint4*>(at + 8 * (lane % 4) * 2) = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

/// What a row of f16 outputs is in units of: the power of two that the row's largest magnitude is 2^13 to 2^14 times. All down to 2^-28
/// of the largest keep 11 bits, and no finite number overflows.
FSA_DEVICE float row_unit(float largest) {
  const int field = min(max(static_cast<int>(__float_as_uint(largest) >> 23) - 13, 1), 253);
  return __uint_as_float(static_cast<unsigned>(field) << 23);
}

/// Stores O and the LSEs of the warp's rows before `end`; `first_row` is the lane's first.
template <class T, Element kOutput>
FSA_DEVICE void store_outputs(const RangeParams& p, const RangeState<T>& state, int head, int first_row, int end, int lane) {
  constexpr int kBytes = kOutput == Element::kF32 ? 4 : 2;
  const float unscale = T::kF16 ? 1.0f : __uint_as_float(static_cast<unsigned>(254 - state.field) << 23);
#pragma unroll
  for (int r = 0; r < T::kRowTiles; ++r)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + r * 16 + half * 8, token = row / T::kGroup, query_head = head * T::kGroup + row % T::kGroup;
      const bool exists = row < end;
      const float sum = quad_sum(state.sum[r][half]), inverse = sum == 0 ? 0 : reciprocal_fast(sum);
      if (exists && lane % 4 == 0)
        p.lse[static_cast<long long>(query_head) * p.total_q + token] =
            sum == 0 ? negative_infinity() : (state.reference[r][half] + log2_fast(sum)) * kLn2;
      char* const at = static_cast<char*>(p.o) + (token * p.o_stride.token + query_head * p.o_stride.head) * kBytes;
      const float factor = inverse * unscale;
      float to_unit = 1;
      if constexpr (T::kScaled) {
        float largest = 0;
#pragma unroll
        for (int n = 0; n < T::kOutputTiles; ++n)
          if (n * 8 < T::kDv) largest = fmaxf(largest, fmaxf(fabsf(state.o[r][n][2 * half]), fabsf(state.o[r][n][2 * half + 1])));
        const float unit = row_unit(quad_max(largest) * factor);
        if (exists && lane % 4 == 0) p.o_unit[static_cast<long long>(query_head) * p.total_q + token] = unit;
        to_unit = __uint_as_float((254u << 23) - __float_as_uint(unit));
      }
#pragma unroll
      for (int n = 0; n < T::kOutputTiles; n += 4) {
        float x[4][2];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int e = 0; e < 2; ++e)
            x[i][e] = n + i < T::kOutputTiles ? state.o[r][n + i < T::kOutputTiles ? n + i : 0][2 * half + e] * factor * to_unit : 0;
        store_columns<kOutput, T::kPermutesColumns>(at + n * 8 * kBytes, exists ? T::kDv - n * 8 : -1, x, lane);
      }
    }
}

}  // namespace fsa::cuda
