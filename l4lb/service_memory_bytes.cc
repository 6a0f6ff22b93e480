// SPDX-License-Identifier: Apache-2.0
// ServiceMemories as bytes. Numbers are little endian; tables and histories that several services share are written
// once, and referred to by their number from 1 (0: none).
//
//   "ANYPOPM2" · u64 key check · u32 epoch of services to come
//   u32 tables     of u32 slots, u16 owner each
//   u32 histories  of u32 slots, u16 previous each, u32 until each
//   u32 services   of name, u8 hash, u32 network bits, u32 epoch, u32 table, u32 history,
//                  u32 backends of name, u8 lives;  u32 ids of name, u16 id
//   where a name is u32 bytes and the bytes
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <set>
#include <span>

#include "base/text.h"
#include "service_memory.h"

namespace anypop::l4lb {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "ANYPOPM2";
constexpr std::uint32_t kSlotsMax = 16'777'216;
constexpr std::uint32_t kNameMax = 256;
constexpr std::uint32_t kCountMax = 65'535;
constexpr std::uint16_t kIdMax = 60'000;

class Writer {
 public:
  template <class T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  template <class T>
  void numbers(const std::vector<T>& values) {
    text_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  void count(std::size_t count) { number(static_cast<std::uint32_t>(count)); }
  void name(std::string_view name) {
    count(name.size());
    text_.append(name);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_{kMagic};
};

// Reads nothing behind the end; after the first thing that is wrong everything is 0 and empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T number() {
    const std::vector<T> values = numbers<T>(1);
    return values.empty() ? T{} : values[0];
  }
  template <class T>
  std::vector<T> numbers(std::size_t count) {
    if (rest_.size() / sizeof(T) < count) fail("it ends too early");
    if (!ok() || count == 0) return {};
    std::vector<T> values(count);
    std::memcpy(values.data(), rest_.data(), count * sizeof(T));
    rest_.remove_prefix(count * sizeof(T));
    return values;
  }
  std::uint32_t count(std::uint32_t most) {
    const auto count = number<std::uint32_t>();
    if (count <= most) return count;
    fail("it counts more than can be");
    return 0;
  }
  std::string name() {
    const std::vector<char> bytes = numbers<char>(count(kNameMax));
    return {bytes.begin(), bytes.end()};
  }
  void fail(std::string_view problem) {
    if (ok()) problem_ = problem;
  }
  bool ok() const { return problem_.empty(); }
  std::string_view problem() const { return problem_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  std::string_view problem_;
};

// Shared things, each once.
template <class T>
class Numbered {
 public:
  std::uint32_t number_of(const std::shared_ptr<const T>& thing) {
    if (thing == nullptr) return 0;
    const auto at = std::ranges::find(all_, thing);
    if (at != all_.end()) return static_cast<std::uint32_t>(at - all_.begin()) + 1;
    all_.push_back(thing);
    return static_cast<std::uint32_t>(all_.size());
  }
  const std::vector<std::shared_ptr<const T>>& all() const { return all_; }
  void add(std::shared_ptr<const T> thing) { all_.push_back(std::move(thing)); }
  std::shared_ptr<const T> read(Reader& from) const {
    const std::uint32_t number = from.count(static_cast<std::uint32_t>(all_.size()));
    return number == 0 ? nullptr : all_[number - 1];
  }

