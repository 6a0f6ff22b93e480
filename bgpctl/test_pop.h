// SPDX-License-Identifier: Apache-2.0
// A PopConfig in a folder of its own, for tests.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "base/config.h"

namespace anypop::bgpctl {

class TestPop : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "bgpctl_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    config_.pop = "ams";
    config_.file = "/etc/anypop/pop.yaml";
    config_.run_dir = folder_ / "run";
    config_.state_dir = folder_ / "state";
    config_.birds.front().socket = (folder_ / "bird.ctl").string();
    config_.announcements = {announcement("web", {"198.51.100.0/24", "2001:db8:53::/48", "203.0.113.0/24"}),
                             announcement("dns-4", {"192.0.2.0/24"})};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static AnnouncementConfig announcement(const std::string& name, const std::vector<std::string>& prefixes) {
    AnnouncementConfig result;
    result.name = name;
    for (const std::string& prefix : prefixes) result.prefixes.push_back(*IpPrefix::parse(prefix));
    return result;
  }

  const AnnouncementConfig& web() const { return config_.announcements[0]; }
  const AnnouncementConfig& dns() const { return config_.announcements[1]; }

  std::filesystem::path folder_;
  PopConfig config_;
};

}  // namespace anypop::bgpctl
