// SPDX-License-Identifier: Apache-2.0
// A socket that answers like BIRD, or misbehaves as a script says. For tests, on their io_context.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

namespace anypop::bgpctl {

class FakeBird {
 public:
  using Endpoint = boost::asio::local::stream_protocol;

  FakeBird(boost::asio::io_context& io, std::string path, bool greets = true)
      : acceptor_(io, Endpoint::endpoint(path)), path_(std::move(path)), greets_(greets) {
    accept();
  }
  ~FakeBird() {
    for (const auto& client : clients_) hang_up(*client);
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    std::remove(path_.c_str());
  }
  FakeBird(const FakeBird&) = delete;
  FakeBird& operator=(const FakeBird&) = delete;

  struct Client {
    explicit Client(Endpoint::socket s) : socket(std::move(s)) {}
    Endpoint::socket socket;
    std::string input;
    char chunk[256];
  };

  // Called for each command; the default answers "0000 ".
  std::function<void(FakeBird&, Client&, const std::string& command)> on_command =
      [](FakeBird& bird, Client& client, const std::string&) { bird.send(client, "0000 \n"); };

  void send(Client& client, const std::string& bytes) {
    boost::system::error_code ignored;
    boost::asio::write(client.socket, boost::asio::buffer(bytes), ignored);
  }
  static void hang_up(Client& client) {
    boost::system::error_code ignored;
    client.socket.close(ignored);
  }

  std::vector<std::string> commands;
  std::vector<std::shared_ptr<Client>> clients_;

 private:
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, Endpoint::socket socket) {
      if (error) return;
      clients_.push_back(std::make_shared<Client>(std::move(socket)));
      if (greets_) send(*clients_.back(), "0001 BIRD 2.0.12 ready.\n");
      read(clients_.back());
      accept();
    });
  }

  void read(const std::shared_ptr<Client>& client) {
    client->socket.async_read_some(boost::asio::buffer(client->chunk),
                                   [this, client](boost::system::error_code error, std::size_t size) {
                                     if (error) return;
                                     client->input.append(client->chunk, size);
                                     for (std::size_t end = 0; (end = client->input.find('\n')) != std::string::npos;) {
                                       commands.push_back(client->input.substr(0, end));
                                       client->input.erase(0, end + 1);
                                       on_command(*this, *client, commands.back());
                                     }
                                     if (client->socket.is_open()) read(client);
                                   });
  }

  Endpoint::acceptor acceptor_;
  std::string path_;
  bool greets_;
};

}  // namespace anypop::bgpctl
