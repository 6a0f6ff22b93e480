// SPDX-License-Identifier: Apache-2.0
// Fields of an event, or of another object that a program of ours wrote, without trusting that they are there: what is
// missing or of another type is empty or 0. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace anypop::bgpctl {

std::string text_at(const boost::json::object& object, std::string_view key);  // as it is: see printable()
std::int64_t number_at(const boost::json::object& object, std::string_view key);
std::optional<bool> flag_at(const boost::json::object& object, std::string_view key);
// ": why", printable; or nothing.
std::string because(const boost::json::object& event);

}  // namespace anypop::bgpctl
