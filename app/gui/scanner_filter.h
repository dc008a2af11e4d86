// Tells a scanner's burst of keys from somebody typing, wherever the focus is.
#pragma once

#include <QObject>
#include <QPointer>
#include <QString>
#include <QTimer>
#include <QWidget>

#include <chrono>
#include <memory>
#include <vector>

class QKeyEvent;

namespace provost::gui {

struct ScannerSettings {
    QString prefix{};                  ///< sent by the scanner before each code; taken off
    std::chrono::milliseconds gap{50}; ///< longest pause between two keys of one burst
    int least = 4;                     ///< characters; shorter ones are typing
};

/// Install it on the application. Keys are held for one gap; a burst that ends in Enter becomes
/// one scan, anything else goes on to where it was typed, in order.
class ScannerFilter final : public QObject {
    Q_OBJECT

public:
    /// Only keys meant for `window` and what is in it.
    ScannerFilter(QWidget& window, ScannerSettings settings, QObject* parent = nullptr);
    ~ScannerFilter() override;

Q_SIGNALS:
    void scanned(const QString& code);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    struct Held {
        QPointer<QWidget> receiver;
        std::unique_ptr<QKeyEvent> key;
    };
    bool take(QWidget& receiver, QKeyEvent& key);
    bool hold(QWidget& receiver, QKeyEvent& key);
    bool finish(QKeyEvent& enter);
    bool inBurst(const QKeyEvent& key) const;
    void expire();
    void release();

    QWidget& m_window;
    ScannerSettings m_settings;
    std::vector<Held> m_held;
    std::chrono::steady_clock::time_point m_last{};
    QTimer m_quiet;
    bool m_lastLook = false;
    bool m_releasing = false;
};

} // namespace provost::gui
