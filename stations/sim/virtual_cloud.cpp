#include "sim/virtual_cloud.h"

#include "core/mutex.h"
#include "core/text.h"
#include "sim/fault_switch.h"
#include "sim/faulty_stream_p.h"

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <optional>
#include <system_error>

namespace provost {

namespace {

constexpr int kSignerBits = 2048;
constexpr std::string_view kSwitchPath = "/v1/training/faults";

/// Removed with all its files when it goes.
class TemporaryFolder {
public:
    static Result<TemporaryFolder> make()
    {
        std::error_code error;
        std::string name = (std::filesystem::temp_directory_path(error) / "cloud-XXXXXX").string();
        if (error || ::mkdtemp(name.data()) == nullptr)
            return fail(Errc::Io, Blame::Station,
                        "make a temporary folder for a virtual cloud: " + systemMessage(errno),
                        errno);
        return TemporaryFolder(name);
    }
    TemporaryFolder() = default;
    explicit TemporaryFolder(std::filesystem::path path) : m_path(std::move(path)) {}
    TemporaryFolder(TemporaryFolder&& other) noexcept : m_path(std::move(other.m_path))
    {
        other.m_path.clear();
    }
    TemporaryFolder& operator=(TemporaryFolder&& other) noexcept
    {
        m_path.swap(other.m_path);
        return *this;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        if (!m_path.empty())
            std::filesystem::remove_all(m_path, ignored);
    }
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path{};
};

HttpAnswer plain(int status, std::string body)
{
    return {.status = status, .body = std::move(body)};
}

template <class Fault>
struct Order {
    Fault fault{};
    int left = 0; ///< negative: until cleared
    HandshakeStage at{};

    std::optional<Fault> take()
    {
        if (left == 0)
            return std::nullopt;
        if (left > 0)
            --left;
        return fault;
    }
};

} // namespace

struct VirtualCloud::Impl {
    Impl(std::chrono::milliseconds holdForIn, const Clock& clockIn)
        : holdFor(holdForIn), clock(clockIn)
    {
    }

    HttpAnswer aroundRequest(const HttpRequest& request, const CloudHooks::Serve& serve,
                             const std::stop_token& stop);
    CloudHooks::Wrap faultOfNext();
    HttpAnswer answer(RequestFault fault, const HttpRequest& request,
                      const CloudHooks::Serve& serve, const std::stop_token& stop);
    HttpAnswer muted(HttpAnswer given) const;
    void online(const std::string& deviceId);
    HttpAnswer hold(const std::stop_token& stop);
    void goAway(std::chrono::milliseconds span) PROVOST_REQUIRES(mutex)
    {
        const auto real = std::chrono::duration<double, std::milli>(span) / clockSpeed;
        awayUntil = clock.now() + std::chrono::duration_cast<Clock::Steady::duration>(real);
    }
    std::optional<RequestFault> nextFault() PROVOST_REQUIRES(mutex);
    HttpAnswer takeOrders(const HttpRequest& request, const CloudHooks::Serve& serve);
    HttpAnswer tooMany() const;
    void serveLate();
    void countDown();

