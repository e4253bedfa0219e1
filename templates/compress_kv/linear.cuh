#pragma once
// Owns the CUDA kernels of the mode linear: a matrix product per kv head whose left rows are windows of x.
//
// y[i] = x[begin_i .. begin_i + l) @ w + pe @ w. The second term is the same for every i: added to x before the product, pe
// would have to be rounded with it to 16 bits, and its product would be made once per row.
#include "compress_kv/config.h"
#include "compress_kv/windows.cuh"
#include "cuda/mma.cuh"
#include "cuda/numeric.cuh"

namespace fsa::compress_kv {

/// What a kernel's shape and config fix at compile time.
template <Shape kTheShape, Config kConfig>
struct Plan {
  static constexpr Shape kShape = kTheShape;
  static constexpr bool kF16 = kShape.element == Element::kF16;
  static constexpr int kThreads = kConfig.threads(), kRows = kConfig.tile_rows(), kRowTiles = kConfig.row_tiles;
  static constexpr int kWarpsM = kConfig.warps_m, kDepth = kConfig.depth, kStages = kConfig.stages;
  static constexpr int kD = kShape.head_dim, kColumns = Config::columns(kShape), kWarpColumns = kConfig.warp_columns(kShape);
  static constexpr int kColumnTiles = kWarpColumns / 8;
  static constexpr int kProducts = kShape.kernel_size * kD;  // of an output number: rows of w
  static constexpr int kSteps = ceil_div(kProducts, kDepth);
  using XTile = cuda::SmemTile<kDepth>;    // [rows, depth]
  using WTile = cuda::SmemTile<kColumns>;  // [depth, columns]

  static_assert(kThreads % (kDepth / 8) == 0, "a thread copies the same chunk of several rows");
  static_assert(kColumns % (16 * kConfig.warps_n) == 0, "right operands are loaded 16 columns at a time");
  static_assert(!WTile::kSwizzled || kColumnTiles % 8 == 0 || 8 % kColumnTiles == 0, "a warp's columns keep to the swizzle's periods");
};

/// A thread's part of copying x: one 16-byte chunk of every kRowStep-th row of the tile.
template <class T>
class WindowCopy {
 public:
  FSA_DEVICE WindowCopy(const Params& p, const int* begins, int head) : token_bytes_(p.x_stride.token * 2), nowhere_(p.x) {
#pragma unroll
    for (int j = 0; j < kCount; ++j) {
      const int row = first_row() + j * kRowStep, begin = row < T::kRows ? begins[row] : -1;
      rows_[j] = begin < 0 ? nullptr : static_cast<const char*>(p.x) + (begin * p.x_stride.token + head * p.x_stride.head) * 2;
    }
  }

  /// Starts the copy of step `step`; rows without a window and numbers past its end are zeros.
  FSA_DEVICE void start(int step, unsigned tile) const {
    const int number = step * T::kDepth + chunk() * 8;  // within the window
    const int token = number / T::kD, column = number - token * T::kD;
    const long long offset = token * token_bytes_ + column * 2;
    const bool inside = T::kProducts % T::kDepth == 0 || number < T::kProducts;
#pragma unroll
    for (int j = 0; j < kCount; ++j) {
      const int row = first_row() + j * kRowStep;
      if (T::kRows % kRowStep != 0 && row >= T::kRows) continue;
      const bool exists = inside && rows_[j] != nullptr;
      cuda::copy16_async_or_zero(tile + T::XTile::offset(row, chunk()), exists ? rows_[j] + offset : nowhere_, exists);
    }
  }

 private:
  static constexpr int kChunks = T::kDepth / 8, kRowStep = T::kThreads / kChunks, kCount = ceil_div(T::kRows, kRowStep);
  static FSA_DEVICE int chunk() { return threadIdx.x % kChunks; }
  static FSA_DEVICE int first_row() { return threadIdx.x / kChunks; }

