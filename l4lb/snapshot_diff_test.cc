// SPDX-License-Identifier: Apache-2.0
#include "l4lb/snapshot_diff.h"

#include <gtest/gtest.h>

namespace anypop::l4lb {
namespace {

PopConfig with_backends(unsigned count, unsigned table_size = 65537) {
  PopConfig config;
  ServiceConfig service;
  service.name = "web";
  service.vip = *IpAddress::parse("198.51.100.1");
  service.port = 80;
  service.table_size = table_size;
  for (unsigned i = 0; i < count; ++i) {
    service.backends.push_back(
        {.name = "b" + std::to_string(i), .address = *IpAddress::parse("10.1.0." + std::to_string(i + 1))});
  }
  config.services = {service};
  return config;
}

double moved(const PopConfig& before, const PopConfig& after) {
  const ConfigDiff diff = predict(before, after);
  return static_cast<double>(diff.services.at(0).slots_moved) / static_cast<double>(diff.services.at(0).slots);
}

TEST(SnapshotDiff, AnAddedBackendTakesItsShareAndLittleElseMoves) {
  EXPECT_NEAR(moved(with_backends(9), with_backends(10)), 0.10, 0.02);
  EXPECT_NEAR(moved(with_backends(10), with_backends(9)), 0.10, 0.02);
}

TEST(SnapshotDiff, WhatDoesNotTouchTheTableMovesNothing) {
  PopConfig after = with_backends(4);
  after.services[0].port = 8080;
  std::swap(after.services[0].backends[0], after.services[0].backends[1]);
  EXPECT_EQ(moved(with_backends(4), after), 0.0);
}

TEST(SnapshotDiff, AnotherHashMovesEverythingAndAnotherSizeMuch) {
  PopConfig after = with_backends(4);
  after.services[0].hash = HashBy::kSource;
  EXPECT_EQ(moved(with_backends(4), after), 1.0);
  EXPECT_GT(moved(with_backends(4), with_backends(4, 1009)), 0.3);
}

}  // namespace
}  // namespace anypop::l4lb
