// SPDX-License-Identifier: Apache-2.0
// What one dataplane leaves for the next, so that flows outlive a restart, an upgrade and a crash. Files in
// run_dir/takeover, made for whoever runs the dataplane alone:
//
//   state     Legacy (legacy.h): replaced as a whole, always before the change that it tells of is in force
//   flows.N   the flow table of worker N (flow_file.h)
//
// If `state` cannot be used, nothing can: records name backends by numbers that it gives. Everything begins anew then,
// after one line that says why. A flow table that cannot be used costs its own flows only.
//
// The next process may have fewer workers, or tables of another size. Tables that no worker has any more are left over:
// workers look into them, nobody writes to them, and when their last record has expired they are removed. Then they
// cost nothing.
//
// Control thread only, except what workers do with their tables.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <sys/types.h>

#include "dataplane/flow_file.h"
#include "dataplane/legacy.h"
#include "l4lb/flow_table.h"

namespace anypop::dataplane {

class Takeover {
 public:
  struct Options {
    std::filesystem::path folder;
    unsigned workers = 1;
    std::uint32_t flow_records = 0;  // of a worker
    std::uint64_t now_ms = 0;        // of the monotonic clock
    std::string boot;                // a name of this run of the machine, without blanks
    std::uint64_t new_epoch = 0;     // a number that was never used before
  };

  // Reads `state`. Never fails: what is wrong is logged, and then nothing is taken over.
  explicit Takeover(Options options);

  // What the former process knew; nullptr: there was none. refuse(): it could not be used.
  const Legacy* legacy() const { return legacy_ ? &*legacy_ : nullptr; }
  void refuse(const absl::Status& reason);

  // Once, after that: takes over or makes the workers' tables. One that cannot be a file is in memory of its own.
  void open_tables();
  // Once for each worker. The table must not outlive this.
  l4lb::FlowTable take_table(unsigned worker);
  // Stay at their places.
  std::vector<const l4lb::FlowTable*> left_over() const;
  std::size_t records_found() const { return records_found_; }

  // To be called before anything of it is in force. A failure is logged, once, and removes what is there, because
  // later records would not fit it.
  void keep(const Legacy& legacy);
  // To be called about every second.
  void tend(std::uint64_t now_ms);
  // The files become this user's.
  absl::Status give_to(uid_t user, gid_t group) const;

 private:
  struct LeftOver {
    std::filesystem::path path;
    std::unique_ptr<FlowFile> file;
    bool removed = false;
  };
  std::filesystem::path flows(unsigned number) const;
  std::filesystem::path state() const { return options_.folder / "state"; }
  absl::Status prepare_folder() const;
  absl::Status read_state();
  std::unique_ptr<FlowFile> open_table(unsigned number) const;
  void place(std::unique_ptr<FlowFile> file, unsigned number);
  void leave_over(std::unique_ptr<FlowFile> file, unsigned number);
  void make_missing_tables();
  void give_up(std::string_view what, const absl::Status& reason);

  Options options_;
  std::uint64_t epoch_;
  bool usable_ = false;  // the folder
  std::optional<Legacy> legacy_;
  std::vector<std::unique_ptr<FlowFile>> files_;           // [worker]; nullptr: it has memory instead
  std::vector<std::unique_ptr<l4lb::FlowMemory>> memory_;  // of those
  std::vector<LeftOver> left_over_;
  std::size_t records_found_ = 0;
  std::string said_;
};

// Of this run of the machine; empty if it does not say.
std::string boot_name();

}  // namespace anypop::dataplane
