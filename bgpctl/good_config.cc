// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/good_config.h"

#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "shared_file.h"

namespace anypop::bgpctl {
namespace {

// At the end, so that a line of the copy has the number that it has in the file.
constexpr std::string_view kOrigin = "\n# The last good copy of ";

std::string origin_line(const std::filesystem::path& file) {
  return fmt::format("{}{}\n", kOrigin, std::filesystem::absolute(file).lexically_normal().string());
}

// The value of the file's own `state_dir:`, whatever is wrong with the rest of it; empty: there is none.
std::filesystem::path state_dir_line(std::string_view text) {
  constexpr std::string_view kKey = "state_dir:";
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    line = line.substr(0, line.find(" #"));
    const auto plain = [](char c) {
      return !absl::ascii_isspace(static_cast<unsigned char>(c)) && c != '"' && c != '\'';
    };
    while (!line.empty() && !plain(line.front())) line.remove_prefix(1);
    while (!line.empty() && !plain(line.back())) line.remove_suffix(1);
    return line;
  }
  return {};
}

absl::StatusOr<PopConfig> load_copy(const std::filesystem::path& copy, const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = read_file(copy);
  if (!text.ok()) return text.status();
  if (!text->ends_with(origin_line(file))) return not_found("{} is of another file", copy.string());
  return parse_config(*text, copy);
}

// hash_key is a secret, and nobody who goes by the copy needs it: zeros of the same length.
std::string without_secret(std::string text, const PopConfig& config) {
  const auto& key = config.dataplane.hash_key;
  const std::string digits = absl::BytesToHexString({reinterpret_cast<const char*>(key.data()), key.size()});
  const std::string lower = absl::AsciiStrToLower({text.data(), text.size()});
  for (std::size_t at = lower.find(digits); at != std::string::npos; at = lower.find(digits, at + digits.size())) {
    text.replace(at, digits.size(), digits.size(), '0');
  }
  return text;
}

// The copy is for no more eyes than the file, from its first moment on.
absl::Status write_copy(const std::filesystem::path& file, const std::filesystem::path& path, std::string_view text) {
  struct stat original {};
  if (::stat(file.c_str(), &original) != 0) return errno_error(errno, "cannot ask for the mode of {}", file.string());
  const std::string temporary = fmt::format("{}.{}", path.string(), ::getpid());
  ::unlink(temporary.c_str());  // of a process of that number that died in the midst of it
  const absl::StatusOr<int> copy =
      open_shared_file(temporary, O_WRONLY | O_NOFOLLOW, (original.st_mode & 0777U) | S_IRUSR | S_IWUSR);
  if (!copy.ok()) return copy.status();
  const absl::Cleanup remove_temporary = [&] { ::unlink(temporary.c_str()); };
  bool written = true;
  while (written && !text.empty()) {
    const ssize_t bytes = ::write(*copy, text.data(), text.size());
    written = bytes > 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(bytes));
  }
  written = written && ::fsync(*copy) == 0;
  const int error = errno;
  ::close(*copy);
  if (!written) return errno_error(error, "cannot write {}", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(errno, "cannot replace {}", path.string());
  return absl::OkStatus();
}

}  // namespace

std::filesystem::path good_config_path(const std::filesystem::path& state_dir) { return state_dir / "pop.good.yaml"; }

absl::Status keep_good_config(const PopConfig& config) {
  const absl::StatusOr<std::string> text = read_file(config.file);
  if (!text.ok()) return text.status();
  const std::filesystem::path path = good_config_path(config.state_dir);
  // It was good when it was loaded; it may be another one by now.
  const auto good = parse_config(*text, config.file);
  if (!good.ok()) return good.status();
  const std::string copy = without_secret(*text, *good) + origin_line(config.file);
  if (const absl::StatusOr<std::string> there = read_file(path); there.ok() && *there == copy) return absl::OkStatus();
  if (absl::Status folder = make_shared_folder(config.state_dir); !folder.ok()) return folder;
  return write_copy(config.file, path, copy);
}

absl::StatusOr<FoundConfig> find_config(const std::filesystem::path& file, const std::filesystem::path& state_dir) {
  absl::StatusOr<PopConfig> config = load_config(file);
  if (config.ok()) return FoundConfig{*std::move(config), {}};
  std::vector<std::filesystem::path> folders{state_dir};
  if (state_dir.empty()) {
    const absl::StatusOr<std::string> text = read_file(file);
    folders = {text.ok() ? state_dir_line(*text) : std::filesystem::path(), PopConfig{}.state_dir};
  }
  for (const std::filesystem::path& folder : folders) {
    if (folder.empty()) continue;
    const std::filesystem::path copy = good_config_path(folder);
    absl::StatusOr<PopConfig> good = load_copy(copy, file);
    if (!good.ok()) continue;
    return FoundConfig{*std::move(good), fmt::format("{}; going by the last good copy of it, {}",
                                                     message(config.status()), copy.string())};
  }
  return absl::Status(config.status().code(),
                      fmt::format("{}; and there is no last good copy of it in {}", message(config.status()),
                                  (folders.front().empty() ? folders.back() : folders.front()).string()));
}

}  // namespace anypop::bgpctl
