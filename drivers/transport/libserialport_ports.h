// The serial ports of this computer, through libserialport.
#pragma once

#include "transport/serial.h"

namespace provost {

/// Besides listed ports it opens a terminal by path (a pseudo-terminal) and `tcp:HOST:PORT`, a
/// port behind a serial server. Thread-safe.
class LibserialportPorts final : public SerialPorts {
public:
    Result<std::vector<SerialPortInfo>> enumerate() override;
    /// @returns NotFound; Denied; Busy  another program holds it
    Result<std::unique_ptr<SerialPort>> open(const std::string& path) override;
};

} // namespace provost
