#include "gui/slot_tile.h"

#include "gui/icons.h"
#include "gui/paint.h"
#include "gui/slot_question.h"
#include "models/display_text.h"

#include <QContextMenuEvent>
#include <QFontMetricsF>
#include <QKeyEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

/// The design draws tiles of this size; others are scaled from it.
constexpr double kDesignWidth = 434;
constexpr double kDesignHeight = 400;
/// A tap is shorter.
constexpr std::chrono::milliseconds kHeldDown{700};

bool filled(SlotState state)
{
    return state == SlotState::Pass || state == SlotState::Hold || state == SlotState::Fail;
}

bool underWay(SlotState state)
{
    return state == SlotState::Running || state == SlotState::Stopping;
}

/// Paints one face into one rectangle.
class TilePainter {
public:
    TilePainter(QPainter& painter, const QRectF& area, const TileFace& face, const Theme& theme)
        : m_painter(painter), m_area(area), m_face(face), m_theme(theme),
          m_scale(std::clamp(std::min(area.width() / kDesignWidth, area.height() / kDesignHeight),
                             0.3, 1.7)),
          m_textScale(std::pow(m_scale, 0.7)), m_padX(std::max(10.0, 20 * m_scale)),
          m_padY(std::max(8.0, 19 * m_scale))
    {
        m_painter.setRenderHint(QPainter::Antialiasing);
        chooseInk();
    }

    void paint()
    {
        background();
        topRow();
        if (m_face.simulated)
            cornerMark();
        double bottom = textLines();
        if (underWay(m_face.state))
            bottom = bar(bottom);
        double top = m_topEnd;
        if (m_face.critical)
            top = band(top, m_theme.attn, Icon::Warning, TilePainter::tr("DO NOT UNPLUG"));
        else if (!m_face.prompt.isEmpty())
            top = band(top, m_theme.run, Icon::Question, TilePainter::tr("Tap to answer"));
        const QRectF middle(inner().left(), top, inner().width(), bottom - top);
        if (m_face.prompt.isEmpty())
            big(middle);
        else
            question(middle);
    }

private:
    static QString tr(const char* text) { return SlotTile::tr(text); }

    void chooseInk()
    {
        m_ink = m_theme.ink;
        m_ink2 = m_theme.ink2;
        m_word = m_theme.colourOf(m_face.state);
        if (filled(m_face.state))
            m_ink = m_ink2 = m_word = Qt::white;
        if (m_face.state == SlotState::Off) {
            m_ink = m_theme.idle;
            m_word = withAlpha(m_theme.idle, 0.7);
        }
    }

    QRectF inner() const { return m_area.adjusted(m_padX, m_padY, -m_padX, -m_padY); }

    void background()
    {
        QColor fill = m_theme.surface;
        QColor edge = m_theme.line;
        double width = 1;
        if (filled(m_face.state))
            fill = edge = m_theme.colourOf(m_face.state);
        else if (m_face.state == SlotState::Check)
            fill = m_theme.attnBg;
        else if (m_face.state == SlotState::Off || m_face.state == SlotState::Stopped)
            fill = m_theme.surface2;
        if (m_face.state == SlotState::Check || m_face.critical) {
            edge = m_theme.attn;
            width = 2;
        }
        if (m_face.state == SlotState::Stopped) {
            edge = m_theme.ink3;
            width = 2;
        }
        m_painter.setPen(QPen(edge, width));
        m_painter.setBrush(fill);
        const double inset = width / 2;
        m_painter.drawRoundedRect(m_area.adjusted(inset, inset, -inset, -inset), m_theme.r,
                                  m_theme.r);
    }

