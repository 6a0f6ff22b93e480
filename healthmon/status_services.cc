// SPDX-License-Identifier: Apache-2.0
#include "status_services.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "page_parts.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr std::size_t kLinesMax = 60;  // of services, unless all are asked for
constexpr std::size_t kSickBackendsMax = 20;

std::string backend_state(const json::object& backend) {
  const std::string_view health = text_at(backend, "health");
  const std::string_view reason = text_at(backend, "use_reason");
  std::string out = tag(health == "healthy" ? "good" : health == "unhealthy" ? "bad" : "warn", health);
  if (!reason.empty() && reason != "health") out += " " + tag("warn", reason);
  if (!flag_at(backend, "resolved")) out += " " + tag("warn", "no next hop");
  return out;
}

std::string backend_cause(const json::object& backend) {
  std::string why(text_at(backend, "cause"));
  if (const json::object& drain = object_at(backend, "drain"); !drain.empty()) {
    why += fmt::format("; drained by {}: {}", text_at(drain, "who"), text_at(drain, "reason"));
  }
  return why;
}

std::string backend_row(const json::object& backend) {
  const std::int64_t weight_permille =
      flag_at(backend, "used") ? number_at(backend, "weight") * number_at(backend, "weight_permille") : 0;
  std::int64_t latency_us = 0;
  for (const json::value& probe : list_at(backend, "probes")) {
    latency_us = std::max(latency_us, number_at(as_object(probe), "latency_us"));
  }
  return fmt::format(
      "<tr><th scope=\"row\">{}</th><td>{}</td><td data-name=\"last probe\">{}</td><td class=\"number\" "
      "data-name=\"answered in\">{:.1f} ms</td><td class=\"number\" data-name=\"weight\">{:g}</td><td "
      "data-name=\"address\">{}</td></tr>\n",
      html(text_at(backend, "name")), backend_state(backend), html(backend_cause(backend)),
      static_cast<double>(latency_us) / 1000, static_cast<double>(weight_permille) / 1000,
      html(text_at(backend, "address")));
}

std::string healthy_tag(const json::object& service) {
  const std::int64_t healthy = number_at(service, "backends_healthy");
  const std::int64_t all = number_at(service, "backends_total");
  return tag(healthy == all ? "good" : healthy == 0 ? "bad" : "warn", fmt::format("{} of {} healthy", healthy, all));
}

const TrafficHistory::Series* series_of(const StatusView& view, const std::string& service) {
  if (view.traffic == nullptr || !view.traffic->live()) return nullptr;
  const auto found = view.traffic->services().find(service);
  return found == view.traffic->services().end() || found->second.per_s.empty() ? nullptr : &found->second;
}

// How far it is to the limit, in words; empty if no announcement needs the service.
std::string limit_text(const json::object& service) {
  std::string text = fmt::format("{} % of the weight is healthy", number_at(service, "healthy_percent"));
  const std::int64_t drain = number_at(service, "drain_below_percent");
  const std::int64_t withdraw = number_at(service, "withdraw_below_percent");
  if (drain > 0) text += fmt::format(", drained below {} %", drain);
  if (withdraw > 0) text += fmt::format(", withdrawn below {} %", withdraw);
  return text;
}

std::string endpoint(const json::object& service) {
  return fmt::format("{} {} port {}", text_at(service, "vip"), text_at(service, "protocol"),
                     number_at(service, "port"));
}

std::string service_card(const json::object& service, const StatusView& view) {
  std::string rows;
  for (const json::value& backend : list_at(service, "backends")) rows += backend_row(as_object(backend));
  const std::string name(text_at(service, "name"));
  const TrafficHistory::Series* series = series_of(view, name);
  const std::string rate = series == nullptr ? "<span class=\"soft\">no traffic figures</span>"
                                             : fmt::format("<span class=\"number\">{} packets</span>{}",
                                                           rate_text(series->per_s.back()), graph(series->per_s));
  return fmt::format(
      "<article class=\"card\"><div class=\"row\"><div><h3>{0} {1}</h3><p class=\"soft\">{2}; {3}</p></div><div "
      "class=\"row rate\">{4}</div></div>{5}<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Backends "
      "of "
      "{0}\"><table class=\"stack\"><thead><tr><th scope=\"col\">Backend</th><th scope=\"col\">State</th><th "
      "scope=\"col\">Last probe</th><th scope=\"col\" class=\"number\">Answered in</th><th scope=\"col\" "
      "class=\"number\">Weight</th><th scope=\"col\">Address</th></tr></thead><tbody>\n{6}</tbody></table></div>"
      "</article>\n",
      html(name), healthy_tag(service), html(endpoint(service)), html(limit_text(service)), rate,
      flag_at(service, "panic") ? "<p class=\"bad\">Panic: too few backends are healthy, so that all are used.</p>"
                                : "",
      rows);
}

