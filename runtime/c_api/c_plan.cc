// Owns the plan part of the C interface.
#include <array>
#include <span>

#include "codegen/base/json.h"
#include "runtime/c_api/c_handles.h"
#include "runtime/c_api/c_struct.h"
#include "runtime/c_api/c_tensor.h"
#include "runtime/chain.h"

namespace fsa::c_api {
namespace {

std::string report_json(std::string_view op, const PlanReport& r) {
  const Json json{{"op", op},
                  {"variant", r.variant},
                  {"source", r.source},
                  {"why", r.why},
                  {"configs", Json::parse(r.configs_json, nullptr, false)},
                  {"compiled", r.compiled},
                  {"from_cache", r.from_cache},
                  {"from_pack", r.from_pack},
                  {"already_loaded", r.already_loaded},
                  {"seconds", r.seconds}};
  return json.dump();
}

std::string report_text(std::string_view op, const PlanReport& r) {
  return fmt::format(
      "{}: {} ({}: {})\nkernels: {} compiled, {} from the cache, {} from a pack, {} already loaded; {:.1f} ms\nconfigs: {}\n", op,
      r.variant, r.source, r.why, r.compiled, r.from_cache, r.from_pack, r.already_loaded, 1e3 * r.seconds, r.configs_json);
}

Error wrong_count(const std::vector<TensorInfo>& infos, std::size_t count) {
  std::string names;
  for (const TensorInfo& info : infos) names += (names.empty() ? "" : ", ") + info.name;
  return make_error(ErrorKind::kInvalidArgument, {.given = fmt::format("{} tensors", count),
                                                  .supported = fmt::format("the {} of this plan: {}", infos.size(), names),
                                                  .remedy = "pass them in the order of fsa_plan_get_tensor()"});
}

/// A caller's tensors as views, on the stack.
class Views {
 public:
  Result<void> read(const fsa_plan& plan, const DLTensor* const* tensors, std::size_t count) {
    const std::vector<TensorInfo>& infos = plan.plan.tensors();
    if (count != infos.size() || count > views_.size()) return wrong_count(infos, count);
    if (!tensors) return null_argument("tensors");
    for (std::size_t i = 0; i < count; ++i) FSA_RETURN_IF_ERROR(to_view(tensors[i], infos[i], plan.place, views_[i]));
    count_ = count;
    return {};
  }
  std::span<const TensorView> span() const { return {views_.data(), count_}; }

 private:
  std::array<TensorView, Chain::kMaxTensors> views_;
  std::size_t count_ = 0;
};

}  // namespace
}  // namespace fsa::c_api

using namespace fsa::c_api;  // NOLINT(google-build-using-namespace)

fsa_plan::fsa_plan(fsa::Plan bound, DLDevice device)
    : plan(std::move(bound)),
      place(device),
      op(plan.op()),
      report_text(fsa::c_api::report_text(op, plan.report())),
      report_json(fsa::c_api::report_json(op, plan.report())) {
  for (const fsa::TensorInfo& info : plan.tensors()) dtypes.push_back(to_dlpack(info.dtype));
}

fsa_status fsa_plan_create(const fsa_engine* engine, const char* op, const char* problem_json, fsa_plan** plan) {
  return guarded([&]() -> fsa::Result<void> {
    if (!plan) return null_argument("plan");
    *plan = nullptr;
    FSA_RETURN_IF_ERROR(check_handle(engine, "engine"));
    if (!op) return null_argument("op");
    if (!problem_json) return null_argument("problem_json");
    FSA_ASSIGN_OR_RETURN(fsa::Plan bound, engine->engine.plan(op, problem_json));
    *plan = new fsa_plan(std::move(bound), engine->place);
    return {};
  });
}

fsa_status fsa_plan_destroy(fsa_plan* plan) {
  return guarded([&]() -> fsa::Result<void> {
    if (!plan) return {};
    FSA_RETURN_IF_ERROR(check_handle(plan, "plan"));
    delete plan;
    return {};
  });
}

fsa_status fsa_plan_get_info(const fsa_plan* plan, fsa_plan_info* info) {
  return guarded([&]() -> fsa::Result<void> {
    FSA_RETURN_IF_ERROR(check_handle(plan, "plan"));
    return write_struct(fsa_plan_info{.size = 0,
                                      .op = plan->op.c_str(),
                                      .variant = plan->plan.report().variant.c_str(),
                                      .report_text = plan->report_text.c_str(),
                                      .report_json = plan->report_json.c_str(),
                                      .num_tensors = plan->plan.tensors().size(),
                                      .workspace_bytes = plan->plan.workspace_bytes(),
                                      .device = plan->place},
                        info, "fsa_plan_info");
  });
}

fsa_status fsa_plan_get_tensor(const fsa_plan* plan, size_t index, fsa_tensor_info* info) {
  return guarded([&]() -> fsa::Result<void> {
    FSA_RETURN_IF_ERROR(check_handle(plan, "plan"));
    const std::vector<fsa::TensorInfo>& tensors = plan->plan.tensors();
    if (index >= tensors.size())
      return fsa::make_error(fsa::ErrorKind::kInvalidArgument,
                             {.given = fmt::format("tensor {} of a plan", index), .supported = fmt::format("0 to {}", tensors.size() - 1)});
    const fsa::TensorInfo& t = tensors[index];
    return write_struct(fsa_tensor_info{.size = 0,
                                        .name = t.name.c_str(),
                                        .shape = t.shape.data(),
                                        .ndim = static_cast<std::int32_t>(t.shape.size()),
                                        .dtype = plan->dtypes[index],
                                        .layout = static_cast<fsa_layout>(t.layout),
                                        .written = t.written},
                        info, "fsa_tensor_info");
  });
}

fsa_status fsa_plan_forward(const fsa_plan* plan, const DLTensor* const* tensors, size_t count, void* workspace, size_t workspace_bytes,
                            void* stream) {
  return guarded([&]() -> fsa::Result<void> {
    FSA_RETURN_IF_ERROR(check_handle(plan, "plan"));
    Views views;
    FSA_RETURN_IF_ERROR(views.read(*plan, tensors, count));
    return plan->plan.forward(views.span(), {workspace, workspace_bytes}, stream);
  });
}

fsa_status fsa_plan_validate(const fsa_plan* plan, const DLTensor* const* tensors, size_t count) {
  return guarded([&]() -> fsa::Result<void> {
    FSA_RETURN_IF_ERROR(check_handle(plan, "plan"));
    Views views;
    FSA_RETURN_IF_ERROR(views.read(*plan, tensors, count));
    return plan->plan.validate(views.span());
  });
}