    void topRow()
    {
        const QFont numberFont = m_theme.sans(std::max(20.0, 34 * m_scale), QFont::Bold);
        const QFontMetricsF metrics(numberFont);
        const double baseline = inner().top() + metrics.ascent() * 0.97;
        m_painter.setFont(numberFont);
        m_painter.setPen(m_ink);
        const QString number = QString::number(m_face.number);
        m_painter.drawText(QPointF(inner().left(), baseline), number);
        m_topEnd = inner().top() + metrics.height();

        QString unit = m_face.unit;
        if (unit.isEmpty() && m_face.state != SlotState::Ready && m_face.state != SlotState::Off)
            unit = display::unknown();
        const QFont mono = m_theme.mono(std::clamp(17 * m_textScale, 12.0, 22.0));
        const QFontMetricsF idMetrics(mono);
        const double room = inner().width() - metrics.horizontalAdvance(number) - 12;
        const auto digits =
            static_cast<int>(room / idMetrics.horizontalAdvance(QLatin1Char('0'))) - 1;
        const QString shown = display::shortId(unit, std::clamp(digits, 4, 12));
        m_painter.setFont(mono);
        m_painter.setPen(m_ink2);
        m_painter.drawText(QPointF(inner().right() - idMetrics.horizontalAdvance(shown), baseline),
                           shown);
    }

    void cornerMark()
    {
        // Above the id, flush with the corner: legible on every colour, never over other text.
        const double height = std::clamp(21 * m_scale, 15.0, 24.0);
        QFont font = m_theme.sans(height * 0.6, QFont::Bold);
        font.setLetterSpacing(QFont::AbsoluteSpacing, font.pixelSize() * 0.06);
        const QString word = tr("SIMULATED");
        const double width = QFontMetricsF(font).horizontalAdvance(word) + height * 1.1;
        const QRectF tag(m_area.right() - width, m_area.top(), width, height);
        QPainterPath shape;
        shape.addRoundedRect(tag.adjusted(0, -12, 12, 0), 6, 6);
        QPainterPath clip;
        clip.addRoundedRect(m_area, m_theme.r, m_theme.r);
        m_painter.setPen(Qt::NoPen);
        m_painter.setBrush(m_theme.attn);
        m_painter.drawPath(shape.intersected(clip));
        m_painter.setFont(font);
        m_painter.setPen(Qt::white);
        m_painter.drawText(tag, Qt::AlignCenter, word);
    }

    /// Headline and detail, from the bottom upwards. @returns where they begin
    double textLines()
    {
        const double width = inner().width();
        const QFont detailFont =
            squeezed(m_theme.sans(std::clamp(18 * m_textScale, 12.0, 24.0)), m_face.detail, width);
        const QFont headFont =
            squeezed(m_theme.sans(std::clamp(23 * m_textScale, 13.0, 30.0), QFont::DemiBold),
                     m_face.headline, width);
        const double detailHeight = std::round(detailFont.pixelSize() * 1.33);
        const double headHeight = std::round(headFont.pixelSize() * 1.3);
        // A small tile with a bar or a band has no room for second lines.
        const bool tight =
            m_area.height() < 230 && (underWay(m_face.state) || !m_face.prompt.isEmpty());
        const auto details = balanced(m_face.detail, detailFont, width, tight ? 1 : 2);
        const auto heads = balanced(m_face.headline, headFont, width, tight ? 1 : 2);
        const double gap = 6 * m_scale;
        // An empty line keeps its place: neighbouring tiles read along one line.
        const auto rows = [](const QStringList& lines) {
            return std::max<double>(1, static_cast<double>(lines.size()));
        };
        const bool crammed = m_area.height() < 230 && details.isEmpty() && heads.size() > 1;
        const double detailTop = inner().bottom() - (crammed ? 0 : detailHeight * rows(details));
        const double headTop = detailTop - gap - headHeight * rows(heads);
        m_painter.setFont(headFont);
        m_painter.setPen(m_face.state == SlotState::Off ? m_ink2 : m_ink);
        drawLines(m_painter, QRectF(inner().left(), headTop, inner().width(), 0), heads,
                  headHeight);
        m_painter.setFont(detailFont);
        m_painter.setPen(m_ink2);
        drawLines(m_painter, QRectF(inner().left(), detailTop, inner().width(), 0), details,
                  detailHeight);
        return headTop;
    }

