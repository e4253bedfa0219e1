#pragma once
// Owns Hopper's matrix product of a warpgroup, m64nNk16 with 16-bit operands: its operands in shared memory, its instructions,
// and what orders them. For sm_90a alone.
//
// Lane l of warp w (of four) holds of d[i] the columns 8i + 2*(l%4) and one more, of rows 16w + l/4 (d[i][0], d[i][1]) and that
// + 8 (d[i][2], d[i][3]). Packed pairs of two neighbouring tiles are the registers of a left operand: a row's 16 columns.
#include "cuda/device.h"

namespace fsa::cuda::hopper {

/// A matrix in shared memory as panels: lines of 128 bytes, whose 16-byte chunk c of line r lies at chunk c ^ (r & 7). Line r of
/// panel p holds columns [64p, 64p + 64) of row r. Panels start at multiples of 1024 bytes; rows come in eights.
template <int kRows, int kColumns>
struct PanelTile {
  static_assert(kRows % 8 == 0 && kColumns % 8 == 0, "a tile is made of 8x8 matrices");
  static constexpr int kChunks = kColumns / 8, kPanelBytes = kRows * 128;

  /// Byte offset of columns [8 * chunk, 8 * chunk + 8) of `row`.
  static FSA_DEVICE unsigned offset(int row, int chunk) { return (chunk >> 3) * kPanelBytes + row * 128 + (((chunk ^ row) & 7) << 4); }

  /// What operands are described by: an operand further on is described by the sum with one of the constants below.
  /// Rows as the product's rows or columns, columns as its depth (Q and K of Q K^T).
  static FSA_DEVICE unsigned long long depth_major(unsigned tile) { return kHigh | encode(tile); }
  /// Columns as the product's columns, rows as its depth (V of P V). For wgmma's kTransposed.
  static FSA_DEVICE unsigned long long column_major(unsigned tile) { return kHigh | encode(kPanelBytes) << 16 | encode(tile); }
  /// To columns [16 * step, ...) of a depth_major operand.
  static FSA_HOST_DEVICE constexpr unsigned long long columns_on(int step) { return encode(step / 4 * kPanelBytes + step % 4 * 32); }
  /// To rows [8 * eights, ...) of either.
  static FSA_HOST_DEVICE constexpr unsigned long long rows_on(int eights) { return encode(eights * 1024); }
  /// To panel `panel` of a column_major operand.
  static FSA_HOST_DEVICE constexpr unsigned long long panels_on(int panel) { return encode(panel * kPanelBytes); }
  /// The word of an operand's description that its place is in. That of an operand in one of the stages that follow, kBytes apart, is found
  /// by a single sum.
  static FSA_DEVICE unsigned place(unsigned long long operand) { return static_cast<unsigned>(operand); }
  template <int kBytes>
  static FSA_DEVICE unsigned long long at_stage(unsigned first, int stage) {
    return kHigh | (first + stage * static_cast<unsigned>(encode(kBytes)));
  }

 private:
  static FSA_HOST_DEVICE constexpr unsigned long long encode(unsigned bytes) { return (bytes & 0x3ffff) >> 4; }
  /// The 128-byte swizzle, and 1024 bytes from eight lines to the next.
  static constexpr unsigned long long kHigh = 1ull << 62 | 64ull << 32;
};

/// Before a warpgroup's first product, and before one whose registers (accumulators, left operand) were written since.
FSA_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Makes a group of the products since the last commit.
FSA_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most kPending of the latest groups are under way.
template <int kPending>
FSA_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Keeps the compiler from moving reads of results above the wait for them, or writes of operands below the product's start.
template <int kTiles>
FSA_DEVICE void pin(float (&d)[kTiles][4]) {
#pragma unroll
  for (int i = 0; i < kTiles; ++i) asm volatile("" : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])::"memory");
}
FSA_DEVICE void pin(unsigned (&a)[4]) { asm volatile("" : "+r"(a[0]), "+r"(a[1]), "+r"(a[2]), "+r"(a[3])::"memory"); }

/// The products of one width: wgmma() below picks by its accumulators.
template <int kTiles>
struct WgmmaWidth;

