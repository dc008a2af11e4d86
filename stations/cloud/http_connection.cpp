// The one file that knows cpp-httplib: it parses requests and writes answers, sockets and threads
// are ours, so that time limits, stop and shutdown are the same as everywhere else.
#include "cloud/http_connection_p.h"

#include "cloud/tls_stream_p.h"
#include "core/op_context.h"
#include "transport/tcp_stream.h"

#include <QUrl>
#include <algorithm>
#include <array>
#include <exception>
#include <httplib.h>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view kJson = "application/json; charset=utf-8";
/// How long a client may take to read the answer and hang up before it is hung up on.
constexpr auto kLinger = 250ms;
/// A listener that takes longer for one piece of an event stream is gone.
constexpr auto kPieceWithin = 10s;

std::string peerAddress(const std::string& peer)
{
    const auto colon = peer.rfind(':');
    return colon == std::string::npos ? peer : peer.substr(0, colon);
}

/// A connection in the shape that the parser reads from.
class ParserStream final : public httplib::Stream {
public:
    ParserStream(ByteStream& line, std::string peer, int fd, const OpContext& op)
        : m_line(line), m_peer(std::move(peer)), m_fd(fd), m_op(op)
    {
    }

    bool is_readable() const override { return m_at < m_end || m_op.checkpoint().has_value(); }
    bool is_writable() const override { return !m_dropped && m_op.checkpoint().has_value(); }
    ssize_t read(char* to, size_t size) override
    {
        if (m_at == m_end) {
            const auto got = m_line.readSome(m_buffer, m_op);
            if (!got)
                return got.error().code == Errc::Disconnected ? 0 : -1;
            m_at = 0;
            m_end = *got;
        }
        const std::size_t count = std::min(size, m_end - m_at);
        std::transform(m_buffer.data() + m_at, m_buffer.data() + m_at + count, to,
                       [](std::byte b) { return static_cast<char>(b); });
        m_at += count;
        return static_cast<ssize_t>(count);
    }
    ssize_t write(const char* from, size_t size) override
    {
        if (m_dropped || !m_line.writeAll(std::as_bytes(std::span(from, size)), m_op))
            return -1;
        return static_cast<ssize_t>(size);
    }
    void get_remote_ip_and_port(std::string& ip, int& port) const override
    {
        ip = peerAddress(m_peer);
        port = 0;
    }
    void get_local_ip_and_port(std::string& ip, int& port) const override
    {
        ip.clear();
        port = 0;
    }
    socket_t socket() const override { return m_fd; }
    void drop() { m_dropped = true; }
    /// Behind the deadline of the request too: each piece has its own.
    bool writeLong(std::string_view text)
    {
        const OpContext op{.clock = m_op.clock,
                           .stop = m_op.stop,
                           .deadline = {m_op.clock.now() + kPieceWithin},
                           .sensitive = true};
        return m_line.writeAll(std::as_bytes(std::span(text.data(), text.size())), op).has_value();
    }

private:
    ByteStream& m_line;
    std::string m_peer;
    int m_fd;
    const OpContext& m_op;
    std::array<std::byte, 4096> m_buffer{};
    std::size_t m_at = 0;
    std::size_t m_end = 0;
    bool m_dropped = false;
};

/// The connection that the current thread serves: the parser hands its callbacks nothing else by
/// which to find it.
struct Current {
    ParserStream* stream = nullptr;
    std::stop_token stop{};
};
thread_local Current* t_current = nullptr;

class CurrentScope {
public:
    explicit CurrentScope(Current& current) { t_current = &current; }
    ~CurrentScope() { t_current = nullptr; }
    CurrentScope(const CurrentScope&) = delete;
    CurrentScope& operator=(const CurrentScope&) = delete;
};

std::string errorBody(int status)
{
    const char* word = "bad_request";
    switch (status) {
    case 404:
        word = "not_found";
        break;
    case 405:
        word = "method_not_allowed";
        break;
    case 411:
        word = "length_required";
        break;
    case 413:
        word = "payload_too_large";
        break;
    case 414:
        word = "uri_too_long";
        break;
    case 415:
        word = "unsupported_media_type";
        break;
    case 500:
        word = "server_error";
        break;
    default:
        break;
    }
    return std::string(R"({"error":")") + word + "\"}";
}