    const std::chrono::milliseconds holdFor;
    const Clock& clock;
    std::string retryAfter{};
    double clockSpeed = 1;
    bool trainingSwitch = false;
    mutable Mutex mutex;
    std::condition_variable_any cleared{};
    std::function<std::optional<RequestFault>()> choose PROVOST_GUARDED_BY(mutex){};
    std::deque<FaultOrder> orders PROVOST_GUARDED_BY(mutex){};
    Order<RequestFault> requestOrder PROVOST_GUARDED_BY(mutex){};
    Order<ConnectionFault> connectionOrder PROVOST_GUARDED_BY(mutex){};
    std::vector<CloudHooks::Serve> late PROVOST_GUARDED_BY(mutex){};
    Clock::Steady awayUntil PROVOST_GUARDED_BY(mutex){};
    int untilThen PROVOST_GUARDED_BY(mutex) = 0;
    std::function<void()> then PROVOST_GUARDED_BY(mutex){};
    std::function<void(const std::string&)> onOnline PROVOST_GUARDED_BY(mutex){};
    bool claims PROVOST_GUARDED_BY(mutex) = false;
    int clearings PROVOST_GUARDED_BY(mutex) = 0;
    int requestCount PROVOST_GUARDED_BY(mutex) = 0;
    int connectionCount PROVOST_GUARDED_BY(mutex) = 0;
    std::optional<RsaPrivateKey> otherSigner PROVOST_GUARDED_BY(mutex){};
    std::optional<RsaPublicKey> serverKey PROVOST_GUARDED_BY(mutex){};
    TemporaryFolder temporary{};
    std::filesystem::path folder{};
    std::unique_ptr<CloudService> service{}; ///< last: its connections use everything above
};

Result<std::unique_ptr<VirtualCloud>> VirtualCloud::start(VirtualCloudConfig config,
                                                          const Clock& clock,
                                                          std::shared_ptr<CloudObserver> observer)
{
    auto impl = std::make_unique<Impl>(config.holdFor, clock);
    impl->retryAfter = config.retryAfter;
    impl->clockSpeed = config.clockSpeed;
    impl->trainingSwitch = config.trainingSwitch;
    if (config.service.folder.empty()) {
        impl->temporary = TRY(TemporaryFolder::make());
        config.service.folder = impl->temporary.path();
    }
    impl->folder = config.service.folder;
    config.service.hooks = {
        .aroundRequest =
            [self = impl.get()](const HttpRequest& request, const CloudHooks::Serve& serve,
                                const std::stop_token& stop) {
                if (self->trainingSwitch && request.path == kSwitchPath)
                    return self->takeOrders(request, serve);
                return self->aroundRequest(request, serve, stop);
            },
        .connectionFault = [self = impl.get()] { return self->faultOfNext(); },
        .unitOnline = [self = impl.get()](const std::string& id) { self->online(id); }};
    impl->service = TRY(CloudService::start(std::move(config.service), clock, std::move(observer)));
    return std::unique_ptr<VirtualCloud>(new VirtualCloud(std::move(impl)));
}

VirtualCloud::VirtualCloud(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

VirtualCloud::~VirtualCloud() = default;

CloudService& VirtualCloud::service()
{
    return *m_impl->service;
}

std::filesystem::path VirtualCloud::folder() const
{
    return m_impl->folder;
}

void VirtualCloud::failRequests(RequestFault fault, int count)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->choose = {};
    m_impl->requestOrder = {.fault = fault, .left = count};
}

void VirtualCloud::order(const std::vector<FaultOrder>& orders)
{
    clearFaults();
    const MutexLock lock(m_impl->mutex);
    m_impl->orders.assign(orders.begin(), orders.end());
}

void VirtualCloud::failRequestsBy(std::function<std::optional<RequestFault>()> choose)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->choose = std::move(choose);
}

bool VirtualCloud::isAway() const
{
    const MutexLock lock(m_impl->mutex);
    return m_impl->clock.now() < m_impl->awayUntil;
}

void VirtualCloud::failConnections(ConnectionFault fault, int count, HandshakeStage at)
{
    std::optional<RsaPrivateKey> signer;
    if (fault == ConnectionFault::OtherSigner) {
        if (auto made = RsaPrivateKey::generate(kSignerBits))
            signer.emplace(*std::move(made));
    }
    const MutexLock lock(m_impl->mutex);
    if (signer && !m_impl->otherSigner) { // connections under way may use the first one
        m_impl->otherSigner.emplace(*std::move(signer));
        m_impl->serverKey.emplace(m_impl->service->serverKey());
    }
    m_impl->connectionOrder = {.fault = fault, .left = count, .at = at};
}

void VirtualCloud::clearFaults()
{
    m_impl->serveLate();
    const MutexLock lock(m_impl->mutex);
    m_impl->choose = {};
    m_impl->orders.clear();
    m_impl->requestOrder = {};
    m_impl->awayUntil = {};
    m_impl->connectionOrder = {};
    ++m_impl->clearings;
    m_impl->cleared.notify_all();
}

int VirtualCloud::requests() const
{
    const MutexLock lock(m_impl->mutex);
    return m_impl->requestCount;
}

