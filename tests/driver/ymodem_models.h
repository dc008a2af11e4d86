// A plain YModem receiver and sender as Forsberg describes them, written for tests and sharing
// nothing with the drivers but the CRC.
#pragma once

#include "core/crc.h"
#include "driver/fault_plan.h"

namespace provost::test {

/// Takes any number of files and batches; asks for the first header every 3 s.
class ModelReceiver final : public SerialPeer {
public:
    std::vector<Bytes> files{};
    bool finished = false;

    void feed(ByteView bytes, Clock::Steady now) override
    {
        m_buffer.insert(m_buffer.end(), bytes.begin(), bytes.end());
        while (step()) {
        }
        m_due = now + (m_buffer.empty() ? std::chrono::seconds(10) : std::chrono::seconds(1));
    }
    void tick(Clock::Steady now) override
    {
        if (m_due && now < *m_due)
            return;
        m_buffer.clear(); // the rest of a frame never came
        say(m_expected == 0 || m_expected == 1 ? 'C' : 0x15);
        m_due = now + (m_expected == 0 ? std::chrono::seconds(3) : std::chrono::seconds(10));
    }
    std::optional<Clock::Steady> deadline() const override
    {
        return m_due.value_or(Clock::Steady{});
    }
    Bytes takeOutput() override { return std::exchange(m_output, {}); }

private:
    void say(int byte) { m_output.push_back(static_cast<std::byte>(byte)); }
    bool step()
    {
        if (m_buffer.empty())
            return false;
        const int lead = u8(m_buffer[0]);
        if (lead == 0x04) {
            endOfFile();
            return true;
        }
        if (lead == 0x18) {
            if (m_buffer.size() < 2)
                return false;
            if (u8(m_buffer[1]) == 0x18) { // back to where a new batch begins
                m_expected = 0;
                m_sawEnd = false;
            }
            m_buffer.clear();
            return false;
        }
        if (lead != 0x01 && lead != 0x02) {
            m_buffer.clear(); // noise: asked for again when the line has been silent
            return false;
        }
        const std::size_t size = lead == 0x01 ? 128 : 1024;
        if (m_buffer.size() < size + 5)
            return false;
        block(ByteView(m_buffer).subspan(1, size + 4));
        m_buffer.erase(m_buffer.begin(), m_buffer.begin() + static_cast<std::ptrdiff_t>(size + 5));
        return true;
    }
    void block(ByteView frame)
    {
        const ByteView data = frame.subspan(2, frame.size() - 4);
        const unsigned number = u8(frame[0]);
        if (number + u8(frame[1]) != 255 || crc16Xmodem(data) != readBe16(frame, frame.size() - 2))
            return say(0x15);
        if (m_expected == 0 && number == 0)
            return header(data);
        if (m_expected == 0)
            return;
        if (number == ((m_expected - 1) & 0xFF)) {
            say(0x06);
            if (m_expected == 1)
                say('C');
            return;
        }
        if (number != (m_expected & 0xFF))
            return;
        m_content.insert(m_content.end(), data.begin(), data.end());
        ++m_expected;
        say(0x06);
    }
    void header(ByteView data)
    {
        say(0x06);
        finished = data[0] == std::byte{0};
        if (finished)
            return;
        const std::string text = toText(data);
        m_size = std::stoul(text.substr(text.find('\0') + 1));
        m_content.clear();
        m_expected = 1;
        m_sawEnd = false;
        say('C');
    }
    void endOfFile()
    {
        m_buffer.erase(m_buffer.begin());
        if (m_expected != 0 && !std::exchange(m_sawEnd, true))
            return say(0x15);
        if (m_expected != 0) {
            m_content.resize(std::min(m_size, m_content.size()));
            files.push_back(std::exchange(m_content, {}));
        }
        m_expected = 0;
        say(0x06);
        say('C');
    }

