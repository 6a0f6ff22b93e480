// SPDX-License-Identifier: Apache-2.0
// The last minute of the dataplane's counters as rates, for the status page. Pure; bounded: kPoints values per service
// and verdict of the configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "dataplane_api/messages.h"
#include "healthmon/time.h"

namespace anypop::healthmon {

class TrafficHistory {
 public:
  static constexpr std::size_t kPoints = 60;
  struct Series {
    std::deque<double> per_s;  // oldest first, at most kPoints
    std::uint64_t counter = 0;
  };

  // The next answer to GET /v1/stats. A new instance of the dataplane starts anew at zero.
  void add(const dataplane_api::Stats& stats, SteadyTime now);
  // The dataplane did not answer: what it does is not known.
  void lost() { last_.reset(); }

  const std::map<std::string, Series>& services() const { return services_; }  // packets forwarded, by service
  const std::map<std::string, Series>& verdicts() const { return verdicts_; }  // packets, by verdict
  const Series& forwarded() const { return forwarded_; }  // packets of all verdicts that begin with "forward"
  const Series& dropped() const { return dropped_; }      // and with "drop"
  bool live() const { return last_.has_value(); }

 private:
  static void point(Series& series, std::uint64_t counter, std::optional<double> elapsed_s);

  std::map<std::string, Series> services_;
  std::map<std::string, Series> verdicts_;
  Series forwarded_;
  Series dropped_;
  std::string instance_;
  std::optional<SteadyTime> last_;
};

}  // namespace anypop::healthmon
