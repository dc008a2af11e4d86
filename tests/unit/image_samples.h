// Small modules and files that the image tests share.
#pragma once

#include "core/byte_io.h"
#include "core/crc.h"
#include "demo/demo_release.h"

#include <QFile>
#include <QString>
#include <filesystem>
#include <string>

namespace provost {

inline demo::ModulePlan smallPart()
{
    demo::ModulePlan plan{.start = 0x08020000, .version = 2302, .function = 4, .index = 1};
    plan.fileSize = demo::smallestFileSize(plan) + 16;
    return plan;
}

inline demo::ModulePlan smallUser()
{
    demo::ModulePlan plan{.start = 0x080A0000,
                          .version = 3,
                          .function = 5,
                          .index = 1,
                          .requirements = {demo::Requirement{4, 2, 2302}},
                          .productId = 77,
                          .productVersion = 12,
                          .vectorTableBytes = 0};
    plan.fileSize = demo::smallestFileSize(plan) + 16;
    return plan;
}

/// False where the file could not be written whole.
inline bool save(const QString& path, ByteView content)
{
    QFile file(path);
    const std::string text = toText(content);
    return file.open(QIODevice::WriteOnly) &&
           file.write(text.data(), static_cast<qint64>(text.size())) ==
               static_cast<qint64>(content.size());
}

inline std::filesystem::path pathOf(const QString& path)
{
    return path.toStdString();
}

inline bool contains(const std::string& text, std::string_view piece)
{
    return text.find(piece) != std::string::npos;
}

} // namespace provost
