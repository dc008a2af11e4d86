#include "engine/causes.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

using enum Verdict;

// Sorted by id. The text is read at arm's length: a title is a fact, an action is one thing to do.
constexpr std::array kCauses{
    Cause{"C001", Error, "Station stopped during the run", "Run the unit again"},
    Cause{"C010", Error, "No unit in the slot", "Insert a unit, close the fixture"},
    Cause{"C011", Error, "Unit unplugged during the work", "Insert the unit again, run it again"},
    Cause{"C012", Error, "Unit does not say its id", "Hold SETUP until blue blinks, run again"},
    Cause{"C013", Error, "Not the board of this plan", "Take the unit out, check the order"},
    Cause{"C014", Error, "Unit does not reach the wanted mode",
          "Hold SETUP, tap RESET, release at yellow"},
    Cause{"C015", Error, "Unit does not answer", "Tap RESET, run the unit again"},
    Cause{"C016", Error, "Another unit appeared in the slot", "Take the unit out, run it alone"},
    Cause{"C018", Error, "Label was not scanned", "Scan the label of this unit"},
    Cause{"C030", Error, "USB transfer failed", "Check cable and contacts, run again"},
    Cause{"C031", Error, "Port is in use or not permitted", "Close other programs, run again"},
    Cause{"C040", Error, "Firmware image is not usable", "Call the engineer: catalogue"},
    Cause{"C041", Error, "Demo image on a real unit refused", "Choose a plan for real units"},
    Cause{"C042", Error, "Plan does not fit this station", "Call the engineer: plan"},
    Cause{"C043", Error, "Command is not understood", "Mend it, see provost run --help"},
    Cause{"C044", Error, "Station file is not usable", "Call the engineer: station file"},
    Cause{"C045", Error, "Bench file is not usable", "Mend the bench file, start again"},
    Cause{"C050", Error, "Record cannot be written", "Free disk space, run the unit again"},
    Cause{"C051", Error, "Another program holds the database", "Close the other program"},
    Cause{"C052", Error, "Station made a key that exists already",
          "Stop the line, call the engineer"},
    Cause{"C053", Error, "Escrow key lies on this station", "Call the engineer: take it off"},
    Cause{"C054", Error, "Record of this key is damaged", "Call the engineer, keep the record"},
    Cause{"C055", Error, "Keys are not protected here", "Call the engineer: memory, swap"},
    Cause{"C056", Error, "Unit has a key already", "Put it aside, ask the line lead"},
    Cause{"C057", Error, "Folder for the records cannot be used",
          "Name a writable place for it, start again"},
    Cause{"C058", Error, "Database is damaged or of another release",
          "Call the engineer, keep the file"},
    Cause{"C059", Error, "Key token cannot be used", "Call the engineer: token"},
    Cause{"C060", Error, "Old credentials cannot be cleared here",
          "Hold SETUP 10 s (blue flickers), run again"},
    Cause{"C061", Error, "Unit without firmware holds credentials", "Put in the rework tray"},
    Cause{"C062", Error, "Unit was left in an unknown work", "Call the engineer, keep the unit"},
    Cause{"C063", Error, "Table cannot be changed by this route", "Use a slot with USB for it"},
    Cause{"C071", Error, "Handshake endpoint is not running", "Call the line lead"},
    Cause{"C072", Error, "Access point of the test network is dead",
          "Switch the access point on, run again"},
    Cause{"C073", Error, "No unit has joined the test network yet",
          "Call the line lead: test network"},
    Cause{"C074", Error, "Silent unit, test network not proven", "Run another unit, then this one"},
    Cause{"C075", Error, "Handshake endpoint of the station failed", "Call the engineer: endpoint"},
    Cause{"C080", Error, "Cloud refuses this station", "Call the line lead: token"},
    Cause{"C081", Error, "Cloud contradicts itself", "Call the line lead: cloud"},
    Cause{"C082", Error, "Cloud address of this station is wrong", "Call the line lead: cloud url"},
    Cause{"C083", Error, "Cloud tells nothing about the unit", "Call the line lead: cloud"},
    Cause{"C084", Error, "Unit is online, and no event says so",
          "Call the line lead: event stream"},
    Cause{"C085", Error, "Updates from the cloud do not end", "Call the line lead: cloud release"},
    Cause{"C086", Error, "Cloud keeps its claim on the unit", "Call the line lead: cloud account"},
    Cause{"C090", Error, "Waiting for the operator took too long", "Run the unit again"},
    Cause{"C998", Error, "Station program failed", "Call the engineer, keep the record"},
    Cause{"C999", Error, "Something unknown went wrong", "Call the line lead"},
    Cause{"F101", Fail, "Label is not of this unit", "Red bin, reprint the label"},
    Cause{"F110", Fail, "Flash does not hold what was written", "Put in the red bin"},
    Cause{"F111", Fail, "Unit refuses to be written", "Put in the red bin"},
    Cause{"F120", Fail, "Module report shows the wrong version", "Put in the red bin"},
    Cause{"F121", Fail, "Bootloader did not take the update", "Put in the red bin"},
    Cause{"F122", Fail, "Configuration memory cannot be read", "Put in the red bin"},
    Cause{"F123", Fail, "Bootloader is damaged", "Put in the red bin"},
    Cause{"F201", Fail, "Key that the unit cannot read", "Put in the red bin"},
    Cause{"F214", Fail, "Device key did not read back", "Put in the red bin"},
    Cause{"F215", Fail, "Server key did not read back", "Put in the red bin"},
    Cause{"F216", Fail, "Server address did not read back", "Put in the red bin"},
    Cause{"F220", Fail, "Cloud refused the key", "Put in the red bin, call the lead"},
    Cause{"F221", Fail, "Cloud holds another key than the unit", "Red bin, scan the rework tag"},
    Cause{"F222", Fail, "Cloud holds the key as another kind", "Red bin, scan the rework tag"},
    Cause{"F230", Fail, "Unit did not save the credentials", "Put in the red bin"},
    Cause{"F301", Fail, "Shipping state not reached", "Put in the red bin"},
    Cause{"F302", Fail, "Test network is still on the unit", "Put in the red bin"},
    Cause{"F303", Fail, "Old key is still on the unit", "Put in the red bin"},
    Cause{"F304", Fail, "Test server key is still on the unit", "Put in the red bin"},
    Cause{"F305", Fail, "Unit is not in its shipping mode", "Put in the red bin"},
    Cause{"F401", Fail, "Unit holds the wrong server key", "Red bin, scan the rework tag"},
    Cause{"F402", Fail, "Unit offers a key that is not registered", "Red bin, scan the rework tag"},
    Cause{"F403", Fail, "Handshake was broken off", "Red bin, scan the rework tag"},
    Cause{"F404", Fail, "No handshake was seen", "Red bin, scan the rework tag"},
    Cause{"F405", Fail, "Unit cannot open the session key", "Red bin, scan the rework tag"},
    Cause{"F406", Fail, "Cloud has locked another key", "Red bin, scan the rework tag"},
    Cause{"F407", Fail, "Cloud does not know this unit", "Red bin, scan the rework tag"},
    Cause{"F408", Fail, "Unit dials a wrong address", "Red bin, scan the rework tag"},
    Cause{"F409", Fail, "Unit has no server address", "Red bin, scan the rework tag"},
    Cause{"F410", Fail, "Unit counts its messages wrongly", "Red bin, scan the rework tag"},
    Cause{"F411", Fail, "Handshake failed, keys not read back", "Red bin, scan the rework tag"},
    Cause{"F412", Fail, "Device key on the unit has changed", "Red bin, scan the rework tag"},
    Cause{"F420", Fail, "Cloud did not see the unit online", "Red bin, scan the rework tag"},
    Cause{"F421", Fail, "Unit did not redeem its claim code", "Red bin, scan the rework tag"},
    Cause{"F501", Fail, "A measured value is out of its limits", "Put in the red bin"},
    Cause{"F502", Fail, "Radio does not join the test network", "Put in the red bin"},
    Cause{"F999", Fail, "Unit reports a failure", "Put in the red bin"},
    Cause{"H310", Hold, "Cloud away, registration waits", "Put in the HOLD tray"},
    Cause{"H311", Hold, "Cloud is busy, registration waits", "Put in the HOLD tray"},
    Cause{"H312", Hold, "Cloud lost the key, registration waits", "Put in the HOLD tray"},
    Cause{"H320", Hold, "Same key on two units", "HOLD tray, both units: each needs a new key"},
    Cause{"S001", Aborted, "Stopped by the operator", "Remove unit"},
};

