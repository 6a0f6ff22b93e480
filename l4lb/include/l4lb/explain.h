// SPDX-License-Identifier: Apache-2.0
// What becomes of the packets of a flow, and why. The answer is not worked out a second time: a packet of the flow is
// made and goes through the pipeline, with a worker state of its own, so nothing that a worker uses is changed. A
// question about a QUIC flow is a UDP one with a payload (RFC 9000 section 17).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "base/address.h"
#include "base/config.h"
#include "l4lb/flow_table.h"
#include "l4lb/pipeline.h"
#include "l4lb/snapshot.h"
#include "l4lb/verdict.h"

namespace anypop::l4lb {

// A packet of a flow. Source and destination must be of one family.
struct FlowQuestion {
  Protocol protocol = Protocol::kTcp;
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  bool opens = false;              // TCP: a SYN, instead of a packet in the middle of the connection
  std::uint32_t ip_bytes = 0;      // of the IP packet; at least what its headers and `payload` need
  std::vector<std::byte> payload;  // of UDP: a QUIC packet may name its backend
};
inline constexpr std::uint32_t kQuestionMaxBytes = 9000;  // for ip_bytes and for payload

// The packet itself, as a client would send it: an Ethernet frame behind kHeadroomBytes, with only that filled in which
// the engine looks at. InvalidArgument: the families differ, or it would be larger than kQuestionMaxBytes.
absl::StatusOr<std::vector<std::byte>> make_packet(const FlowQuestion& question);

enum class Decision : std::uint8_t {
  kNobody,         // no backend was chosen
  kHashed,         // the owner of the flow's slot
  kTracked,        // a record of the flow
  kPreviousOwner,  // the slot changed its owner of late, and the packet opens no flow
  kConnectionId,   // a QUIC connection ID named the backend
};
std::string_view decision_name(Decision decision);  // "nobody", "hashed", "tracked", "previous_owner", "connection_id"

// A record of the flow in a worker's table.
struct ExplainedRecord {
  std::size_t table = 0;          // index in what explain() was given, left-over ones behind the workers'
  std::uint16_t backend = kNone;  // kNone: it does not live any more
  bool half_open = false;         // only a SYN or a QUIC Initial has been seen
  bool closing = false;           // a FIN has been seen
  std::uint32_t expires_ms = 0;   // from now, if the flow stays silent; to about a second
};

struct Explanation {
  Verdict verdict = Verdict::kPassNotVip;
  Decision decision = Decision::kNobody;
  std::uint16_t service = kNone;  // index in the configuration
  std::uint16_t backend = kNone;  // that was chosen: index within the service
  // With a service that has a healthy backend:
  std::uint32_t slots = 0;  // of the service's table; 0: nobody serves
  std::uint32_t slot = 0;   // of the flow
  std::uint16_t owner = kNone;
  // While the slot's flows are remembered because it has changed its owner of late:
  bool window = false;
  std::uint16_t previous_owner = kNone;  // kNone: it does not live any more
  std::vector<ExplainedRecord> records;  // of the flow
  // Of a packet that is forwarded:
  std::optional<MacAddress> next_hop;   // destination of the frame
  std::vector<std::byte> outer_header;  // from the outer IP header to the inner one; empty: no tunnel
  std::vector<std::byte> packet;        // what is sent: the forwarded packet or an ICMP answer, from its IP header on
};

// What chose the backend of a packet that the pipeline has seen.
Decision decision_of(const Packet& packet);

// How `snapshot` treats the question's packet in a worker with one of these tables: the first that has a record of its
// flow, or else a worker that has none. Like the workers, it asks the other tables after that, and those `left_over` by
// a former process last. Any thread that may read the snapshot; the tables may be in use. Errors: those of
// make_packet(). Cost: that of a packet and of some memory.
absl::StatusOr<Explanation> explain(const Snapshot& snapshot, const FlowQuestion& question, std::uint32_t now_ms,
                                    std::span<const FlowTable* const> tables = {},
                                    std::span<const FlowTable* const> left_over = {});

}  // namespace anypop::l4lb