// The instruction names its 4 to 128 accumulators one by one, and only the preprocessor makes such lists: FSA_WGMMA_D<n> are the
// accumulators of n tiles, FSA_WGMMA_R<n> their names in the assembler text.
#define FSA_WGMMA_TILE(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define FSA_WGMMA_D1 FSA_WGMMA_TILE(0)
#define FSA_WGMMA_R1 "%0, %1, %2, %3"
#define FSA_WGMMA_D2 FSA_WGMMA_D1, FSA_WGMMA_TILE(1)
#define FSA_WGMMA_R2 FSA_WGMMA_R1 ", %4, %5, %6, %7"
#define FSA_WGMMA_D3 FSA_WGMMA_D2, FSA_WGMMA_TILE(2)
#define FSA_WGMMA_R3 FSA_WGMMA_R2 ", %8, %9, %10, %11"
#define FSA_WGMMA_D4 FSA_WGMMA_D3, FSA_WGMMA_TILE(3)
#define FSA_WGMMA_R4 FSA_WGMMA_R3 ", %12, %13, %14, %15"
#define FSA_WGMMA_D5 FSA_WGMMA_D4, FSA_WGMMA_TILE(4)
#define FSA_WGMMA_R5 FSA_WGMMA_R4 ", %16, %17, %18, %19"
#define FSA_WGMMA_D6 FSA_WGMMA_D5, FSA_WGMMA_TILE(5)
#define FSA_WGMMA_R6 FSA_WGMMA_R5 ", %20, %21, %22, %23"
#define FSA_WGMMA_D7 FSA_WGMMA_D6, FSA_WGMMA_TILE(6)
#define FSA_WGMMA_R7 FSA_WGMMA_R6 ", %24, %25, %26, %27"
#define FSA_WGMMA_D8 FSA_WGMMA_D7, FSA_WGMMA_TILE(7)
#define FSA_WGMMA_R8 FSA_WGMMA_R7 ", %28, %29, %30, %31"
#define FSA_WGMMA_D9 FSA_WGMMA_D8, FSA_WGMMA_TILE(8)
#define FSA_WGMMA_R9 FSA_WGMMA_R8 ", %32, %33, %34, %35"
#define FSA_WGMMA_D10 FSA_WGMMA_D9, FSA_WGMMA_TILE(9)
#define FSA_WGMMA_R10 FSA_WGMMA_R9 ", %36, %37, %38, %39"
#define FSA_WGMMA_D11 FSA_WGMMA_D10, FSA_WGMMA_TILE(10)
#define FSA_WGMMA_R11 FSA_WGMMA_R10 ", %40, %41, %42, %43"
#define FSA_WGMMA_D12 FSA_WGMMA_D11, FSA_WGMMA_TILE(11)
#define FSA_WGMMA_R12 FSA_WGMMA_R11 ", %44, %45, %46, %47"
#define FSA_WGMMA_D13 FSA_WGMMA_D12, FSA_WGMMA_TILE(12)
#define FSA_WGMMA_R13 FSA_WGMMA_R12 ", %48, %49, %50, %51"
#define FSA_WGMMA_D14 FSA_WGMMA_D13, FSA_WGMMA_TILE(13)
#define FSA_WGMMA_R14 FSA_WGMMA_R13 ", %52, %53, %54, %55"
#define FSA_WGMMA_D15 FSA_WGMMA_D14, FSA_WGMMA_TILE(14)
#define FSA_WGMMA_R15 FSA_WGMMA_R14 ", %56, %57, %58, %59"
#define FSA_WGMMA_D16 FSA_WGMMA_D15, FSA_WGMMA_TILE(15)
#define FSA_WGMMA_R16 FSA_WGMMA_R15 ", %60, %61, %62, %63"
#define FSA_WGMMA_D17 FSA_WGMMA_D16, FSA_WGMMA_TILE(16)
#define FSA_WGMMA_R17 FSA_WGMMA_R16 ", %64, %65, %66, %67"
#define FSA_WGMMA_D18 FSA_WGMMA_D17, FSA_WGMMA_TILE(17)
#define FSA_WGMMA_R18 FSA_WGMMA_R17 ", %68, %69, %70, %71"
#define FSA_WGMMA_D19 FSA_WGMMA_D18, FSA_WGMMA_TILE(18)
#define FSA_WGMMA_R19 FSA_WGMMA_R18 ", %72, %73, %74, %75"
#define FSA_WGMMA_D20 FSA_WGMMA_D19, FSA_WGMMA_TILE(19)
#define FSA_WGMMA_R20 FSA_WGMMA_R19 ", %76, %77, %78, %79"
#define FSA_WGMMA_D21 FSA_WGMMA_D20, FSA_WGMMA_TILE(20)
#define FSA_WGMMA_R21 FSA_WGMMA_R20 ", %80, %81, %82, %83"
#define FSA_WGMMA_D22 FSA_WGMMA_D21, FSA_WGMMA_TILE(21)
#define FSA_WGMMA_R22 FSA_WGMMA_R21 ", %84, %85, %86, %87"
#define FSA_WGMMA_D23 FSA_WGMMA_D22, FSA_WGMMA_TILE(22)
#define FSA_WGMMA_R23 FSA_WGMMA_R22 ", %88, %89, %90, %91"
#define FSA_WGMMA_D24 FSA_WGMMA_D23, FSA_WGMMA_TILE(23)
#define FSA_WGMMA_R24 FSA_WGMMA_R23 ", %92, %93, %94, %95"
#define FSA_WGMMA_D25 FSA_WGMMA_D24, FSA_WGMMA_TILE(24)
#define FSA_WGMMA_R25 FSA_WGMMA_R24 ", %96, %97, %98, %99"
#define FSA_WGMMA_D26 FSA_WGMMA_D25, FSA_WGMMA_TILE(25)
#define FSA_WGMMA_R26 FSA_WGMMA_R25 ", %100, %101, %102, %103"
#define FSA_WGMMA_D27 FSA_WGMMA_D26, FSA_WGMMA_TILE(26)
#define FSA_WGMMA_R27 FSA_WGMMA_R26 ", %104, %105, %106, %107"
#define FSA_WGMMA_D28 FSA_WGMMA_D27, FSA_WGMMA_TILE(27)
#define FSA_WGMMA_R28 FSA_WGMMA_R27 ", %108, %109, %110, %111"
#define FSA_WGMMA_D29 FSA_WGMMA_D28, FSA_WGMMA_TILE(28)
#define FSA_WGMMA_R29 FSA_WGMMA_R28 ", %112, %113, %114, %115"
#define FSA_WGMMA_D30 FSA_WGMMA_D29, FSA_WGMMA_TILE(29)
#define FSA_WGMMA_R30 FSA_WGMMA_R29 ", %116, %117, %118, %119"
#define FSA_WGMMA_D31 FSA_WGMMA_D30, FSA_WGMMA_TILE(30)
#define FSA_WGMMA_R31 FSA_WGMMA_R30 ", %120, %121, %122, %123"
#define FSA_WGMMA_D32 FSA_WGMMA_D31, FSA_WGMMA_TILE(31)
#define FSA_WGMMA_R32 FSA_WGMMA_R31 ", %124, %125, %126, %127"

