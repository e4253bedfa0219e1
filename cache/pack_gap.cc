#include "cache/pack_gap.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cache/json_text.h"

namespace fsa {
namespace {

using Entries = std::vector<const PackEntry*>;
using Aspect = std::function<std::string(const KernelRecord&)>;

/// The values of an aspect among the entries, each once.
std::string values(const Entries& entries, const Aspect& aspect) {
  std::vector<std::string> list;
  for (const PackEntry* e : entries)
    if (std::string value = aspect(e->record); std::ranges::find(list, value) == list.end()) list.push_back(std::move(value));
  return fmt::format("{}", fmt::join(list, ", "));
}

void keep(Entries& entries, const Aspect& aspect, const std::vector<std::string>& accepted) {
  std::erase_if(entries, [&](const PackEntry* e) { return std::ranges::find(accepted, aspect(e->record)) == accepted.end(); });
}

/// One question to the pack: the entries must have an accepted value of the aspect.
struct Question {
  Aspect aspect;
  std::vector<std::string> accepted;
  std::string held;  ///< what the pack holds, with {} for the values it has
  std::string remedy;
};

std::vector<std::string> names(const std::vector<Target>& targets) {
  std::vector<std::string> list;
  for (const Target& t : targets) list.push_back(t.to_string());
  return list;
}

/// From the coarsest to the finest. Values go through fmt::runtime, so braces of JSON are passed as arguments only.
std::vector<Question> questions(const Pack& pack, const Specialization& w) {
  const std::string device = w.target.to_string();
  return {{[](const KernelRecord& r) { return r.target; }, names(pack.runnable_targets(w.target)), "kernels for {}; this device is {}",
           fmt::format("export again with --target {}", device)},
          {[](const KernelRecord& r) { return r.family; },
           {w.family},
           "the families {} for this device, but not {}",
           "export again for this operator"},
          {[](const KernelRecord& r) { return std::to_string(r.version); },
           {std::to_string(w.version)},
           "version {} of the family; this library needs version {}",
           "export again with this version of the library"},
          {[](const KernelRecord& r) { return dump_json(r.shape); },
           {dump_json(w.shape)},
           "the shapes {}, but not {}",
           "export again for this shape"},
          {[](const KernelRecord& r) { return dump_json(r.config); },
           {dump_json(w.config)},
           "the configs {}, but not {}",
           "use a config that the pack holds, or export again with this one"}};
}

}  // namespace

Error pack_gap(const Pack& pack, const Specialization& wanted) {
  Entries left;
  for (const PackEntry& e : pack.entries()) left.push_back(&e);
  for (const Question& q : questions(pack, wanted)) {
    const std::string had = left.empty() ? "nothing" : values(left, q.aspect);
    keep(left, q.aspect, q.accepted);
    if (!left.empty()) continue;
    const std::string asked = q.accepted.size() == 1 ? q.accepted.front() : wanted.target.to_string();
    return make_error(ErrorKind::kNotFound,
                      {.given = fmt::format("the pack holds {} ('{}', family {})", fmt::format(fmt::runtime(q.held), had, asked),
                                            pack.path(), wanted.family),
                       .remedy = q.remedy});
  }
  return make_error(ErrorKind::kInternal, {.given = fmt::format("the pack '{}' holds {} and did not find it", pack.path(), wanted.name())});
}

}  // namespace fsa
