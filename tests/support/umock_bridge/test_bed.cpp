#include "test_bed.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace provost::bridge {

namespace {

constexpr std::string_view kRootPath = "/devices/pci0000:00/0000:00:14.0/usb1";
constexpr std::string_view kRootHub =
    "12010002090001406B1D02000006030201010902190001" // 1d6b:0002, one port interrupt endpoint
    "0100E0000904000001090000000705810304000C";
constexpr unsigned kGetDescriptor = 6;
constexpr std::size_t kDeviceBytes = 18;

SetupPacket getDescriptor(unsigned type, unsigned index, unsigned length)
{
    return setupPacket(0x80, kGetDescriptor, type << 8 | index, type == 3 ? 0x0409 : 0, length);
}

std::string stringOf(UsbIpConnection& connection, std::uint8_t index)
{
    if (index == 0)
        return {};
    const Bytes descriptor = connection.request(getDescriptor(3, index, 255)).value_or(Bytes());
    std::string text;
    for (std::size_t at = 2; at + 1 < descriptor.size() && u8(descriptor[at]) != 0; at += 2)
        text += static_cast<char>(u8(descriptor[at]));
    return text;
}

std::string threeDigits(unsigned number)
{
    const std::string digits = toPiece(number);
    return std::string(3 - std::min<std::size_t>(3, digits.size()), '0') + digits;
}

/// An attribute file with a line in it.
std::string attribute(std::string_view name, std::string_view value)
{
    return concat("A: ", name, "=", value, "\\n\n");
}

std::string rootHub()
{
    return concat("P: ", kRootPath, "\nN: bus/usb/001/001=", kRootHub,
                  "\nE: DEVNAME=/dev/bus/usb/001/001\nE: DEVTYPE=usb_device\nE: SUBSYSTEM=usb\n"
                  "E: BUSNUM=001\nE: DEVNUM=001\n",
                  attribute("busnum", "1"), attribute("devnum", "1"), attribute("speed", "480"),
                  attribute("bConfigurationValue", "1"), attribute("bNumConfigurations", "1"),
                  attribute("idVendor", "1d6b"), attribute("idProduct", "0002"),
                  "H: descriptors=", kRootHub, "\n\n");
}

/// libumockdev reads upper-case digits only.
std::string upperHex(ByteView bytes)
{
    std::string text = toHex(bytes);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
    return text;
}

std::string_view speedText(std::uint32_t speed)
{
    return speed == 1 ? "1.5" : speed == 3 ? "480" : "12";
}

} // namespace

std::unique_ptr<TestBed> TestBed::create()
{
    UMockdevTestbed* const bed = umockdev_testbed_new();
    if (umockdev_in_mock_environment() == FALSE) {
        std::fputs("umock-bridge: run it below umockdev-wrapper\n", stderr);
        return nullptr;
    }
    std::unique_ptr<TestBed> made(new TestBed(bed));
    return made->add(rootHub()) ? std::move(made) : nullptr;
}

TestBed::TestBed(UMockdevTestbed* bed) : m_bed(bed) {}

TestBed::~TestBed()
{
    for (auto& [busId, device] : m_plugged) {
        device.connection->stop();
        m_left.push_back(std::move(device.node));
        m_leftTtys.push_back(std::move(device.tty));
    }
    g_object_unref(m_bed); // stops calling the handlers, and removes the files
}

bool TestBed::refresh(const ServerAddress& server, const std::string& busId)
{
    const auto found = m_plugged.find(busId);
    if (found != m_plugged.end()) {
        if (!found->second.connection->gone())
            return true;
        unplug(found->second);
        m_plugged.erase(found);
        return false; // the programs below get a chance to see it
    }
    std::shared_ptr<UsbIpConnection> connection = UsbIpConnection::import(server, busId);
    return connection && plug(std::move(connection), busId);
}

std::optional<TestBed::Descriptors> TestBed::enumerate(UsbIpConnection& connection)
{
    auto device = connection.request(getDescriptor(1, 0, kDeviceBytes));
    auto head = connection.request(getDescriptor(2, 0, 9));
    if (!device || device->size() != kDeviceBytes || !head || head->size() != 9)
        return std::nullopt;
    auto configuration = connection.request(getDescriptor(2, 0, readLe16(*head, 2)));
    if (!configuration || configuration->size() != readLe16(*head, 2))
        return std::nullopt;
    Descriptors found{.device = *device, .configuration = *configuration};
    found.manufacturer = stringOf(connection, u8(found.device[14]));
    found.product = stringOf(connection, u8(found.device[15]));
    found.serial = stringOf(connection, u8(found.device[16]));
    if (!connection.request(setupPacket(0x00, 9, u8(found.configuration[5]), 0)))
        return std::nullopt;
    return found;
}

