// The live handshake as arrows between two life lines.
#pragma once

#include "gui/theme.h"
#include "models/handshake_model.h"

#include <QWidget>

namespace provost::gui {

class HandshakeView final : public QWidget {
    Q_OBJECT

public:
    static constexpr int kHeadHeight = 30; ///< of the words above the life lines

    HandshakeView(const Theme& theme, HandshakeModel& model, QWidget* parent = nullptr);
    /// What to say while there is no arrow.
    void setEmptyText(const QString& title, const QString& advice);
    void refresh();
    /// How far down the first failed arrow is; 0: none failed.
    double failedArrow() const;
    /// So much is scrolled out above: the words over the life lines stay in sight.
    void keepHeadsAt(int top);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    void claimHeight();
    double margin() const;
    double compose(QPainter* painter) const;
    void drawHeads(QPainter& painter) const;
    double composeArrow(QPainter* painter, const QModelIndex& index, double top) const;
    void drawArrow(QPainter& painter, double y, bool toStation, const QColor& colour) const;

    const Theme& m_theme;
    HandshakeModel& m_model;
    int m_headsAt = 0;
    QString m_emptyTitle;
    QString m_emptyAdvice;
};

} // namespace provost::gui
