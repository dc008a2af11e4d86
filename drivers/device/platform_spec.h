// A product family as data. Code branches on what stands here, never on a platform's name.
#pragma once

#include "core/result.h"
#include "transport/usb.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace provost {

/// A named range of a unit's memory.
struct Segment {
    std::string name{};         ///< bootloader, dct, system-1, system-2, user
    std::uint8_t alternate = 0; ///< DFU memory it is reached through
    std::uint32_t address = 0;
    std::uint32_t size = 0; ///< bytes
};

/// A field of the application DCT.
struct DctField {
    std::uint32_t offset = 0;
    std::uint32_t size = 0; ///< of the whole slot, bytes
};

/// How the copy that counts is known: by the header of a Photon or P1 (particle-devices 3.1), or by
/// the seals and checksums of an Electron (3.2). Plain: there is one copy, in a memory that is
/// erased and written as any flash: the Core's SPI flash (2.3).
enum class DctFormat : std::uint8_t { Wiced, Dcd, Plain };

/// Where the configuration table lies (particle-devices 3.1, 3.3). A field of size 0 is none.
struct DctLayout {
    DctFormat format = DctFormat::Wiced;
    std::array<std::uint32_t, 2>
        copies{}; ///< physical addresses of the two sectors; Plain: the first
    int copyCount() const { return format == DctFormat::Plain ? 1 : 2; }
    std::uint32_t sectorSize = 0;
    std::uint32_t applicationOffset = 0; ///< of the application DCT inside a sector
    std::uint32_t applicationSize = 0;   ///< bytes reachable through `alternate`
    std::uint8_t alternate = 1;          ///< DFU memory that shows the application DCT
    DctField wifi{};                     ///< inside the sector, not inside the application DCT
    DctField privateKey{};
    DctField publicKey{};
    DctField serverKey{};            ///< key and address record
    std::uint32_t addressRecord = 0; ///< inside the server key slot
    DctField claimCode{};
    DctField claimed{};
    DctField updateFlag{};
    DctField pendingModules{};
    DctField staticAddress{};
    DctField nameServers{};
    DctField chipId{};
    DctField transport{}; ///< 00 there makes the unit use TCP (3.3)
};

enum class Network : std::uint8_t { Wifi, Cellular };

struct PlatformSpec {
    std::string name{};
    std::uint16_t id = 0;
    UsbId dfu{};
    UsbId firmware{};                           ///< CDC, while firmware runs
    std::vector<std::string> constantSerials{}; ///< USB serials that name no unit (1.2)
    std::uint32_t entry = 0;                    ///< where `leave` starts
    std::vector<Segment> segments{};
    Network network = Network::Wifi;
    bool serialUpdate = true; ///< the running system takes a bootloader by YModem (7.5)
    DctLayout dct{};

    /// @returns InvalidArgument  no such segment
    Result<Segment> segment(std::string_view name) const;
    /// 24 hex digits, lower case, where a USB serial names the unit; empty where it does not.
    std::string deviceIdOf(std::string_view usbSerial) const;
};

} // namespace provost