 private:
  std::vector<std::shared_ptr<const T>> all_;
};

void write_service(const std::string& name, const ServiceMemory& memory, std::uint32_t owners, std::uint32_t history,
                   Writer& to) {
  to.name(name);
  to.number(static_cast<std::uint8_t>(memory.hash));
  to.number(static_cast<std::uint32_t>(memory.network_bits));
  to.number(memory.epoch);
  to.number(owners);
  to.number(history);
  to.count(memory.backends.size());
  for (std::size_t i = 0; i < memory.backends.size(); ++i) {
    to.name(memory.backends[i]);
    to.number(static_cast<std::uint8_t>(i < memory.now.lives.size() && memory.now.lives[i]));
  }
  to.count(memory.ids.size());
  for (const auto& [backend, id] : memory.ids) {
    to.name(backend);
    to.number(id);
  }
}

std::shared_ptr<const SlotHistory> read_history(Reader& from) {
  auto history = std::make_shared<SlotHistory>();
  const std::uint32_t slots = from.count(kSlotsMax);
  history->previous = from.numbers<std::uint16_t>(slots);
  history->until = from.numbers<std::uint32_t>(slots);
  history->next_end = 0;  // the next build looks at all of them
  return history;
}

void read_backends(Reader& from, ServiceMemory& memory) {
  std::set<std::string> seen;
  for (std::uint32_t left = from.count(kCountMax); left > 0 && from.ok(); --left) {
    memory.backends.push_back(from.name());
    memory.now.lives.push_back(from.number<std::uint8_t>() != 0);
    if (!seen.insert(memory.backends.back()).second) from.fail("it names a backend twice");
  }
}

void read_ids(Reader& from, ServiceMemory& memory) {
  std::set<std::uint16_t> seen;
  for (std::uint32_t left = from.count(kCountMax); left > 0 && from.ok(); --left) {
    std::string name = from.name();
    const auto id = from.number<std::uint16_t>();
    if (id >= kIdMax || !seen.insert(id).second || !memory.ids.emplace(std::move(name), id).second) {
      from.fail("it gives an id twice, or one that cannot be");
    }
  }
}

}  // namespace

std::string save(const ServiceMemories& memories, std::uint64_t key_check) {
  Numbered<MaglevTable> tables;
  Numbered<SlotHistory> histories;
  Writer services;
  for (const auto& [name, memory] : memories.services) {
    write_service(name, memory, tables.number_of(memory.now.owners), histories.number_of(memory.now.history), services);
  }
  Writer all;
  all.number(key_check);
  all.number(memories.epoch);
  all.count(tables.all().size());
  for (const auto& table : tables.all()) {
    all.count(table->slots.size());
    all.numbers(table->slots);
  }
  all.count(histories.all().size());
  for (const auto& history : histories.all()) {
    all.count(history->previous.size());
    all.numbers(history->previous);
    all.numbers(history->until);
  }
  all.count(memories.services.size());
  return all.take() + services.take().substr(kMagic.size());
}

absl::Status restore(std::string_view bytes, std::uint64_t key_check, ServiceMemories& memories) {
  const auto refuse = [](std::string_view problem) {
    return invalid_argument("the flows' history cannot be taken over: {}", problem);
  };
  if (!bytes.starts_with(kMagic)) return refuse("it does not begin as one");
  Reader from(bytes.substr(kMagic.size()));
  if (from.number<std::uint64_t>() != key_check) return refuse("it was made with another hash_key");
  ServiceMemories read;
  read.epoch = from.number<std::uint32_t>();
  Numbered<MaglevTable> tables;
  for (std::uint32_t left = from.count(kCountMax); left > 0 && from.ok(); --left) {
    tables.add(std::make_shared<MaglevTable>(
        MaglevTable{.slots = from.numbers<std::uint16_t>(from.count(kSlotsMax)), .owned = {}}));
  }
  Numbered<SlotHistory> histories;
  for (std::uint32_t left = from.count(kCountMax); left > 0 && from.ok(); --left) histories.add(read_history(from));
  for (std::uint32_t left = from.count(kCountMax); left > 0 && from.ok(); --left) {
    ServiceMemory& memory = read.services[from.name()];
    memory = {.hash = static_cast<HashBy>(from.number<std::uint8_t>()), .network_bits = from.number<std::uint32_t>()};
    memory.epoch = from.number<std::uint32_t>();
    memory.now.owners = tables.read(from);
    memory.now.history = histories.read(from);
    read_backends(from, memory);
    read_ids(from, memory);
  }
  if (from.ok() && !from.at_end()) from.fail("there is something behind its end");
  if (!from.ok()) return refuse(from.problem());
  memories = std::move(read);
  return absl::OkStatus();
}

}  // namespace anypop::l4lb
