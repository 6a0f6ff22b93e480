// SPDX-License-Identifier: Apache-2.0
// Reading JSON that another program wrote, without trusting that anything is there. What is missing or of another type
// is empty, false or 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace anypop::cli {

const boost::json::value* member(const boost::json::value* value, std::string_view key);  // nullptr: none
std::string text_of(const boost::json::value* value, std::string_view key);
std::int64_t number_of(const boost::json::value* value, std::string_view key);
double real_of(const boost::json::value* value, std::string_view key);
bool flag_of(const boost::json::value* value, std::string_view key);
boost::json::array list_of(const boost::json::value* value, std::string_view key);
// The texts of a list: "a, b".
std::string names(const boost::json::array& list);

}  // namespace anypop::cli
