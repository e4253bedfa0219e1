// Owns the CPU kernels of compress_kv: windows of neighbouring tokens, each turned into one.
#include "compress_kv/cpu_config.h"
#include "compress_kv/params.h"
#include "cpu/microkernel.h"
#include "cpu/packed_block.h"
#include "cpu/sequence.h"

namespace fsa::compress_kv {

struct Constants {
  Shape shape;
  CpuConfig config;
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {

using namespace cpu;

FSA_INLINE Shape shape() { return fsa_constants.shape; }
FSA_INLINE TileShape tile() { return tile_shape(fsa_constants.shape, fsa_constants.config); }
FSA_INLINE long element_bytes() { return bytes_of(fsa_constants.shape.element); }

/// First token of the window of `row`; -1 where there is no such row, or its window would leave x.
FSA_INLINE int window_begin(const Params& p, int row) {
  const int b = sequence_of(p.cu_c, p.num_seqs, row);
  if (b == p.num_seqs) return -1;
  const long begin = p.cu_k[b] + (static_cast<long>(row) - p.cu_c[b]) * shape().stride;
  return begin >= 0 && begin + shape().kernel_size <= p.total_k ? static_cast<int>(begin) : -1;
}

FSA_INLINE const char* token_of(const Params& p, int token, int head) {
  return static_cast<const char*>(p.x) + (token * p.x_stride.token + head * p.x_stride.head) * element_bytes();
}
FSA_INLINE char* output_of(const Params& p, int row, int head) {
  return static_cast<char*>(p.y) + (row * p.y_stride.token + head * p.y_stride.head) * element_bytes();
}
/// Row `row` of the head's part of w, or number `row` of its part of pe: rows are `columns` numbers long.
FSA_INLINE const char* row_of(const void* matrix, int head, long rows, long row, int columns) {
  return static_cast<const char*>(matrix) + (head * rows + row) * columns * element_bytes();
}

constexpr int kWidth = 4;  // vectors summed side by side: as many chains of additions in flight

/// Calls visit(first column, vectors, columns of each) for parts of D columns: a vector has 16 of them, the last maybe 8.
template <class Visit>
FSA_INLINE void for_columns(Visit visit) {
  const int whole = shape().head_dim / kLanes, rest = whole % kWidth;
#pragma clang loop unroll(disable)
  for (int first = 0; first + kWidth <= whole; first += kWidth) visit(first * kLanes, kWidth, kLanes);
  if (rest > 0) visit((whole - rest) * kLanes, rest, kLanes);
  if (shape().head_dim % kLanes != 0) visit(whole * kLanes, 1, kLanes / 2);
}

/// sums[c] = sum over i < count of weight(i) times the numbers of row i; `width` vectors of `n` columns.
template <class Weight>
FSA_INLINE void sum_rows(const char* rows, long row_bytes, int count, int width, int n, Weight weight, F32x16 (&sums)[kWidth]) {
  FSA_UNROLL
  for (int c = 0; c < width; ++c) sums[c] = splat(0);
#pragma clang loop unroll(disable)
  for (int i = 0; i < count; ++i) {
    const F32x16 w = splat(weight(i));
    FSA_UNROLL
    for (int c = 0; c < width; ++c)
      sums[c] =
          __builtin_elementwise_fma(load_elements(shape().element, rows + i * row_bytes + c * kLanes * element_bytes(), n), w, sums[c]);
  }
}

/// Mean and weighted: one row of y.
FSA_INLINE void sum_window(const Params& p, int row, int head) {
  const int begin = window_begin(p, row), length = shape().kernel_size;
  if (begin < 0) return;
  const float share = shape().mode == Mode::kMean ? 1.0f / static_cast<float>(length) : 1.0f;
  const auto weight = [&](int t) FSA_INLINE_LAMBDA {
    return shape().mode == Mode::kMean ? 1.0f : load_element(shape().element, row_of(p.w, head, length, t, 1));
  };
  for_columns([&](int column, int width, int n) FSA_INLINE_LAMBDA {
    F32x16 sums[kWidth];
    sum_rows(token_of(p, begin, head) + column * element_bytes(), p.x_stride.token * element_bytes(), length, width, n, weight, sums);
    FSA_UNROLL
    for (int c = 0; c < width; ++c)
      store_elements(shape().element, output_of(p, row, head) + (column + c * kLanes) * element_bytes(), sums[c] * share, n);
  });
}

/// Linear: rows [first, first + count) of one kv head, a product with a token's part of w after the other.
class Products {
 public:
  FSA_INLINE Products(const Params& p, int head, int first, int count, float* scratch)
      : p_(p), head_(head), first_(first), count_(count), scratch_(scratch) {}

  FSA_INLINE void run() {
    prepare();
#pragma clang loop unroll(disable)
    for (int t = 0; t < shape().kernel_size; ++t) {
      load(t);
      multiply();
    }
    store_rows();
  }

 private:
  FSA_INLINE static CpuScratch layout() { return cpu_scratch(fsa_constants.shape, fsa_constants.config); }
  FSA_INLINE float* weights() const { return scratch_ + layout().weights; }
  FSA_INLINE float* token(int r) const { return scratch_ + layout().tokens + r * layout().token_stride; }
  FSA_INLINE float* sums(int r) const { return scratch_ + layout().sums + r * layout().sum_stride; }
  FSA_INLINE int* begins() const { return reinterpret_cast<int*>(scratch_ + layout().begins); }

  /// Finds the windows; sums begin as pe @ w. Rows without a window multiply zeros.
  FSA_INLINE void prepare() const {
    const char* start = reinterpret_cast<const char*>(p_.pe_product + static_cast<long>(head_) * shape().head_dim);
#pragma clang loop unroll(disable)
    for (int r = 0; r < fsa_constants.config.rows; ++r) {
      begins()[r] = r < count_ ? window_begin(p_, first_ + r) : -1;
#pragma clang loop unroll(disable)
      for (int i = 0; i < layout().token_stride; i += kLanes) store(token(r) + i, splat(0));
#pragma clang loop unroll(disable)
      for (int i = 0; i < layout().sum_stride; i += kLanes) {
        const bool whole = i + kLanes <= shape().head_dim;
        F32x16 sum = splat(0);
        if (shape().positional && whole) sum = load_elements(Element::kF32, start + i * bytes_of(Element::kF32), kLanes);
        if (shape().positional && !whole) sum = load_elements(Element::kF32, start + i * bytes_of(Element::kF32), kLanes / 2);
        store(sums(r) + i, sum);
      }
    }
  }

  /// Packs token `t`'s part of w, and loads token `t` of every window.
  FSA_INLINE void load(int t) const {
    const int columns = shape().head_dim, words = key_words(tile()), whole = words / kLanes * kLanes;
    const char* w = row_of(p_.w, head_, static_cast<long>(shape().kernel_size) * columns, static_cast<long>(t) * columns, columns);
    pack_values(tile(), {.k = nullptr, .v = w, .k_stride = 0, .v_stride = columns * element_bytes()}, columns, weights());
#pragma clang loop unroll(disable)
    for (int r = 0; r < count_; ++r) {
      if (begins()[r] < 0) continue;
      const char* x = token_of(p_, begins()[r] + t, head_);
#pragma clang loop unroll(disable)
      for (int i = 0; i < whole; i += kLanes) store(token(r) + i, load_operand(tile(), x + i * word_bytes(tile()), kLanes));
      if (whole < words) store(token(r) + whole, load_operand(tile(), x + whole * word_bytes(tile()), words - whole));
    }
  }

  /// sums += tokens @ weights, panel by panel.
  FSA_INLINE void multiply() const {
    const int vectors = value_vectors(tile()), width = panel_width(vectors, tile().nr), whole = vectors / width * width;
#pragma clang loop unroll(disable)
    for (int c = 0; c < whole; c += width) multiply_columns(c, width);
    if (whole < vectors) multiply_columns(whole, vectors - whole);
  }

  FSA_INLINE void multiply_columns(int first, int width) const {
    const int step = panel_rows(tile(), width), depth = key_words(tile());
    const float* panel = weights() + first * kLanes * value_words(tile());
#pragma clang loop unroll(disable)
    for (int r = 0; r < count_; r += step) {
      Accumulators acc;
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) acc.v[i][c] = cpu::load<F32x16>(sums(r + i) + (first + c) * kLanes);
      }
      multiply_panel(tile().math, step, width, depth, token(r), layout().token_stride, panel, acc);
      FSA_UNROLL
      for (int i = 0; i < step; ++i) {
        FSA_UNROLL
        for (int c = 0; c < width; ++c) store(sums(r + i) + (first + c) * kLanes, acc.v[i][c]);
      }
    }
  }

