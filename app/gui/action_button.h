// A button with its key beside it.
#pragma once

#include "gui/icons.h"
#include "gui/theme.h"

#include <QAbstractButton>

namespace provost::gui {

class ActionButton final : public QAbstractButton {
    Q_OBJECT

public:
    enum class Rank : std::uint8_t { Primary, Normal };

    ActionButton(const Theme& theme, const QString& text, const QString& key, Rank rank,
                 QWidget* parent = nullptr);
    void setTextSize(int pixels);
    void setLeadingIcon(Icon icon);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QFont keyFont() const;
    double keyWidth() const;

    const Theme& m_theme;
    QString m_key;
    Rank m_rank;
    int m_textSize = 22;
    std::optional<Icon> m_leading;
};

} // namespace provost::gui
