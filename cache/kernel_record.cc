#include "cache/kernel_record.h"

#include <fmt/format.h>

#include <utility>

#include "cache/json_members.h"

namespace fsa {
namespace {

Json report_json(const CompileReport& r) {
  return {{"seconds", r.seconds},
          {"registers", r.registers},
          {"spill_bytes", r.spill_bytes},
          {"stack_bytes", r.stack_bytes},
          {"static_smem_bytes", r.static_smem_bytes},
          {"warnings", r.warnings}};
}

CompileReport read_report(MemberReader& m) {
  return {.seconds = m.number_or("seconds", 0),
          .registers = static_cast<int>(m.integer_or("registers", -1)),
          .spill_bytes = static_cast<int>(m.integer_or("spill_bytes", 0)),
          .stack_bytes = static_cast<int>(m.integer_or("stack_bytes", 0)),
          .static_smem_bytes = static_cast<int>(m.integer_or("static_smem_bytes", 0)),
          .warnings = m.texts_or_none("warnings")};
}

}  // namespace

KernelRecord KernelRecord::of(const Specialization& s, std::string_view compiler, const CompileReport& report, std::string created_by) {
  return {.family = s.family,
          .version = s.version,
          .target = s.target.to_string(),
          .shape = s.shape,
          .config = s.config,
          .symbols = s.symbols,
          .compiler = std::string(compiler),
          .report = report,
          .created_by = std::move(created_by)};
}

Json KernelRecord::to_json() const {
  return {{"family", family},        {"version", version}, {"target", target},     {"shape", shape},
          {"config", config},        {"symbols", symbols}, {"compiler", compiler}, {"report", report_json(report)},
          {"created_by", created_by}};
}

Result<KernelRecord> KernelRecord::parse(const Json& json, std::string_view what) {
  MemberReader m(json);
  const Json report = m.object_or_empty("report");
  MemberReader report_members(report);
  KernelRecord record{.family = m.text("family"),
                      .version = static_cast<int>(m.integer("version")),
                      .target = m.text("target"),
                      .shape = m.object("shape"),
                      .config = m.object("config"),
                      .symbols = m.texts("symbols"),
                      .compiler = m.text("compiler"),
                      .report = read_report(report_members),
                      .created_by = m.text_or_empty("created_by")};
  const std::string& fault = m.fault().empty() ? report_members.fault() : m.fault();
  if (!fault.empty()) return make_error(ErrorKind::kCorrupt, {.given = fmt::format("{}: the kernel's record is damaged: {}", what, fault)});
  return record;
}

Digest KernelRecord::kernel_digest() const {
  Specialization s;
  s.family = family;
  s.version = version;
  s.target.arch = target;  // all of a target that identity depends on
  s.shape = shape;
  s.config = config;
  return s.kernel_digest();
}

}  // namespace fsa
