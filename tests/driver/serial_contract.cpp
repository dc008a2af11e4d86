// What every SerialPorts and every SerialPort does.
#include "transport_contract.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstSerialContract : public ContractSuite {
    Q_OBJECT

public:
    using ContractSuite::ContractSuite;

private Q_SLOTS:
    void init() { plugInBoth(); }

    void enumerate_tellsTheUsbPort();
    void open_ofUnknownPathIsNotFound();
    void open_isExclusive();
    void open_worksAgainAfterClosing();
    void readSome_returnsTheAnswerToAWrite();
    void writeAll_takesMoreThanABufferful();
    void readSome_withoutDataIsTimeout();
    void readSome_stopsWithin250Milliseconds();
    void readSome_ofUnpluggedUnitIsDisconnected();
    void writeAll_toUnpluggedUnitIsDisconnected();
    void discardInput_forgetsWhatHasArrived();
    void setBaudAndDtr_areTaken();

private:
    bool forgetsAnAnswer(SerialPort& port)
    {
        std::byte buffer[16];
        if (!port.writeAll(viewOf("i"), op()) || !port.readSome(ByteSpan(buffer).first(1), op()) ||
            !port.discardInput())
            return false;
        bool nothingLeft = true;
        while (port.readSome(buffer, op(200ms)))
            nothingLeft = false;
        return nothingLeft;
    }
    Result<std::unique_ptr<SerialPort>> openSerial() { return m_rig.serial.open(serialPath()); }
    Result<std::string> readLine(ByteStream& stream)
    {
        std::string line;
        while (line.empty() || line.back() != '\n') {
            std::byte buffer[64];
            const std::size_t count = TRY(stream.readSome(buffer, op()));
            line += toText(ByteView(buffer).first(count));
        }
        return line;
    }
};

void TstSerialContract::enumerate_tellsTheUsbPort()
{
    const auto ports = m_rig.serial.enumerate();
    VERIFY_OK(ports);
    const auto behind = [&](const UsbPortPath& usb) {
        return std::count_if(ports->begin(), ports->end(),
                             [&](const SerialPortInfo& each) { return each.usb == usb; });
    };
    QCOMPARE(behind(m_rig.cdcPort), 1);
    QCOMPARE(behind(m_rig.dfuPort), 0);
}

void TstSerialContract::open_ofUnknownPathIsNotFound()
{
    VERIFY_FAILS(m_rig.serial.open("/dev/ttyACM77"), Errc::NotFound);
    const std::string path = serialPath();
    VERIFY_OK(setPower(m_rig.cdcSlot, false));
    awaitLeaving(m_rig.cdcPort);
    VERIFY_FAILS(m_rig.serial.open(path), Errc::NotFound);
}

void TstSerialContract::open_isExclusive()
{
    const auto first = openSerial();
    VERIFY_OK(first);
    VERIFY_FAILS(openSerial(), Errc::Busy);
}

void TstSerialContract::open_worksAgainAfterClosing()
{
    for (int round = 0; round < 3; ++round) {
        const auto port = openSerial();
        VERIFY_OK(port);
        VERIFY_OK((*port)->writeAll(viewOf("i"), op()));
        const auto line = readLine(**port);
        VERIFY_OK(line);
        QVERIFY2(line->starts_with("Your device id is "), line->c_str());
    }
}

void TstSerialContract::readSome_returnsTheAnswerToAWrite()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    VERIFY_OK((*port)->writeAll(viewOf("i"), op()));
    std::byte one{};
    const auto first = (*port)->readSome(ByteSpan(&one, 1), op());
    VERIFY_OK(first);
    QCOMPARE(*first, std::size_t{1}); // at most what fits
    const auto rest = readLine(**port);
    VERIFY_OK(rest);
    const std::string answer = static_cast<char>(one) + *rest;
    QVERIFY2(answer.starts_with("Your device id is "), answer.c_str());
}

void TstSerialContract::writeAll_takesMoreThanABufferful()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    const std::string many(20000, '?'); // no command of the unit's console
    VERIFY_OK((*port)->writeAll(viewOf(many + "i"), op()));
    const auto line = readLine(**port);
    VERIFY_OK(line);
    QVERIFY2(line->starts_with("Your device id is "), line->c_str());
}

void TstSerialContract::readSome_withoutDataIsTimeout()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::byte buffer[16];
    Result<std::size_t> read = std::size_t{0};
    QVERIFY(timed([&] { read = (*port)->readSome(buffer, op(200ms)); }) >= 190ms);
    VERIFY_FAILS(read, Errc::Timeout);
}

void TstSerialContract::readSome_stopsWithin250Milliseconds()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::byte buffer[16];
    Result<std::size_t> read = std::size_t{0};
    QVERIFY(onceWithin(kStopLimit, [&] {
        return stopped([&](const OpContext& op) { read = (*port)->readSome(buffer, op); });
    }));
    VERIFY_FAILS(read, Errc::Cancelled);
}

void TstSerialContract::readSome_ofUnpluggedUnitIsDisconnected()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    std::byte buffer[16];
    Result<std::size_t> read = std::size_t{0};
    interrupted([&](const OpContext& op) { read = (*port)->readSome(buffer, op); },
                [&] { static_cast<void>(setPower(m_rig.cdcSlot, false)); });
    VERIFY_FAILS(read, Errc::Disconnected);
    awaitLeaving(m_rig.cdcPort);
}

void TstSerialContract::writeAll_toUnpluggedUnitIsDisconnected()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    VERIFY_OK(setPower(m_rig.cdcSlot, false));
    awaitLeaving(m_rig.cdcPort);
    VERIFY_FAILS((*port)->writeAll(viewOf("i"), op()), Errc::Disconnected);
}

void TstSerialContract::discardInput_forgetsWhatHasArrived()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    // Nothing tells when the whole answer has arrived: once it had, nothing of it is left.
    bool forgotten = false;
    QTRY_VERIFY(forgotten = forgotten || forgetsAnAnswer(**port));
}

void TstSerialContract::setBaudAndDtr_areTaken()
{
    const auto port = openSerial();
    VERIFY_OK(port);
    for (const int rate : {9600, 115200, 115200, 921600})
        VERIFY_OK((*port)->setBaud(rate));
    VERIFY_OK((*port)->setDtr(false));
    VERIFY_OK((*port)->setDtr(true));
    VERIFY_OK((*port)->writeAll(viewOf("i"), op()));
    VERIFY_OK(readLine(**port));
}

} // namespace

std::unique_ptr<QObject> provost::test::makeSerialContract(const ContractRig& rig)
{
    return std::make_unique<TstSerialContract>(rig);
}

#include "serial_contract.moc"
