// A cloud whose device port is dialled, and what it reports of every connection.
#pragma once

#include "cloud_bench.h"

#include "core/byte_io.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

/// Keeps what the cloud tells of its connections. Thread-safe.
class ConnectionLog final : public CloudObserver {
public:
    void onMessage(const ConnectionInfo& connection, const HandshakeMessage& message) override
    {
        const MutexLock lock(m_mutex);
        m_messages.push_back(
            concat(connection.number, " ", name(message.stage), message.fromDevice ? " <" : " >"));
    }
    void onReport(const ConnectionInfo&, const HandshakeReport& report) override
    {
        const MutexLock lock(m_mutex);
        m_reports.push_back(report);
    }
    std::vector<HandshakeReport> reports() const
    {
        const MutexLock lock(m_mutex);
        return m_reports;
    }
    std::vector<std::string> messages() const
    {
        const MutexLock lock(m_mutex);
        return m_messages;
    }

private:
    mutable Mutex m_mutex;
    std::vector<HandshakeReport> m_reports;
    std::vector<std::string> m_messages;
};

/// What the tests of a device port begin with.
struct DevicePort {
    DevicePort()
    {
        const SecretBytes pem = RsaPrivateKey::generate(2048).value().toClearPem();
        QFile file(m_keys.filePath("server.pem"));
        if (!file.open(QIODevice::WriteOnly) ||
            file.write(QByteArray::fromStdString(toText(pem.reveal()))) < 0)
            qFatal("write %s", qPrintable(file.fileName()));
    }
    void startCloud(const ServerTimeouts& timeouts = {.step = kHangGuard, .whole = kHangGuard})
    {
        m_watcher = std::make_shared<ConnectionLog>();
        VirtualCloudConfig config;
        config.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
        config.service.handshakeTimeouts = timeouts;
        m_cloud.reset();
        auto started = VirtualCloud::start(std::move(config), m_clock, m_watcher);
        QVERIFY2(started.has_value(), started ? "" : describe(started.error()).c_str());
        m_cloud = *std::move(started);
    }
    CloudService& service() { return m_cloud->service(); }
    void registerUnit(const Unit& unit)
    {
        QVERIFY(service().registry().put(unit.id, unit.key.publicKey).has_value());
    }

    SystemClock m_clock{};
    QTemporaryDir m_keys{};
    Unit m_unit{};
    std::shared_ptr<ConnectionLog> m_watcher{};
    std::unique_ptr<VirtualCloud> m_cloud{};
};

} // namespace provost::test
