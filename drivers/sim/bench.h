// A virtual bench: slots with a supply of virtual units, the network around them, and the ports
// through which the station meets them.
#pragma once

#include "core/result.h"
#include "sim/probe_supply.h"
#include "sim/usb_adapter.h"
#include "sim/virtual_board.h"
#include "transport/serial.h"
#include "transport/usb.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace provost::sim {

struct InsertedUnit {
    std::string label{};    ///< as printed: what a scanner reads
    std::string deviceId{}; ///< what the unit answers to, 24 lower-case hex digits
    std::string stock{};    ///< delivery state: "1.5.2"
    std::string platform{}; ///< "photon"
};

struct BenchSlot {
    int number = 0;
    UsbPortPath port{};
    std::optional<UsbPortPath> probe{}; ///< of the debug probe that is wired to the unit
};

/// Thread-safe. Handles from usb() and serial() stay valid, and answer Disconnected, when units or
/// the bench are gone; usb() and serial() themselves live as long as the bench.
class Bench {
public:
    /// @param speed     instead of the file's
    /// @param makeCore  who executes loaders behind a probe; where nobody does, the port remains
    /// @returns NotFound, InvalidData (message has file:line:column)
    static Result<std::unique_ptr<Bench>> load(const std::filesystem::path& file,
                                               std::optional<Speed> speed = {},
                                               CoreExecutorMaker makeCore = standingCores());
    static Result<std::unique_ptr<Bench>> parse(std::string_view toml, std::string_view name,
                                                std::optional<Speed> speed = {},
                                                CoreExecutorMaker makeCore = standingCores());
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    UsbBus& usb();
    SerialPorts& serial();
    const BenchNetwork& network() const;
    std::string name() const;
    Speed speed() const;
    Pace pace() const;            ///< speed, factor and what the bus costs: for servers
    std::string platform() const; ///< of the first unit of the supply; "photon" where there is none
    std::vector<BenchSlot> slots() const;
    /// In the order of their ports behind those of the slots.
    const std::vector<ProbeSupply>& probes() const;
    /// The ports in the order of slots(), then of probes(), for servers that carry them elsewhere.
    const VirtualPorts& ports() const;

    /// Takes the present unit out (if any) and puts the next of the slot's supply in.
    /// nullopt: supply is used up. @returns NotFound  no such slot
    Result<std::optional<InsertedUnit>> insertNext(int slot);
    Result<> removeUnit(int slot);
    std::optional<InsertedUnit> present(int slot) const;
    /// The fixture's finger on SETUP, as held for `span`: 3 s listening, 10 s or more clears
    /// credentials. False where the bench has no such actuator.
    Result<bool> holdMode(int slot, std::chrono::milliseconds span);
    bool hasModeButton() const;
    /// Takes the slot's supply away or gives it back; also plugs a pulled cable in again.
    Result<> setPower(int slot, bool on);
    /// Lets the `nth` (1 = next) transfer of the slot go wrong.
    Result<> failTransfer(int slot, std::uint32_t nth, FaultKind kind,
                          FaultPipe pipe = FaultPipe::Control);
    /// For tests and servers; null where there is no unit. Valid until that unit leaves its slot.
    VirtualBoard* board(int slot);
    /// The slot's probe; null where it has none.
    StLinkFunction* probe(int slot);
    /// The Wi-Fi part of a table that knows this bench's network, as a golden unit's would be read.
    UnitSecret wifiPart() const;

private:
    struct Impl;
    explicit Bench(std::unique_ptr<Impl> impl);
    const std::unique_ptr<Impl> m_impl;
};

} // namespace provost::sim
