#include "sim/board_state.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::size_t kLogLines = 2000;
constexpr std::size_t kTransmitBuffer = 65536;

} // namespace

void BoardState::say(std::string line)
{
    if (log.size() >= kLogLines)
        log.erase(log.begin(), log.begin() + kLogLines / 2);
    log.push_back(std::move(line));
}

void BoardState::show(Led next)
{
    if (next == led)
        return;
    led = next;
    if (ledHistory.size() >= kLogLines)
        ledHistory.erase(ledHistory.begin(), ledHistory.begin() + kLogLines / 2);
    ledHistory.push_back(next);
}

void BoardState::askRestart(BootTarget target)
{
    restart = target;
    notify();
}

void BoardState::print(std::string_view text)
{
    const Bytes bytes = toBytes(text);
    toHost.insert(toHost.end(), bytes.begin(), bytes.end());
    if (toHost.size() > kTransmitBuffer)
        toHost.erase(toHost.begin(), toHost.end() - kTransmitBuffer);
    port->reportChange();
}

std::string BoardState::idText() const
{
    return toHex(deviceId);
}

std::string BoardState::macText() const
{
    std::string text = "6c:0b:84";
    for (const std::size_t i : {std::size_t{0}, std::size_t{2}, std::size_t{11}})
        text += concat(':', toHex(ByteView(deviceId).subspan(i, 1)));
    return text;
}

std::optional<WifiCredentials> BoardState::credentials() const
{
    return storedCredentials(store);
}

bool BoardState::saveCredentials(const WifiCredentials& wanted)
{
    return storeCredentials(store, wanted);
}

void BoardState::clearCredentials()
{
    store.writeWifi({});
}

std::uint32_t BoardState::usableDct() const
{
    const auto part2 = runnable(flash, region::kPart2);
    return part2 && part2->version >= 200 ? dct::kUsable : dct::kUsableOld;
}

bool BoardState::writeDct(std::uint32_t applicationOffset, ByteView bytes)
{
    return store.write(applicationOffset, bytes, usableDct());
}

} // namespace provost::sim
