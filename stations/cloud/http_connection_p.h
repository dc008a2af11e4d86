// The HTTP/1.1 of the REST service, over a socket that somebody else accepted.
#pragma once

#include "cloud/http_message.h"
#include "core/clock.h"
#include "core/op_context.h"

#include <QSslConfiguration>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

namespace provost {

/// Bounds of one request: a larger body is answered 413, a slower client is hung up on.
struct HttpLimits {
    std::chrono::milliseconds whole{15000}; ///< from accept to the last byte of the answer
    std::size_t bodyBytes = 64UL * 1024;
};

/// Reads one request from each connection, has it answered, closes. Thread-safe.
class HttpConnections {
public:
    using Handler = std::function<HttpAnswer(const HttpRequest&, std::stop_token)>;
    /// @param tls  none: plain HTTP
    HttpConnections(const Clock& clock, HttpLimits limits, std::optional<QSslConfiguration> tls,
                    Handler handler);
    ~HttpConnections();
    /// Owns the socket.
    void serve(int fd, std::stop_token stop);

private:
    class Parser;
    template <class Line>
    void exchange(Line& line, int fd, const OpContext& op);

    const Clock& m_clock;
    HttpLimits m_limits;
    std::optional<QSslConfiguration> m_tls;
    std::unique_ptr<Parser> m_parser;
};

} // namespace provost
