// The serial console of a unit in listening mode (particle-devices 7.1 to 7.5).
#pragma once

#include "crypto/secret_bytes.h"
#include "protocol/module_report.h"
#include "transport/serial.h"

#include <string>

namespace provost {

inline constexpr int kConsoleBaud = 9600; ///< any other would be a command (7.1)

enum class WifiSecurity : std::uint8_t { Open = 0, Wep = 1, Wpa = 2, Wpa2 = 3 };

/// Of a cellular unit's modem and card.
struct CellularIdentity {
    std::string imei{};  ///< decimal digits
    std::string iccid{}; ///< decimal digits, or hexadecimal ones
};

/// `line` must outlive it. A key that the firmware does not know is silent: Timeout.
class ListeningConsole {
public:
    explicit ListeningConsole(ByteStream& line);
    /// 24 lower-case hex digits. @returns Timeout  nobody answers: not in listening mode
    Result<std::string> deviceId(const OpContext& op);
    Result<std::string> systemVersion(const OpContext& op); ///< "2.3.1"
    Result<ModuleReport> modules(const OpContext& op);
    Result<std::string> macAddress(const OpContext& op);
    Result<CellularIdentity> cellularIdentity(const OpContext& op); ///< cellular units only
    Result<bool> claimed(const OpContext& op);                      ///< from 0.6.0 on
    /// `C`, from 0.6.0 on: the code that the unit shows to its cloud (5.5).
    /// @returns InvalidArgument  not of 63 characters of one line; Denied  the unit kept the old
    /// one
    Result<> setClaimCode(std::string_view code, const OpContext& op);
    /// The unit's diagnostic values as JSON; from 0.8.0 on. @returns InvalidData  no JSON
    Result<std::string> diagnostics(const OpContext& op);
    /// `L`, from 0.5.0 on: the unit restarts into safe mode and listens. Older ones do nothing: its
    /// return under the same port path is the caller's proof.
    Result<> restartInSafeMode(const OpContext& op);
    /// Walks the dialogue of `w` in every variant of 7.3.
    /// @returns Denied  the unit could not save them
    Result<> setWifi(std::string_view ssid, const SecretBytes& password, WifiSecurity security,
                     const OpContext& op);
    /// `f`: from here on the unit waits for one file.
    /// @returns Timeout  no prompt: not in listening mode; Denied  this firmware takes no file
    Result<> startTransfer(const OpContext& op);
    /// One file by YModem behind startTransfer(), then the closing text.
    /// @param blockSize  128 or 1024
    /// @returns Denied  refused or validation failed; message has the unit's words
    Result<> transfer(std::string_view fileName, ByteView content, int blockSize,
                      const OpContext& op);
    /// Both.
    Result<> sendModule(std::string_view fileName, ByteView content, const OpContext& op);
    /// Of the last file: frames that were sent again.
    int retries() const { return m_retries; }
    /// `x`: leaves listening mode.
    Result<> exit(const OpContext& op);

private:
    /// Presses `key` and reads until `find` makes something of what was said.
    template <class Find>
    auto ask(char key, Find find, std::string_view what, const OpContext& op,
             std::chrono::milliseconds limit) -> Result<decltype(find(std::string_view()))>;
    Result<> press(char key, const OpContext& op);
    Result<> closing(Result<> sent, const OpContext& op);
    ByteStream& m_line;
    int m_retries = 0;
};

} // namespace provost
