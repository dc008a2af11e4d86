// The command-line twin of the desktop: the same engine, text and JSON lines.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "crypto/secret_bytes.h"

#include <QCoreApplication>
#include <iostream>

using namespace provost::cli;

int main(int argc, char** argv)
{
    provost::keepMemoryPrivate();
    StopSignal::blockSignals(); // before the first thread
    const QCoreApplication application(argc, argv);
    QCoreApplication::setApplicationName("provost");
    std::vector<Command> commands;
    for (const auto& group :
         {runCommands(), slotCommands(), planCommands(), recordCommands(), releaseCommands(),
          keysCommands(), keysAuditCommands(), keysBatchCommands(), imageCommands(),
          cloudCommands(), handshakeCommands(), explainCommands(), benchCommands(), dfuCommands(),
          stlinkCommands(), stlinkDctCommands(), serialCommands(), ymodemCommands()})
        commands.insert(commands.end(), group.begin(), group.end());
    return static_cast<int>(dispatch(commands, std::vector<std::string>(argv + 1, argv + argc)));
}
