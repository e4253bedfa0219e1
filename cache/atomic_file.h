#pragma once
// Owns atomic writing: a file is replaced whole or not at all, whatever happens in between.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "fsa/base/result.h"

namespace fsa {

/// Permissions of a new file before the umask applies.
enum class FileMode : unsigned { kPrivate = 0600, kShared = 0666 };

/// Writes the parts one after the other to a temporary file in the same folder, syncs it and renames it over `path`.
/// On failure (kIo, with the system's reason) the temporary file is gone and `path` is as it was.
Result<void> write_file_atomically(const std::string& path, std::span<const std::span<const std::byte>> parts, FileMode mode);
Result<void> write_file_atomically(const std::string& path, std::string_view text, FileMode mode);

/// True for the name of a temporary file that a killed writer may have left behind.
bool is_temporary_name(std::string_view name);

}  // namespace fsa
