// What a forward call costs the host: nanoseconds per call and per kernel it launches, for every loop order of an operator.
//
//   host_overhead [DEVICE] [CALLS]          default: cpu 200; CALLS: fewer than a GPU's launch queue holds
//
// The problem is one token, so that a kernel's own time is next to nothing: on a GPU calls are enqueued without waiting and the
// wait is left out; on a CPU a call contains its kernels. Beside it stand, on a GPU, the driver's own cost of launching an
// empty kernel and the same through the device interface. Medians of 50 rounds; the fastest round in brackets.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "codegen/nvrtc_compiler.h"
#include "runtime/device/cuda_module.h"
#include "runtime/engine_impl.h"

namespace fsa {
namespace {

constexpr int kRounds = 50;
constexpr const char* kProblem =
    R"({"dtype": "bf16", "head_dim": 64, "head_dim_v": 64, "heads_q": 2, "heads_kv": 1, "block_size": 64, "topk": 1, "total_q": 1, "total_k": 1})";

struct Cost {
  double median = 0, best = 0;  // seconds per call
};

/// Time of one call among `calls` that nothing waits for.
template <class Call>
Result<Cost> measure(const Device& device, int calls, const Call& call) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    FSA_RETURN_IF_ERROR(device.synchronize());
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) FSA_RETURN_IF_ERROR(call());
    rounds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / calls);
  }
  FSA_RETURN_IF_ERROR(device.synchronize());
  std::sort(rounds.begin(), rounds.end());
  return Cost{rounds[rounds.size() / 2], rounds.front()};
}

void print(std::string_view what, Cost cost, std::size_t kernels) {
  const double n = static_cast<double>(std::max<std::size_t>(kernels, 1));
  fmt::print("{:<40} {:>3} kernels  {:>8.0f} ns per call ({:.0f})  {:>8.0f} ns per kernel ({:.0f})\n", what, kernels, cost.median * 1e9,
             cost.best * 1e9, cost.median * 1e9 / n, cost.best * 1e9 / n);
}

/// A plan's tensors in device memory: zeros, and cu_q and cu_k of one sequence.
struct Arguments {
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<TensorView> views;
  Workspace workspace;

  static Result<Arguments> of(const Device& device, const Plan::Impl& plan) {
    Arguments a;
    for (const TensorInfo& info : plan.tensors()) {
      TensorView view{.data = nullptr, .dtype = info.dtype, .rank = static_cast<int>(info.shape.size())};
      std::copy(info.shape.begin(), info.shape.end(), view.shape.begin());
      std::int64_t stride = 1;
      for (int i = view.rank - 1; i >= 0; --i) {
        view.stride[i] = stride;
        stride *= view.shape[i];
      }
      FSA_ASSIGN_OR_RETURN(auto buffer, device.allocate(static_cast<std::size_t>(view.num_elements()) * size_of(info.dtype)));
      FSA_RETURN_IF_ERROR(device.fill(buffer->data(), 0, buffer->size()));
      view.data = buffer->data();
      const int one_sequence[2] = {0, 1};
      if (info.name == "cu_q" || info.name == "cu_k")
        FSA_RETURN_IF_ERROR(device.copy_to_device(view.data, one_sequence, sizeof one_sequence));
      a.buffers.push_back(std::move(buffer));
      a.views.push_back(view);
    }
    FSA_ASSIGN_OR_RETURN(auto scratch, device.allocate(plan.chain().workspace_bytes()));
    a.workspace = {scratch->data(), scratch->size()};
    a.buffers.push_back(std::move(scratch));
    return a;
  }
};

