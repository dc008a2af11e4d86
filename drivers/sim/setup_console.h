// The firmware's serial console in listening mode (particle-devices 7.1 to 7.5).
#pragma once

#include "sim/board_state.h"
#include "sim/module_installer.h"
#include "sim/ymodem_receiver.h"

#include <functional>
#include <optional>

namespace provost::sim {

/// Every function expects the caller to hold `board.mutex`.
class SetupConsole {
public:
    explicit SetupConsole(BoardState& board);
    void feed(ByteView bytes, SteadyTime now);
    void tick(SteadyTime now);
    /// The YModem receiver of 28800 baud up to 0.4.9: no prompt.
    void startReceiver(SteadyTime now);
    bool receiving() const { return m_receiver.has_value(); }
    std::optional<SteadyTime> deadline() const;
    /// Answers made since the last call, to be sent once takeOwed() has passed.
    Bytes takeOutput() { return std::exchange(m_output, {}); }
    std::chrono::microseconds takeOwed() { return m_area.takeOwed(); }

private:
    enum class Question : std::uint8_t {
        Ssid,
        Security,
        Cipher,
        Password,
        EapType,
        UserName,
        EapPassword,
        OuterIdentity,
        RootCa,
        ClaimCode,
    };

    void command(char key, SteadyTime now);
    void identify();
    void typed(char key);
    void ask(Question question);
    void answered(std::string text);
    void answeredNumber(int value);
    void afterSsid();
    void afterSecurity();
    void saveWifi();
    void setClaimCode(const std::string& code);
    void put(std::string_view text);
    void pumpReceiver();
    void finishReceiver();
    std::string securityPrompt() const;
    /// Photon and P1 from 0.7 (7.3); the CC3000 cannot.
    bool enterprise() const
    {
        return since(200) && m_board.profile.credentials == CredentialPlace::Table;
    }
    bool since(unsigned systemVersion) const { return m_board.systemVersion >= systemVersion; }

    BoardState& m_board;
    FlashReceiveArea m_area;
    std::optional<YModemReceiver> m_receiver{};
    std::optional<Question> m_question{};
    std::string m_line{};
    bool m_swallowLineFeed = false;
    WifiCredentials m_wifi{};
    Bytes m_output{};
};

} // namespace provost::sim
