// Both DCT sectors are restored by a probe that may go at any moment: a table remains that counts,
// the old one or the new one, and the next session restores both.
#include "config/load_plan.h"
#include "device/dct_memory.h"
#include "device/probe_target.h"
#include "driver/fault_matrix.h"
#include "probe_rig.h"
#include "support/must.h"
#include "support/test_program.h"

#include <cstdio>

using namespace provost;
using namespace provost::test;

namespace {

constexpr std::size_t kSectorBytes = 0x4000;
constexpr std::size_t kTablesAt = 0x4000; // behind the bootloader
constexpr std::size_t kBodyAt = 0x188;    // behind every header

enum class Marks { First, Second, Both, None };

/// Two sectors of noise with the marks of particle-devices 3.1 or 3.2.
Bytes tables(bool sealed, Marks marks, std::uint32_t seed)
{
    Bytes both = pseudoNoise(2 * kSectorBytes, seed);
    for (std::size_t copy = 0; copy < 2; ++copy) {
        const bool counts =
            marks == Marks::Both || marks == (copy == 0 ? Marks::First : Marks::Second);
        const auto at = [&](std::size_t offset) -> std::byte& {
            return both[copy * kSectorBytes + offset];
        };
        if (sealed) {
            const Bytes head = *fromHex(counts ? "9a271c1e005ea1ed" : "9a271c1e00000000");
            std::ranges::copy(head, &at(0));
        } else {
            at(8) = marks == Marks::None ? std::byte{0xFF} : std::byte{0};
            at(9) = counts ? std::byte{1} : std::byte{0};
        }
    }
    return both;
}

ByteView body(ByteView both, std::size_t copy)
{
    return both.subspan(copy * kSectorBytes, kSectorBytes).subspan(kBodyAt);
}

/// Empty, or why the unit has no table now. Every copy that is marked has to be whole: which of
/// two a unit takes is its own affair.
std::string trouble(bool sealed, ByteView now, const std::vector<ByteView>& good)
{
    int counting = 0;
    for (std::size_t copy = 0; copy < 2; ++copy) {
        const ByteView head = now.subspan(copy * kSectorBytes, kBodyAt);
        const bool counts = sealed ? toHex(head.subspan(4, 4)) == "005ea1ed"
                                   : head[8] == std::byte{0} && head[9] == std::byte{1};
        if (!counts)
            continue;
        ++counting;
        const auto whole = [&](ByteView each) { return equalBytes(each, body(now, copy)); };
        if (std::ranges::none_of(good, whole))
            return concat("copy ", copy + 1, " counts and is not whole");
    }
    return counting > 0 ? std::string{} : "no copy counts";
}

/// Flash whose supply goes at the n-th change: in front of it, or half way through what is written.
class TornMemory final : public MemoryTarget {
public:
    TornMemory(MemoryTarget& real, int changes, bool half)
        : m_real(real), m_left(changes), m_half(half)
    {
    }
    std::span<const MemoryRegion> regions() const override { return m_real.regions(); }
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_left-- > 0 ? m_real.erase(address, size, op) : gone();
    }
    Result<> program(const MemoryBlock& block, const OpContext& op) override
    {
        if (m_left-- > 0)
            return m_real.program(block, op);
        const auto half = static_cast<std::ptrdiff_t>(block.bytes.size() / 2);
        if (m_half && half > 0)
            TRY(m_real.program({.address = block.address,
                                .bytes = Bytes(block.bytes.begin(), block.bytes.begin() + half)},
                               op));
        return gone();
    }
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op) override
    {
        return m_real.read(address, size, op);
    }

private:
    static Result<> gone() { return fail(Errc::Disconnected, Blame::Fixture, "cut off"); }
    MemoryTarget& m_real;
    int m_left;
    const bool m_half;
};

struct Case {
    bool sealed = false;
    Bytes before{};
    Bytes wanted{};
    std::size_t counts = 0; ///< the copy that counts before
    std::size_t wantedCounts = 0;
};

