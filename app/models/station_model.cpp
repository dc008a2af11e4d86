#include "models/station_model.h"

#include "models/display_text.h"

#include <QFileInfo>

namespace provost {

namespace {

constexpr int kDigestShown = 8;

} // namespace

StationModel::StationModel(StationIdentity identity, QObject* parent)
    : QObject(parent), m_identity(std::move(identity))
{
}

void StationModel::apply(const StationEvent& event)
{
    const auto* notice = std::get_if<StationNotice>(&event);
    if (!notice)
        return;
    auto& known = m_notices[notice->subject];
    if (known.subject == notice->subject && known.good == notice->good &&
        known.text == notice->text)
        return;
    known = *notice;
    Q_EMIT changed();
}

QString StationModel::planTitle() const
{
    return m_identity.planTitle.empty() ? tr("No plan") : display::text(m_identity.planTitle);
}

QString StationModel::planBrief() const
{
    if (m_identity.planLine.empty())
        return {};
    return display::text(m_identity.planLine) + display::separator() +
           (m_identity.planApproved ? tr("approved") : tr("not approved"));
}

QString StationModel::planLine() const
{
    const QString brief = planBrief();
    if (brief.isEmpty() || m_identity.planDigest.empty())
        return brief;
    return brief + display::separator() +
           display::shortId(display::text(m_identity.planDigest), kDigestShown);
}

QString StationModel::planDetail() const
{
    if (m_identity.planDigest.empty())
        return {};
    return tr("SHA-256 of plan, platform and shipping state:\n%1")
        .arg(display::text(m_identity.planDigest));
}

QString StationModel::mark() const
{
    if (m_identity.simulated)
        return tr("SIMULATED");
    return m_identity.training ? tr("TRAINING") : QString();
}

std::vector<StationModel::Pill> StationModel::pills() const
{
    std::vector<Pill> pills{cloudPill(), databasePill()};
    if (!m_identity.stationName.empty())
        pills.push_back({.text = display::text(m_identity.stationName)});
    if (!m_identity.operatorName.empty())
        pills.push_back(operatorPill());
    return pills;
}

StationModel::Pill StationModel::operatorPill() const
{
    const QString who = tr("Operator %1").arg(display::text(m_identity.operatorName));
    if (m_identity.operatorSignedIn)
        return {.light = Light::Good, .text = who};
    return {.light = Light::Unknown,
            .text = who + display::separator() + tr("not signed in"),
            .brief = tr("%1, not signed in").arg(display::text(m_identity.operatorName)),
            .full = tr("The account that the station runs under; nobody has shown who he is.")};
}

StationModel::Pill StationModel::cloudPill() const
{
    const auto notice = m_notices.find("cloud");
    if (notice == m_notices.end())
        return {.light = Light::Unknown, .text = tr("Cloud %1").arg(display::unknown())};
    const QString said = display::text(notice->second.text);
    // Whoever reports may name the subject or not.
    const bool named = said.startsWith(QStringLiteral("cloud"), Qt::CaseInsensitive);
    return {.light = notice->second.good ? Light::Good : Light::Attention,
            .text = named ? said : tr("Cloud %1").arg(said)};
}

StationModel::Pill StationModel::databasePill() const
{
    const QString path = display::text(m_identity.databasePath);
    const QString name = QFileInfo(path).fileName();
    Pill pill{.light = Light::Good,
              .text = name.isEmpty() ? tr("Database") : tr("Database %1").arg(name),
              .brief = tr("Database"),
              .full = path};
    const auto notice = m_notices.find("outbox");
    if (notice != m_notices.end() && !notice->second.text.empty()) {
        const QString said = display::separator() + display::text(notice->second.text);
        pill.text += said;
        pill.brief += said;
        pill.light = notice->second.good ? Light::Good : Light::Attention;
    }
    const auto database = m_notices.find("database");
    if (database != m_notices.end() && !database->second.good) {
        pill.text = pill.brief = tr("Database \u00b7 %1").arg(display::text(database->second.text));
        pill.light = Light::Attention;
    }
    return pill;
}

} // namespace provost