std::string service_line(const json::object& service, const StatusView& view) {
  const std::string name(text_at(service, "name"));
  const TrafficHistory::Series* series = series_of(view, name);
  return fmt::format(
      "<tr><th scope=\"row\"><a href=\"?service={0}\">{0}</a></th><td>{1}</td><td data-name=\"at\">{2}</td><td "
      "class=\"number\" data-name=\"packets\">{3}</td><td>{4}</td></tr>\n",
      html(name), healthy_tag(service) + (flag_at(service, "panic") ? " " + tag("bad", "panic") : ""),
      html(endpoint(service)), series == nullptr ? "-" : rate_text(series->per_s.back()),
      series == nullptr || series->counter == 0 ? "" : graph(series->per_s));
}

// Those with the least healthy share first; of the others the busiest.
std::vector<const json::object*> by_urgency(const StatusView& view) {
  std::vector<const json::object*> services;
  for (const json::value& value : list_at(view.state, "services")) services.push_back(&as_object(value));
  const auto rate = [&](const json::object& service) {
    const TrafficHistory::Series* series = series_of(view, std::string(text_at(service, "name")));
    return series == nullptr ? 0.0 : series->per_s.back();
  };
  std::stable_sort(services.begin(), services.end(), [&](const json::object* a, const json::object* b) {
    const std::int64_t healthy_a = number_at(*a, "healthy_percent");
    const std::int64_t healthy_b = number_at(*b, "healthy_percent");
    return healthy_a != healthy_b ? healthy_a < healthy_b : rate(*a) > rate(*b);
  });
  return services;
}

std::string sick_backends(const std::vector<const json::object*>& services) {
  std::string lines;
  std::size_t count = 0;
  for (const json::object* service : services) {
    for (const json::value& value : list_at(*service, "backends")) {
      const json::object& backend = as_object(value);
      if (flag_at(backend, "healthy") || ++count > kSickBackendsMax) continue;
      lines += fmt::format("<li>{} {}/{}: {}</li>\n", backend_state(backend), html(text_at(*service, "name")),
                           html(text_at(backend, "name")), html(backend_cause(backend)));
    }
  }
  return lines.empty() ? "" : fmt::format("<h3>Backends that are not well</h3><ul class=\"card\">\n{}</ul>\n", lines);
}

std::string service_lines(const StatusView& view) {
  const std::vector<const json::object*> services = by_urgency(view);
  const std::size_t shown = view.whole ? services.size() : std::min(kLinesMax, services.size());
  std::string rows;
  for (std::size_t i = 0; i < shown; ++i) rows += service_line(*services[i], view);
  return fmt::format(
      "{}<div class=\"card wide\" tabindex=\"0\" role=\"region\" aria-label=\"Services\"><table class=\"stack\"><thead>"
      "<tr><th scope=\"col\">Service</th><th scope=\"col\">Backends</th><th scope=\"col\">At</th><th scope=\"col\" "
      "class=\"number\">Packets</th><th scope=\"col\">Last "
      "minute</th></tr></thead><tbody>\n{}</tbody></table>{}</div>\n",
      sick_backends(services), rows,
      shown == services.size()
          ? ""
          : fmt::format("<p><a href=\"?service=all\">and {} more</a>, none of them less healthy</p>",
                        services.size() - shown));
}

}  // namespace

std::string services_section(const StatusView& view) {
  std::string out = fmt::format("<section id=\"services\" aria-labelledby=\"h-s\"><h2 id=\"h-s\">Services</h2>\n{}",
                                view.narrowed ? "<p><a href=\"./\">All services</a></p>" : "");
  if (view.many_services && !view.narrowed) return out + service_lines(view) + "</section>\n";
  for (const json::value& value : list_at(view.state, "services")) out += service_card(as_object(value), view);
  if (view.narrowed && list_at(view.state, "services").empty()) out += "<p>There is no service of that name.</p>";
  return out + "</section>\n";
}

}  // namespace anypop::healthmon
