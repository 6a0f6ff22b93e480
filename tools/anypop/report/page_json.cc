// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <boost/json/array.hpp>

#include "anypop_report/page.h"

namespace anypop::report {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::object incident_json(const Incident& incident) {
  json::object moments;
  for (std::size_t i = 0; i < kMomentCount; ++i) {
    const auto moment = static_cast<Moment>(i);
    if (incident.at(moment)) moments[std::string(moment_name(moment))] = *incident.at(moment);
  }
  json::object steps;
  for (const Step& step : kSteps) {
    if (const auto ms = incident.between_ms(step.from, step.to)) steps[std::string(step.name)] = *ms;
  }
  return {{"pop", incident.pop},
          {"announcement", incident.announcement},
          {"cause", incident.cause},
          {"over", incident.over()},
          {"failed_requests", incident.failed_requests},
          {"moved_requests", incident.moved_requests},
          {"unix_ns", std::move(moments)},
          {"steps_ms", std::move(steps)}};
}

}  // namespace

json::object to_json(const Report& report) {
  json::array incidents;
  for (const Incident& incident : report.incidents) incidents.push_back(incident_json(incident));
  json::array steps;
  for (const Step& step : kSteps) {
    const Percentiles found = percentiles(step, report.incidents);
    if (found.count == 0) continue;
    steps.push_back(json::object{{"step", text(step.name)},
                                 {"count", found.count},
                                 {"least_ms", found.least},
                                 {"median_ms", found.median},
                                 {"p90_ms", found.p90},
                                 {"most_ms", found.most}});
  }
  return {{"title", report.title},
          {"begin_unix_ns", report.begin_unix_ns},
          {"end_unix_ns", report.end_unix_ns},
          {"withdrawals", std::move(incidents)},
          {"steps", std::move(steps)},
          {"skipped_lines", report.skipped_lines}};
}

}  // namespace anypop::report
