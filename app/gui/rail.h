// The screens, along the left edge.
#pragma once

#include "gui/icons.h"
#include "gui/theme.h"

#include <QAbstractButton>
#include <QWidget>

#include <vector>

namespace provost::gui {

enum class Screen : std::uint8_t { Line, Rework, Keys, Units, Images, Yield, Station };

class RailButton final : public QAbstractButton {
    Q_OBJECT

public:
    RailButton(const Theme& theme, Icon icon, const QString& text, QWidget* parent = nullptr);
    QSize sizeHint() const override { return {104, 72}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    const Theme& m_theme;
    Icon m_icon;
};

/// Screens that do not exist yet are shown, struck pale, and cannot be chosen.
class Rail final : public QWidget {
    Q_OBJECT

public:
    explicit Rail(const Theme& theme, QWidget* parent = nullptr);
    void setCurrent(Screen screen);
    void setCompact(bool compact);
    RailButton* button(Screen screen) const;

Q_SIGNALS:
    void chosen(provost::gui::Screen screen);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    const Theme& m_theme;
    std::vector<RailButton*> m_buttons;
};

} // namespace provost::gui
