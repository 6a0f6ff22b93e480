// SPDX-License-Identifier: Apache-2.0
// What the sections of the status page are made of: escaped text, members of JSON that may be missing, tags, times,
// graphs. Pure. Private to healthmon.
#pragma once

#include <cstdint>
#include <ctime>
#include <deque>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace anypop::healthmon {

// As text or as the value of an attribute in quotes.
std::string html(std::string_view text);

// Members that may be missing or of another type, so that the page survives every state.
std::string_view text_at(const boost::json::object& object, std::string_view key);
std::int64_t number_at(const boost::json::object& object, std::string_view key);
bool flag_at(const boost::json::object& object, std::string_view key);
const boost::json::array& list_at(const boost::json::object& object, std::string_view key);
const boost::json::object& object_at(const boost::json::object& object, std::string_view key);
const boost::json::object& as_object(const boost::json::value& value);  // empty if it is none
std::string joined(const boost::json::array& values);                   // "a, b"

// A word in a coloured frame. `colour`: good, warn, bad or soft. The word says what the colour says.
std::string tag(std::string_view colour, std::string_view word);

std::tm utc(std::int64_t unix_ms);
std::string day_text(const std::tm& time);      // "2026-11-20"
std::string clock_text(const std::tm& time);    // "18:31:07"
std::string minute_text(std::int64_t unix_ms);  // "2026-11-20 18:31 UTC"
std::string duration_text(std::int64_t ms);     // "0.9 s", "45 s", "12 min", "3 h 20 min", "2 d 4 h"
std::string rate_text(double per_s);            // "812/s", "12.4 k/s"
std::string count_text(std::uint64_t count);    // "1,234,567"

// A minute of a rate, newest at the right. The number beside it is the text alternative.
std::string graph(const std::deque<double>& values);

}  // namespace anypop::healthmon
