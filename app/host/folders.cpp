#include "host/folders.h"

#include <QCoreApplication>
#include <QDir>
#include <system_error>

namespace provost {

DataFolders dataFolders()
{
    const std::filesystem::path beside(QCoreApplication::applicationDirPath().toStdString());
    const auto installed = beside.parent_path() / "share" / "provost";
    std::error_code ignored;
    if (std::filesystem::is_directory(installed / "plans", ignored))
        return {.plans = installed / "plans",
                .platforms = installed / "platforms",
                .shipping = installed / "shipping",
                .manifests = installed / "catalog",
                .images = installed / "images",
                .benches = installed / "benches"};
    const std::filesystem::path source(PROVOST_SOURCE_DIR);
    return {.plans = source / "stations/plans",
            .platforms = source / "stations/platforms",
            .shipping = source / "stations/shipping",
            .manifests = source / "firmware-images/catalog",
            .images = PROVOST_IMAGE_DIR,
            .benches = source / "stations/benches"};
}

std::filesystem::path stateFolder()
{
    const QString given = qEnvironmentVariable("XDG_STATE_HOME");
    const QString base = given.isEmpty() ? QDir::homePath() + "/.local/state" : given;
    return std::filesystem::path(base.toStdString()) / "provost";
}

} // namespace provost
