#include "tools/fsa/torch_peer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

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
  return make_error(ErrorKind::kUnsupported,
                    {.given = std::move(given) + " beside PyTorch",
                     .supported = "one sequence on a GPU, as many queries as keys, equal head dimensions of q, k and v",
                     .remedy = "leave --against torch out, or change the shape"});
}

Result<void> check_problem(const Json& p) {
  const auto number = [&](const char* field) { return p.at(field).get<std::int64_t>(); };
  if (number("num_seqs") != 1) return unsupported(fmt::format("{} sequences", number("num_seqs")));
  if (number("total_q") != number("total_k"))
    return unsupported(fmt::format("{} queries and {} keys", number("total_q"), number("total_k")));
  if (number("head_dim") != number("head_dim_v"))
    return unsupported(fmt::format("head dimensions {} and {}", number("head_dim"), number("head_dim_v")));
  return {};
}

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
  if (!request.device.starts_with("cuda")) return unsupported(fmt::format("the device '{}'", request.device));
  FSA_RETURN_IF_ERROR(check_problem(problem));
  const bool whole = op.name() == "native_sparse_attention";
  if (whole && problem.at("compression") != "none" && problem.at("compression") != "mean")
    return unsupported(fmt::format("compression '{}'", problem.at("compression").get<std::string>()));
  std::vector<std::string> command{"python3", request.script, "--json", "--output", ""};
  const auto add = [&](const char* flag, std::string value) { command.insert(command.end(), {flag, std::move(value)}); };
  add("--device", request.device);
  add("--rounds", fmt::format("{}", request.rounds));
  add("--only", fmt::format("{},dense_cudnn,dense_flash,window_flash", whole ? "nsa" : "selected"));
  add("--dtype", problem.at("element"));
  add("--seqlens", problem.at("total_k").dump());
  add("--heads-q", fmt::format("{}", problem.at("heads_kv").get<int>() * problem.at("group").get<int>()));
  for (const auto& [flag, field] :
       {std::pair{"--heads-kv", "heads_kv"}, {"--head-dim", "head_dim"}, {"--block-size", "block_size"}, {"--topk", "topk"}})
    add(flag, problem.at(field).dump());
  if (!whole) return command;
  for (const auto& [flag, field] : {std::pair{"--kernel-size", "kernel_size"},
                                    {"--stride", "stride"},
                                    {"--init-blocks", "init_blocks"},
                                    {"--local-blocks", "local_blocks"},
                                    {"--window", "window"}})
    add(flag, problem.at(field).dump());
  add("--compression", problem.at("compression"));
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
