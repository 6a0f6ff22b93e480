// SPDX-License-Identifier: Apache-2.0
#include "flow_hash.h"

#include <cmath>
#include <cstring>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aes_engines.h"
#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb {
namespace {

template <class F>
Flow<F> random_flow(std::mt19937_64& random) {
  Flow<F> flow{};
  const auto fill = [&](auto& field) {
    for (std::size_t i = 0; i < sizeof(field); ++i) {
      const auto byte = static_cast<std::uint8_t>(random());
      std::memcpy(reinterpret_cast<char*>(&field) + i, &byte, 1);
    }
  };
  fill(flow.source);
  fill(flow.destination);
  fill(flow.source_port);
  fill(flow.destination_port);
  flow.protocol = random() % 2 == 0 ? wire::IpProtocol::kTcp : wire::IpProtocol::kUdp;
  return flow;
}

template <class F>
std::uint64_t hash_one(const FlowHash& hash, const Flow<F>& flow) {
  std::uint64_t value = 0;
  hash.hash(std::span(&flow, 1), std::span(&value, 1));
  return value;
}

template <class T>
std::vector<std::uint8_t> bytes_of(const T& value) {
  std::vector<std::uint8_t> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

AesBlock random_key(std::mt19937_64& random) {
  AesBlock key;
  for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random());
  return key;
}

std::vector<AesEngine> engines() {
  std::vector<AesEngine> all;
  for (const AesEngine engine : kAesEngines) {
    if (supported(engine)) all.push_back(engine);
  }
  return all;
}

// FIPS 197, appendix C.1.
TEST(Aes, KnownAnswer) {
  AesBlock key;
  AesBlock plain;
  for (std::uint8_t i = 0; i < 16; ++i) {
    key[i] = i;
    plain[i] = static_cast<std::uint8_t>(i * 0x11);
  }
  const AesBlock cipher = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                           0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
  EXPECT_EQ(portable::encrypt(expand_flow_keys(key), plain), cipher);
  EXPECT_EQ(l4lb_testing::reference_aes128(key, plain), cipher);
}

template <class F>
class FlowHashes : public testing::Test {};
using Families = testing::Types<V4, V6>;
TYPED_TEST_SUITE(FlowHashes, Families);

TYPED_TEST(FlowHashes, EveryEngineAgreesWithTheReference) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const AesBlock key = random_key(random);
    const auto flow = random_flow<TypeParam>(random);
    const std::uint64_t expected =
        l4lb_testing::reference_hash(key, bytes_of(flow.source), bytes_of(flow.destination), flow.source_port.host(),
                                     flow.destination_port.host(), static_cast<std::uint8_t>(flow.protocol));
    for (const AesEngine engine : engines()) {
      EXPECT_EQ(hash_one(FlowHash(key, engine), flow), expected) << aes_engine_name(engine);
    }
  }
}

TYPED_TEST(FlowHashes, ABurstGivesWhatSingleFlowsGive) {
  std::mt19937_64 random(2);
  for (const AesEngine engine : engines()) {
    const FlowHash hash(random_key(random), engine);
    std::vector<Flow<TypeParam>> flows;
    for (int i = 0; i < 67; ++i) flows.push_back(random_flow<TypeParam>(random));
    std::vector<std::uint64_t> hashes(flows.size());
    hash.hash(flows, hashes);
    for (std::size_t i = 0; i < flows.size(); ++i) EXPECT_EQ(hashes[i], hash_one(hash, flows[i]));
  }
}

// Whoever can choose sources and ports but does not know the key must not see a pattern: neighbouring ports, the
// easiest to choose, spread like chance over 16 bins. Chi-square with 15 degrees of freedom: above 60 once in 10^6.
TYPED_TEST(FlowHashes, NeighbouringPortsSpreadEvenlyUnderEveryKey) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    const FlowHash hash(random_key(random));
    auto flow = random_flow<TypeParam>(random);
    constexpr double kFlows = 16384;
    std::array<double, 16> bins{};
    for (unsigned port = 0; port < kFlows; ++port) {
      flow.source_port = wire::be16(static_cast<std::uint16_t>(port));
      ++bins.at(slot_of(hash_one(hash, flow), 16));
    }
    double chi_square = 0;
    for (const double bin : bins) chi_square += std::pow(bin - kFlows / 16, 2) / (kFlows / 16);
    EXPECT_LT(chi_square, 60);
  }
}

TEST(AesEngines, TheBestOneThatThisProcessorHasIsChosen) {
  EXPECT_TRUE(supported(best_aes_engine()));
  EXPECT_EQ(best_aes_engine(), engines().back());
  std::set<std::string_view> names;
  for (const AesEngine engine : kAesEngines) names.insert(aes_engine_name(engine));
  EXPECT_EQ(names.size(), kAesEngines.size());
}

TYPED_TEST(FlowHashes, AnotherKeyIsAnotherHash) {
  std::mt19937_64 random(4);
  const auto flow = random_flow<TypeParam>(random);
  AesBlock key = random_key(random);
  const std::uint64_t before = hash_one(FlowHash(key), flow);
  key[7] ^= 1;
  EXPECT_NE(hash_one(FlowHash(key), flow), before);
}

TEST(SlotOf, CoversTheWholeTableAndNothingElse) {
  EXPECT_EQ(slot_of(0, 65537), 0);
  EXPECT_EQ(slot_of(~std::uint64_t{0}, 65537), 65536);
  EXPECT_EQ(slot_of(0x80000000'00000000ULL, 65537), 32768);
  EXPECT_EQ(slot_of(0xffffffff, 65537), 0) << "the lower half is not used";
}

}  // namespace
}  // namespace anypop::l4lb
