#pragma once
// Owns rows of 12-bit integers: numbers scaled to -2047 .. 2047 by their row's largest, eight in three words.
//
// The error is at most 1/4094 of the row's largest number: for rows of one magnitude about what f16 would leave, in 3/4 of the bytes.
#include "cuda/device.h"

namespace fsa::cuda {

constexpr float kLargest12 = 2047.0f;

/// Packs x[i] * scale, at most kLargest12 in magnitude. A word is two numbers and 8 bits of the last two, rotated so that its
/// first number comes back by one instruction.
FSA_DEVICE void pack12(unsigned (&words)[3], const float (&x)[8], float scale) {
  // Adding 2^23 rounds to an integer in the float's lower bits, with zeros from its 12 up to bit 23; 2^19 leaves four bits after
  // the point below it, and the integer in whole bytes from above.
  constexpr float kInteger = 8388608.0f + 2048.0f, kShifted = 524288.0f + 2048.5f;
  unsigned n[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) n[i] = __float_as_uint(fmaf(x[i], scale, i < 7 ? kInteger : kShifted));
  const unsigned shared = (n[6] >> 8) | (n[7] & 0xf0);
  words[0] = __byte_perm(n[0] + n[1] * 4096, n[6], 0x4210);
  words[1] = __byte_perm(n[2] + n[3] * 4096, shared, 0x4210);
  words[2] = __byte_perm(n[4] + n[5] * 4096, n[7], 0x5210);
#pragma unroll
  for (unsigned& word : words) word = __funnelshift_l(word, word, 11);
}

/// Bytes from one piece of a row to its next. A row is three pieces; the kGroup rows of an entry stand together, first pieces first,
/// so that a warp that moves the same piece of neighbouring rows moves whole lines of the cache.
template <int kColumns, int kGroup>
FSA_DEVICE constexpr int piece_pitch12() {
  return kColumns / 2 * kGroup;
}

/// Bytes from the first piece of an entry's row 0 to that of `row`, which may be in a later entry.
template <int kColumns, int kGroup>
FSA_DEVICE constexpr int row_offset12(int row) {
  return row / kGroup * (3 * kColumns / 2 * kGroup) + row % kGroup * (kColumns / 2);
}

/// What unpack12 gives for 0.
constexpr float kZero12 = 1.5f;
/// Units of pack12 in one unit of unpack12.
constexpr float kUnits12 = 4096.0f;
/// What sums of unpacked numbers exceed the packed ones by at most, and more: steps are kept divided by it.
constexpr float kHeadroom12 = 16.0f;

/// Gives the packed numbers as floats in [1, 2): (x[i] - kZero12) * kUnits12 is what was packed. Each is its 12 bits put into a
/// float's mantissa, without a conversion.
class Unpack12 {
 public:
  /// `number` is not negative, which the compiler does not know: of two constants it would make two instructions in the place of one.
  FSA_DEVICE explicit Unpack12(int number) : one_(0x3f800000u | static_cast<unsigned>(number) >> 31) {}

  FSA_DEVICE void operator()(float (&x)[8], const unsigned (&words)[3]) const {
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      x[2 * i] = number(words[i]);
      x[2 * i + 1] = number(__funnelshift_r(words[i], words[i], 12));
    }
    x[6] = __uint_as_float((words[1] << 16 & 0x780000u) | ((words[0] << 8 & 0x7f800u) | one_));
    x[7] = __uint_as_float((words[2] << 12 & 0x7f8000u) | ((words[1] << 4 & 0x7800u) | one_));
  }

 private:
  FSA_DEVICE float number(unsigned bits) const { return __uint_as_float((bits & 0x7ff800u) | one_); }

  unsigned one_;
};

}  // namespace fsa::cuda