// %i0.. are the operands after the accumulators: left, right, whether to add, whether the right one is transposed.
#define FSA_WGMMA_SHARED(n, columns, type, i0, i1, i2, i3)                                                                              \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %" #i2 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type \
               " {" FSA_WGMMA_R##n "}, %" #i0 ", %" #i1 ", add, 1, 1, 0, %" #i3 ";\n}"                                                  \
               : FSA_WGMMA_D##n                                                                                                         \
               : "l"(a), "l"(b), "r"(add), "n"(kTransposed))
#define FSA_WGMMA_REGISTERS(n, columns, type, i0, i1, i2, i3, i4, i5, i6)                                                               \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %" #i5 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type \
               " {" FSA_WGMMA_R##n "}, {%" #i0 ", %" #i1 ", %" #i2 ", %" #i3 "}, %" #i4 ", add, 1, 1, %" #i6 ";\n}"                     \
               : FSA_WGMMA_D##n                                                                                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(kTransposed))
#define FSA_WGMMA_WIDTH(n, columns, i0, i1, i2, i3, i4, i5, i6)                                           \
  template <>                                                                                             \
  struct WgmmaWidth<n> {                                                                                  \
    template <bool kF16, int kTransposed>                                                                 \
    static FSA_DEVICE void run(float (&d)[n][4], unsigned long long a, unsigned long long b, int add) {   \
      if constexpr (kF16)                                                                                 \
        FSA_WGMMA_SHARED(n, columns, "f16", i0, i1, i2, i3);                                              \
      else                                                                                                \
        FSA_WGMMA_SHARED(n, columns, "bf16", i0, i1, i2, i3);                                             \
    }                                                                                                     \
    template <bool kF16, int kTransposed>                                                                 \
    static FSA_DEVICE void run(float (&d)[n][4], const unsigned (&a)[4], unsigned long long b, int add) { \
      if constexpr (kF16)                                                                                 \
        FSA_WGMMA_REGISTERS(n, columns, "f16", i0, i1, i2, i3, i4, i5, i6);                               \
      else                                                                                                \
        FSA_WGMMA_REGISTERS(n, columns, "bf16", i0, i1, i2, i3, i4, i5, i6);                              \
    }                                                                                                     \
  };

