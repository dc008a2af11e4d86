// What tells the boards of the family apart, as data (particle-devices 1 to 4). Behaviour asks
// this, never for a board's name.
#pragma once

#include "sim/dct_store.h"
#include "sim/modules.h"
#include "sim/stm32_profile.h"
#include "transport/usb.h"

#include <optional>
#include <span>
#include <string_view>

namespace provost::sim {

enum class MemorySpace : std::uint8_t { Internal, Dct, External };

/// One alternate setting of the bootloader.
struct DfuMemory {
    MemorySpace space{};
    std::string_view layout{};
    int trailingNuls = 0; ///< the Core's string is longer than its text (protocol sheet 1.1)
};

/// The two code bases of bootloaders: protocol sheet 1.7.
enum class BootloaderCode : std::uint8_t { F1, F2 };

struct DfuProfile {
    BootloaderCode code = BootloaderCode::F2;
    UsbId id{};
    std::uint16_t usbVersion = 0x0200;
    std::string_view product{};
    std::uint32_t transferSize = 4096;
    std::uint32_t firstWritable = 0; ///< where the address pointer stands at first, too
    std::span<const DfuMemory> memories{};
};

struct CdcProfile {
    UsbId id{};
    std::string_view product{};
    std::string_view productBefore060{};
    bool controlRequests = true; ///< 1.3
};

enum class Radio : std::uint8_t { Wifi, Cellular };
/// Where Wi-Fi credentials are kept: in the table, or in the radio's own memory (CC3000).
enum class CredentialPlace : std::uint8_t { None, Table, RadioModule };

/// A stored field: application offset of the table, or address of the external flash.
struct StoredField {
    std::uint32_t at = 0;
    std::uint32_t size = 0; ///< 0: this board has no such field
};
/// Of the RSA handshake (4.1, 4.4).
struct KeyFields {
    MemorySpace space = MemorySpace::Dct;
    StoredField privateKey{};
    StoredField publicKey{};
    StoredField serverKey{};
    StoredField serverAddress{};
};

struct BoardProfile {
    std::string_view name{};   ///< as in bench files: photon
    std::string_view spoken{}; ///< as firmware says it: Photon
    std::uint16_t platform = 0;
    std::string_view manufacturer = "Particle";
    const Stm32Profile* chip = nullptr;
    const FlashGeometry* external = nullptr; ///< null: none
    DfuProfile dfu{};
    CdcProfile cdc{};
    std::span<const ModuleRegion> regions{}; ///< in the order of the module report
    ModuleRegion received{};                 ///< size 0: no YModem receiver, no update over the air
    ModuleFunction system = ModuleFunction::SystemPart; ///< whose version decides behaviour
    std::uint8_t systemIndex = 2;
    std::uint32_t vectorTable = 0x184; ///< bytes before the header of an image that starts with one
    DctFormat dct = DctFormat::Wiced;
    bool lentDctCode = false; ///< from bootloader 100 on it borrows its table code (3.4)
    KeyFields keys{};
    Radio radio = Radio::Wifi;
    CredentialPlace credentials = CredentialPlace::Table;
    bool transportByte = false;    ///< table offset 2977 chooses TCP (00) or UDP (3.3)
    bool makesOwnKey = true;       ///< 3.6
    unsigned lightSslSince = 1213; ///< system version; decides byte order of message ids (5.3)
    std::string_view idPattern{};  ///< of a device id, hex digits, '.' is any (1.2)

    const ModuleRegion* find(ModuleFunction function, std::uint8_t index) const;
    const ModuleRegion& bootloader() const { return *find(ModuleFunction::Bootloader, 0); }
    const ModuleRegion& systemRegion() const { return *find(system, systemIndex); }
};

/// Device ids as USB serial numbers show them (1.2).
std::string upperHex(ByteView id);
/// The Core's up to 0.6.x: first word plus third word, then the top half of the second.
std::string shortSerial(ByteView id);

/// "photon", "p1", "electron", "core". nullptr: another name.
const BoardProfile* boardProfile(std::string_view name);

} // namespace provost::sim
