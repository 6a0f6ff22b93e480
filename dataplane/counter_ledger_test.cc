// SPDX-License-Identifier: Apache-2.0
#include "dataplane/counter_ledger.h"

#include <gtest/gtest.h>

namespace anypop::dataplane {
namespace {

ServiceConfig service(const std::string& name, const std::vector<std::string>& backends) {
  ServiceConfig out;
  out.name = name;
  for (const std::string& backend : backends) out.backends.push_back({.name = backend, .address = {}});
  return out;
}

void forward(l4lb::Counters& counters, std::uint16_t service, std::uint16_t backend, unsigned times) {
  l4lb::Packet packet;
  packet.length_bytes = 100;
  packet.verdict = l4lb::Verdict::kForward;
  packet.service = service;
  packet.backend = backend;
  for (unsigned i = 0; i < times; ++i) counters.count(packet);
}

TEST(CounterLedger, CountsGoOnByNameOverAChangeOfNumbers) {
  CounterLedger ledger({service("web", {"b1", "b2"})}, 2);
  forward(*ledger.current()[0], 0, 0, 1);
  forward(*ledger.current()[1], 0, 1, 2);
  ledger.renew({service("dns", {"b1"}), service("web", {"b2", "b1"})});
  forward(*ledger.current()[1], 1, 0, 10);
  EXPECT_EQ(ledger.backend(1, 0).packets, 12U) << "web/b2";
  EXPECT_EQ(ledger.backend(1, 1).packets, 1U) << "web/b1";
  EXPECT_EQ(ledger.backend(1, 1).bytes, 100U);
  EXPECT_EQ(ledger.backend(0, 0).packets, 0U) << "dns/b1";
  EXPECT_EQ(ledger.verdict(0, l4lb::Verdict::kForward) + ledger.verdict(1, l4lb::Verdict::kForward), 13U);
  EXPECT_EQ(ledger.verdict(0, l4lb::Verdict::kForward), 1U);
}

TEST(CounterLedger, AWorkerThatIsLateIsCountedAsLongAsItHoldsTheOldSet) {
  CounterLedger ledger({service("web", {"b1"})}, 1);
  {
    const CounterSet held = ledger.current();
    ledger.renew({service("web", {"b1"})});
    ledger.renew({service("web", {"b1"})});
    forward(*held[0], 0, 0, 5);
    EXPECT_EQ(ledger.backend(0, 0).packets, 5U);
  }
  for (int i = 0; i < 3; ++i) {
    ledger.renew({service("web", {"b1"})});
    EXPECT_EQ(ledger.backend(0, 0).packets, 5U);
    EXPECT_EQ(ledger.verdict(0, l4lb::Verdict::kForward), 5U);
  }
}

TEST(CounterLedger, ANameThatIsGoneIsForgottenButItsPacketsWereSeen) {
  CounterLedger ledger({service("web", {"b1"})}, 1);
  forward(*ledger.current()[0], 0, 0, 3);
  ledger.renew({service("dns", {"b1"})});
  ledger.renew({service("web", {"b1"})});
  EXPECT_EQ(ledger.backend(0, 0).packets, 0U);
  EXPECT_EQ(ledger.verdict(0, l4lb::Verdict::kForward), 3U);
}

}  // namespace
}  // namespace anypop::dataplane
