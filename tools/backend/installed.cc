// SPDX-License-Identifier: Apache-2.0
#include "installed.h"

#include <algorithm>

#include <boost/json.hpp>

#include "base/text.h"

namespace anypop::backend {
namespace {

namespace json = boost::json;

template <typename T>
json::array to_texts(const std::vector<T>& values) {
  json::array array;
  for (const T& value : values) array.emplace_back(value.to_string());
  return array;
}

json::object to_object(const Wish& wish) {
  json::array interfaces(wish.interfaces.begin(), wish.interfaces.end());
  json::array ports(wish.gue_ports.begin(), wish.gue_ports.end());
  return {{"device", wish.device},
          {"vips", to_texts(wish.vips)},
          {"addresses", to_texts(wish.addresses)},
          {"interfaces", std::move(interfaces)},
          {"sources", to_texts(wish.sources)},
          {"gue_ports", std::move(ports)},
          {"ipip", wish.ipip},
          {"gre", wish.gre},
          {"gue", wish.gue}};
}

std::string text(const json::value& value) { return std::string(value.as_string()); }

template <typename T>
T parsed(const json::value& value) {
  auto found = T::parse(text(value));
  if (!found.ok()) throw std::invalid_argument(std::string(message(found.status())));
  return *found;
}

template <typename T>
std::vector<T> parsed_list(const json::value& list) {
  std::vector<T> values;
  for (const json::value& value : list.as_array()) values.push_back(parsed<T>(value));
  return values;
}

Wish to_wish(const json::object& from) {
  Wish wish;
  wish.device = text(from.at("device"));
  wish.vips = parsed_list<IpPrefix>(from.at("vips"));
  wish.addresses = parsed_list<IpAddress>(from.at("addresses"));
  for (const json::value& value : from.at("interfaces").as_array()) wish.interfaces.push_back(text(value));
  wish.sources = parsed_list<IpPrefix>(from.at("sources"));
  for (const json::value& value : from.at("gue_ports").as_array()) {
    wish.gue_ports.push_back(value.to_number<std::uint16_t>());
  }
  wish.ipip = from.at("ipip").as_bool();
  wish.gre = from.at("gre").as_bool();
  wish.gue = from.at("gue").as_bool();
  return wish;
}

Installed to_installed(const json::object& from) {
  Installed installed{to_wish(from.at("wish").as_object()), {}, {}, {}};
  for (const json::value& value : from.at("vips").as_array()) {
    const json::object& vip = value.as_object();
    installed.vips.push_back({parsed<IpPrefix>(vip.at("prefix")), text(vip.at("device"))});
  }
  for (const json::value& value : from.at("sysctls").as_array()) {
    const json::object& sysctl = value.as_object();
    installed.sysctls.push_back({text(sysctl.at("name")), text(sysctl.at("before")), text(sysctl.at("after"))});
  }
  for (const json::value& value : from.at("attachments").as_array()) {
    const json::object& attachment = value.as_object();
    installed.attachments.push_back({text(attachment.at("interface")), attachment.at("made_qdisc").as_bool()});
  }
  return installed;
}

// Two records of the same thing.
bool same(const Vip& a, const Vip& b) { return a == b; }
bool same(const ChangedSysctl& a, const ChangedSysctl& b) { return a.name == b.name; }
bool same(const Attachment& a, const Attachment& b) { return a.interface == b.interface; }

template <typename T>
std::vector<T> missing_from(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> found;
  for (const T& value : a) {
    if (std::none_of(b.begin(), b.end(), [&](const T& other) { return same(value, other); })) found.push_back(value);
  }
  return found;
}

template <typename T>
std::vector<T> united(std::vector<T> a, const std::vector<T>& b) {
  const std::vector<T> more = missing_from(b, a);
  a.insert(a.end(), more.begin(), more.end());
  return a;
}

}  // namespace

std::string to_json(const Installed& installed) {
  json::array vips;
  for (const Vip& vip : installed.vips) {
    vips.push_back(json::object{{"prefix", vip.prefix.to_string()}, {"device", vip.device}});
  }
  json::array sysctls;
  for (const ChangedSysctl& sysctl : installed.sysctls) {
    sysctls.push_back(json::object{{"name", sysctl.name}, {"before", sysctl.before}, {"after", sysctl.after}});
  }
  json::array attachments;
  for (const Attachment& attachment : installed.attachments) {
    attachments.push_back(json::object{{"interface", attachment.interface}, {"made_qdisc", attachment.made_qdisc}});
  }
  return json::serialize(json::object{{"wish", to_object(installed.wish)},
                                      {"vips", std::move(vips)},
                                      {"sysctls", std::move(sysctls)},
                                      {"attachments", std::move(attachments)}});
}

absl::StatusOr<Installed> parse_installed(std::string_view text) {
  // Boost.JSON reports a missing key or a wrong type by exception; nothing of it leaves this function.
  try {
    return to_installed(json::parse(text).as_object());
  } catch (const std::exception& problem) {
    return invalid_argument("found text that anypop-backend did not write ({})", problem.what());
  }
}

Installed difference(const Installed& a, const Installed& b) {
  return {a.wish, missing_from(a.vips, b.vips), missing_from(a.sysctls, b.sysctls),
          missing_from(a.attachments, b.attachments)};
}

Installed both(const Installed& a, const Installed& b) {
  return {a.wish, united(a.vips, b.vips), united(a.sysctls, b.sysctls), united(a.attachments, b.attachments)};
}

}  // namespace anypop::backend