class RestoreBench {
public:
    explicit RestoreBench(Case what)
        : m_case(std::move(what)),
          m_layout(must(loadPlatform(concat(PROVOST_SOURCE_DIR, "/stations/platforms/",
                                            m_case.sealed ? "electron" : "photon", ".toml")))
                       .dct)
    {
    }
    void begin()
    {
        rig.forgetFaults();
        rig.withChip([&](sim::Stm32Chip& chip) { chip.pokeFlash(kTablesAt, m_case.before); });
    }
    Bytes now()
    {
        const Bytes all =
            rig.withChip([](sim::Stm32Chip& chip) { return toBytes(chip.flash().array()); });
        return toBytes(ByteView(all).subspan(kTablesAt, 2 * kSectorBytes));
    }
    Result<> restore(const std::function<std::unique_ptr<MemoryTarget>(MemoryTarget&)>& cut = {})
    {
        StLinkProbe probe = TRY(rig.tryOpen());
        TRY(probe.connect({.kilohertz = 24000}, rig.op()));
        Stm32Flash flash = TRY(Stm32Flash::attach(probe, rig.op()));
        ProbeTarget target(flash);
        const auto torn = cut ? cut(target) : nullptr;
        ProbeDct table(torn ? *torn : target, m_layout);
        return table.restore(SecretBytes(m_case.wanted), rig.op());
    }
    /// Empty, or what is wrong behind a restore that was cut off.
    std::string judge()
    {
        const Bytes left = now();
        const std::vector<ByteView> good{body(m_case.before, m_case.counts),
                                         body(m_case.wanted, m_case.wantedCounts)};
        if (auto wrong = trouble(m_case.sealed, left, good); !wrong.empty())
            return wrong;
        rig.forgetFaults();
        if (const auto again = restore(); !again)
            return concat("the next session: ", describe(again.error()));
        return now() == m_case.wanted ? std::string{} : "the next session left other bytes";
    }

    ProbeRig rig{"v3", "f205"};

private:
    const Case m_case;
    const DctLayout m_layout;
};

class TstDctRestore : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void restore_putsBothBack_data() { rows(true); }
    void restore_putsBothBack()
    {
        RestoreBench bench(fromRow());
        bench.begin();
        must(bench.restore());
        QVERIFY(bench.now() == fromRow().wanted);
        must(bench.restore()); // and again, where there is nothing to do
        QVERIFY(bench.now() == fromRow().wanted);
    }

    void anyChange_mayBeTheLast_data() { rows(false); }
    void anyChange_mayBeTheLast()
    {
        RestoreBench bench(fromRow());
        int cases = 0;
        for (const bool half : {false, true}) {
            int changes = 0;
            while (true) {
                bench.begin();
                const auto cut = bench.restore([&](MemoryTarget& real) {
                    return std::make_unique<TornMemory>(real, changes, half);
                });
                if (cut)
                    break;
                const auto wrong = bench.judge();
                QVERIFY2(wrong.empty(), concat("change ", changes, ": ", wrong).c_str());
                ++changes;
                ++cases;
            }
            QVERIFY(changes >= 4);
        }
        std::printf("%s: cut off at %d changes\n", QTest::currentDataTag(), cases);
    }

    void anyTransfer_mayBeTheLast_data() { rows(false); }
    void anyTransfer_mayBeTheLast()
    {
        RestoreBench bench(fromRow());
        bench.begin();
        must(bench.restore());
        const int transfers = bench.rig.script().transfers;
        const int stride = wholeMatrix() ? 1 : 9;
        int cases = 0;
        for (int at = 0; at < transfers; at += stride, ++cases) {
            bench.begin();
            bench.rig.script().at = at;
            bench.rig.script().fault = TransferFault::Unplug;
            QVERIFY(!bench.restore());
            const auto wrong = bench.judge();
            QVERIFY2(wrong.empty(), concat("transfer ", at, ": ", wrong).c_str());
        }
        std::printf("%s: cut off at %d of %d transfers, stride %d\n", QTest::currentDataTag(),
                    cases, transfers, stride);
    }

private:
    static void rows(bool odd)
    {
        QTest::addColumn<bool>("sealed");
        QTest::addColumn<int>("before");
        QTest::addColumn<int>("wanted");
        const std::array names{"first", "second", "both", "none"};
        for (const bool sealed : {false, true})
            for (int before = 0; before < (odd ? 4 : 2); ++before)
                for (int wanted = 0; wanted < 2; ++wanted)
                    QTest::addRow("%s, %s counts, %s wanted", sealed ? "Electron" : "Photon",
                                  names.at(static_cast<std::size_t>(before)),
                                  names.at(static_cast<std::size_t>(wanted)))
                        << sealed << before << wanted;
    }
    static Case fromRow()
    {
        QFETCH(const bool, sealed);
        QFETCH(const int, before);
        QFETCH(const int, wanted);
        return {.sealed = sealed,
                .before = tables(sealed, static_cast<Marks>(before), 1),
                .wanted = tables(sealed, static_cast<Marks>(wanted), 2),
                .counts = static_cast<std::size_t>(before),
                .wantedCounts = static_cast<std::size_t>(wanted)};
    }
};

} // namespace

PROVOST_TEST("dct_restore", TstDctRestore)
#include "tst_dct_restore.moc"
