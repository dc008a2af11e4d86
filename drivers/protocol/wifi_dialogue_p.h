// The conversation of listening command `w`, prompt by prompt (particle-devices 7.3).
#pragma once

#include "protocol/console_window_p.h"
#include "protocol/listening_console.h"

#include <optional>
#include <string_view>

namespace provost {

/// `line`, `ssid` and `password` must outlive it. Nothing it says in an error has the password.
class WifiDialogue {
public:
    WifiDialogue(ByteStream& line, std::string_view ssid, const SecretBytes& password,
                 WifiSecurity security, const OpContext& op);
    /// @returns Denied  the unit could not save; Unsupported  an enterprise network
    Result<> run();

private:
    enum class Prompt : std::uint8_t {
        Ssid,
        Security,
        Cipher,
        Password,
        Enterprise,
        Thanks,
        Saved,
        NotSaved
    };
    struct Pattern {
        Prompt prompt{};
        std::string_view begin{};
        std::string_view end{}; ///< where the prompt's tail differs between versions
    };
    static const Pattern kPatterns[9];

    Result<> answer(Prompt prompt);
    Result<> type(ByteView text, ByteView end);
    Result<Prompt> nextPrompt();
    void skipEcho();
    std::optional<Prompt> findPrompt();

    ByteStream& m_line;
    std::string_view m_ssid;
    const SecretBytes& m_password;
    WifiSecurity m_security;
    OpContext m_op;
    ConsoleWindow m_window;
    ByteView m_echo{};
    int m_answers = 0;
    bool m_passwordSent = false;
};

} // namespace provost
