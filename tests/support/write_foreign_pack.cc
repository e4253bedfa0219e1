// Owns a program for tests of what happens to a pack that has code for another machine alone: write_foreign_pack PATH.
#include <fmt/format.h>

#include "cache/pack.h"

int main(int count, char** arguments) {
  using namespace fsa;
  if (count != 2) return 2;
  Specialization s;
  s.family = "selected_query_major";
  s.version = 1;
  s.target = *Target::parse("sm_80");
  s.shape = {{"element", "bf16"}};
  s.config = {{"warps", 4}};
  s.symbols = {"kernel_entry"};
  PackContents contents{.library_version = "0.1.0"};
  contents.kernels.push_back({KernelRecord::of(s, "nvrtc 13.0", {}, "a test"), std::vector<std::byte>(16)});
  const auto written = write_pack(arguments[1], contents);
  if (!written) fmt::print(stderr, "{}\n", written.error().message());
  return written ? 0 : 1;
}