int VirtualCloud::connections() const
{
    const MutexLock lock(m_impl->mutex);
    return m_impl->connectionCount;
}

void VirtualCloud::beAway(std::chrono::milliseconds span)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->goAway(span);
}

void VirtualCloud::afterRequest(int count, std::function<void()> then)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->untilThen = count;
    m_impl->then = std::move(then);
}

void VirtualCloud::whenOnline(std::function<void(const std::string& deviceId)> then)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->onOnline = std::move(then);
}

void VirtualCloud::claimWhoComes(bool on)
{
    const MutexLock lock(m_impl->mutex);
    m_impl->claims = on;
}

void VirtualCloud::Impl::online(const std::string& deviceId)
{
    std::function<void(const std::string&)> told;
    bool claim = false;
    {
        const MutexLock lock(mutex);
        told = onOnline;
        claim = claims;
    }
    if (claim && service)
        static_cast<void>(service->claim(deviceId));
    if (told)
        told(deviceId);
}

HttpAnswer VirtualCloud::Impl::aroundRequest(const HttpRequest& request,
                                             const CloudHooks::Serve& serve,
                                             const std::stop_token& stop)
{
    std::optional<RequestFault> fault;
    {
        const MutexLock lock(mutex);
        ++requestCount;
        fault = clock.now() < awayUntil ? std::nullopt : nextFault();
        if (clock.now() < awayUntil) // perhaps from this request on
            return {.status = 503, .delivery = HttpAnswer::Delivery::Drop};
    }
    HttpAnswer given = fault ? answer(*fault, request, serve, stop) : serve();
    if (fault != RequestFault::Reorder)
        serveLate();
    countDown();
    return given;
}

HttpAnswer VirtualCloud::Impl::tooMany() const
{
    HttpAnswer answer = plain(429, R"({"error":"too_many_requests"})");
    if (!retryAfter.empty())
        answer.headers.emplace_back("Retry-After", retryAfter);
    return answer;
}

std::optional<RequestFault> VirtualCloud::Impl::nextFault()
{
    if (choose)
        return choose();
    if (orders.empty())
        return requestOrder.take();
    FaultOrder& first = orders.front();
    const auto fault = first.fault;
    if (first.outage.count() > 0)
        goAway(first.outage);
    if (--first.count <= 0)
        orders.pop_front();
    return fault;
}

/// The switch. It needs the token that everything else needs.
HttpAnswer VirtualCloud::Impl::takeOrders(const HttpRequest& request,
                                          const CloudHooks::Serve& serve)
{
    constexpr std::string_view kField = "faults=";
    HttpAnswer refused = serve(); // 401, or 404 of the service, which does not know this address
    if (refused.status == 401)
        return refused;
    std::string text = request.body.starts_with(kField) ? request.body.substr(kField.size()) : "";
    for (const auto& [encoded, plainText] : {std::pair{"%3A", ":"}, {"%2C", ","}})
        for (auto at = text.find(encoded); at != std::string::npos; at = text.find(encoded))
            text.replace(at, 3, plainText);
    const auto parsed = parseFaultOrders(text);
    if (request.method != "POST" || !parsed)
        return plain(400, R"({"error":"invalid_request"})");
    serveLate();
    const MutexLock lock(mutex);
    choose = {};
    requestOrder = {};
    awayUntil = {};
    orders.assign(parsed->begin(), parsed->end());
    return plain(200, R"({"ok":true})");
}

/// What was overtaken by the request that has just been served.
void VirtualCloud::Impl::serveLate()
{
    std::vector<CloudHooks::Serve> overtaken;
    {
        const MutexLock lock(mutex);
        overtaken.swap(late);
    }
    for (const auto& serve : overtaken)
        serve();
}

void VirtualCloud::Impl::countDown()
{
    std::function<void()> due;
    {
        const MutexLock lock(mutex);
        if (untilThen > 0 && --untilThen == 0)
            due.swap(then);
    }
    if (due)
        due();
}

