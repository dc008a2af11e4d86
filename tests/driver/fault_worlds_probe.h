// Worlds of the fault matrix: a debug probe, and flash behind it.
#pragma once

#include "driver/fault_matrix.h"
#include "protocol/stm32_flash.h"
#include "sim/probe_bench.h"
#include "sim_unicorn/unicorn_core.h"

namespace provost::test {

/// A probe with a chip on its cable, on virtual time.
class ProbeWorld : public FaultWorld {
public:
    ProbeWorld(std::string_view model, std::string_view chip)
        : m_bench(sim::ProbeBench::parse(concat("[bench]\nname = \"matrix\"\nspeed = \"instant\"\n"
                                                "[[probe]]\nnumber = 1\nmodel = \"",
                                                model, "\"\nchip = \"", chip, "\"\n"),
                                         "matrix.toml", sim::unicornCores())
                      .value())
    {
        Bytes noise = matrixContent(flash().size());
        m_bench->probe(0).withChip([&](sim::Stm32Chip& each) { each.pokeFlash(0, noise); });
        m_before = std::move(noise);
    }
    void replug() override { m_bench->probe(0).busReset(); }
    std::string damage() override { return changedOutside(0, 0); }

protected:
    Result<StLinkProbe> connect(const SwdSettings& settings, const OpContext& op)
    {
        auto probe = TRY(StLinkProbe::open(
            std::make_unique<FunctionDevice>(m_bench->probe(0), plan, clock), op));
        TRY(probe.connect(settings, op));
        return probe;
    }
    Bytes flash()
    {
        return m_bench->probe(0).withChip(
            [](sim::Stm32Chip& chip) { return toBytes(chip.flash().array()); });
    }
    /// Offsets in flash, the end exclusive.
    std::string changedOutside(std::size_t from, std::size_t until)
    {
        const Bytes now = flash();
        for (std::size_t at = 0; at < now.size(); ++at)
            if ((at < from || at >= until) && now[at] != m_before[at])
                return concat("written at flash offset ", at);
        const bool open = m_bench->probe(0).withChip(
            [](sim::Stm32Chip& chip) { return chip.debugPortAnswers(); });
        return open ? std::string{} : "the debug port is closed";
    }

private:
    std::unique_ptr<sim::ProbeBench> m_bench;
    Bytes m_before{};
};

/// Everything the probe driver knows.
class ProbeSessionWorld final : public ProbeWorld {
public:
    explicit ProbeSessionWorld(std::string_view model) : ProbeWorld(model, "f103") {}
    Result<> session(const OpContext& op) override
    {
        constexpr std::uint32_t kProbeSram = 0x20000003;
        const Bytes pattern = matrixContent(70);
        auto probe = TRY(connect({.kilohertz = 4000, .underReset = true}, op));
        TRY(probe.targetVoltage(op));
        TRY(probe.write(kProbeSram, pattern, op));
        TRY(probe.writeRegister(CoreRegister::R5, 0x12345678, op));
        TRY(probe.readRegister(CoreRegister::R5, op));
        TRY(probe.resetAndHalt(op));
        const auto size = static_cast<std::uint32_t>(pattern.size());
        if (TRY(probe.read(kProbeSram, size, op)) != pattern)
            return fail(Errc::Mismatch, Blame::Unit, "other bytes came back");
        return probe.disconnect(op);
    }
};

/// Erase, program and verify by loaders in the target's SRAM.
class FlashWorld final : public ProbeWorld {
public:
    explicit FlashWorld(bool f1) : ProbeWorld("v2-1", f1 ? "f103" : "f205"), m_f1(f1) {}
    Result<> session(const OpContext& op) override
    {
        auto probe = TRY(connect({.kilohertz = 4000}, op));
        auto target = TRY(Stm32Flash::attach(probe, op));
        Bytes image = matrixContent(2500);
        std::ranges::reverse(image); // not what is there
        const auto address = static_cast<std::uint32_t>(0x08000000 + from());
        TRY(target.writeVerified({.address = address, .bytes = image}, true, op));
        if (!equalBytes(ByteView(flash()).subspan(from(), image.size()), image))
            return fail(Errc::Internal, Blame::Software, "success, and other bytes in the flash");
        return target.leave(op);
    }
    std::string damage() override { return changedOutside(from(), until()); }

private:
    std::size_t from() const { return m_f1 ? 1024 : 0x4000; }
    std::size_t until() const { return m_f1 ? 4096 : 0x8000; } ///< whole sectors
    const bool m_f1;
};

} // namespace provost::test
