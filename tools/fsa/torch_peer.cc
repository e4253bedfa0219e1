#include "tools/fsa/torch_peer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

extern char** environ;

namespace fsa::cli {
namespace {

constexpr const char* kScript = "tools/bench/compare_torch.py";
constexpr int kMissingModule = 77;  // what the script ends with where torch or a GPU is missing

struct Finished {
  int status = 0;  // of waitpid
  std::string out;
};

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

Error no_python(int reason) {
  return make_error(ErrorKind::kUnavailable, {.given = fmt::format("python3 cannot be started: {}", std::strerror(reason)),
                                              .supported = "--against torch where python3 and PyTorch are installed",
                                              .remedy = "install them, or leave --against torch out"});
}

/// Runs a program with its standard output captured; standard error is this process's.
Result<Finished> run_and_capture(std::vector<std::string> argv) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return no_python(errno);
  std::vector<char*> arguments;
  for (std::string& a : argv) arguments.push_back(a.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = -1;
  const int failure = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  Finished finished;
  if (failure == 0) finished.out = read_all(ends[0]);
  close(ends[0]);
  if (failure != 0) return no_python(failure);
  while (waitpid(child, &finished.status, 0) < 0 && errno == EINTR) {
  }
  return finished;
}

Error unsupported(std::string given) {
  return make_error(
      ErrorKind::kUnsupported,
      {.given = std::move(given) + " beside PyTorch",
       .supported = "attention operators, one sequence on a GPU, as many queries as keys, equal head dimensions of q, k and v",
       .remedy = "leave --against torch out, or change the shape"});
}

/// What compare_torch.py calls an operator.
Result<std::string> sample_of(const Operator& op) {
  static const std::map<std::string_view, std::string> samples{{"selected_attention", "selected"},
                                                               {"native_sparse_attention", "nsa"},
                                                               {"compressed_attention", "compressed"},
                                                               {"select_blocks", "select_blocks"},
                                                               {"sliding_window", "sliding"}};
  const auto it = samples.find(op.name());
  return it != samples.end() ? Result<std::string>(it->second) : unsupported(fmt::format("the operator {}", op.name()));
}

Result<void> check_problem(const Json& p) {
  const auto number = [&](const char* field) { return p.at(field).get<std::int64_t>(); };
  if (number("num_seqs") != 1) return unsupported(fmt::format("{} sequences", number("num_seqs")));
  if (number("total_q") != number("total_k"))
    return unsupported(fmt::format("{} queries and {} keys", number("total_q"), number("total_k")));
  if (p.contains("head_dim_v") && number("head_dim") != number("head_dim_v"))
    return unsupported(fmt::format("head dimensions {} and {}", number("head_dim"), number("head_dim_v")));
  const std::string compression = p.value("compression", std::string("none"));
  if (compression != "none" && compression != "mean") return unsupported(fmt::format("compression '{}'", compression));
  return {};
}

/// Flags of compare_torch.py and the fields of problems that they name; an operator has some of them.
constexpr std::pair<const char*, const char*> kSizes[] = {{"--seqlens", "total_k"},
                                                          {"--heads-kv", "heads_kv"},
                                                          {"--head-dim", "head_dim"},
                                                          {"--block-size", "block_size"},
                                                          {"--topk", "topk"},
                                                          {"--kernel-size", "kernel_size"},
                                                          {"--stride", "stride"},
                                                          {"--init-blocks", "init_blocks"},
                                                          {"--local-blocks", "local_blocks"},
                                                          {"--window", "window"}};

}  // namespace

Result<std::string> find_torch_script(const std::string& program) {
  for (auto folder = std::filesystem::path(program).parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / kScript, ignored)) return (folder / kScript).string();
  }
  return make_error(ErrorKind::kNotFound, {.given = fmt::format("no {} above {}", kScript, program),
                                           .supported = "--against torch in a checkout",
                                           .remedy = "name the file: --torch-script FILE"});
}

Result<std::vector<std::string>> torch_command(const TorchRequest& request, const Operator& op, const Json& problem) {
  FSA_ASSIGN_OR_RETURN(const std::string sample, sample_of(op));
  if (!request.device.starts_with("cuda")) return unsupported(fmt::format("the device '{}'", request.device));
  FSA_RETURN_IF_ERROR(check_problem(problem));
  std::vector<std::string> command{"python3", request.script, "--json", "--output", ""};
  const auto add = [&](const char* flag, std::string value) { command.insert(command.end(), {flag, std::move(value)}); };
  add("--device", request.device);
  add("--rounds", fmt::format("{}", request.rounds));
  add("--only", sample + ",dense_cudnn,dense_flash,window_flash");
  add("--dtype", problem.at("element"));
  add("--heads-q", fmt::format("{}", problem.at("heads_kv").get<int>() * problem.at("group").get<int>()));
  for (const auto& [flag, field] : kSizes)
    if (problem.contains(field)) add(flag, problem.at(field).dump());
  if (problem.contains("compression")) add("--compression", problem.at("compression"));
  return command;
}

Result<Json> measure_beside_torch(const TorchRequest& request, const Operator& op, const Json& problem) {
  FSA_ASSIGN_OR_RETURN(auto command, torch_command(request, op, problem));
  FSA_ASSIGN_OR_RETURN(const Finished finished, run_and_capture(std::move(command)));
  const int code = WIFEXITED(finished.status) ? WEXITSTATUS(finished.status) : 128 + WTERMSIG(finished.status);
  if (code == kMissingModule || code == 127)
    return make_error(ErrorKind::kUnavailable, {.given = "PyTorch or its GPU cannot be used by python3 (its reason is above)",
                                                .supported = "--against torch where `python3 -c 'import torch'` works",
                                                .remedy = "install PyTorch for python3, or leave --against torch out"});
  Json json = Json::parse(finished.out, nullptr, false);
  if (code == 0 && json.is_object()) return json;
  return make_error(ErrorKind::kDevice,
                    {.given = fmt::format("{} ended with {}", request.script, code), .remedy = "its messages are above"});
}

}  // namespace fsa::cli
