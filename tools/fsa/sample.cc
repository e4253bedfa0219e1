// fsa sample: writes a random input file of any shape, the same for equal arguments on every machine.
#include <fmt/format.h>

#include <memory>

#include "runtime/nsa_file.h"
#include "runtime/selected_file.h"
#include "templates/selected_problem.h"
#include "tools/fsa/command.h"
#include "tools/fsa/shape_flags.h"

namespace fsa::cli {
namespace {

struct SampleFlags {
  ShapeFlags shape;
  std::string output;
  reference::InputPattern pattern;
};

Result<Outcome> write_selected_sample(const SampleFlags& flags, const NamedProblem& named) {
  FSA_ASSIGN_OR_RETURN(const SelectedProblem problem, from_json(selected_problem_fields(), named.problem, "selected-attention problem"));
  FSA_RETURN_IF_ERROR(check_selected_problem(problem, Target{}));
  FSA_ASSIGN_OR_RETURN(auto tensors, named.op->random_inputs(named.problem, flags.pattern));
  const SelectedInput file{.problem = {.block_size = problem.block_size, .topk = problem.topk, .scale = problem.scale},
                           .q = std::move(tensors[0]),
                           .k = std::move(tensors[1]),
                           .v = std::move(tensors[2]),
                           .block_indices = std::move(tensors[3]),
                           .cu_q = std::move(tensors[4]),
                           .cu_k = std::move(tensors[5])};
  FSA_RETURN_IF_ERROR(write_selected_input(flags.output, file));
  const std::string q = file.q.view().describe(), k = file.k.view().describe(), blocks = file.block_indices.view().describe();
  return Outcome{{{"output", flags.output}, {"q", q}, {"k", k}, {"block_indices", blocks}},
                 fmt::format("{}: q {}, k {}, block_indices {}\n", flags.output, q, k, blocks)};
}

Result<Outcome> write_nsa_sample(const SampleFlags& flags, const NamedProblem& named) {
  FSA_RETURN_IF_ERROR(named.op->check(named.problem, Target{}));
  FSA_ASSIGN_OR_RETURN(auto tensors, named.op->random_inputs(named.problem, flags.pattern));
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
  if (problems[0].op == &selected_attention_operator()) return write_selected_sample(flags, problems[0]);
  return make_error(ErrorKind::kUnsupported, {.given = fmt::format("--op {}", flags.shape.op), .supported = "selected, nsa: what fsa run reads files for",
                                              .remedy = "fsa bench and fsa tune make their inputs themselves"});
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
  ShapeFlags::add_pattern_to(*command, flags->pattern);
  command->callback([&invocation, flags] { invocation.action = [flags] { return write_sample(*flags); }; });
}

}  // namespace fsa::cli
