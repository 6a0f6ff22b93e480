// SPDX-License-Identifier: Apache-2.0
// The probes of one backend, combined into one health: at least `needed` of them must be good. A value; pure;
// O(probes).
//
// What is certain whatever the unknown ones turn out to be is the verdict; else the backend is unknown. A backend that
// has a verdict never becomes unknown again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/probe_config.h"
#include "healthmon/probe_result.h"
#include "healthmon/rise_fall.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

// What one probe of one backend has found so far.
struct ProbeRecord {
  RiseFall rise_fall;
  ProbeResult last{.ok = false, .cause = "not probed yet"};
  std::int64_t last_unix_ms = 0;
  std::uint64_t succeeded = 0;  // results since the start
  std::uint64_t failed = 0;
};

class BackendProbes {
 public:
  // `configs` must outlive it. needed 0: all.
  BackendProbes(const std::vector<ProbeConfig>& configs, unsigned needed);

  // After a reload: what `old` has found of the same backend goes on, for the probes that ask the same as before, by
  // whatever thresholds. A verdict stays until the new probes have another one.
  void carry_over(const BackendProbes& old, const std::vector<ProbeConfig>& old_configs);

  // Takes the next result; true when the health changed.
  bool add(std::size_t probe, const ProbeResult& result, std::int64_t unix_ms);

  // The failures of late do not count: the backend is healthy as before them, and is asked again, fast.
  void forgive();

  Health health() const { return health_; }
  std::string cause() const;                                            // in a few words, why
  const std::vector<ProbeRecord>& records() const { return records_; }  // by index in `configs`
  // None of the failed probes had an answer: the fault may be ours.
  bool failed_in_silence() const;
  // From the start of this probe to the start of the next.
  Milliseconds interval(std::size_t probe) const;

 private:
  Health combined() const;

  const std::vector<ProbeConfig>* configs_;
  std::size_t needed_;
  std::vector<ProbeRecord> records_;
  Health health_ = Health::kUnknown;
};

}  // namespace anypop::healthmon
