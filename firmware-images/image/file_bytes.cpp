#include "image/file_bytes_p.h"

#include "core/text.h"

#include <fstream>

namespace provost {

namespace fs = std::filesystem;

Result<Bytes> readFileBytes(const fs::path& path, std::uintmax_t limit)
{
    std::error_code code;
    const auto status = fs::status(path, code);
    if (status.type() == fs::file_type::not_found)
        return fail(Errc::NotFound, Blame::Station,
                    concat("read ", path.string(), ": there is no such file"), code.value());
    if (status.type() == fs::file_type::none)
        return fail(Errc::Io, Blame::Station, concat("read ", path.string(), ": ", code.message()),
                    code.value());
    // A pipe or terminal would make the reader wait for ever.
    if (status.type() != fs::file_type::regular)
        return fail(Errc::InvalidData, Blame::Station,
                    concat("read ", path.string(), ": this is no regular file"));

    const std::uintmax_t size = fs::file_size(path, code);
    if (code)
        return fail(Errc::Io, Blame::Station, concat("read ", path.string(), ": ", code.message()),
                    code.value());
    if (size > limit)
        return fail(
            Errc::InvalidData, Blame::Station,
            concat("read ", path.string(), ": ", size, " bytes, at most ", limit, " are expected"));

    std::ifstream stream(path, std::ios::binary);
    Bytes bytes(static_cast<std::size_t>(size));
    // char may alias std::byte: this is the stream's only interface.
    stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!stream || static_cast<std::uintmax_t>(stream.gcount()) != size)
        return fail(
            Errc::Io, Blame::Station,
            concat("read ", path.string(), ": got ", stream.gcount(), " of ", size, " bytes"));
    return bytes;
}

} // namespace provost
