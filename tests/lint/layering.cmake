# Compares every #include "component/header.h" with the table of layers: a component uses rows above
# it only. Run as: cmake -DSOURCE=<root> -P layering.cmake
cmake_minimum_required(VERSION 3.25)

# component = what it may include besides itself
set(core)
set(transport core)
set(crypto core)
set(audit crypto core)
set(protocol transport crypto core)
set(capture protocol transport crypto core)
set(device protocol transport crypto core)
# A second reading of the specification: never protocol, device or crypto, and of core only the
# words in which all speak, below.
set(sim transport core)
set(sim_core_headers bytes.h mutex.h result.h text.h)
# What text.h has besides the building of messages is byte order and digits, too: sim has its own.
set(sim_foreign_words "readLe16|readLe32|readBe16|readBe32|writeLe16|writeLe32|writeBe16|writeBe32|\
ByteWriter|toBytes|viewOf|equalBytes|toHex|fromHex|hex16|hex32|lowerCase|trimmed|crc32|sha256")
set(sim_unicorn sim core) # the emulator: in the process of the bench and its tests only
set(bench sim_unicorn sim transport core)
set(image core crypto)
set(demo core crypto image)
set(store core crypto)
set(engine device protocol transport crypto core image store)
set(steps engine device protocol transport crypto core image store)
set(config engine device protocol transport crypto core image store)
set(cloud engine device protocol transport crypto core image store)
set(station_sim cloud engine device protocol transport crypto core image store)
set(host cloud config steps engine device protocol transport crypto core image store sim)
set(models engine device protocol transport crypto core image store)
set(gui models ${host} host)
set(cli ${host} host audit capture)
set(folders
    core=drivers/core
    transport=drivers/transport
    crypto=drivers/crypto
    audit=drivers/audit
    protocol=drivers/protocol
    capture=drivers/capture
    device=drivers/device
    sim=drivers/sim
    sim_unicorn=drivers/sim_unicorn
    bench=app/bench
    image=firmware-images/image
    demo=firmware-images/demo
    store=db/store engine=stations/engine steps=stations/steps config=stations/config
    cloud=stations/cloud station_sim=stations/sim host=app/host models=app/models gui=app/gui
    cli=app/cli)

set(problems 0)
set(files 0)
foreach(entry IN LISTS folders)
    string(REPLACE "=" ";" pair ${entry})
    list(GET pair 0 component)
    list(GET pair 1 folder)
    get_filename_component(own ${folder} NAME)
    file(GLOB sources ${SOURCE}/${folder}/*.h ${SOURCE}/${folder}/*.cpp)
    foreach(file IN LISTS sources)
        math(EXPR files "${files} + 1")
        file(STRINGS ${file} lines REGEX "^#include \"")
        foreach(line IN LISTS lines)
            if(NOT line MATCHES "^#include \"([a-z_]+)/")
                continue() # the file's own .moc, or a header beside it
            endif()
            set(used ${CMAKE_MATCH_1})
            if(NOT used STREQUAL own AND NOT used IN_LIST ${component})
                message("${file}: ${component} may not use ${used}: ${line}")
                math(EXPR problems "${problems} + 1")
            endif()
            string(REGEX REPLACE "^[^/]*/([a-z_0-9]+\\.h).*" "\\1" header "${line}")
            if("${component}/${used}" STREQUAL "sim/core"
               AND NOT header IN_LIST sim_core_headers)
                message("${file}: of core, sim may use ${sim_core_headers}: ${line}")
                math(EXPR problems "${problems} + 1")
            endif()
        endforeach()
        if(component STREQUAL "sim" OR component STREQUAL "sim_unicorn")
            file(STRINGS ${file} lines REGEX "(^|[^A-Za-z0-9_])(${sim_foreign_words})[({ ]")
            foreach(line IN LISTS lines)
                message("${file}: of core's text, sim may use concat() and systemMessage(): ${line}")
                math(EXPR problems "${problems} + 1")
            endforeach()
        endif()
        # Third-party headers have one home each.
        foreach(rule "libusb.h=drivers/transport" "libserialport.h=drivers/transport"
                     "sqlite3.h=db/store" "httplib.h=stations/cloud" "pcap.h=drivers/capture"
                     "unicorn.h=drivers/sim_unicorn" "gmp.h=drivers/audit")
            string(REPLACE "=" ";" home ${rule})
            list(GET home 0 header)
            list(GET home 1 place)
            file(STRINGS ${file} hits REGEX "^#include <.*${header}>")
            if(hits AND NOT folder STREQUAL place)
                message("${file}: <${header}> belongs to ${place}")
                math(EXPR problems "${problems} + 1")
            endif()
        endforeach()
    endforeach()
endforeach()
if(problems GREATER 0)
    message(FATAL_ERROR "${problems} wrong includes")
endif()
message("${files} files keep to their layer")
