// Every command of `provost`, one function a group.
#pragma once

#include "cli/command_line.h"

namespace provost::cli {

std::vector<Command> runCommands();
std::vector<Command> imageCommands();
std::vector<Command> keysCommands();
std::vector<Command> keysAuditCommands();
std::vector<Command> keysBatchCommands();
std::vector<Command> handshakeCommands();
std::vector<Command> explainCommands();
std::vector<Command> benchCommands();
std::vector<Command> dfuCommands();
std::vector<Command> slotCommands();
std::vector<Command> stlinkCommands();
std::vector<Command> stlinkDctCommands();
std::vector<Command> serialCommands();
std::vector<Command> ymodemCommands();
std::vector<Command> planCommands();
std::vector<Command> cloudCommands();
std::vector<Command> recordCommands();  ///< db, unit
Command verifyCommand();                ///< db verify
std::vector<Command> releaseCommands(); ///< unit release, cloud reconcile

} // namespace provost::cli