bool carriesBody(const std::string& method)
{
    return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

QString toQtText(const std::string& text)
{
    return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

/// Most clients send a DELETE without a body and say no length; the parser would wait for one.
bool isBareDelete(const httplib::Request& request)
{
    return request.method == "DELETE" && !request.has_header("Content-Length") &&
           !request.has_header("Transfer-Encoding");
}

/// The parser would read a body without a length until memory or the client ends, and would
/// inflate compressed ones without a limit: such requests are answered before their body is read.
int refusalOf(const httplib::Request& request, std::size_t bodyLimit)
{
    if (request.has_header("Content-Encoding"))
        return 415;
    if (request.has_header("Transfer-Encoding"))
        return 411;
    const std::string length = request.get_header_value("Content-Length");
    if (length.empty())
        return carriesBody(request.method) ? 411 : 0;
    if (request.get_header_value_count("Content-Length") != 1 || length.size() > 18 ||
        !std::ranges::all_of(length, [](char c) { return c >= '0' && c <= '9'; }))
        return 400;
    return std::stoull(length) > bodyLimit ? 413 : 0;
}

/// Fields and files of a multipart form (RFC 7578) as a plain form: the calls tell them apart by
/// name alone.
std::string plainForm(const httplib::Request& from)
{
    std::string form;
    for (const auto& [name, part] : from.files)
        form += (form.empty() ? "" : "&") + QUrl::toPercentEncoding(toQtText(name)).toStdString() +
                "=" + QUrl::toPercentEncoding(toQtText(part.content)).toStdString();
    return form;
}

HttpRequest translated(const httplib::Request& from)
{
    const auto question = from.target.find('?');
    const bool inParts = from.is_multipart_form_data();
    return {.method = from.method,
            .path = from.path,
            .query =
                question == std::string::npos ? std::string{} : from.target.substr(question + 1),
            .contentType = inParts ? "application/x-www-form-urlencoded"
                                   : from.get_header_value("Content-Type"),
            .authorization = from.get_header_value("Authorization"),
            .body = inParts ? plainForm(from) : from.body,
            .peer = from.remote_addr};
}

} // namespace

class HttpConnections::Parser final : public httplib::Server {
public:
    Parser(const HttpLimits& limits, HttpConnections::Handler handler)
        : m_handler(std::move(handler))
    {
        const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
            handle(request, response);
        };
        Get(".*", answer).Post(".*", answer).Put(".*", answer).Patch(".*", answer);
        Delete(".*", answer).Options(".*", answer);
        set_payload_max_length(limits.bodyBytes);
        set_pre_routing_handler([this, limit = limits.bodyBytes](const httplib::Request& request,
                                                                 httplib::Response& response) {
            if (isBareDelete(request)) {
                handle(request, response);
                return HandlerResponse::Handled;
            }
            const int status = refusalOf(request, limit);
            if (status == 0)
                return HandlerResponse::Unhandled;
            response.status = status;
            response.set_content(errorBody(status), std::string(kJson));
            return HandlerResponse::Handled;
        });
        set_error_handler(httplib::Server::Handler([](const auto&, auto& response) {
            if (response.body.empty())
                response.set_content(errorBody(response.status), std::string(kJson));
        }));
    }

    void run(ParserStream& stream, std::stop_token stop)
    {
        Current current{.stream = &stream, .stop = std::move(stop)};
        const CurrentScope scope(current);
        bool closed = false;
        process_request(stream, true, closed, nullptr);
    }

private:
    void handle(const httplib::Request& request, httplib::Response& response)
    {
        const HttpAnswer answer = m_handler(translated(request), t_current->stop);
        if (answer.stream)
            pour(answer);
        if (answer.stream || answer.delivery == HttpAnswer::Delivery::Drop)
            t_current->stream->drop();
        response.status = answer.status;
        for (const auto& [name, value] : answer.headers)
            response.set_header(name, value);
        response.set_content(answer.body, answer.contentType);
    }

    /// By hand: the library streams only while its own server runs.
    static void pour(const HttpAnswer& answer)
    {
        ParserStream& line = *t_current->stream;
        const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: " + answer.contentType +
                                 "\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n";
        if (line.writeLong(head))
            answer.stream([&](std::string_view text) { return line.writeLong(text); },
                          t_current->stop);
    }

    HttpConnections::Handler m_handler;
};

HttpConnections::HttpConnections(const Clock& clock, HttpLimits limits,
                                 std::optional<QSslConfiguration> tls, Handler handler)
    : m_clock(clock), m_limits(limits), m_tls(std::move(tls)),
      m_parser(std::make_unique<Parser>(limits, std::move(handler)))
{
}

HttpConnections::~HttpConnections() = default;

void HttpConnections::serve(int fd, std::stop_token stop)
{
    const OpContext op{.clock = m_clock,
                       .stop = std::move(stop),
                       .deadline = {m_clock.now() + m_limits.whole},
                       .sensitive = true};
    if (!m_tls) {
        TcpStream line(fd);
        return exchange(line, fd, op);
    }
    if (const auto line = TlsStream::accept(fd, *m_tls, op))
        exchange(**line, fd, op);
}

template <class Line>
void HttpConnections::exchange(Line& line, int fd, const OpContext& op)
{
    ParserStream stream(line, line.peer(), fd, op);
    try {
        m_parser->run(stream, op.stop);
    } catch (const std::exception&) {
        return; // out of memory or threads: this client is hung up on, the others go on
    }
    // Closing with unread bytes would reset the connection and may take the answer with it.
    line.shutdownWrite();
    const OpContext rest = op.within(kLinger);
    std::array<std::byte, 4096> sink{};
    while (line.readSome(sink, rest)) {
    }
}

} // namespace provost
