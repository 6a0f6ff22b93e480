// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of its corpus folders, and over mutations of them drawn from a printed seed,
// without libFuzzer: so that every build, whatever its compiler, replays what the fuzzers once found.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

std::vector<Input> load(const std::filesystem::path& folder) {
  std::vector<Input> inputs;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void mutate(Input& input, std::mt19937_64& random) {
  for (std::uint64_t changes = 1 + random() % 8; changes > 0; --changes) {
    const std::size_t at = input.empty() ? 0 : random() % input.size();
    switch (random() % 4) {
      case 0:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(random());
        break;
      case 1:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1U << (random() % 8));
        break;
      case 2:
        if (!input.empty()) input.resize(at);
        break;
      default:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
        break;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* seed_text = std::getenv("ANYPOP_SEED");
  const std::uint64_t seed = seed_text != nullptr ? std::strtoull(seed_text, nullptr, 0) : std::random_device{}();
  std::mt19937_64 random(seed);
  std::size_t runs = 0;
  std::printf("seed %llu (ANYPOP_SEED repeats it)\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);  // an input that aborts takes what is buffered with it
  for (int i = 1; i < argc; ++i) {
    for (const Input& original : load(argv[i])) {
      LLVMFuzzerTestOneInput(original.data(), original.size());
      for (int round = 0; round < 500; ++round) {
        Input input = original;
        mutate(input, random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
        ++runs;
      }
    }
  }
  std::printf("%zu mutated inputs\n", runs);
  return runs > 0 ? 0 : 1;
}