/// A stream that is there and says nothing.
HttpAnswer VirtualCloud::Impl::muted(HttpAnswer given) const
{
    if (!given.stream)
        return given;
    given.stream = [&time = clock](const HttpAnswer::Write& write, const std::stop_token& ended) {
        constexpr std::chrono::milliseconds kKeepAlive{500};
        bool goesOn = write(":ok\n\n");
        while (goesOn && time.sleepUntil(time.now() + kKeepAlive, ended))
            goesOn = write("\n");
    };
    return given;
}

HttpAnswer VirtualCloud::Impl::answer(RequestFault fault, const HttpRequest& request,
                                      const CloudHooks::Serve& serve, const std::stop_token& stop)
{
    switch (fault) {
    case RequestFault::Answer429:
        return tooMany();
    case RequestFault::Answer500:
        return plain(500, R"({"error":"server_error"})");
    case RequestFault::Answer503:
        return plain(503, R"({"error":"temporarily_unavailable"})");
    case RequestFault::Refuse:
        return plain(400, R"({"error":"Key error Error: refused by the virtual cloud"})");
    case RequestFault::Deny:
        return plain(403, R"({"error":"Permission Denied"})");
    case RequestFault::OldToken:
        return plain(400, R"({"error":"invalid_token","error_description":"expired"})");
    case RequestFault::Forbidden:
        return plain(403, R"({"error":"insufficient_scope"})");
    case RequestFault::NoSuchCall:
        return plain(404, R"({"error":"not_found"})");
    case RequestFault::NoSuchPage:
        return {.status = 404,
                .body = "<html><body>404 Not Found</body></html>",
                .contentType = "text/html"};
    case RequestFault::NotAllowed:
        return plain(405, R"({"error":"method_not_allowed"})");
    case RequestFault::TimeOutBefore:
        return hold(stop);
    case RequestFault::TimeOutAfter:
        serve();
        return hold(stop);
    case RequestFault::Duplicate:
        serve();
        return serve();
    case RequestFault::Reorder: {
        const MutexLock lock(mutex);
        late.push_back(serve);
        return {.status = 504, .delivery = HttpAnswer::Delivery::Drop};
    }
    case RequestFault::NoEvents:
        return muted(serve());
    case RequestFault::KeepClaim:
        return request.method == "DELETE" ? plain(200, R"({"ok":true})") : serve();
    case RequestFault::NoKeyBack: {
        HttpAnswer answer = serve();
        const bool ofTheCall = answer.body.find("\"publicKey\"") != std::string::npos ||
                               answer.body.find("\"no_key\"") != std::string::npos;
        if (ofTheCall)
            return plain(405, R"({"error":"method_not_allowed"})");
        return answer;
    }
    case RequestFault::Page:
        return {.status = 200,
                .body = "<html><body>Sign in to the network</body></html>",
                .contentType = "text/html"};
    }
    return serve();
}

HttpAnswer VirtualCloud::Impl::hold(const std::stop_token& stop)
{
    MutexLock lock(mutex);
    const int before = clearings;
    cleared.wait_for(lock, stop, holdFor,
                     [&]() PROVOST_REQUIRES(mutex) { return clearings != before; });
    return {.status = 504, .delivery = HttpAnswer::Delivery::Drop};
}

CloudHooks::Wrap VirtualCloud::Impl::faultOfNext()
{
    const MutexLock lock(mutex);
    ++connectionCount;
    const auto fault = connectionOrder.take();
    if (!fault)
        return {};
    const HandshakeStage at = connectionOrder.at;
    if (*fault == ConnectionFault::Silent)
        return [](std::unique_ptr<ByteStream> line) { return makeSilent(std::move(line)); };
    if (*fault == ConnectionFault::Drop)
        return [at](std::unique_ptr<ByteStream> line) { return makeDropping(std::move(line), at); };
    if (!otherSigner || !serverKey) // no key, no signature: the unit sees a hang-up instead
        return [](std::unique_ptr<ByteStream> line) {
            return makeDropping(std::move(line), HandshakeStage::DeviceReply);
        };
    return [&signer = *otherSigner, &key = *serverKey](std::unique_ptr<ByteStream> line) {
        return makeOtherSigner(std::move(line), key, signer);
    };
}

} // namespace provost