bool TestBed::plug(std::shared_ptr<UsbIpConnection> connection, const std::string& busId)
{
    const auto descriptors = enumerate(*connection);
    if (!descriptors)
        return false;
    const ByteView device = descriptors->device;
    const unsigned number = m_nextNumber++;
    const std::string name = concat("bus/usb/001/", threeDigits(number));
    Bytes all = descriptors->device;
    ByteWriter(all).raw(descriptors->configuration);
    const std::string raw = upperHex(all);
    const auto field = [device](std::size_t at) { return hex16(readLe16(device, at)); };
    const std::string below = concat(kRootPath, "/", busId);
    Plugged plugged{.connection = connection,
                    .node = std::make_unique<UsbfsNode>(connection),
                    .path = concat("/sys", below)};
    // Before the node is there: whoever finds it may open it at once.
    attach(concat("/dev/", name), plugged.node->handler());
    const bool added = add(concat(
        "P: ", below, "\nN: ", name, "=", raw, "\nE: DEVNAME=/dev/", name,
        "\nE: DEVTYPE=usb_device\nE: DRIVER=usb\nE: SUBSYSTEM=usb\nE: BUSNUM=001\nE: DEVNUM=",
        threeDigits(number), "\nE: MAJOR=189\nE: MINOR=", number - 1, "\nE: PRODUCT=", field(8),
        "/", field(10), "/", field(12), "\n", attribute("busnum", "1"),
        attribute("devnum", toPiece(number)), attribute("speed", speedText(connection->speed())),
        attribute("bConfigurationValue", toPiece(unsigned{u8(descriptors->configuration[5])})),
        attribute("bNumConfigurations", toPiece(unsigned{u8(device[17])})),
        attribute("idVendor", field(8)), attribute("idProduct", field(10)),
        attribute("bcdDevice", field(12)), attribute("devpath", busId.substr(busId.find('-') + 1)),
        attribute("manufacturer", descriptors->manufacturer),
        attribute("product", descriptors->product), attribute("serial", descriptors->serial),
        "H: descriptors=", raw, "\n\n"));
    if (!added)
        return false;
    announce(plugged.path, "add");
    plugTty(plugged, *descriptors, busId);
    m_plugged.emplace(busId, std::move(plugged));
    return true;
}

void TestBed::plugTty(Plugged& device, const Descriptors& descriptors, const std::string& busId)
{
    const auto acm = findAcm(descriptors.configuration);
    if (!acm)
        return;
    auto tty = AcmTty::create(device.connection, *acm);
    if (!tty)
        return;
    const int index = std::atoi(busId.substr(busId.rfind('-') + 1).c_str()) - 1;
    const std::string name = concat("ttyACM", index);
    const std::string interface =
        concat(busId, ":", unsigned{u8(descriptors.configuration[5])}, ".", acm->controlInterface);
    const std::string below = concat(kRootPath, "/", busId, "/", interface);
    device.interfacePath = concat("/sys", below);
    device.ttyNode = name;
    // Everything behind the node is there before /sys tells of it.
    const std::string file = fileOf(name);
    if (::symlink(tty->terminal().c_str(), file.c_str()) != 0)
        std::perror(file.c_str());
    attach(concat("/dev/", name), tty->handler());
    add(concat("P: ", below, "\nE: DEVTYPE=usb_interface\nE: SUBSYSTEM=usb\nE: DRIVER=cdc_acm\n\n",
               "P: ", below, "/tty/", name, "\nE: DEVNAME=/dev/", name,
               "\nE: SUBSYSTEM=tty\nE: MAJOR=166\nE: MINOR=", index, "\nL: device=../../../",
               interface, "\n\n"));
    device.tty = std::move(tty);
    announce(concat(device.interfacePath, "/tty/", name), "add");
}

/// The real file that programs see as /dev/`node`.
std::string TestBed::fileOf(const std::string& node) const
{
    gchar* const root = umockdev_testbed_get_root_dir(m_bed);
    const std::string file = concat(root, "/dev/", node);
    g_free(root);
    return file;
}

void TestBed::unplug(Plugged& device)
{
    if (device.tty)
        unplugTty(device);
    announce(device.path, "remove");
    umockdev_testbed_remove_device(m_bed, device.path.c_str());
    m_left.push_back(std::move(device.node));
}

/// Children go before their device: libumockdev aborts otherwise. The node goes before /sys stops
/// telling of it: resolving a link out of the test bed, libumockdev's realpath() corrupts the heap.
void TestBed::unplugTty(Plugged& device)
{
    const std::string path = concat(device.interfacePath, "/tty/", device.ttyNode);
    ::unlink(fileOf(device.ttyNode).c_str());
    device.tty->hangUp();
    announce(path, "remove");
    umockdev_testbed_detach_ioctl(m_bed, concat("/dev/", device.ttyNode).c_str(), nullptr);
    umockdev_testbed_remove_device(m_bed, path.c_str());
    umockdev_testbed_remove_device(m_bed, device.interfacePath.c_str());
    m_leftTtys.push_back(std::move(device.tty));
}

bool TestBed::add(const std::string& description)
{
    GError* error = nullptr;
    if (umockdev_testbed_add_from_string(m_bed, description.c_str(), &error) != FALSE)
        return true;
    std::fprintf(stderr, "umock-bridge: %s\n", error->message);
    g_error_free(error);
    return false;
}

void TestBed::attach(const std::string& node, UMockdevIoctlBase* handler)
{
    GError* error = nullptr;
    if (umockdev_testbed_attach_ioctl(m_bed, node.c_str(), handler, &error) != FALSE)
        return;
    std::fprintf(stderr, "umock-bridge: %s\n", error->message);
    g_error_free(error);
}

void TestBed::announce(const std::string& path, const char* action)
{
    umockdev_testbed_uevent(m_bed, path.c_str(), action);
}

} // namespace provost::bridge
