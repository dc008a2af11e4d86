#include "sim/virtual_cloud.h"

#include "core/mutex.h"
#include "core/text.h"
#include "sim/faulty_stream_p.h"

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <optional>
#include <system_error>

namespace provost {

namespace {

constexpr int kSignerBits = 2048;

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
    explicit Impl(std::chrono::milliseconds holdForIn) : holdFor(holdForIn) {}

    HttpAnswer aroundRequest(const CloudHooks::Serve& serve, const std::stop_token& stop);
    std::unique_ptr<ByteStream> aroundConnection(std::unique_ptr<ByteStream> line);
    HttpAnswer hold(const std::stop_token& stop);

    const std::chrono::milliseconds holdFor;
    mutable Mutex mutex;
    std::condition_variable_any cleared{};
    Order<RequestFault> requestOrder PROVOST_GUARDED_BY(mutex){};
    Order<ConnectionFault> connectionOrder PROVOST_GUARDED_BY(mutex){};
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
    auto impl = std::make_unique<Impl>(config.holdFor);
    if (config.service.folder.empty()) {
        impl->temporary = TRY(TemporaryFolder::make());
        config.service.folder = impl->temporary.path();
    }
    impl->folder = config.service.folder;
    config.service.hooks = {.aroundRequest =
                                [self = impl.get()](const HttpRequest&,
                                                    const CloudHooks::Serve& serve,
                                                    const std::stop_token& stop) {
                                    return self->aroundRequest(serve, stop);
                                },
                            .aroundConnection =
                                [self = impl.get()](std::unique_ptr<ByteStream> line) {
                                    return self->aroundConnection(std::move(line));
                                }};
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
    m_impl->requestOrder = {.fault = fault, .left = count};
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
    const MutexLock lock(m_impl->mutex);
    m_impl->requestOrder = {};
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

HttpAnswer VirtualCloud::Impl::aroundRequest(const CloudHooks::Serve& serve,
                                             const std::stop_token& stop)
{
    std::optional<RequestFault> fault;
    {
        const MutexLock lock(mutex);
        ++requestCount;
        fault = requestOrder.take();
    }
    if (!fault)
        return serve();
    switch (*fault) {
    case RequestFault::Answer429:
        return plain(429, R"({"error":"too_many_requests"})");
    case RequestFault::Answer500:
        return plain(500, R"({"error":"server_error"})");
    case RequestFault::Answer503:
        return plain(503, R"({"error":"temporarily_unavailable"})");
    case RequestFault::Refuse:
        return plain(400, R"({"error":"Key error Error: refused by the virtual cloud"})");
    case RequestFault::Deny:
        return plain(403, R"({"error":"Permission Denied"})");
    case RequestFault::TimeOutBefore:
        return hold(stop);
    case RequestFault::TimeOutAfter:
        serve();
        return hold(stop);
    case RequestFault::Duplicate:
        serve();
        return serve();
    case RequestFault::NoKeyBack: {
        HttpAnswer answer = serve();
        if (answer.body.find("\"publicKey\"") != std::string::npos)
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

std::unique_ptr<ByteStream> VirtualCloud::Impl::aroundConnection(std::unique_ptr<ByteStream> line)
{
    const MutexLock lock(mutex);
    ++connectionCount;
    const auto fault = connectionOrder.take();
    if (!fault)
        return line;
    switch (*fault) {
    case ConnectionFault::Silent:
        return makeSilent(std::move(line));
    case ConnectionFault::Drop:
        return makeDropping(std::move(line), connectionOrder.at);
    case ConnectionFault::OtherSigner:
        break;
    }
    if (!otherSigner || !serverKey) // no key, no signature: the unit sees a hang-up instead
        return makeDropping(std::move(line), HandshakeStage::DeviceReply);
    return makeOtherSigner(std::move(line), *serverKey, *otherSigner);
}

} // namespace provost
