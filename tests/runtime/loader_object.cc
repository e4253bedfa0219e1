// A relocatable object as an ordinary compiler makes it, for loaders and the CPU device: built in every configuration.
// Constant data, data, zeroed data, a table of addresses, calls to its own functions and to functions of the loader.
namespace {
struct Params {
  const int* x;  // [items, 16]
  int* y;        // [items, 16]
  int* calls;    // [1]
};
const int kTable[4] = {0, 100, 200, 300};
int zeroed;
int doubled(int x) { return 2 * x; }
int negated(int x) { return -x; }
using Function = int (*)(int);
}  // namespace

extern "C" {
void* memcpy(void*, const void*, unsigned long);
void* memset(void*, int, unsigned long);
int shared_counter = 7;                                      // reached through its address slot
Function volatile shared_functions[2] = {doubled, negated};  // absolute 64-bit addresses

// y[item] = 2 * x[item] + table for even items, -x[item] + table for odd ones.
__attribute__((visibility("default"))) void kernel_entry(const Params* p, long item, void* scratch) {
  const unsigned long bytes = 16 * sizeof(int);
  int* row = static_cast<int*>(scratch);
  memcpy(row, p->x + item * 16, bytes);
  for (int i = 0; i < 16; ++i) row[i] = shared_functions[item & 1](row[i]) + kTable[item & 3];
  memcpy(p->y + item * 16, row, bytes);
  __atomic_store_n(p->calls, __atomic_add_fetch(&zeroed, 1, __ATOMIC_RELAXED) + __atomic_load_n(&shared_counter, __ATOMIC_RELAXED),
                   __ATOMIC_RELAXED);
}

__attribute__((visibility("default"))) void kernel_entry_clear(const Params* p, long item, void*) {
  memset(p->y + item * 16, 0, 16 * sizeof(int));
}
}
