#include "tests/families/problems/problems.h"

#include <map>
#include <stdexcept>
#include <string>

namespace fsa::test {

bool runs_on(std::string_view family, const Target& target) {
  return (family != "shared_reduce" && family != "shared_blocks") || target.arch == "sm_90a";
}

FamilyProblems family_problems(std::string_view family, Backend backend) {
  static const std::map<std::string_view, FamilyProblems (*)(Backend)> lists{
      {"block_index", selected_problems},
      {"selected_block_major", selected_problems},
      {"partial_reduce", partial_reduce_problems},
      {"selected_query_major", selected_problems},
      {"shared_blocks", selected_problems},
      {"shared_reduce", shared_reduce_problems},
      {"compressed_sequences", compressed_sequences_problems},
      {"compress_kv", compress_kv_problems},
      {"gated_combine", gated_combine_problems},
      {"select_blocks", select_blocks_problems},
      {"compressed_attention", compressed_attention_problems},
      {"sliding_window", sliding_window_problems},
      {"multiply_add_peak", multiply_add_peak_problems},
  };
  const auto list = lists.find(family);
  if (list == lists.end()) throw std::out_of_range("tests/families/problems has no list for " + std::string(family));
  return list->second(backend);
}

FamilyProblems multiply_add_peak_problems(Backend) { return {.compiled = {Json::object()}, .planned = {Json::object()}}; }

}  // namespace fsa::test
