#include "gui/scanner_filter.h"

#include <QCoreApplication>
#include <QKeyEvent>

#include <algorithm>

namespace provost::gui {

namespace {

bool isPrintable(const QKeyEvent& key)
{
    const auto commands = Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier;
    const QString text = key.text();
    return !(key.modifiers() & commands) && !text.isEmpty() &&
           std::ranges::all_of(text, [](QChar c) { return c.isPrint(); });
}

bool isModifier(const QKeyEvent& key)
{
    return key.key() == Qt::Key_Shift || key.key() == Qt::Key_CapsLock ||
           key.key() == Qt::Key_AltGr;
}

bool isEnter(const QKeyEvent& key)
{
    return key.key() == Qt::Key_Return || key.key() == Qt::Key_Enter;
}

} // namespace

ScannerFilter::ScannerFilter(QWidget& window, ScannerSettings settings, QObject* parent)
    : QObject(parent), m_window(window), m_settings(std::move(settings))
{
    m_quiet.setSingleShot(true);
    m_quiet.setTimerType(Qt::PreciseTimer);
    connect(&m_quiet, &QTimer::timeout, this, &ScannerFilter::expire);
}

ScannerFilter::~ScannerFilter() = default;

bool ScannerFilter::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() != QEvent::KeyPress || m_releasing)
        return false;
    // Keys pass the window's handle first and its focus widget then: the latter counts.
    auto* receiver = qobject_cast<QWidget*>(watched);
    if (!receiver || receiver->window() != &m_window)
        return false;
    return take(*receiver, *static_cast<QKeyEvent*>(event));
}

bool ScannerFilter::take(QWidget& receiver, QKeyEvent& key)
{
    if (isModifier(key))
        return false;
    if (isEnter(key))
        return finish(key);
    if (!isPrintable(key) || key.isAutoRepeat()) {
        release();
        return false;
    }
    return hold(receiver, key);
}

bool ScannerFilter::hold(QWidget& receiver, QKeyEvent& key)
{
    if (!inBurst(key))
        release();
    m_held.push_back({&receiver, std::unique_ptr<QKeyEvent>(key.clone())});
    m_last = std::chrono::steady_clock::now();
    m_lastLook = false;
    m_quiet.start(m_settings.gap);
    key.accept();
    return true;
}

bool ScannerFilter::finish(QKeyEvent& enter)
{
    QString code;
    for (const auto& held : m_held)
        code += held.key->text();
    const bool ours = inBurst(enter) && code.startsWith(m_settings.prefix) &&
                      code.size() - m_settings.prefix.size() >= m_settings.least;
    if (!ours) {
        release();
        return false;
    }
    m_held.clear();
    m_quiet.stop();
    enter.accept();
    Q_EMIT scanned(code.mid(m_settings.prefix.size()));
    return true;
}

bool ScannerFilter::inBurst(const QKeyEvent& key) const
{
    if (m_held.empty())
        return false;
    // The system's own stamps where it gives any: they do not suffer from a busy program.
    const auto before = m_held.back().key->timestamp();
    if (before != 0 && key.timestamp() != 0)
        return key.timestamp() - before <= static_cast<quint64>(m_settings.gap.count());
    return std::chrono::steady_clock::now() - m_last <= m_settings.gap;
}

void ScannerFilter::expire()
{
    // Once more round the event loop: keys may be queued behind a timer that came late.
    if (!m_lastLook) {
        m_lastLook = true;
        m_quiet.start(0);
        return;
    }
    release();
}

void ScannerFilter::release()
{
    m_quiet.stop();
    const std::vector<Held> held = std::exchange(m_held, {});
    m_releasing = true;
    for (const auto& [receiver, key] : held) {
        if (receiver)
            QCoreApplication::sendEvent(receiver, key.get());
    }
    m_releasing = false;
}

} // namespace provost::gui
