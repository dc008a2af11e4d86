// What cdc_acm does in a kernel: a ttyACMn for a CDC device, on a pseudo-terminal.
#pragma once

#include "usbip_connection.h"

#include <condition_variable>
#include <string>
#include <umockdev.h>

namespace provost::bridge {

/// Where a CDC-ACM function is in a configuration.
struct AcmFunction {
    unsigned controlInterface = 0;
    unsigned endpointIn = 0;
    unsigned endpointOut = 0;
};
std::optional<AcmFunction> findAcm(ByteView configuration);

class AcmTty {
public:
    /// Null: no pseudo-terminal to be had.
    static std::unique_ptr<AcmTty> create(std::shared_ptr<UsbIpConnection> connection,
                                          const AcmFunction& function);
    ~AcmTty();
    AcmTty(const AcmTty&) = delete;
    AcmTty& operator=(const AcmTty&) = delete;

    /// Whoever has the terminal open reads EIO from now on, as after an unplug; what he asks of the
    /// modem lines is still answered.
    void hangUp();
    const std::string& terminal() const { return m_terminal; }
    /// What umockdev_testbed_attach_ioctl() wants: the modem lines, which a pty lacks.
    UMockdevIoctlBase* handler() { return m_handler; }

private:
    struct LineSettings {
        unsigned rate = 0;
        unsigned flags = 0;
        auto operator<=>(const LineSettings&) const = default;
    };
    /// Shared with completions, which may come late.
    struct Traffic {
        std::mutex mutex{};
        Bytes received{};
        bool reading = false; ///< an IN transfer is pending
        std::uint32_t read = 0;
        int writing = 0; ///< OUT transfers under way
    };

    AcmTty(std::shared_ptr<UsbIpConnection> connection, const AcmFunction& function, int master,
           std::string terminal);
    static gboolean onIoctl(UMockdevIoctlBase* base, UMockdevIoctlClient* client, gpointer self);
    void answerModemLines(UMockdevIoctlClient* client, gulong request);
    void run(const std::stop_token& stop);
    bool inUse() const;
    void followUse(bool inUse);
    void followSettings();
    void setLines(int lines);
    void sendToDevice();
    void receiveFromDevice();

    const std::shared_ptr<UsbIpConnection> m_connection;
    const AcmFunction m_function;
    int m_master;
    const std::string m_terminal;
    UMockdevIoctlBase* const m_handler;
    const std::shared_ptr<Traffic> m_traffic = std::make_shared<Traffic>();
    std::atomic<int> m_lines{0};
    LineSettings m_settings{};
    bool m_wasInUse = false;
    std::jthread m_thread; ///< last: it uses the others
};

} // namespace provost::bridge