    Bytes m_buffer{};
    Bytes m_output{};
    Bytes m_content{};
    std::size_t m_size = 0;
    std::size_t m_expected = 0; ///< 0: a header
    bool m_sawEnd = false;
    std::optional<Clock::Steady> m_due{};
};

/// Offers one file, again and again.
class ModelSender final : public SerialPeer {
public:
    explicit ModelSender(ByteView content)
    {
        frame(0, toBytes(concat("file.bin", std::string(1, '\0'), content.size(), " 0")), 128);
        for (std::size_t at = 0, number = 1; at < content.size(); at += 1024, ++number)
            frame(number,
                  toBytes(content.subspan(at, std::min<std::size_t>(1024, content.size() - at))),
                  1024);
        m_frames.push_back({std::byte{0x04}});
        frame(0, {}, 128);
    }
    void feed(ByteView bytes, Clock::Steady now) override
    {
        for (const std::byte byte : bytes)
            heard(u8(byte));
        m_due = now + std::chrono::seconds(10);
    }
    void tick(Clock::Steady now) override
    {
        if (!m_due || now < *m_due)
            return;
        m_due = now + std::chrono::seconds(10);
        if (m_waitsForAck)
            say();
    }
    std::optional<Clock::Steady> deadline() const override { return m_due; }
    Bytes takeOutput() override { return std::exchange(m_output, {}); }

private:
    void frame(std::size_t number, Bytes data, std::size_t size)
    {
        data.resize(size, std::byte{0x1A});
        if (number == 0 && m_frames.size() > 1)
            std::fill(data.begin(), data.end(), std::byte{0});
        Bytes bytes;
        ByteWriter(bytes)
            .u8(size == 128 ? 1 : 2)
            .u8(static_cast<unsigned>(number))
            .u8(static_cast<unsigned>(255 - number))
            .raw(data)
            .be16(crc16Xmodem(data));
        m_frames.push_back(std::move(bytes));
    }
    void say()
    {
        m_output.insert(m_output.end(), m_frames[m_next].begin(), m_frames[m_next].end());
        m_waitsForAck = true;
    }
    /// In front of the header, the first block and the closing header the receiver asks with 'C'.
    bool asksFirst() const { return m_next < 2 || m_next + 1 == m_frames.size(); }
    void heard(int byte)
    {
        if (byte == 0x18) {
            m_next = 0;
            m_waitsForAck = false;
            return;
        }
        if (byte == 0x15 && m_waitsForAck)
            return say();
        if (byte == 'C' && asksFirst()) // or again, where the first copy was not heard
            return say();
        if (byte != 0x06 || !m_waitsForAck)
            return;
        m_waitsForAck = false;
        m_next = (m_next + 1) % m_frames.size();
        if (!asksFirst())
            say();
    }

    std::vector<Bytes> m_frames{};
    std::size_t m_next = 0;
    bool m_waitsForAck = false;
    Bytes m_output{};
    std::optional<Clock::Steady> m_due{};
};

/// YModem-G: asks with 'G', acknowledges EOT only, and cancels at the first damage.
class StreamReceiver final : public SerialPeer {
public:
    std::vector<Bytes> files{};

    void feed(ByteView bytes, Clock::Steady now) override
    {
        m_buffer.insert(m_buffer.end(), bytes.begin(), bytes.end());
        while (step()) {
        }
        m_due = now + std::chrono::seconds(m_expected == 0 ? 3 : 10);
    }
    void tick(Clock::Steady now) override
    {
        if (m_due && now < *m_due)
            return;
        // A frame that was broken off may end in the sender's CAN CAN.
        const bool cancelled = m_buffer.size() > 1 && u8(m_buffer.back()) == 0x18 &&
                               u8(m_buffer[m_buffer.size() - 2]) == 0x18;
        m_buffer.clear();
        if (m_expected > 0 && !cancelled) {
            cancel();
        } else {
            m_expected = 0;
            say('G');
        }
        m_due = now + std::chrono::seconds(3);
    }
    std::optional<Clock::Steady> deadline() const override
    {
        return m_due.value_or(Clock::Steady{});
    }
    Bytes takeOutput() override { return std::exchange(m_output, {}); }

private:
    void say(int byte) { m_output.push_back(static_cast<std::byte>(byte)); }
    void cancel()
    {
        for (int i = 0; i < 5; ++i)
            say(0x18);
        m_buffer.clear();
        m_expected = 0;
    }
    bool step()
    {
        if (m_buffer.empty())
            return false;
        const int lead = u8(m_buffer[0]);
        if (lead == 0x04 && m_expected > 0) {
            m_buffer.erase(m_buffer.begin());
            m_content.resize(std::min(m_size, m_content.size()));
            files.push_back(std::exchange(m_content, {}));
            m_expected = 0;
            say(0x06);
            say('G');
            return true;
        }
        if (lead == 0x18) {
            m_buffer.clear();
            m_expected = 0;
            return false;
        }
        if (lead != 0x01 && lead != 0x02) {
            if (m_expected > 0)
                cancel();
            m_buffer.clear();
            return false;
        }
        const std::size_t size = lead == 0x01 ? 128 : 1024;
        if (m_buffer.size() < size + 5)
            return false;
        block(ByteView(m_buffer).subspan(1, size + 4));
        if (!m_buffer.empty())
            m_buffer.erase(m_buffer.begin(),
                           m_buffer.begin() + static_cast<std::ptrdiff_t>(size + 5));
        return true;
    }
    void block(ByteView frame)
    {
        const ByteView data = frame.subspan(2, frame.size() - 4);
        const unsigned number = u8(frame[0]);
        if (number + u8(frame[1]) != 255 || number != (m_expected & 0xFF) ||
            crc16Xmodem(data) != readBe16(frame, frame.size() - 2))
            return m_expected > 0 ? cancel() : say('G'); // a header can be asked for again
        if (m_expected > 0) {
            m_content.insert(m_content.end(), data.begin(), data.end());
            ++m_expected;
            return;
        }
        if (data[0] == std::byte{0})
            return say(0x06);
        const std::string text = toText(data);
        m_size = std::stoul(text.substr(text.find('\0') + 1));
        m_content.clear();
        m_expected = 1;
        say('G');
    }