  const char* rows_[kCount];
  long long token_bytes_;
  const void* nowhere_;
};

/// Starts the copy of rows of w [depth, D]; rows past its end are zeros. Columns past D stay what they are: they make up
/// columns of the product that nobody stores.
template <class T>
FSA_DEVICE void copy_weights(const char* w, int step, unsigned tile) {
  constexpr int kChunks = T::kD / 8;
  const char* const from = w + static_cast<long long>(step) * (T::kDepth * T::kD * 2);  // rows of w follow one another
#pragma unroll 4
  for (int i = threadIdx.x; i < T::kDepth * kChunks; i += T::kThreads) {
    const int row = i / kChunks, chunk = i % kChunks;
    const bool exists = T::kProducts % T::kDepth == 0 || step * T::kDepth + row < T::kProducts;
    cuda::copy16_async_or_zero(tile + T::WTile::offset(row, chunk), exists ? from + i * 16 : w, exists);
  }
}

/// acc += x @ w over one step. `x` and `w` are the lane's operand addresses in the stage.
template <class T>
FSA_DEVICE void multiply(float (&acc)[T::kRowTiles][T::kColumnTiles][4], unsigned x, unsigned w) {
#pragma unroll
  for (int k = 0; k < T::kDepth / 16; ++k) {
    unsigned a[T::kRowTiles][4];
#pragma unroll
    for (int m = 0; m < T::kRowTiles; ++m) cuda::load_matrices(a[m], T::XTile::advance(x, 2 * k) + m * 16 * T::XTile::kPitch);
#pragma unroll
    for (int n = 0; n < T::kColumnTiles; n += 2) {
      unsigned b[4];
      cuda::load_matrices_transposed(b, T::WTile::advance(w, n) + k * 16 * T::WTile::kPitch);
#pragma unroll
      for (int m = 0; m < T::kRowTiles; ++m) {
        cuda::mma<T::kF16>(acc[m][n], a[m], b[0], b[1]);
        cuda::mma<T::kF16>(acc[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/// The rows' windows, and pe @ w added up, in shared memory.
template <class T>
FSA_DEVICE void prepare(const Params& p, int first_row, int head, int* begins, float* pe_product) {
  for (int i = threadIdx.x; i < T::kRows; i += T::kThreads) begins[i] = window_begin<T::kShape>(p, first_row + i);
  if constexpr (T::kShape.positional == 1) {
    constexpr int kSplits = position_splits(T::kShape);
    for (int column = threadIdx.x; column < T::kD; column += T::kThreads) {
      const float* const parts = p.pe_product + static_cast<long long>(head) * kSplits * T::kD + column;
      float sum = 0;
#pragma unroll 8
      for (int i = 0; i < kSplits; ++i) sum += __ldg(parts + i * T::kD);
      pe_product[column] = sum;
    }
  }
}

/// Rounds and stores the warp's part of the tile.
template <class T>
FSA_DEVICE void store(const Params& p, const float (&acc)[T::kRowTiles][T::kColumnTiles][4], const int* begins, const float* pe_product,
                      int first_row, int warp_row, int head, int warp_column, int lane) {
#pragma unroll
  for (int m = 0; m < T::kRowTiles; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp_row + m * 16 + lane / 4 + 8 * half;
      if (begins[row] < 0) continue;
      char* const y = static_cast<char*>(p.y) + ((first_row + row) * p.y_stride.token + head * p.y_stride.head) * 2;
#pragma unroll
      for (int n = 0; n < T::kColumnTiles; ++n) {
        const int column = warp_column + n * 8 + 2 * (lane % 4);
        if (T::kColumns != T::kD && column >= T::kD) continue;
        float low = acc[m][n][2 * half], high = acc[m][n][2 * half + 1];
        if constexpr (T::kShape.positional == 1) low += pe_product[column], high += pe_product[column + 1];
        *reinterpret_cast<unsigned*>(y + column * 2) = cuda::pack2<T::kF16>(low, high);
      }
    }
}

/// Grid: Hkv * ceil(Tc / rows), heads fastest: what they read of a token is neighbouring memory.
template <Shape kShape, Config kConfig>
FSA_DEVICE void linear(const Params& p) {
  using T = Plan<kShape, kConfig>;
  extern __shared__ __align__(128) unsigned char smem[];
  constexpr int kStageBytes = kConfig.stage_bytes(kShape), kXBytes = kConfig.x_bytes();
  float* const pe_product = reinterpret_cast<float*>(smem + T::kStages * kStageBytes);  // [columns]
  int* const begins = reinterpret_cast<int*>(pe_product + T::kColumns);                 // [rows]
  const int head = blockIdx.x % p.heads_kv, first_row = blockIdx.x / p.heads_kv * T::kRows;
  if (first_row >= __ldg(p.cu_c + p.num_seqs)) return;  // y may have more rows than there are compressed keys
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = warp % T::kWarpsM * 16 * T::kRowTiles, warp_column = warp / T::kWarpsM * T::kWarpColumns;

  // Load: where the windows are, then the first steps.
  prepare<T>(p, first_row, head, begins, pe_product);
  __syncthreads();
  const WindowCopy<T> windows(p, begins, head);
  const char* const w = static_cast<const char*>(p.w) + static_cast<long long>(head) * T::kProducts * T::kD * 2;
  const unsigned stages = cuda::smem_address(smem);
  const auto copy_step = [&](int step, int stage) {
    if (step < T::kSteps) {
      windows.start(step, stages + stage * kStageBytes);
      copy_weights<T>(w, step, stages + stage * kStageBytes + kXBytes);
    }
    cuda::commit_copies();
  };
#pragma unroll 1
  for (int s = 0; s < T::kStages - 1; ++s) copy_step(s, s);

  float acc[T::kRowTiles][T::kColumnTiles][4] = {};
  const unsigned x_offset = warp_row * T::XTile::kPitch + cuda::left_operand_offset<typename T::XTile>(lane);
  const unsigned w_offset = kXBytes + T::WTile::offset(lane & 15, warp_column / 8 + (lane >> 4));
  int stage = 0;
#pragma unroll 1
  for (int step = 0; step < T::kSteps; ++step) {
    cuda::wait_copies<T::kStages - 2>();
    __syncthreads();
    copy_step(step + T::kStages - 1, stage == 0 ? T::kStages - 1 : stage - 1);  // into the buffer of the step before
    const unsigned buffer = stages + stage * kStageBytes;
    multiply<T>(acc, buffer + x_offset, buffer + w_offset);
    stage = stage + 1 == T::kStages ? 0 : stage + 1;
  }
  cuda::wait_copies<0>();
  store<T>(p, acc, begins, pe_product, first_row, warp_row, head, warp_column, lane);
}

/// pe @ w in parts: grid Hkv * splits; each thread block multiplies the rows of some tokens of the window.
template <Shape kShape, Config kConfig>
FSA_DEVICE void position_product(const Params& p) {
  constexpr int kD = kShape.head_dim, kPieces = kD / 8, kGroups = kConfig.threads() / kPieces, kSplits = position_splits(kShape);
  __shared__ float sums[kGroups * kD];  // [groups, D]
  const int head = blockIdx.x / kSplits, split = blockIdx.x % kSplits;
  const int begin = split * kShape.kernel_size / kSplits * kD, end = (split + 1) * kShape.kernel_size / kSplits * kD;
  const int group = threadIdx.x / kPieces, column = threadIdx.x % kPieces * 8;
  const long long head_row = static_cast<long long>(head) * kShape.kernel_size * kD;  // pe has a number for every row of w
  if (group < kGroups) {
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
#pragma unroll 4
    for (int row = begin + group; row < end; row += kGroups) {
      const auto* const w = static_cast<const unsigned short*>(p.w) + (head_row + row) * kD + column;
      cuda::multiply_add8<kShape.element == Element::kF16>(sum, __ldg(reinterpret_cast<const uint4*>(w)),
                                                           cuda::load_number<kShape.element>(p.pe, head_row + row));
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[group * kD + column + i] = sum[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kD; i += kConfig.threads()) {
    float sum = 0;
#pragma unroll 4
    for (int g = 0; g < kGroups; ++g) sum += sums[g * kD + i];
    p.pe_product[static_cast<long long>(blockIdx.x) * kD + i] = sum;
  }
}

}  // namespace fsa::compress_kv