    double bar(double bottom)
    {
        const double height = std::max(6.0, std::round(12 * m_scale));
        const QRectF track(inner().left(), bottom - 14 * m_scale - height, inner().width(), height);
        m_painter.setPen(Qt::NoPen);
        m_painter.setBrush(m_theme.runBg);
        m_painter.drawRoundedRect(track, height / 2, height / 2);
        QRectF done = track;
        done.setWidth(track.width() * m_face.permille / 1000);
        if (m_face.permille > 0) {
            QPainterPath round;
            round.addRoundedRect(track, height / 2, height / 2);
            m_painter.save();
            m_painter.setClipPath(round);
            m_painter.setBrush(m_theme.run);
            done.setWidth(std::max(done.width(), height));
            m_painter.drawRoundedRect(done, height / 2, height / 2);
            m_painter.restore();
        }
        return track.top();
    }

    double band(double top, const QColor& colour, Icon icon, const QString& word)
    {
        const double height = std::max(28.0, std::round(56 * m_scale));
        const QRectF area(m_area.left(), top + 6 * m_scale, m_area.width(), height);
        m_painter.fillRect(area, colour);
        const double side = height * 0.52;
        const double room = area.width() - 2 * m_padX - side - 10 * m_scale;
        const QFont font = fitted(m_theme.sans(height * 0.46, QFont::Bold), word, room, 11);
        const double width = QFontMetricsF(font).horizontalAdvance(word);
        const double left = area.center().x() - (width + side + 10 * m_scale) / 2;
        drawIcon(m_painter, icon, QRectF(left, area.center().y() - side / 2, side, side), Qt::white,
                 2.4);
        m_painter.setFont(font);
        m_painter.setPen(Qt::white);
        m_painter.drawText(QRectF(left + side + 10 * m_scale, area.top(), width + 4, area.height()),
                           Qt::AlignLeft | Qt::AlignVCenter, word);
        return area.bottom();
    }

    void big(const QRectF& area)
    {
        const bool percent = m_face.state == SlotState::Running;
        const bool quiet = m_face.state == SlotState::Ready || m_face.state == SlotState::Off;
        const QString text = percent ? display::percent(m_face.percent / 100.0, 0) : m_face.word;
        const double wanted = (percent ? 72 : quiet ? 60 : 84) * m_scale;
        const auto icon = iconOf(m_face.state);
        const double iconRatio = icon ? (quiet ? 0.9 : 1.0) : 0;
        // Icon, gap and word are one thing: all of it fits or all of it shrinks.
        const double gapRatio = icon ? 0.19 : 0;
        QFont font = m_theme.sans(100, quiet ? QFont::DemiBold : QFont::Bold);
        font.setLetterSpacing(QFont::AbsoluteSpacing, -2);
        const double ratio = tabularWidth(text, font) / 100 + iconRatio + gapRatio;
        const double size = std::floor(
            std::max(12.0, std::min({wanted, area.width() * 0.95 / ratio, area.height() * 0.9})));
        font.setPixelSize(static_cast<int>(size));
        font.setLetterSpacing(QFont::AbsoluteSpacing, -0.02 * size);
        const double textWidth = tabularWidth(text, font);
        const double width = textWidth + size * (iconRatio + gapRatio);
        double left = area.center().x() - width / 2;
        if (icon) {
            const double side = size * iconRatio;
            drawIcon(m_painter, *icon, QRectF(left, area.center().y() - side / 2, side, side),
                     m_word, quiet || *icon == Icon::Warning ? 2.2 : 3);
            left += side + size * gapRatio;
        }
        const double baseline = area.center().y() + QFontMetricsF(font).capHeight() / 2;
        m_painter.setFont(font);
        m_painter.setPen(m_word);
        drawTabular(m_painter, QPointF(left, baseline), text);
    }

