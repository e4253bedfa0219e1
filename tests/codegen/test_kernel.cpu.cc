// A kernel with one of everything that a code generator and a loader have to get right: injected constants, constant data,
// zeroed data, calls that leave the object, several entries, and an instruction that not every target has.
#include <immintrin.h>

namespace fsa::test_kernel {

struct Constants {
  int width;    ///< elements of one item
  int scale;    ///< y = scale * x + table[item % 4]
  int bf16_dot; ///< let kernel_entry_dot use vdpbf16ps
};
struct Params {
  const float* x;  // [items, width]
  float* y;        // [items, width]
  int* calls;      // [1]
};
extern "C" {
extern const Constants fsa_constants;
}

namespace {
constexpr float kTable[4] = {0, 100, 200, 300};
int counter;
}  // namespace

extern "C" void kernel_entry_scale(const Params* p, long item, void* scratch) {
  const long width = fsa_constants.width;
  float* row = static_cast<float*>(scratch);
  __builtin_memcpy(row, p->x + item * width, sizeof(float) * width);
  for (long i = 0; i < width; ++i) row[i] = fsa_constants.scale * row[i] + kTable[item % 4];
  __builtin_memcpy(p->y + item * width, row, sizeof(float) * width);
  *p->calls = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
}

// y[item, 0..15] = 6: two products of 1 * 3, in bf16 where the config says so.
extern "C" void kernel_entry_dot(const Params* p, long item, void*) {
  __m512 sum = _mm512_setzero_ps();
  if (fsa_constants.bf16_dot) {
    sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi16(0x3f80), (__m512bh)_mm512_set1_epi16(0x4040));
  } else {
    for (int i = 0; i < 16; ++i) sum[i] = 6;
  }
  __builtin_memcpy(p->y + item * fsa_constants.width, &sum, sizeof(sum));
}

}  // namespace fsa::test_kernel