Result<void> measure_variants(const Engine& engine, int calls) {
  const Device& device = *engine.impl()->device();
  FSA_ASSIGN_OR_RETURN(const Operator* op, find_operator("selected_attention"));
  FSA_ASSIGN_OR_RETURN(const Json problem, parse_public_problem(*op, kProblem));
  FSA_ASSIGN_OR_RETURN(const std::shared_ptr<void> stream, device.make_stream());
  for (const ChainVariant& variant : op->variants(device.target().backend)) {
    FSA_ASSIGN_OR_RETURN(const auto plan, engine.impl()->plan(*op, problem, Choice{.variant = variant.name}));
    FSA_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::of(device, *plan));
    const auto forward = [&] { return plan->forward(arguments.views, arguments.workspace, stream.get()); };
    FSA_ASSIGN_OR_RETURN(const Cost cost, measure(device, calls, forward));
    print(fmt::format("{}, {}", op->name(), variant.name), cost, plan->chain().num_launches());
  }
  return {};
}

Result<void> measure_empty_kernel(const Engine& engine, int ordinal, int calls) {
  const Device& device = *engine.impl()->device();
  FSA_ASSIGN_OR_RETURN(const auto compiler, make_nvrtc_compiler(std::make_shared<TemplateStore>(
                                                std::map<std::string, std::string, std::less<>>{{"empty/kernel.cuh", ""}},
                                                std::map<std::string, std::span<const std::byte>, std::less<>>{})));
  FSA_ASSIGN_OR_RETURN(const Binary binary,
                       compiler->compile({.family = "empty",
                                          .version = 1,
                                          .target = device.target(),
                                          .shape = Json::object(),
                                          .config = Json::object(),
                                          .source = "struct Params { char bytes[256]; };\n"
                                                    "extern \"C\" __global__ void kernel_entry(const __grid_constant__ Params p) {}\n",
                                          .constants = {},
                                          .symbols = {"kernel_entry"}}));
  const std::vector<Launch> launches{{.symbol = "kernel_entry", .threads = 128}};
  FSA_ASSIGN_OR_RETURN(const std::shared_ptr<void> stream, device.make_stream());
  ParamBlock params;
  params.set(std::array<char, 256>{});

  FSA_ASSIGN_OR_RETURN(const auto context, CudaContext::open(ordinal));
  FSA_ASSIGN_OR_RETURN(const auto raw, CudaModule::load(context, binary.bytes, launches));
  const auto entry = static_cast<const CudaModule&>(*raw).entry(0);
  const CurrentContext current(*context);  // as an application has it
  void* arguments[] = {params.data()};
  const auto by_driver = [&] {
    return context->driver().check(
        context->driver().launch_kernel(entry, 1, 1, 1, 128, 1, 1, 0, static_cast<CudaDriver::Stream>(stream.get()), arguments, nullptr),
        "launching an empty kernel");
  };
  FSA_ASSIGN_OR_RETURN(const Cost driver_cost, measure(device, calls, by_driver));
  print("the driver alone, an empty kernel", driver_cost, 1);

  FSA_ASSIGN_OR_RETURN(const auto module, device.load(binary.bytes, launches));
  FSA_ASSIGN_OR_RETURN(const Cost device_cost,
                       measure(device, calls, [&] { return device.launch(*module, 0, launches[0], params, stream.get()); }));
  print("the device interface, an empty kernel", device_cost, 1);
  return {};
}

Result<void> run(const std::string& device, int calls) {
  FSA_ASSIGN_OR_RETURN(const EngineOptions options, EngineOptions::from_environment());
  FSA_ASSIGN_OR_RETURN(const Engine engine, Engine::create(device, options));
  fmt::print("{}\n", engine.device_name());
  if (engine.impl()->target().backend == Backend::kCuda) {
    const auto colon = device.find(':');
    FSA_RETURN_IF_ERROR(measure_empty_kernel(engine, colon == device.npos ? 0 : std::atoi(device.c_str() + colon + 1), calls));
  }
  return measure_variants(engine, calls);
}

}  // namespace
}  // namespace fsa

int main(int argc, char** argv) {
  const auto done = fsa::run(argc > 1 ? argv[1] : "cpu", argc > 2 ? std::max(1, std::atoi(argv[2])) : 200);
  if (!done) fmt::print(stderr, "error: {}\n", done.error().message());
  return done ? 0 : 1;
}