/// What a unit, or the way to it, did wrong. A unit that is silent or answers nonsense was not
/// judged; one that refuses or holds something else was.
std::string_view idForUnit(Errc code)
{
    switch (code) {
    case Errc::Timeout:
    case Errc::Protocol:
    case Errc::Busy:
    case Errc::NotFound:
    case Errc::Unavailable:
    case Errc::InvalidData:
        return "C015";
    case Errc::Io:
        return "C030";
    case Errc::Protected:
        return "F111";
    default:
        return "F999";
    }
}

std::string_view idForStation(Errc code)
{
    switch (code) {
    case Errc::Busy:
        return "C051";
    case Errc::Internal:
    case Errc::Unavailable:
    case Errc::Unsupported:
        return "C998";
    default:
        return "C050";
    }
}

std::string_view idByBlame(const struct Error& error)
{
    switch (error.blame) {
    case Blame::Unit:
        return idForUnit(error.code);
    case Blame::Fixture:
        return error.code == Errc::Denied || error.code == Errc::Busy ? "C031" : "C030";
    case Blame::Station:
        return idForStation(error.code);
    case Blame::Cloud:
        return error.code == Errc::Denied ? "C080" : "H310";
    case Blame::Operator:
        return "C042";
    case Blame::Software:
        return "C998";
    }
    return "C999";
}

} // namespace

std::span<const Cause> allCauses()
{
    return kCauses;
}

const Cause& causeById(std::string_view id)
{
    const auto found = std::ranges::find(kCauses, id, &Cause::id);
    return found != kCauses.end() ? *found : *std::ranges::find(kCauses, "C999", &Cause::id);
}

const Cause& causeOf(const struct Error& error)
{
    if (error.code == Errc::Cancelled)
        return causeById("S001");
    if (!error.cause.empty())
        return causeById(error.cause);
    // Whoever noticed it: what has left the bus was not judged.
    if (error.code == Errc::Disconnected)
        return causeById("C011");
    return causeById(idByBlame(error));
}

} // namespace provost
