// A bench instrument that speaks SCPI (SCPI-1999, IEEE 488.2): meter, supply, relay card.
#pragma once

#include "transport/serial.h"

#include <string>

namespace provost {

struct ScpiIdentity {
    std::string maker{};
    std::string model{};
    std::string serial{};
    std::string version{};
};

/// Channels are those of the instrument's own channel lists, from 1. `line` must outlive it. Used
/// by one thread.
///
/// Every setting is followed by the instrument's error queue and read back: a relay that did not
/// move is an error here, not a strange measurement later.
class ScpiInstrument {
public:
    explicit ScpiInstrument(ByteStream& line);
    /// Clears what an earlier user left, and asks who it is.
    /// @returns Timeout  nobody answers; InvalidData  the answer is no identity of four fields
    Result<ScpiIdentity> open(const OpContext& op);
    /// @returns InvalidData  no number, or one that SCPI uses for "over range" and "not measured"
    Result<double> measureVoltage(int channel, const OpContext& op); ///< volts, direct
    Result<double> measureCurrent(int channel, const OpContext& op); ///< amperes, direct
    /// @returns Denied    the instrument's error queue says why
    ///          Mismatch  it reports another state than was set
    Result<> setRelay(int channel, bool closed, const OpContext& op);
    Result<> setPower(int channel, bool on, const OpContext& op);
    /// One question, one line of answer, without its line end.
    Result<std::string> query(std::string_view question, const OpContext& op);
    /// One command, until it is done and has left no error.
    Result<> command(std::string_view text, const OpContext& op);

private:
    Result<> begin(const OpContext& op);
    Result<std::string> ask(std::string_view question, const OpContext& op);
    Result<std::string> readLine(const OpContext& op);
    Result<double> measure(std::string_view what, int channel, const OpContext& op);
    Result<> expectState(const std::string& question, bool wanted, const OpContext& op);

    ByteStream& m_line;
    std::string m_rest{};  ///< read, and behind the last line
    bool m_inStep = false; ///< false: answers to earlier questions may still come
};

} // namespace provost
