#include "protocol/listening_console.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/unit_text_p.h"
#include "protocol/ymodem_sender.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

using namespace std::chrono_literals;

// The longest answer is the module report, below 4 KiB; a unit that says more is talking nonsense.
constexpr std::size_t kWindowBytes = 32 * 1024;
constexpr std::chrono::milliseconds kReplyLimit = 2s;
constexpr int kAsks = 2; // the first key after the port opened may be lost
constexpr std::chrono::milliseconds kTransferPromptLimit = 10s;
constexpr auto kScanLimit =
    30s; // from 0.7 on it looks for the network first (particle-devices 7.3)
constexpr auto kClosingLimit = 10s;
constexpr std::size_t kMaxSsid = 32;
constexpr std::size_t kMaxPassword = 64;
constexpr std::size_t kHexId = 24;

bool isHexDigit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// The first run of exactly 24 hexadecimal digits behind "id is" (i of most units) or "Device ID:"
/// (cellular ones). It counts once something follows it.
std::string findDeviceId(std::string_view text)
{
    for (const std::string_view lead :
         {std::string_view("id is "), std::string_view("Device ID: ")}) {
        const auto at = text.find(lead);
        if (at == std::string_view::npos)
            continue;
        const std::string_view rest = text.substr(at + lead.size());
        const auto end = std::find_if_not(rest.begin(), rest.end(), isHexDigit);
        if (end != rest.end() && static_cast<std::size_t>(end - rest.begin()) == kHexId)
            return lowerCase(rest.substr(0, kHexId));
    }
    return {};
}

/// The outermost {...} of the text; empty while it is not complete.
std::string_view findObject(std::string_view text)
{
    const auto begin = text.find('{');
    int depth = 0;
    bool isString = false;
    for (std::size_t i = begin; i < text.size(); ++i) {
        const char c = text[i];
        if (isString && c == '\\')
            ++i;
        else if (c == '"')
            isString = !isString;
        else if (!isString && c == '{')
            ++depth;
        else if (!isString && c == '}' && --depth == 0)
            return text.substr(begin, i - begin + 1);
    }
    return {};
}

std::string findMacAddress(std::string_view text)
{
    constexpr std::size_t kLength = 17;
    for (std::size_t i = 0; i + kLength <= text.size(); ++i) {
        bool fits = true;
        for (std::size_t k = 0; k < kLength && fits; ++k)
            fits = k % 3 == 2 ? text[i + k] == ':' : isHexDigit(text[i + k]);
        if (fits)
            return lowerCase(text.substr(i, kLength));
    }
    return {};
}

bool isOneLine(ByteView text)
{
    return std::none_of(text.begin(), text.end(),
                        [](std::byte b) { return u8(b) < 0x20 || u8(b) == 0x7F; });
}

} // namespace

/// Received text. The unit echoes what is typed, a password included: the buffer never moves and
/// is wiped when it goes.
class ListeningConsole::Window {
public:
    Window() : m_bytes(kWindowBytes) {}

    std::string_view text() const
    {
        return {static_cast<const char*>(static_cast<const void*>(m_bytes.reveal().data())),
                m_size};
    }
    void drop(std::size_t count)
    {
        const ByteSpan all = m_bytes.writable();
        std::move(all.begin() + static_cast<std::ptrdiff_t>(count),
                  all.begin() + static_cast<std::ptrdiff_t>(m_size), all.begin());
        wipe(all.subspan(m_size - count, count));
        m_size -= count;
    }
    void clear() { drop(m_size); }

    Result<> readMore(ByteStream& line, const OpContext& op)
    {
        const ByteSpan room = m_bytes.writable().subspan(m_size);
        if (room.empty())
            return fail(Errc::Protocol, Blame::Unit, "read from the unit: it never stops talking");
        m_size += TRY(line.readSome(room, op));
        return {};
    }

private:
    SecretBytes m_bytes;
    std::size_t m_size = 0;
};

