#include "protocol/listening_console.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/console_window_p.h"
#include "protocol/json_reader_p.h"
#include "protocol/unit_text_p.h"
#include "protocol/wifi_dialogue_p.h"
#include "protocol/ymodem_sender.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kReplyLimit = 2s;
constexpr int kAsks = 2; // the first key after the port opened may be lost
constexpr std::chrono::milliseconds kTransferPromptLimit = 10s;
constexpr auto kClosingLimit = 10s;
constexpr std::size_t kMaxSsid = 32;
constexpr std::size_t kMaxPassword = 64;
constexpr std::size_t kHexId = 24;
constexpr std::size_t kClaimCode = 63; // particle-devices 7.1

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

/// What stands behind `lead` up to the end of its line; empty while that is not there.
std::string findLine(std::string_view text, std::string_view lead)
{
    const auto at = text.find(lead);
    if (at == std::string_view::npos)
        return {};
    const auto rest = text.substr(at + lead.size());
    const auto end = rest.find_first_of("\r\n");
    return end == std::string_view::npos ? std::string{} : printable(trimmed(rest.substr(0, end)));
}

bool isOneLine(ByteView text)
{
    return std::none_of(text.begin(), text.end(),
                        [](std::byte b) { return u8(b) < 0x20 || u8(b) == 0x7F; });
}

} // namespace

ListeningConsole::ListeningConsole(ByteStream& line) : m_line(line) {}

template <class Find>
auto ListeningConsole::ask(char key, Find find, std::string_view what, const OpContext& op,
                           std::chrono::milliseconds limit)
    -> Result<decltype(find(std::string_view()))>
{
    const int asks = limit == kReplyLimit ? kAsks : 1;
    for (int attempt = 1;; ++attempt) {
        ConsoleWindow window;
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

Result<CellularIdentity> ListeningConsole::cellularIdentity(const OpContext& op)
{
    const auto both = [](std::string_view text) -> std::string {
        const std::string imei = findLine(text, "IMEI: ");
        const std::string iccid = findLine(text, "ICCID: ");
        return imei.empty() || iccid.empty() ? std::string{} : concat(imei, '\n', iccid);
    };
    const std::string found = TRY(ask('i', both, "IMEI and ICCID", op, kReplyLimit));
    const auto cut = found.find('\n');
    return CellularIdentity{.imei = found.substr(0, cut), .iccid = found.substr(cut + 1)};
}

Result<bool> ListeningConsole::claimed(const OpContext& op)
{
    const auto find = [](std::string_view text) { return findLine(text, "Device claimed: "); };
    const std::string word = TRY(ask('c', find, "the claim", op, kReplyLimit));
    if (word == "yes" || word == "no")
        return word == "yes";
    return fail(Errc::Protocol, Blame::Unit,
                concat("ask for the claim: \"", word, "\" is neither yes nor no"));
}

Result<> ListeningConsole::setClaimCode(std::string_view code, const OpContext& op)
{
    if (code.size() != kClaimCode || !isOneLine(viewOf(code)))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("set the claim code: it has ", code.size(), " characters, ", kClaimCode,
                           " printable ones are meant; ask the cloud for another"));
    const auto prompt = [](std::string_view text) -> std::string {
        return text.find("claim code: ") == std::string_view::npos ? "" : "asked";
    };
    TRY(deviceId(op)); // the first key may be lost, and a second `C` would be part of the code
    TRY(ask('C', prompt, "the claim code's prompt", op, kReplyLimit));
    ConsoleWindow window;
    Result<> more = m_line.writeAll(viewOf(concat(code, "\r")), op);
    const OpContext waiting = op.within(kReplyLimit);
    const auto said = [&] { return findLine(window.text(), "Claim code set to: "); };
    const auto kept = [&] { return window.text().find("unchanged.") != std::string_view::npos; };
    while (more && said().empty() && !kept())
        more = window.readMore(m_line, waiting);
    if (!more) {
        // A question that stays open would swallow the next command.
        if (more.error().code != Errc::Disconnected)
            static_cast<void>(m_line.writeAll(viewOf("\r"), op.shielded(kReplyLimit)));
        return Unexpected(inFrame(std::move(more).error(), "set the claim code"));
    }
    if (said() == code)
        return {};
    return fail(Errc::Denied, Blame::Unit,
                concat("set the claim code: the unit ", kept() ? "kept its own" : "took another",
                       "; try again"));
}

Result<std::string> ListeningConsole::diagnostics(const OpContext& op)
{
    const auto find = [](std::string_view text) { return std::string(findObject(text)); };
    std::string text = TRY(ask('d', find, "the diagnostic values", op, kReplyLimit));
    TRY(json::parse(text));
    return text;
}

Result<> ListeningConsole::restartInSafeMode(const OpContext& op)
{
    return press('L', op);
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

Result<> ListeningConsole::startTransfer(const OpContext& op)
{
    const auto prompt = [](std::string_view text) -> std::string {
        const bool isReady = text.find("to abort)") != std::string_view::npos;
        const auto refusal = text.find("is not supported");
        return isReady ? "ready" : refusal != std::string_view::npos ? "unsupported" : "";
    };
    auto said = ask('f', prompt, "a module transfer", op, kTransferPromptLimit);
    if (said && *said == "unsupported")
        return fail(Errc::Denied, Blame::Unit,
                    "send a module: this firmware takes none in listening mode");
    if (said)
        return {};
    // It may be waiting for the file all the same, and would take what follows for one.
    if (said.error().code != Errc::Disconnected)
        static_cast<void>(m_line.writeAll(viewOf("a"), op.shielded(kReplyLimit)));
    return Unexpected(std::move(said).error());
}

Result<> ListeningConsole::transfer(std::string_view fileName, ByteView content, int blockSize,
                                    const OpContext& op)
{
    YModemSender sender(m_line, {.flavour = YModemFlavour::Unit, .blockSize = blockSize});
    Result<> sent = sender.send(fileName, content, op);
    if (sent)
        sent = sender.finish(op);
    m_retries = sender.retries();
    if (!sent && sent.error().code != Errc::Denied)
        return Unexpected(inFrame(std::move(sent).error(), concat("send module ", fileName)));
    return closing(std::move(sent), op);
}

Result<> ListeningConsole::sendModule(std::string_view fileName, ByteView content,
                                      const OpContext& op)
{
    constexpr int kBlockBytes = 1024;
    TRY(startTransfer(op));
    return transfer(fileName, content, kBlockBytes, op);
}

/// The words behind the last ACK or CAN CAN.
Result<> ListeningConsole::closing(Result<> sent, const OpContext& op)
{
    ConsoleWindow window;
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

/// A key behind which the unit may be gone.
Result<> ListeningConsole::press(char key, const OpContext& op)
{
    auto sent = m_line.writeAll(viewOf(std::string_view(&key, 1)), op);
    if (!sent && sent.error().code != Errc::Disconnected)
        return sent;
    return {};
}

Result<> ListeningConsole::exit(const OpContext& op)
{
    return press('x', op);
}

} // namespace provost
