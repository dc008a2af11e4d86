#include "cloud/local_handshake_server.h"

#include "core/text.h"

#include <algorithm>
#include <condition_variable>
#include <map>

namespace provost {

namespace {

using namespace std::chrono_literals;

/// How soon a wait sees its deadline on a clock that is not the system's; a stop is seen at once.
constexpr std::string_view kStationFault = "server-failed";
constexpr auto kWaitSlice = 50ms;
constexpr std::size_t kShownDigits = 12;

/// What one expectation has seen so far.
struct Page {
    Page(std::string id, RsaPublicKey unitKey, HandshakeListener listener)
        : deviceId(std::move(id)), key(std::move(unitKey)), onMessage(std::move(listener))
    {
    }
    void tell(std::uint64_t connection, const std::vector<HandshakeMessage>& messages)
    {
        const MutexLock lock(callMutex);
        for (const HandshakeMessage& message : messages) {
            if (onMessage)
                onMessage(connection, message);
        }
    }
    /// When it returns, no call is under way and none will come.
    void silence()
    {
        const MutexLock lock(callMutex);
        onMessage = nullptr;
    }

    const std::string deviceId;
    const RsaPublicKey key;
    Mutex callMutex;
    HandshakeListener onMessage PROVOST_GUARDED_BY(callMutex);
    // The rest is guarded by the book.
    std::map<std::uint64_t, std::ptrdiff_t> told{}; ///< messages, by connection
    std::optional<HandshakeReport> passed{};
    std::optional<HandshakeReport> failed{};   ///< the last one
    std::optional<HandshakeReport> nameless{}; ///< the last one of a unit that gave no readable id
};

std::string shortened(const std::string& fingerprint)
{
    return fingerprint.substr(0, kShownDigits);
}

/// The registered key is not the one that was read back from the unit: whatever the connection
/// showed, the two must be brought together first.
HandshakeReport judged(const Page& page, HandshakeReport report, const std::string& onFile)
{
    const std::string inUnit = page.key.fingerprint();
    if (onFile.empty() || onFile == inUnit)
        return report;
    report.passed = false;
    report.cause = "registered-key-differs";
    report.advice = concat("The cloud holds key ", shortened(onFile),
                           " for this unit, the unit was read with key ", shortened(inUnit),
                           ": register the key that is in the unit.");
    return report;
}

} // namespace

/// Every open expectation; takes part in the connections as an observer.
class LocalHandshakeServer::Book final : public CloudObserver {
public:
    using PageRef = std::shared_ptr<Page>;

    explicit Book(const Registry& registry) : m_registry(registry) {}

    void open(const PageRef& page)
    {
        const MutexLock lock(m_mutex);
        m_pages.push_back(page);
    }
    void close(const PageRef& page)
    {
        {
            const MutexLock lock(m_mutex);
            std::erase(m_pages, page);
        }
        page->silence();
    }

    std::optional<RsaPublicKey> keyFor(const std::string& deviceId) override
    {
        const MutexLock lock(m_mutex);
        // The latest word counts where a unit is expected twice.
        for (auto page = m_pages.rbegin(); page != m_pages.rend(); ++page) {
            if ((*page)->deviceId == deviceId)
                return (*page)->key;
        }
        return {};
    }

    void onMessage(const ConnectionInfo& connection, const HandshakeMessage& message) override
    {
        {
            const MutexLock lock(m_mutex);
            m_held[connection.number].push_back(message);
        }
        tellWhatIsDue(connection);
    }

    void onReport(const ConnectionInfo& connection, const HandshakeReport& report) override
    {
        const std::string onFile = fingerprintOnFile(connection.deviceId);
        tellWhatIsDue(connection); // before wait() returns: the picture is whole by then
        const MutexLock lock(m_mutex);
        m_held.erase(connection.number);
        for (const PageRef& page : m_pages) {
            // A fault of the endpoint itself is everybody's.
            if (connection.deviceId.empty() && report.cause == kStationFault)
                page->nameless = report;
            // Who gave no readable id may be anybody: it counts only where one unit is awaited.
            else if (connection.deviceId.empty() && m_pages.size() > 1)
                page->nameless.reset();
            else if (connection.deviceId.empty())
                page->nameless = report;
            else if (page->deviceId == connection.deviceId)
                keep(*page, judged(*page, report, onFile));
            page->told.erase(connection.number);
        }
        m_changed.notify_all();
    }

