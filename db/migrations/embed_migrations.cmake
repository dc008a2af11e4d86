# Turns NNNN_name.sql into C++: cmake -DFOLDER=<of the .sql> -DOUTPUT=<.cpp> -P embed_migrations.cmake
file(GLOB files ${FOLDER}/*.sql)
list(SORT files)

set(rows "")
set(expected 0)
foreach(file IN LISTS files)
    math(EXPR expected "${expected} + 1")
    get_filename_component(name ${file} NAME)
    if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+\\.sql$")
        message(FATAL_ERROR "${name}: a migration is called NNNN_what_it_does.sql")
    endif()
    string(REGEX REPLACE "^0+" "" number ${CMAKE_MATCH_1})
    if(NOT number EQUAL expected)
        message(FATAL_ERROR "${name}: the next migration has number ${expected}")
    endif()
    file(READ ${file} text)
    string(APPEND rows "    Migration{${number}, \"${name}\", R\"sql(${text})sql\"},\n")
endforeach()
if(expected EQUAL 0)
    message(FATAL_ERROR "${FOLDER}: no migrations")
endif()

file(WRITE ${OUTPUT} "// Generated from db/migrations.
#include \"store/migrator.h\"

#include <array>

namespace provost {

namespace {

constexpr std::array kMigrations{
${rows}};

} // namespace

std::span<const Migration> releasedMigrations() { return kMigrations; }

} // namespace provost
")
