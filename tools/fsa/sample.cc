// fsa sample: writes a random input file of any shape, the same for equal arguments on every machine.
#include <fmt/format.h>

#include <memory>

#include "runtime/nsa_file.h"
#include "runtime/selected_file.h"
#include "templates/reference/random_problem.h"
#include "tools/fsa/command.h"
#include "tools/fsa/shape_flags.h"

namespace fsa::cli {
namespace {

struct SampleFlags {
  ShapeFlags shape;
  std::string output;
  std::uint64_t seed = 1;
  double overlap = 0;
};

Result<SelectedProblem> kernel_problem(const Json& json) {
  FSA_ASSIGN_OR_RETURN(const SelectedProblem p, from_json(selected_problem_fields(), json, "selected-attention problem"));
  FSA_RETURN_IF_ERROR(check_selected_problem(p, Target{}));
  return p;
}

Result<Outcome> write_nsa_sample(const SampleFlags& flags, const NamedProblem& named) {
  FSA_RETURN_IF_ERROR(named.op->check(named.problem, Target{}));
  FSA_ASSIGN_OR_RETURN(auto tensors, named.op->random_inputs(named.problem, flags.seed));
  const OperatorInput input{.op = named.op, .problem = named.problem, .tensors = std::move(tensors)};
  FSA_RETURN_IF_ERROR(write_nsa_input(flags.output, input));
  Outcome outcome{{{"output", flags.output}}, flags.output + ":"};
  const auto specs = named.op->external_specs(named.problem);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].access != Access::kRead) continue;
    outcome.json[specs[i].name] = input.tensors[i].view().describe();
    outcome.text += fmt::format(" {} {}", specs[i].name, input.tensors[i].view().describe());
  }
  outcome.text += "\n";
  return outcome;
}

Result<Outcome> write_sample(const SampleFlags& flags) {
  FSA_ASSIGN_OR_RETURN(const auto problems, flags.shape.problems());
  if (problems.size() != 1)
    return make_error(ErrorKind::kInvalidArgument,
                      {.given = fmt::format("{} shapes for one output file", problems.size()), .supported = "one preset and one --seqlen"});
  if (problems[0].op == &native_sparse_attention_operator()) return write_nsa_sample(flags, problems[0]);
  FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, kernel_problem(problems[0].problem));
  reference::InputOptions options;
  options.seed = flags.seed;
  options.overlap = flags.overlap;
  const auto inputs = reference::random_inputs(problem, options);
  const auto operands = inputs.operands();
  SelectedInput file{.problem = {.block_size = problem.block_size, .topk = problem.topk},
                     .q = HostTensor::copy_of(operands.q),
                     .k = HostTensor::copy_of(operands.k),
                     .v = HostTensor::copy_of(operands.v),
                     .block_indices = HostTensor::copy_of(operands.block_indices),
                     .cu_q = HostTensor::copy_of(operands.cu_q),
                     .cu_k = HostTensor::copy_of(operands.cu_k)};
  file.problem.scale = operands.scale;
  FSA_RETURN_IF_ERROR(write_selected_input(flags.output, file));
  return Outcome{{{"output", flags.output},
                  {"q", file.q.view().describe()},
                  {"k", file.k.view().describe()},
                  {"block_indices", file.block_indices.view().describe()}},
                 fmt::format("{}: q {}, k {}, block_indices {}\n", flags.output, file.q.view().describe(), file.k.view().describe(),
                             file.block_indices.view().describe())};
}

}  // namespace

void add_sample(CLI::App& app, Invocation& invocation) {
  auto flags = std::make_shared<SampleFlags>();
  CLI::App* command = add_command(
      app, invocation, "sample", "Write a random input file",
      {{"An input of the shape of Llama 3 8B, 4096 tokens", "fsa sample --preset llama3-8b --seqlen 4k --output in.safetensors"},
       {"The sample of this repository",
        "fsa sample --heads-q 8 --heads-kv 2 --head-dim 64 --seqlen 512 --topk 6 --output selected_g4_d64.safetensors"}});
  flags->shape.add_to(*command);
  command->add_option("--output", flags->output, "Safetensors file to write")->required();
  command->add_option("--seed", flags->seed, "Equal seeds give equal files")->capture_default_str();
  command->add_option("--overlap", flags->overlap, "Chance that a token selects a block of the token before again")
      ->check(CLI::Range(0.0, 1.0));
  command->callback([&invocation, flags] { invocation.action = [flags] { return write_sample(*flags); }; });
}

}  // namespace fsa::cli
