// Byte streams and serial ports.
#pragma once

#include "transport/usb.h"

#include <optional>

namespace provost {

class ByteStream {
public:
    virtual ~ByteStream() = default;
    /// At least one byte, at most to.size(). Disconnected at end of stream.
    virtual Result<std::size_t> readSome(ByteSpan to, const OpContext& op) = 0;
    virtual Result<> writeAll(ByteView data, const OpContext& op) = 0;
    virtual Result<> discardInput() = 0;
};

class SerialPort : public ByteStream {
public:
    /// A unit may leave the bus while it obeys a baud-rate command: Disconnected is then success.
    virtual Result<> setBaud(int bitsPerSecond) = 0;
    virtual Result<> setDtr(bool asserted) = 0;
};

struct SerialPortInfo {
    std::string path{};               ///< /dev/ttyACM0, sim:demo#1
    std::optional<UsbPortPath> usb{}; ///< where known
    bool simulated = false;
};

/// Every serial port the station can see. Thread-safe.
class SerialPorts {
public:
    virtual ~SerialPorts() = default;
    virtual Result<std::vector<SerialPortInfo>> enumerate() = 0;
    virtual Result<std::unique_ptr<SerialPort>> open(const std::string& path) = 0;
};

} // namespace provost
