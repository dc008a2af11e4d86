// Batch GCD. GMP stops here.
#include "audit/key_audit.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <numeric>
#include <thread>

#include <gmp.h>

namespace provost {

namespace {

/// An mpz_t with an owner.
class Natural {
public:
    Natural() { mpz_init(m_value); }
    ~Natural() { mpz_clear(m_value); }
    Natural(Natural&& other) noexcept : Natural() { mpz_swap(m_value, other.m_value); }
    Natural& operator=(Natural&& other) noexcept
    {
        mpz_swap(m_value, other.m_value);
        return *this;
    }
    Natural(const Natural&) = delete;
    Natural& operator=(const Natural&) = delete;
    mpz_ptr get() { return m_value; }
    mpz_srcptr get() const { return m_value; }

private:
    mpz_t m_value;
};
using Level = std::vector<Natural>;

void onAllCores(std::size_t count, const std::function<void(std::size_t)>& act)
{
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t at = next++; at < count; at = next++)
            act(at);
    };
    std::vector<std::jthread> helpers;
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    for (std::size_t i = 1; i < std::min(cores, count); ++i)
        helpers.emplace_back(work);
    work();
}

Level leavesOf(std::span<const Bytes> moduli)
{
    Level leaves(moduli.size());
    for (std::size_t i = 0; i < moduli.size(); ++i)
        mpz_import(leaves[i].get(), moduli[i].size(), 1, 1, 1, 0, moduli[i].data());
    return leaves;
}

/// Products of pairs, level by level, up to the product of all.
std::vector<Level> productTree(Level leaves)
{
    std::vector<Level> tree;
    tree.push_back(std::move(leaves));
    while (tree.back().size() > 1) {
        const Level& below = tree.back();
        Level above((below.size() + 1) / 2);
        onAllCores(above.size(), [&](std::size_t i) {
            if (2 * i + 1 < below.size())
                mpz_mul(above[i].get(), below[2 * i].get(), below[2 * i + 1].get());
            else
                mpz_set(above[i].get(), below[2 * i].get());
        });
        tree.push_back(std::move(above));
    }
    return tree;
}

/// gcd(N, product of all the others), for each leaf: (product of all mod N²) / N tells.
std::vector<bool> flagged(std::vector<Level> tree)
{
    Level rests;
    rests.push_back(std::move(tree.back().front()));
    tree.pop_back();
    while (!tree.empty()) {
        const Level& here = tree.back();
        Level below(here.size());
        onAllCores(here.size(), [&](std::size_t i) {
            Natural square;
            mpz_mul(square.get(), here[i].get(), here[i].get());
            mpz_mod(below[i].get(), rests[i / 2].get(), square.get());
        });
        rests = std::move(below);
        if (tree.size() == 1)
            break;
        tree.pop_back();
    }
    const Level& leaves = tree.front();
    std::vector<char> shares(leaves.size());
    onAllCores(leaves.size(), [&](std::size_t i) {
        Natural common;
        mpz_divexact(common.get(), rests[i].get(), leaves[i].get());
        mpz_gcd(common.get(), common.get(), leaves[i].get());
        shares[i] = mpz_cmp_ui(common.get(), 1) != 0 ? 1 : 0;
    });
    return {shares.begin(), shares.end()};
}

} // namespace

std::vector<std::vector<std::size_t>> sharedPrimes(std::span<const Bytes> moduli)
{
    if (moduli.size() < 2)
        return {};
    const auto flags = flagged(productTree(leavesOf(moduli)));
    std::vector<std::size_t> suspects;
    for (std::size_t i = 0; i < flags.size(); ++i)
        if (flags[i])
            suspects.push_back(i);
    const Level numbers = leavesOf(moduli);
    // Few are left: who shares with whom is asked pair by pair, and groups that touch are joined.
    std::vector<std::size_t> group(suspects.size());
    std::iota(group.begin(), group.end(), std::size_t{0});
    Natural common;
    for (std::size_t a = 0; a < suspects.size(); ++a)
        for (std::size_t b = a + 1; b < suspects.size(); ++b) {
            if (group[a] == group[b])
                continue;
            mpz_gcd(common.get(), numbers[suspects[a]].get(), numbers[suspects[b]].get());
            if (mpz_cmp_ui(common.get(), 1) == 0)
                continue;
            std::ranges::replace(group, std::max(group[a], group[b]), std::min(group[a], group[b]));
        }
    std::vector<std::vector<std::size_t>> groups(suspects.size());
    for (std::size_t i = 0; i < suspects.size(); ++i)
        groups[group[i]].push_back(suspects[i]);
    std::erase_if(groups, [](const auto& each) { return each.empty(); });
    return groups;
}

} // namespace provost
