// TCP conversations in a capture file (pcap or pcapng).
#pragma once

#include "core/result.h"
#include "protocol/handshake_explain.h"

#include <filesystem>
#include <string>
#include <vector>

namespace provost {

struct TcpConversation {
    std::string client{}; ///< "192.0.2.7:49152", "[2001:db8::1]:49152"; who connected, a unit
    std::string server{};
    double startSeconds = 0; ///< since the first packet of the file
    RecordedConversation recorded{};
};

/// Every TCP conversation of the file in the order of its first packet, with the bytes in order.
/// Reads on while packets are whole: a capture that was cut off gives what it holds.
///
/// @returns NotFound     no such file
///          InvalidData  no capture, or of a link layer that is not Ethernet, raw IP, Linux
///                       cooked or loopback
Result<std::vector<TcpConversation>> readTcpCapture(const std::filesystem::path& file);

} // namespace provost
