// The production tester on Serial1 of a unit without USB (particle-devices 7.6).
#pragma once

#include "crypto/secret_bytes.h"
#include "transport/serial.h"

#include <optional>
#include <string>
#include <vector>

namespace provost {

class ConsoleWindow;

inline constexpr int kSerial1Baud = 9600;

/// What `INFO` says.
struct TesterInfo {
    std::string deviceId{}; ///< 24 lower-case hex digits
    std::string mac{};
    std::string ssid{};        ///< empty: no network joined
    std::optional<int> rssi{}; ///< dBm; nothing where no network is joined
};

struct TesterNetwork {
    std::string ssid{};
    int rssi = 0; ///< dBm
};

/// `line` must outlive it, at 9600 8N1.
class Serial1Tester {
public:
    explicit Serial1Tester(ByteStream& line) : m_line(line) {}
    /// @returns Timeout  nobody greets: not in listening mode, or this firmware starts no tester
    Result<> wake(const OpContext& op);
    Result<TesterInfo> info(const OpContext& op);
    /// Joins a network until the next reset; nothing is stored. WPA2, or open without password.
    /// @returns Denied  it did not get an address in time
    Result<> connect(std::string_view ssid, const SecretBytes& password, const OpContext& op);
    /// Protection of the bootloader sector.
    Result<> lockBootloader(bool on, const OpContext& op);
    /// The networks that the unit hears.
    Result<std::vector<TesterNetwork>> scan(const OpContext& op);
    /// Scans on both antennas. @returns what was heard, in the order of the scans
    Result<std::vector<TesterNetwork>> testAntennas(const OpContext& op);
    /// @param name  as the firmware spells it. @returns InvalidArgument  empty, or with : or ;
    Result<> selectAntenna(std::string_view name, const OpContext& op);
    /// @param pin  D0 to D7, A0 to A7, or ALL. @returns InvalidArgument  another one
    Result<> setPin(std::string_view pin, bool high, const OpContext& op);
    /// Until the next reset.
    Result<> setProduct(std::uint16_t id, const OpContext& op);
    /// Forgets all networks. The tester confirms the command, not its success.
    Result<> clearCredentials(const OpContext& op);
    Result<> reboot(const OpContext& op);
    /// The unit restarts in its bootloader.
    Result<> toDfu(const OpContext& op);

private:
    Result<> send(const SecretBytes& command, const OpContext& op);
    Result<> send(std::string_view command, const OpContext& op);
    /// Reads to the end of the line that holds `mark`.
    Result<> readLine(std::string_view mark, std::string_view what, ConsoleWindow& window,
                      const OpContext& op);
    /// One command, answered by a line that holds `mark`.
    Result<> command(std::string_view text, std::string_view mark, std::string_view what,
                     const OpContext& op);
    Result<std::vector<TesterNetwork>> heard(std::string_view text, std::string_view mark,
                                             std::string_view what, const OpContext& op);
    Result<> awaitLine(std::string_view mark, std::string_view what, const OpContext& op);

    ByteStream& m_line;
};

} // namespace provost
