// What a verdict means: the box under the handshake.
#pragma once

#include "gui/theme.h"
#include "models/diagnosis.h"

#include <QWidget>

namespace provost::gui {

class DiagnosisCard final : public QWidget {
    Q_OBJECT

public:
    explicit DiagnosisCard(const Theme& theme, QWidget* parent = nullptr);
    /// Hidden where there is nothing to say yet.
    void show(const Diagnosis& diagnosis);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    double compose(QPainter* painter) const;
    double composeBox(QPainter* painter, double top) const;
    double composeProofs(QPainter* painter, double top) const;

    const Theme& m_theme;
    Diagnosis m_diagnosis;
};

} // namespace provost::gui
