#include "protocol/wifi_dialogue_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/unit_text_p.h"

#include <algorithm>

namespace provost {

namespace {

// From 0.7 on the unit looks for the network first, which takes a while.
constexpr std::chrono::seconds kScanLimit{30};
constexpr int kMaxAnswers = 12;

} // namespace

const WifiDialogue::Pattern WifiDialogue::kPatterns[9] = {
    {Prompt::Ssid, "SSID: ", ""},
    {Prompt::Security, "Security 0=", ": "},
    {Prompt::Cipher, "Security Cipher 1=", ": "},
    {Prompt::Password, "Password: ", ""},
    {Prompt::Enterprise, "EAP Type", ": "},
    {Prompt::Enterprise, "Username: ", ""},
    {Prompt::Thanks, "Thanks! Wait", "credentials..."},
    {Prompt::Saved, "Awesome.", ""},
    {Prompt::NotSaved, "Derp.", "\n"},
};

WifiDialogue::WifiDialogue(ByteStream& line, std::string_view ssid, const SecretBytes& password,
                           WifiSecurity security, const OpContext& op)
    : m_line(line), m_ssid(ssid), m_password(password), m_security(security), m_op(op)
{
}

Result<> WifiDialogue::run()
{
    TRY(m_line.discardInput());
    TRY(type(viewOf("w"), {}));
    while (true) {
        const Prompt prompt = TRY(nextPrompt());
        if (prompt == Prompt::Saved)
            return {};
        if (prompt == Prompt::NotSaved)
            return fail(Errc::Denied, Blame::Unit,
                        "set Wi-Fi credentials: the unit could not save them");
        TRY(answer(prompt));
    }
}

Result<> WifiDialogue::answer(Prompt prompt)
{
    if (++m_answers > kMaxAnswers)
        return fail(Errc::Protocol, Blame::Unit,
                    "set Wi-Fi credentials: the unit asks again and again");
    switch (prompt) {
    case Prompt::Ssid:
        return type(viewOf(m_ssid), viewOf("\n"));
    case Prompt::Security: {
        // A view into a literal: the echo is compared with it later.
        constexpr std::string_view kDigits = "0123";
        return type(viewOf(kDigits.substr(static_cast<std::size_t>(m_security), 1)), viewOf("\n"));
    }
    // Both ciphers: the unit then takes what the network offers.
    case Prompt::Cipher:
        return type(viewOf("3"), viewOf("\n"));
    case Prompt::Password:
        m_passwordSent = true;
        return type(m_password.reveal(), viewOf("\n"));
    case Prompt::Enterprise:
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("set Wi-Fi credentials: network \"", printable(m_ssid),
                           "\" wants an enterprise log-in"));
    default:
        return {};
    }
}

/// Text goes out straight from its owner: no copy is left behind.
Result<> WifiDialogue::type(ByteView text, ByteView end)
{
    m_window.clear();
    m_echo = text;
    const OpContext quiet = m_op.withSecrets();
    if (!text.empty())
        TRY(m_line.writeAll(text, quiet));
    if (!end.empty())
        TRY(m_line.writeAll(end, quiet));
    return {};
}

Result<WifiDialogue::Prompt> WifiDialogue::nextPrompt()
{
    const OpContext waiting = m_op.withSecrets().within(kScanLimit);
    while (true) {
        skipEcho();
        if (const auto prompt = m_echo.empty() ? findPrompt() : std::nullopt)
            return *prompt;
        if (auto more = m_window.readMore(m_line, waiting); !more)
            return Unexpected(
                inFrame(std::move(more).error(),
                        concat("set Wi-Fi credentials, ",
                               m_passwordSent ? "behind the password"
                                              : concat("behind answer ", m_answers))));
    }
}

/// What was typed may come back, and may look like a prompt: not all versions echo.
void WifiDialogue::skipEcho()
{
    const ByteView seen = viewOf(m_window.text());
    const std::size_t count = std::min(seen.size(), m_echo.size());
    if (!equalBytes(seen.first(count), m_echo.first(count)))
        m_echo = {};
    else if (count == m_echo.size()) {
        m_window.drop(count);
        m_echo = {};
    }
}

/// The first complete prompt; what lies before it and itself are dropped.
std::optional<WifiDialogue::Prompt> WifiDialogue::findPrompt()
{
    const std::string_view text = m_window.text();
    std::size_t first = std::string_view::npos;
    const Pattern* found = nullptr;
    for (const Pattern& pattern : kPatterns) {
        const auto at = text.find(pattern.begin);
        if (at < first) {
            first = at;
            found = &pattern;
        }
    }
    if (found == nullptr)
        return std::nullopt;
    const auto tail = text.find(found->end, first + found->begin.size());
    if (tail == std::string_view::npos)
        return std::nullopt;
    m_window.drop(tail + found->end.size());
    return found->prompt;
}

} // namespace provost