  FSA_INLINE void store_rows() const {
    const int columns = shape().head_dim, whole = columns / kLanes * kLanes;
#pragma clang loop unroll(disable)
    for (int r = 0; r < count_; ++r) {
      if (begins()[r] < 0) continue;
      char* y = output_of(p_, first_ + r, head_);
#pragma clang loop unroll(disable)
      for (int i = 0; i < whole; i += kLanes)
        store_elements(shape().element, y + i * element_bytes(), cpu::load<F32x16>(sums(r) + i), kLanes);
      if (whole < columns) store_elements(shape().element, y + whole * element_bytes(), cpu::load<F32x16>(sums(r) + whole), kLanes / 2);
    }
  }

  const Params& p_;
  int head_, first_, count_;
  float* scratch_;
};

}  // namespace

/// Item: a kv head. Launched where positional alone.
extern "C" void kernel_entry_positions(const Params* params, long item, void*) {
  const Params& p = *params;
  const int head = static_cast<int>(item), columns = shape().head_dim, rows = shape().kernel_size * columns;
  const auto weight = [&](int row) FSA_INLINE_LAMBDA { return load_element(shape().element, row_of(p.pe, head, rows, row, 1)); };
  char* product = reinterpret_cast<char*>(p.pe_product + item * columns);
  for_columns([&](int column, int width, int n) FSA_INLINE_LAMBDA {
    F32x16 sums[kWidth];
    sum_rows(row_of(p.w, head, rows, 0, columns) + column * element_bytes(), columns * element_bytes(), rows, width, n, weight, sums);
    FSA_UNROLL
    for (int c = 0; c < width; ++c) store_elements(Element::kF32, product + (column + c * kLanes) * bytes_of(Element::kF32), sums[c], n);
  });
}

/// Item: a run of rows of one kv head.
extern "C" void kernel_entry_windows(const Params* params, long item, void* scratch) {
  const Params& p = *params;
  const int rows = fsa_constants.config.rows, head = static_cast<int>(item % p.heads_kv),
            first = static_cast<int>(item / p.heads_kv) * rows;
  const int last = p.cu_c[p.num_seqs] < p.total_c ? p.cu_c[p.num_seqs] : p.total_c;  // y may have more rows than there are compressed keys
  const int count = last - first < rows ? last - first : rows;
  if (count <= 0) return;
  if (shape().mode == Mode::kLinear) return Products(p, head, first, count, static_cast<float*>(scratch)).run();
  for (int r = 0; r < count; ++r) sum_window(p, first + r, head);
}

}  // namespace fsa::compress_kv
