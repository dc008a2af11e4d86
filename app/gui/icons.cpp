#include "gui/icons.h"

#include <QPainter>

#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

namespace provost::gui {

namespace {

/// Reads one path string, command by command.
class PathReader {
public:
    explicit PathReader(std::string_view text) : m_text(text) {}

    QPainterPath read()
    {
        while (skipTo()) {
            if (std::isalpha(static_cast<unsigned char>(m_text.front()))) {
                m_command = m_text.front();
                m_text.remove_prefix(1);
            } else if (m_command == 'Z' || m_command == 'z' || m_command == 0) {
                break; // numbers that belong to nothing
            }
            step();
        }
        return m_path;
    }

private:
    bool skipTo()
    {
        while (!m_text.empty() && (m_text.front() == ' ' || m_text.front() == ','))
            m_text.remove_prefix(1);
        return !m_text.empty();
    }

    double number()
    {
        skipTo();
        double value = 0;
        // A second point ends a number: "1.5.5" are two of them.
        std::size_t length = 0;
        bool point = false;
        while (length < m_text.size()) {
            const char c = m_text[length];
            const bool sign = c == '-' && length == 0;
            if (!(c >= '0' && c <= '9') && !sign && !(c == '.' && !point))
                break;
            point = point || c == '.';
            ++length;
        }
        std::from_chars(m_text.data(), m_text.data() + length, value);
        m_text.remove_prefix(std::max<std::size_t>(length, m_text.empty() ? 0 : (length == 0)));
        return value;
    }

    QPointF point()
    {
        const double x = number();
        const double y = number();
        return relative() ? m_at + QPointF(x, y) : QPointF(x, y);
    }

    bool relative() const { return std::islower(static_cast<unsigned char>(m_command)) != 0; }

    void lineTo(QPointF to)
    {
        m_at = to;
        m_path.lineTo(to);
    }

    void step()
    {
        switch (std::toupper(static_cast<unsigned char>(m_command))) {
        case 'M':
            m_at = point();
            m_path.moveTo(m_at);
            m_command = relative() ? 'l' : 'L'; // further pairs are lines
            break;
        case 'L':
            lineTo(point());
            break;
        case 'H': {
            const double x = number();
            lineTo({relative() ? m_at.x() + x : x, m_at.y()});
            break;
        }
        case 'V': {
            const double y = number();
            lineTo({m_at.x(), relative() ? m_at.y() + y : y});
            break;
        }
        case 'C': {
            const QPointF first = point();
            const QPointF second = point();
            const QPointF to = point();
            m_path.cubicTo(first, second, to);
            m_at = to;
            break;
        }
        case 'A':
            arc();
            break;
        case 'Z':
            m_path.closeSubpath();
            m_at = m_path.currentPosition();
            break;
        default:
            m_text = {};
        }
    }

    /// Circles only: SVG 1.1 F.6.5 with rx = ry.
    void arc()
    {
        double radius = number();
        number(); // ry
        number(); // rotation: a circle has none
        const bool large = number() != 0;
        const bool sweep = number() != 0;
        const QPointF from = m_at;
        const QPointF to = point();
        const QPointF half = (from - to) / 2;
        const double distance = std::hypot(half.x(), half.y());
        if (distance <= 0)
            return;
        radius = std::max(radius, distance);
        const double side =
            std::sqrt(radius * radius - distance * distance) / distance * (large == sweep ? -1 : 1);
        const QPointF centre = (from + to) / 2 + QPointF(side * half.y(), -side * half.x());
        const auto angleOf = [&](QPointF p) {
            return std::atan2(-(p.y() - centre.y()), p.x() - centre.x()) * 180 / std::numbers::pi;
        };
        double span = angleOf(to) - angleOf(from);
        if (sweep && span > 0)
            span -= 360;
        if (!sweep && span < 0)
            span += 360;
        m_path.arcTo(QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius),
                     angleOf(from), span);
        lineTo(to);
    }

    std::string_view m_text;
    QPainterPath m_path;
    QPointF m_at;
    char m_command = 0;
};

std::string_view pathText(Icon icon)
{
    switch (icon) {
    case Icon::Line:
        return "M4 5h6v6H4zM14 5h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z";
    case Icon::Rework:
        return "M14.5 6.5a4 4 0 0 0 5 5l-8 8a2.1 2.1 0 0 1-3-3l6-10z";
    case Icon::Keys:
        return "M4 15a4 4 0 0 0 8 0a4 4 0 0 0-8 0M11 12l9-9M16 7l3 3";
    case Icon::Units:
        return "M4 6h16M4 12h16M4 18h10";
    case Icon::Images:
        return "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9";
    case Icon::Yield:
        return "M4 20V4M4 20h16M8 16v-5M12 16V7M16 16v-3";
    case Icon::Station:
        return "M9 12a3 3 0 0 0 6 0a3 3 0 0 0-6 0M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2 2"
               "M16.4 16.4l2 2M18.4 5.6l-2 2M7.6 16.4l-2 2";
    case Icon::Check:
        return "M4 12.5l5.5 5.5L20 6.5";
    case Icon::Pause:
        return "M8 5v14M16 5v14";
    case Icon::Cross:
        return "M5 5l14 14M19 5L5 19";
    case Icon::Warning:
        return "M12 3.5L2 20.5h20zM12 10v4.5M12 17.4v.1";
    case Icon::Square:
        return "M6 6h12v12H6z";
    case Icon::Power:
        return "M12 3v8M7 6.2a7.5 7.5 0 1 0 10 0";
    case Icon::Slot:
        return "M4 12v7h16v-7M12 3v11M8 10.5l4 4 4-4";
    case Icon::Plug:
        return "M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4";
    case Icon::Back:
        return "M15 5l-7 7 7 7";
    case Icon::Question:
        return "M8 8.5a4 4 0 1 1 5.5 3.7c-1 .5-1.5 1.2-1.5 2.3M12 18v.2";
    case Icon::Barcode:
        return "M4 6v12M7 6v12M10 6v12M14 6v12M17 6v12M20 6v12";
    case Icon::Dot:
        return "M12 12v.1";
    case Icon::Arrow:
        return "M7 5l11 7-11 7z";
    }
    return {};
}

} // namespace

QPainterPath parseSvgPath(std::string_view text)
{
    return PathReader(text).read();
}

QPainterPath outline(Icon icon)
{
    return parseSvgPath(pathText(icon));
}

std::optional<Icon> iconOf(SlotState state)
{
    switch (state) {
    case SlotState::Pass:
        return Icon::Check;
    case SlotState::Hold:
        return Icon::Pause;
    case SlotState::Fail:
        return Icon::Cross;
    case SlotState::Check:
        return Icon::Warning;
    case SlotState::Stopped:
    case SlotState::Stopping:
        return Icon::Square;
    case SlotState::Off:
        return Icon::Power;
    case SlotState::Ready:
        return Icon::Slot;
    case SlotState::Running:
        break;
    }
    return std::nullopt;
}

void drawIcon(QPainter& painter, Icon icon, const QRectF& box, const QColor& colour, double weight)
{
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.translate(box.topLeft());
    painter.scale(box.width() / 24, box.height() / 24);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(colour, weight, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    painter.drawPath(outline(icon));
    painter.restore();
}

} // namespace provost::gui
