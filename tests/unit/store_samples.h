// A journal of its own for each test, and what is put into it.
#pragma once

#include "store/journal.h"
#include "support/must.h"

#include <QTemporaryDir>

namespace provost::test {

using namespace std::chrono_literals;

inline const std::string kUnitA = "0123456789abcdef01234567";
inline const std::string kUnitB = "0123456789abcdef0123ffff";
inline const std::string kPrintA(64, 'a');
inline const std::string kPrintB(64, 'b');

inline RunStart aStart(std::string label = {})
{
    return {.slot = 1,
            .unit = {.serial = std::move(label)},
            .planId = "photon-full",
            .planRevision = 7,
            .planDigest = std::string(64, 'd'),
            .simulated = true,
            .station = "line-1"};
}

inline KeyRecord aKey(const std::string& fingerprint)
{
    return {.fingerprint = fingerprint,
            .publicDer = Bytes(162, std::byte{0x30}),
            .origin = "generated"};
}

inline OutboxEntry aRegistration(std::string key, std::string payload = "PEM")
{
    return {
        .kind = "registration", .idempotencyKey = std::move(key), .payload = std::move(payload)};
}

/// An open journal in a folder of its own.
class JournalBench : public QObject {
protected:
    RunId identified(const std::string& deviceId, std::string label = {})
    {
        const auto run = m_journal->beginRun(aStart(label)).value();
        must(m_journal->identify(run, {.serial = label, .deviceId = deviceId}, "listening"));
        return run;
    }
    RunId finished(const std::string& deviceId, Verdict verdict, std::string cause = {})
    {
        const auto run = identified(deviceId);
        must(m_journal->finishRun(run, verdict, cause, "", 1));
        return run;
    }
    void step(RunId run, const std::string& name, double seconds, Verdict verdict = Verdict::Pass)
    {
        must(m_journal->recordAttempt(
            run, {.step = "s", .name = name, .verdict = verdict, .seconds = seconds}));
    }
    void openJournal()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_clock.advance(1h);
        m_journal = must(Journal::open(m_folder->filePath("station.db").toStdString(), m_clock));
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    VirtualClock m_clock;
    std::unique_ptr<Journal> m_journal;
};

} // namespace provost::test