FSA_WGMMA_WIDTH(1, 8, 4, 5, 6, 7, 8, 9, 10)
FSA_WGMMA_WIDTH(2, 16, 8, 9, 10, 11, 12, 13, 14)
FSA_WGMMA_WIDTH(3, 24, 12, 13, 14, 15, 16, 17, 18)
FSA_WGMMA_WIDTH(4, 32, 16, 17, 18, 19, 20, 21, 22)
FSA_WGMMA_WIDTH(5, 40, 20, 21, 22, 23, 24, 25, 26)
FSA_WGMMA_WIDTH(6, 48, 24, 25, 26, 27, 28, 29, 30)
FSA_WGMMA_WIDTH(7, 56, 28, 29, 30, 31, 32, 33, 34)
FSA_WGMMA_WIDTH(8, 64, 32, 33, 34, 35, 36, 37, 38)
FSA_WGMMA_WIDTH(9, 72, 36, 37, 38, 39, 40, 41, 42)
FSA_WGMMA_WIDTH(10, 80, 40, 41, 42, 43, 44, 45, 46)
FSA_WGMMA_WIDTH(11, 88, 44, 45, 46, 47, 48, 49, 50)
FSA_WGMMA_WIDTH(12, 96, 48, 49, 50, 51, 52, 53, 54)
FSA_WGMMA_WIDTH(13, 104, 52, 53, 54, 55, 56, 57, 58)
FSA_WGMMA_WIDTH(14, 112, 56, 57, 58, 59, 60, 61, 62)
FSA_WGMMA_WIDTH(15, 120, 60, 61, 62, 63, 64, 65, 66)
FSA_WGMMA_WIDTH(16, 128, 64, 65, 66, 67, 68, 69, 70)
FSA_WGMMA_WIDTH(17, 136, 68, 69, 70, 71, 72, 73, 74)
FSA_WGMMA_WIDTH(18, 144, 72, 73, 74, 75, 76, 77, 78)
FSA_WGMMA_WIDTH(19, 152, 76, 77, 78, 79, 80, 81, 82)
FSA_WGMMA_WIDTH(20, 160, 80, 81, 82, 83, 84, 85, 86)
FSA_WGMMA_WIDTH(21, 168, 84, 85, 86, 87, 88, 89, 90)
FSA_WGMMA_WIDTH(22, 176, 88, 89, 90, 91, 92, 93, 94)
FSA_WGMMA_WIDTH(23, 184, 92, 93, 94, 95, 96, 97, 98)
FSA_WGMMA_WIDTH(24, 192, 96, 97, 98, 99, 100, 101, 102)
FSA_WGMMA_WIDTH(25, 200, 100, 101, 102, 103, 104, 105, 106)
FSA_WGMMA_WIDTH(26, 208, 104, 105, 106, 107, 108, 109, 110)
FSA_WGMMA_WIDTH(27, 216, 108, 109, 110, 111, 112, 113, 114)
FSA_WGMMA_WIDTH(28, 224, 112, 113, 114, 115, 116, 117, 118)
FSA_WGMMA_WIDTH(29, 232, 116, 117, 118, 119, 120, 121, 122)
FSA_WGMMA_WIDTH(30, 240, 120, 121, 122, 123, 124, 125, 126)
FSA_WGMMA_WIDTH(31, 248, 124, 125, 126, 127, 128, 129, 130)
FSA_WGMMA_WIDTH(32, 256, 128, 129, 130, 131, 132, 133, 134)

