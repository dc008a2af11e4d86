// One HTTP exchange as the REST service sees it, whatever server library carries it.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace provost {

struct HttpRequest {
    std::string method{}; ///< upper case
    std::string path{};   ///< decoded, without the query
    std::string query{};  ///< as sent, without the question mark
    std::string contentType{};
    std::string authorization{}; ///< never logged
    std::string body{};
    std::string peer{};
};

struct HttpAnswer {
    /// Drop: the connection ends without an answer.
    enum class Delivery : std::uint8_t { Send, Drop };
    int status = 200;
    std::string body{};
    std::string contentType{"application/json; charset=utf-8"};
    std::vector<std::pair<std::string, std::string>> headers{};
    Delivery delivery = Delivery::Send;
    /// Instead of the body: writes what follows the head for as long as it likes. `write` says
    /// false once nobody listens any more.
    using Write = std::function<bool(std::string_view)>;
    std::function<void(const Write&, std::stop_token)> stream{};
};

} // namespace provost