    Result<HandshakeReport> wait(const PageRef& page, const OpContext& op)
    {
        MutexLock lock(m_mutex);
        while (!page->passed) {
            const auto alive = op.checkpoint();
            if (!alive && alive.error().code == Errc::Timeout)
                return atDeadline(*page);
            if (!alive)
                return Unexpected(alive.error());
            const auto slice =
                std::min<std::chrono::milliseconds>(kWaitSlice, op.remaining() + 1ms);
            m_changed.wait_for(lock, op.stop, slice, [&] { return page->passed.has_value(); });
        }
        return *page->passed;
    }

private:
    /// Every page of the unit hears the whole connection, also what was said before the unit named
    /// itself or before it was expected. Called from the connection's thread alone.
    void tellWhatIsDue(const ConnectionInfo& connection)
    {
        std::vector<std::pair<PageRef, std::vector<HandshakeMessage>>> due;
        {
            const MutexLock lock(m_mutex);
            const auto& held = m_held[connection.number];
            for (const PageRef& page : m_pages) {
                // Until the unit has named itself, nobody knows whose messages these are.
                if (connection.deviceId.empty() || page->deviceId != connection.deviceId)
                    continue;
                auto& told = page->told[connection.number];
                due.emplace_back(page, std::vector(held.begin() + told, held.end()));
                told = std::ssize(held);
            }
        }
        for (const auto& [page, messages] : due)
            page->tell(connection.number, messages);
    }

    std::string fingerprintOnFile(const std::string& deviceId) const
    {
        const auto key = m_registry.find(deviceId);
        return key && *key ? (*key)->fingerprint() : std::string{};
    }

    static void keep(Page& page, HandshakeReport report)
    {
        if (!report.passed)
            page.failed = std::move(report);
        else if (!page.passed)
            page.passed = std::move(report);
    }

    Result<HandshakeReport> atDeadline(const Page& page) PROVOST_REQUIRES(m_mutex)
    {
        if (page.failed)
            return *page.failed;
        if (!page.nameless)
            return fail(
                Errc::NotFound, Blame::Unit,
                concat("wait for the handshake of ", page.deviceId, ": the unit did not connect"));
        HandshakeReport report = *page.nameless;
        if (m_pages.size() > 1)
            report.advice += concat(" (The unit gave no readable id; ", m_pages.size(),
                                    " units were expected at that time.)");
        return report;
    }

    const Registry& m_registry; ///< used only while the service calls
    Mutex m_mutex;
    std::condition_variable_any m_changed{};
    std::vector<PageRef> m_pages PROVOST_GUARDED_BY(m_mutex){};
    std::map<std::uint64_t, std::vector<HandshakeMessage>> m_held PROVOST_GUARDED_BY(m_mutex){};
};

namespace {

template <class Book>
class BookedExpectation final : public HandshakeServer::Expectation {
public:
    BookedExpectation(std::shared_ptr<Book> book, std::shared_ptr<Page> page)
        : m_book(std::move(book)), m_page(std::move(page))
    {
        m_book->open(m_page);
    }
    ~BookedExpectation() override { m_book->close(m_page); }
    BookedExpectation(const BookedExpectation&) = delete;
    BookedExpectation& operator=(const BookedExpectation&) = delete;
    Result<HandshakeReport> wait(const OpContext& op) override { return m_book->wait(m_page, op); }

private:
    std::shared_ptr<Book> m_book;
    std::shared_ptr<Page> m_page;
};

} // namespace

LocalHandshakeServer::LocalHandshakeServer(CloudService& service)
    : m_service(service), m_book(std::make_shared<Book>(service.registry()))
{
    m_service.addObserver(m_book);
}

LocalHandshakeServer::~LocalHandshakeServer()
{
    m_service.removeObserver(m_book.get());
}

std::string LocalHandshakeServer::host() const
{
    return m_service.handshakeHost();
}
std::uint16_t LocalHandshakeServer::port() const
{
    return m_service.handshakePort();
}
RsaPublicKey LocalHandshakeServer::serverKey() const
{
    return m_service.serverKey();
}

Result<std::unique_ptr<HandshakeServer::Expectation>>
LocalHandshakeServer::expect(const UnitIdentity& unit, Bytes publicKeyDer,
                             HandshakeListener onMessage)
{
    std::string id = TRY(checkedDeviceId(unit.deviceId));
    RsaPublicKey key = TRY(RsaPublicKey::fromDer(publicKeyDer));
    auto page = std::make_shared<Page>(std::move(id), std::move(key), std::move(onMessage));
    return std::unique_ptr<Expectation>(
        std::make_unique<BookedExpectation<Book>>(m_book, std::move(page)));
}

} // namespace provost