    void question(const QRectF& area)
    {
        const QFont font = m_theme.sans(std::clamp(24 * m_textScale, 13.0, 32.0), QFont::DemiBold);
        const double lineHeight = std::round(font.pixelSize() * 1.3);
        const auto most = std::max(1, static_cast<int>(area.height() / lineHeight));
        const auto lines = balanced(m_face.prompt, font, area.width(), most);
        const double height = lineHeight * static_cast<double>(lines.size());
        m_painter.setFont(font);
        m_painter.setPen(m_theme.ink);
        drawLines(m_painter,
                  QRectF(area.left(), area.center().y() - height / 2, area.width(), height), lines,
                  lineHeight);
    }

    QPainter& m_painter;
    QRectF m_area;
    const TileFace& m_face;
    const Theme& m_theme;
    double m_scale;
    double m_textScale;
    double m_padX;
    double m_padY;
    double m_topEnd = 0;
    QColor m_ink;
    QColor m_ink2;
    QColor m_word;
};

} // namespace

TileFace faceOf(const QModelIndex& index)
{
    return {.number = index.data(SlotModel::NumberRole).toInt(),
            .state = static_cast<SlotState>(index.data(SlotModel::StateRole).toInt()),
            .word = index.data(SlotModel::WordRole).toString(),
            .unit = index.data(SlotModel::UnitRole).toString(),
            .headline = index.data(SlotModel::HeadlineRole).toString(),
            .detail = index.data(SlotModel::DetailRole).toString(),
            .prompt = index.data(SlotModel::PromptRole).toString(),
            .percent = index.data(SlotModel::PercentRole).toInt(),
            .permille = static_cast<int>(index.data(SlotModel::FractionRole).toDouble() * 1000),
            .critical = index.data(SlotModel::CriticalRole).toBool(),
            .simulated = index.data(SlotModel::SimulatedRole).toBool()};
}

SlotTile::SlotTile(const Theme& theme, const QModelIndex& index, QWidget* parent)
    : QAbstractButton(parent), m_theme(theme), m_index(index)
{
    setFocusPolicy(Qt::TabFocus);
    m_held.setSingleShot(true);
    m_held.setInterval(kHeldDown);
    connect(&m_held, &QTimer::timeout, this, [this] {
        if (!isDown())
            return;
        setDown(false); // what follows is no click
        Q_EMIT switchAsked();
    });
    refresh();
}

void SlotTile::askToSwitch(bool on)
{
    dismissQuestion();
    m_question = new SlotQuestion(m_theme, m_face.number, on, this);
    connect(m_question, &SlotQuestion::confirmed, this, [this, on] { Q_EMIT switchConfirmed(on); });
}

bool SlotTile::dismissQuestion()
{
    const bool stood = m_question && m_question->isVisible();
    if (m_question)
        m_question->dismiss();
    m_question.clear();
    return stood;
}

void SlotTile::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_F3)
        Q_EMIT switchAsked();
    else
        QAbstractButton::keyPressEvent(event);
}

void SlotTile::mousePressEvent(QMouseEvent* event)
{
    QAbstractButton::mousePressEvent(event);
    if (isDown())
        m_held.start();
}

void SlotTile::contextMenuEvent(QContextMenuEvent*)
{
    Q_EMIT switchAsked();
}

void SlotTile::refresh()
{
    TileFace face = faceOf(m_index);
    if (face == m_face)
        return;
    m_face = std::move(face);
    if (underWay(m_face.state))
        dismissQuestion(); // too late
    setAccessibleName(m_index.data(Qt::DisplayRole).toString());
    setAccessibleDescription(m_face.headline + u' ' + m_face.detail);
    update();
}

void SlotTile::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    TilePainter(painter, QRectF(rect()), m_face, m_theme).paint();
    if (isDown() || hasFocus()) {
        painter.setBrush(isDown() ? withAlpha(m_theme.ink, 0.08) : QColor(Qt::transparent));
        painter.setPen(QPen(m_theme.focus, hasFocus() ? 3 : 0));
        painter.drawRoundedRect(QRectF(rect()).adjusted(1.5, 1.5, -1.5, -1.5), m_theme.r,
                                m_theme.r);
    }
}

} // namespace provost::gui