/// The conversation of `w`, prompt by prompt.
class ListeningConsole::WifiDialogue {
public:
    WifiDialogue(ByteStream& line, std::string_view ssid, const SecretBytes& password,
                 WifiSecurity security, const OpContext& op)
        : m_line(line), m_ssid(ssid), m_password(password), m_security(security), m_op(op)
    {
    }

    Result<> run()
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
    static constexpr std::array<Pattern, 9> kPatterns{{
        {Prompt::Ssid, "SSID: ", ""},
        {Prompt::Security, "Security 0=", ": "},
        {Prompt::Cipher, "Security Cipher 1=", ": "},
        {Prompt::Password, "Password: ", ""},
        {Prompt::Enterprise, "EAP Type", ": "},
        {Prompt::Enterprise, "Username: ", ""},
        {Prompt::Thanks, "Thanks! Wait", "credentials..."},
        {Prompt::Saved, "Awesome.", ""},
        {Prompt::NotSaved, "Derp.", "\n"},
    }};

    Result<> answer(Prompt prompt)
    {
        if (++m_answers > 12)
            return fail(Errc::Protocol, Blame::Unit,
                        "set Wi-Fi credentials: the unit asks again and again");
        switch (prompt) {
        case Prompt::Ssid:
            return type(viewOf(m_ssid), viewOf("\n"));
        case Prompt::Security: {
            // A view into a literal: the echo is compared with it later.
            constexpr std::string_view kDigits = "0123";
            return type(viewOf(kDigits.substr(static_cast<std::size_t>(m_security), 1)),
                        viewOf("\n"));
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
    Result<> type(ByteView text, ByteView end)
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

    Result<Prompt> nextPrompt()
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
    void skipEcho()
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
    std::optional<Prompt> findPrompt()
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

    ByteStream& m_line;
    std::string_view m_ssid;
    const SecretBytes& m_password;
    WifiSecurity m_security;
    OpContext m_op;
    Window m_window;
    ByteView m_echo{};
    int m_answers = 0;
    bool m_passwordSent = false;
};

ListeningConsole::ListeningConsole(ByteStream& line) : m_line(line) {}

template <class Find>
auto ListeningConsole::ask(char key, Find find, std::string_view what, const OpContext& op,
                           std::chrono::milliseconds limit)
    -> Result<decltype(find(std::string_view()))>
{
    const int asks = limit == kReplyLimit ? kAsks : 1;
    for (int attempt = 1;; ++attempt) {
        Window window;
        TRY(m_line.discardInput());
        const std::array<std::byte, 1> command{static_cast<std::byte>(key)};
        TRY(m_line.writeAll(command, op));
        auto answer = find(window.text());
        Result<> more;
        const OpContext waiting = op.within(limit);
        while (more && answer.empty()) {
            more = window.readMore(m_line, waiting);
            answer = find(window.text());
        }
        if (!answer.empty())
            return answer;
        const bool again = more.error().code == Errc::Timeout && attempt < asks && op.checkpoint();
        if (!again && more.error().code == Errc::Timeout)
            return fail(
                Errc::Timeout, Blame::Unit,
                concat("ask for ", what, ": ",
                       window.text().empty()
                           ? "no answer, the unit is not in listening mode"
                           : concat("no such answer in \"", printable(window.text()), "\"")));
        if (!again)
            return Unexpected(inFrame(std::move(more).error(), concat("ask for ", what)));
    }
}

Result<std::string> ListeningConsole::deviceId(const OpContext& op)
{
    return ask('i', findDeviceId, "the device id", op, kReplyLimit);
}

Result<std::string> ListeningConsole::systemVersion(const OpContext& op)
{
    // " minimal" may follow the number (particle-devices 7.1).
    const auto find = [](std::string_view text) -> std::string {
        constexpr std::string_view kLead = "system firmware version: ";
        const auto at = text.find(kLead);
        const auto end = at == std::string_view::npos ? at : text.find_first_of("\r\n", at);
        if (end == std::string_view::npos)
            return {};
        const auto line = trimmed(text.substr(at + kLead.size(), end - at - kLead.size()));
        return printable(line.substr(0, line.find(' ')), 40);
    };
    return ask('v', find, "the system version", op, kReplyLimit);
}

Result<ModuleReport> ListeningConsole::modules(const OpContext& op)
{
    const auto find = [](std::string_view text) { return std::string(findObject(text)); };
    const std::string json = TRY(ask('s', find, "the module report", op, kReplyLimit));
    return parseModuleReport(json);
}

Result<std::string> ListeningConsole::macAddress(const OpContext& op)
{
    return ask('m', findMacAddress, "the MAC address", op, kReplyLimit);
}

Result<> ListeningConsole::setWifi(std::string_view ssid, const SecretBytes& password,
                                   WifiSecurity security, const OpContext& op)
{
    if (ssid.empty() || ssid.size() > kMaxSsid || !isOneLine(viewOf(ssid)))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("set Wi-Fi credentials: the network name has ", ssid.size(),
                           " bytes or control characters; 1 to ", kMaxSsid, " are allowed"));
    if (password.size() > kMaxPassword || !isOneLine(password.reveal()))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "set Wi-Fi credentials: the password is too long or has control characters");
    return WifiDialogue(m_line, ssid, password, security, op).run();
}

Result<> ListeningConsole::sendModule(std::string_view fileName, ByteView content,
                                      const OpContext& op)
{
    const auto prompt = [](std::string_view text) -> std::string {
        const bool isReady = text.find("to abort)") != std::string_view::npos;
        const auto refusal = text.find("is not supported");
        return isReady ? "ready" : refusal != std::string_view::npos ? "unsupported" : "";
    };
    if (TRY(ask('f', prompt, "a module transfer", op, kTransferPromptLimit)) == "unsupported")
        return fail(Errc::Denied, Blame::Unit,
                    "send a module: this firmware takes none in listening mode");
    YModemSender sender(m_line, {.flavour = YModemFlavour::Unit});
    Result<> sent = sender.send(fileName, content, op);
    if (sent)
        sent = sender.finish(op);
    if (!sent && sent.error().code != Errc::Denied)
        return Unexpected(inFrame(std::move(sent).error(), concat("send module ", fileName)));
    return closing(std::move(sent), op);
}

/// The words behind the last ACK or CAN CAN.
Result<> ListeningConsole::closing(Result<> sent, const OpContext& op)
{
    Window window;
    const OpContext waiting = op.within(sent ? kClosingLimit : kReplyLimit);
    const auto verdict = [](std::string_view text) -> std::optional<bool> {
        if (text.find("Downloaded file successfully!") != std::string_view::npos)
            return true;
        for (const std::string_view sign : {"ailed", "Aborted", "larger", "higher"}) {
            const auto at = text.find(sign);
            if (at != std::string_view::npos &&
                text.find_first_of("\r\n!", at) != std::string_view::npos)
                return false;
        }
        return std::nullopt;
    };
    Result<> more;
    while (more && !verdict(window.text()))
        more = window.readMore(m_line, waiting);
    const std::string words = printable(window.text());
    if (!sent || verdict(window.text()) == false)
        return fail(Errc::Denied, Blame::Unit,
                    concat("send a module: ", sent ? "not accepted" : sent.error().message,
                           words.empty() ? "" : concat(", the unit says \"", words, "\"")));
    // The ACK was the verdict; a unit that restarts may take its words along.
    if (verdict(window.text()) || more.error().code == Errc::Disconnected)
        return {};
    return Unexpected(inFrame(std::move(more).error(), "wait for the unit's word on the module"));
}

Result<> ListeningConsole::exit(const OpContext& op)
{
    auto sent = m_line.writeAll(viewOf("x"), op);
    if (!sent && sent.error().code != Errc::Disconnected)
        return sent;
    return {};
}

} // namespace provost