    Bytes m_buffer{};
    Bytes m_output{};
    Bytes m_content{};
    std::size_t m_size = 0;
    std::size_t m_expected = 0; ///< 0: a header
    std::optional<Clock::Steady> m_due{};
};

/// Offers one file by YModem-G, again and again.
class StreamSender final : public SerialPeer {
public:
    explicit StreamSender(ByteView content)
    {
        frame(m_header, 0, toBytes(concat("file.bin", std::string(1, '\0'), content.size(), " 0")),
              128);
        for (std::size_t at = 0, number = 1; at < content.size(); at += 1024, ++number)
            frame(m_body, number,
                  toBytes(content.subspan(at, std::min<std::size_t>(1024, content.size() - at))),
                  1024);
        m_body.push_back(std::byte{0x04});
        frame(m_end, 0, Bytes(128), 128);
    }
    void feed(ByteView bytes, Clock::Steady now) override
    {
        for (const std::byte byte : bytes)
            heard(u8(byte));
        m_due = now + std::chrono::seconds(10);
    }
    void tick(Clock::Steady now) override
    {
        if (!m_due || now < *m_due)
            return;
        m_due = now + std::chrono::seconds(10);
        if (m_phase == Phase::Body)
            m_output.push_back(std::byte{0x04}); // its EOT was not heard
    }
    std::optional<Clock::Steady> deadline() const override { return m_due; }
    Bytes takeOutput() override { return std::exchange(m_output, {}); }

private:
    enum class Phase { Header, Asked, Body, End, Ended };
    static void frame(Bytes& to, std::size_t number, Bytes data, std::size_t size)
    {
        data.resize(size, std::byte{0x1A});
        ByteWriter(to)
            .u8(size == 128 ? 1 : 2)
            .u8(static_cast<unsigned>(number))
            .u8(static_cast<unsigned>(255 - number))
            .raw(data)
            .be16(crc16Xmodem(data));
    }
    void say(const Bytes& bytes) { m_output.insert(m_output.end(), bytes.begin(), bytes.end()); }
    void heard(int byte)
    {
        if (byte == 0x18) {
            m_phase = Phase::Header;
            m_output.clear();
        } else if (byte == 'G' && m_phase == Phase::Header) {
            say(m_header);
            m_phase = Phase::Asked;
        } else if (byte == 'G' && m_phase == Phase::Asked) {
            say(m_body);
            m_phase = Phase::Body;
        } else if (byte == 0x06 && m_phase == Phase::Body) {
            m_phase = Phase::End;
        } else if (byte == 'G' && (m_phase == Phase::End || m_phase == Phase::Ended)) {
            say(m_end); // again, where it was not heard
            m_phase = Phase::Ended;
        } else if (byte == 0x06 && m_phase == Phase::Ended) {
            m_phase = Phase::Header;
        }
    }

    Bytes m_header{};
    Bytes m_body{};
    Bytes m_end{};
    Phase m_phase = Phase::Header;
    Bytes m_output{};
    std::optional<Clock::Steady> m_due{};
};

} // namespace provost::test
