#include "host/key_manifest.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <algorithm>
#include <set>

namespace provost {

namespace {

constexpr const char* kFormat = "provost-key-manifest 1";
constexpr std::size_t kLargestManifest = std::size_t{256} << 20;
constexpr unsigned kManifestMode = 0644;

QString qt(const std::string& text)
{
    return QString::fromStdString(text);
}

QString base64(const Bytes& bytes)
{
    return QByteArray(reinterpret_cast<const char*>(bytes.data()),
                      static_cast<qsizetype>(bytes.size()))
        .toBase64();
}

/// RFC 4180. A label is foreign text: what a spreadsheet would take for a formula is quoted.
std::string csvField(std::string text)
{
    if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos)
        text.insert(text.begin(), '\'');
    if (text.find_first_of("\",\r\n") == std::string::npos)
        return text;
    std::string quoted = "\"";
    for (const char c : text)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

std::string csvOf(const KeyManifest& manifest)
{
    std::string csv =
        "device_id,label,file,outcome,held,fingerprint,public_key,run,finished_utc\r\n";
    for (const auto& unit : manifest.units)
        csv += concat(unit.deviceId, ",", csvField(unit.label), ",", csvField(unit.file), ",",
                      unit.outcome, ",", unit.held ? "1" : "0", ",", unit.fingerprint, ",",
                      base64(unit.publicDer).toStdString(), ",", unit.run, ",", unit.finishedUtc,
                      "\r\n");
    return csv;
}

int countOutcome(const KeyManifest& manifest, std::string_view outcome)
{
    return static_cast<int>(
        std::ranges::count(manifest.units, outcome, &ManifestUnit::outcome) +
        std::ranges::count(manifest.rejects, outcome, &ManifestReject::outcome));
}

QJsonObject countsOf(const KeyManifest& manifest)
{
    QJsonObject counts{
        {"wanted", manifest.wanted},
        {"done", static_cast<int>(manifest.units.size())},
        {"held", static_cast<int>(std::ranges::count(manifest.units, true, &ManifestUnit::held))}};
    for (const auto* outcome : {"injected", "kept", "made", "refused", "failed", "open"})
        counts.insert(outcome, countOutcome(manifest, outcome));
    return counts;
}

QJsonArray unitsOf(const KeyManifest& manifest)
{
    QJsonArray units;
    for (const auto& unit : manifest.units)
        units.append(QJsonObject{
            {"device_id", unit.deviceId.empty() ? QJsonValue() : QJsonValue(qt(unit.deviceId))},
            {"label", qt(unit.label)},
            {"file", unit.file.empty() ? QJsonValue() : QJsonValue(qt(unit.file))},
            {"outcome", qt(unit.outcome)},
            {"held", unit.held},
            {"fingerprint", qt(unit.fingerprint)},
            {"public_key", base64(unit.publicDer)},
            {"run", static_cast<qint64>(unit.run)},
            {"finished_utc", qt(unit.finishedUtc)}});
    return units;
}

QByteArray jsonOf(const KeyManifest& manifest, const std::string& csv, const SigningKey& key)
{
    QJsonArray rejects;
    for (const auto& reject : manifest.rejects)
        rejects.append(QJsonObject{{"device_id", qt(reject.deviceId)},
                                   {"outcome", qt(reject.outcome)},
                                   {"cause", qt(reject.cause)},
                                   {"run", static_cast<qint64>(reject.run)}});
    const bool complete = static_cast<int>(manifest.units.size()) >= manifest.wanted;
    return QJsonDocument(QJsonObject{{"format", kFormat},
                                     {"batch", qt(manifest.batch)},
                                     {"platform", qt(manifest.platform)},
                                     {"plan", qt(manifest.plan)},
                                     {"plan_digest", qt(manifest.planDigest)},
                                     {"station", qt(manifest.station)},
                                     {"begun_utc", qt(manifest.begunUtc)},
                                     {"simulated", manifest.simulated},
                                     {"training", manifest.training},
                                     {"complete", complete},
                                     {"counts", countsOf(manifest)},
                                     {"csv_sha256", qt(sha256Hex(viewOf(csv)))},
                                     {"signer", qt(key.verifyingKey().fingerprint())},
                                     {"units", unitsOf(manifest)},
                                     {"not_done", rejects}})
        .toJson(QJsonDocument::Indented);
}

Result<> writeSigned(const std::filesystem::path& file, ByteView content, const SigningKey& key)
{
    const Bytes signature = TRY(key.sign(content));
    TRY(writeDurably(file.string() + ".sig", signature, kManifestMode));
    return writeDurably(file, content, kManifestMode);
}

Result<Bytes> readSigned(const std::filesystem::path& file, const VerifyingKey& key)
{
    Bytes content = TRY(readFile(file, kLargestManifest));
    const Bytes signature = TRY(readFile(file.string() + ".sig", kSignatureBytes));
    if (signature.size() != kSignatureBytes || !key.verify(content, signature))
        return fail(Errc::Mismatch, Blame::Operator,
                    concat("verify ", file.string(),
                           ": its signature is not of this key over these bytes"));
    return content;
}

/// What a signature cannot say: that the station counted right.
Result<> checkUnits(const QJsonObject& manifest)
{
    std::set<QString> keys;
    std::set<QString> ids;
    const auto units = manifest["units"].toArray();
    for (const auto& each : units) {
        const auto unit = each.toObject();
        const auto fingerprint = unit["fingerprint"].toString();
        const auto der = QByteArray::fromBase64(unit["public_key"].toString().toLatin1());
        if (sha256Hex(
                std::as_bytes(std::span(der.constData(), static_cast<std::size_t>(der.size())))) !=
            fingerprint.toStdString())
            return fail(Errc::Mismatch, Blame::Operator,
                        concat("verify the manifest: the key of ",
                               unit["device_id"].toString().toStdString(),
                               " has another fingerprint"));
        const auto id = unit["device_id"].toString() + unit["file"].toString();
        if (!keys.insert(fingerprint).second || !ids.insert(id).second)
            return fail(
                Errc::Mismatch, Blame::Operator,
                concat("verify the manifest: a unit or a key is there twice: ", id.toStdString()));
    }
    if (manifest["counts"].toObject()["done"].toInt() != units.size())
        return fail(Errc::Mismatch, Blame::Operator,
                    "verify the manifest: it counts other units than it lists");
    return {};
}

} // namespace

Result<KeyManifest> manifestOf(const KeyBatch& batch, const std::vector<BatchUnit>& units)
{
    KeyManifest manifest{.batch = batch.name,
                         .platform = batch.platform,
                         .plan = batch.planId,
                         .planDigest = batch.planDigest,
                         .station = batch.station,
                         .begunUtc = batch.begunUtc,
                         .wanted = batch.wanted};
    std::set<std::string> keys;
    for (const auto& unit : units) {
        manifest.simulated = manifest.simulated || unit.simulated;
        manifest.training = manifest.training || unit.training;
        const std::string outcome(name(unit.outcome));
        if (!isDone(unit)) {
            manifest.rejects.push_back({.deviceId = unit.deviceId,
                                        .outcome = outcome,
                                        .cause = unit.cause,
                                        .run = unit.run.value});
            continue;
        }
        if (!keys.insert(unit.fingerprint).second)
            return fail(Errc::Corrupt, Blame::Station,
                        concat("sign the manifest of batch ", batch.name, ": key ",
                               unit.fingerprint, " is on two units; stop, call the engineer"));
        manifest.units.push_back({.deviceId = unit.deviceId,
                                  .label = unit.label,
                                  .outcome = outcome,
                                  .held = unit.held,
                                  .fingerprint = unit.fingerprint,
                                  .publicDer = unit.publicDer,
                                  .run = unit.run.value,
                                  .finishedUtc = unit.finishedUtc});
    }
    return manifest;
}

Result<> writeManifest(const std::filesystem::path& folder, const KeyManifest& manifest,
                       const SigningKey& key)
{
    TRY(makeFolder(folder));
    const std::string csv = csvOf(manifest);
    const QByteArray json = jsonOf(manifest, csv, key);
    TRY(writeDurably(folder / "station-key.pub.pem", viewOf(key.verifyingKey().toPem()),
                     kManifestMode));
    TRY(writeSigned(folder / "manifest.csv", viewOf(csv), key));
    return writeSigned(
        folder / "manifest.json",
        std::as_bytes(std::span(json.constData(), static_cast<std::size_t>(json.size()))), key);
}

Result<VerifiedManifest> verifyManifest(const std::filesystem::path& folder,
                                        const VerifyingKey& key)
{
    const Bytes json = TRY(readSigned(folder / "manifest.json", key));
    const Bytes csv = TRY(readSigned(folder / "manifest.csv", key));
    const auto manifest =
        QJsonDocument::fromJson(QByteArray(reinterpret_cast<const char*>(json.data()),
                                           static_cast<qsizetype>(json.size())))
            .object();
    if (manifest["format"].toString() != kFormat)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("verify ", folder.string(), "/manifest.json: it is no ", kFormat));
    if (manifest["csv_sha256"].toString().toStdString() != sha256Hex(csv))
        return fail(Errc::Mismatch, Blame::Operator,
                    concat("verify ", folder.string(),
                           "/manifest.csv: it belongs to another manifest.json"));
    TRY(checkUnits(manifest));
    return VerifiedManifest{.batch = manifest["batch"].toString().toStdString(),
                            .signer = key.fingerprint(),
                            .units = static_cast<int>(manifest["units"].toArray().size())};
}

} // namespace provost
