// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <boost/beast/http.hpp>
#include <re2/re2.h>

#include "base/text.h"
#include "healthmon/exchange.h"

namespace anypop::healthmon {

struct HttpQuestion {
  HttpProbeConfig probe;
  std::string request;
  std::optional<RE2> body;  // none: any body will do
};

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

std::string request_text(const ProbeConfig& probe, std::string_view host) {
  std::string text = fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: anypop-healthmon/{}\r\nAccept: */*\r\nConnection: close\r\n",
      probe.http.method, probe.http.path, host, ANYPOP_VERSION);
  for (const std::string& header : probe.http.headers) text += header + "\r\n";
  return text + "\r\n";
}

std::string expected_text(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    text += fmt::format("{}{}", text.empty() ? "" : " or ", range.first);
    if (range.last != range.first) text += fmt::format("-{}", range.last);
  }
  return text;
}

class HttpExchange : public Exchange {
 public:
  explicit HttpExchange(std::shared_ptr<const HttpQuestion> question) : question_(std::move(question)) {
    parser_.eager(true);
    parser_.header_limit(kHeaderMaxBytes);
    parser_.body_limit(boost::none);  // bounded by what is kept of it
    parser_.skip(question_->probe.method == "HEAD");
  }

  std::string output() override { return std::exchange(asked_, true) ? std::string() : question_->request; }

  std::optional<ProbeResult> input(std::string_view bytes) override {
    pending_ += bytes;
    while (!pending_.empty() && !parser_.is_done() && !may_be_cut_end()) {
      beast::error_code error;
      std::array<char, 4096> chunk;
      parser_.get().body().data = chunk.data();
      parser_.get().body().size = chunk.size();
      const std::size_t used = parser_.put(boost::asio::buffer(pending_), error);
      pending_.erase(0, used);
      const std::size_t written = chunk.size() - parser_.get().body().size;
      body_.append(chunk.data(), written);
      if (body_.size() >= kAnswerMaxBytes) return judge();
      if (error == http::error::need_more || (!error && used + written == 0)) break;
      if (error && error != http::error::need_buffer) return broken(error);
    }
    if (parser_.is_done()) return judge();
    if (pending_.size() > kHeaderMaxBytes) return too_large();
    return std::nullopt;
  }

  ProbeResult closed() override {
    beast::error_code error;
    if (!parser_.got_some()) return {false, "closed without an answer"};
    parser_.put_eof(error);
    return error ? ProbeResult{false, "closed in the middle of the answer"} : judge();
  }

 private:
  // Beast's parser asserts that a last chunk which it has seen the beginning of is at least as long as its shortest
  // whole end. Whatever is still missing of an answer in chunks is not shorter than that either.
  bool may_be_cut_end() const {
    constexpr std::string_view kShortestEnd = "0\r\n\r\n";
    return parser_.is_header_done() && parser_.chunked() && pending_.size() < kShortestEnd.size();
  }

  static ProbeResult too_large() {
    return {false, fmt::format("the answer's header is larger than {} bytes", kHeaderMaxBytes)};
  }
  static ProbeResult broken(const beast::error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) return too_large();
    return {false, fmt::format("no HTTP answer: {}", error.message())};
  }

  ProbeResult judge() const {
    const unsigned status = parser_.get().result_int();
    const HttpProbeConfig& probe = question_->probe;
    const bool expected = std::any_of(probe.expected_status.begin(), probe.expected_status.end(),
                                      [&](const StatusRange& r) { return r.first <= status && status <= r.last; });
    if (!expected) return {false, fmt::format("HTTP {}, expected {}", status, expected_text(probe.expected_status))};
    if (!question_->body) return {true, fmt::format("HTTP {}", status)};
    if (!RE2::PartialMatch(body_, *question_->body)) {
      return {false, fmt::format("HTTP {}, but no match of '{}' in {} bytes of body", status,
                                 escaped(probe.expected_body), body_.size())};
    }
    return {true, fmt::format("HTTP {}, body as expected", status)};
  }

  std::shared_ptr<const HttpQuestion> question_;
  bool asked_ = false;
  std::string pending_;
  std::string body_;
  http::response_parser<http::buffer_body> parser_;
};

}  // namespace

std::shared_ptr<const HttpQuestion> http_question(const ProbeConfig& probe, std::string_view host) {
  auto question = std::make_shared<HttpQuestion>();
  question->probe = probe.http;
  question->request = request_text(probe, host);
  RE2::Options options;
  options.set_log_errors(false);
  if (!probe.http.expected_body.empty()) question->body.emplace(probe.http.expected_body, options);
  return question;
}

std::unique_ptr<Exchange> http_exchange(std::shared_ptr<const HttpQuestion> question) {
  return std::make_unique<HttpExchange>(std::move(question));
}

}  // namespace anypop::healthmon
