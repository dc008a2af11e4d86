// Any terminal by its path, a pseudo-terminal included: libserialport opens neither those nor
// paths it does not find in /sys/class/tty (protocol sheet 6.5).
#pragma once

#include "transport/serial.h"

#include <memory>
#include <string>

namespace provost {

class TermiosPort final : public SerialPort {
public:
    /// Raw, exclusive, DTR asserted; keeps the rate that is set.
    /// @returns NotFound, Denied, Busy
    static Result<std::unique_ptr<TermiosPort>> open(const std::string& path);
    ~TermiosPort() override;

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override;
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override;
    Result<> setBaud(int bitsPerSecond) override;
    /// A pseudo-terminal has no modem lines: success without effect.
    Result<> setDtr(bool asserted) override;

private:
    struct Impl;
    explicit TermiosPort(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