#undef FSA_WGMMA_D1
#undef FSA_WGMMA_R1
#undef FSA_WGMMA_D2
#undef FSA_WGMMA_R2
#undef FSA_WGMMA_D3
#undef FSA_WGMMA_R3
#undef FSA_WGMMA_D4
#undef FSA_WGMMA_R4
#undef FSA_WGMMA_D5
#undef FSA_WGMMA_R5
#undef FSA_WGMMA_D6
#undef FSA_WGMMA_R6
#undef FSA_WGMMA_D7
#undef FSA_WGMMA_R7
#undef FSA_WGMMA_D8
#undef FSA_WGMMA_R8
#undef FSA_WGMMA_D9
#undef FSA_WGMMA_R9
#undef FSA_WGMMA_D10
#undef FSA_WGMMA_R10
#undef FSA_WGMMA_D11
#undef FSA_WGMMA_R11
#undef FSA_WGMMA_D12
#undef FSA_WGMMA_R12
#undef FSA_WGMMA_D13
#undef FSA_WGMMA_R13
#undef FSA_WGMMA_D14
#undef FSA_WGMMA_R14
#undef FSA_WGMMA_D15
#undef FSA_WGMMA_R15
#undef FSA_WGMMA_D16
#undef FSA_WGMMA_R16
#undef FSA_WGMMA_D17
#undef FSA_WGMMA_R17
#undef FSA_WGMMA_D18
#undef FSA_WGMMA_R18
#undef FSA_WGMMA_D19
#undef FSA_WGMMA_R19
#undef FSA_WGMMA_D20
#undef FSA_WGMMA_R20
#undef FSA_WGMMA_D21
#undef FSA_WGMMA_R21
#undef FSA_WGMMA_D22
#undef FSA_WGMMA_R22
#undef FSA_WGMMA_D23
#undef FSA_WGMMA_R23
#undef FSA_WGMMA_D24
#undef FSA_WGMMA_R24
#undef FSA_WGMMA_D25
#undef FSA_WGMMA_R25
#undef FSA_WGMMA_D26
#undef FSA_WGMMA_R26
#undef FSA_WGMMA_D27
#undef FSA_WGMMA_R27
#undef FSA_WGMMA_D28
#undef FSA_WGMMA_R28
#undef FSA_WGMMA_D29
#undef FSA_WGMMA_R29
#undef FSA_WGMMA_D30
#undef FSA_WGMMA_R30
#undef FSA_WGMMA_D31
#undef FSA_WGMMA_R31
#undef FSA_WGMMA_D32
#undef FSA_WGMMA_R32
#undef FSA_WGMMA_TILE
#undef FSA_WGMMA_SHARED
#undef FSA_WGMMA_REGISTERS
#undef FSA_WGMMA_WIDTH

/// Starts d = a * b (+ d where `add`) for 16 of the depth; d has 8 columns per tile. a: a depth_major() description, or the
/// registers of a left operand; b: a depth_major() description, or with kTransposed a column_major() one.
template <bool kF16, bool kTransposed = false, int kTiles, class Left>
FSA_DEVICE void wgmma(float (&d)[kTiles][4], const Left& a, unsigned long long b, bool add) {
  WgmmaWidth<kTiles>::template run<kF16, kTransposed>(d, a, b, add);
}

}  // namespace fsa::cuda::hopper
