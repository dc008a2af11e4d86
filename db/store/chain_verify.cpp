// verifyChain: is the record what the station wrote, all of it, and nothing else?
#include "core/byte_io.h"
#include "core/text.h"
#include "store/journal_p.h"
#include "store/migrator.h"
#include "store/page_seal_p.h"
#include "store/verify_p.h"

namespace provost {

using chain::Checkpoint;
using chain::CheckpointFile;
using detail::ChainWalk;
using detail::Claim;
using sqlite::Access;
using sqlite::Connection;

namespace {

constexpr int kFirstChainedSchema = 7;

/// Checkpoints of the database and those that are kept elsewhere: what they say of the chain.
class Claims {
public:
    Claims(ChainWalk& walk, ChainReport& report, const VerifyingKey& key, Bytes databaseId)
        : m_walk(walk), m_report(report), m_key(key), m_fingerprint(key.fingerprint()),
          m_databaseId(std::move(databaseId))
    {
    }

    Result<> readDatabase(Connection& db)
    {
        auto rows = TRY(db.query(chain::checkpointColumns("ORDER BY chain_checkpoint_id")));
        while (TRY(rows.step())) {
            const Checkpoint checkpoint = chain::checkpointIn(rows);
            if (checkpoint.number != ++m_report.checkpoints)
                m_walk.offer(checkpoint.head.entry,
                             {.table = "chain_checkpoint",
                              .row = checkpoint.number,
                              .reason = concat("checkpoint ", m_report.checkpoints,
                                               " is missing before it")});
            m_report.checkpoints = checkpoint.number;
            take(checkpoint, "chain_checkpoint", false);
            m_last = checkpoint;
        }
        if (m_report.checkpoints == 0)
            m_walk.offer(ChainWalk::kBehindAll - 2,
                         {.table = "chain_checkpoint",
                          .row = 0,
                          .reason = "there is no checkpoint: the station did not sign its "
                                    "records, and nobody vouches for them"});
        else
            m_report.signedUtc = detail::utcText(m_last.atUtc);
        return {};
    }

    Result<> readElsewhere(const std::filesystem::path& place)
    {
        const CheckpointFile file(place, m_databaseId);
        std::error_code ignored;
        if (!std::filesystem::exists(file.path(), ignored))
            return fail(Errc::NotFound, Blame::Operator,
                        concat("read the checkpoints in ", file.path().string(),
                               ": there is no such file"));
        const auto kept = TRY(file.read());
        m_report.elsewhere = static_cast<std::int64_t>(kept.size());
        if (kept.empty())
            return fail(Errc::NotFound, Blame::Operator,
                        concat("read the checkpoints in ", file.path().string(),
                               ": none is of this database"));
        for (const Checkpoint& checkpoint : kept)
            take(checkpoint, file.path().string(), true);
        const Checkpoint& last = kept.back();
        if (last.number > m_last.number)
            m_walk.offer(m_last.head.entry + 1,
                         {.table = "chain_checkpoint",
                          .row = m_last.number + 1,
                          .reason = concat(
                              "it is missing, and all behind it: ", file.path().string(),
                              " has checkpoint ", last.number, " of ", detail::utcText(last.atUtc),
                              "; the database was cut, or is an older copy of "
                              "itself")});
        return {};
    }

    const Checkpoint& last() const { return m_last; }
    std::vector<Claim> take() { return std::move(m_claims); }

private:
    /// A claim counts if it is signed; what is not signed right is a finding.
    void take(const Checkpoint& checkpoint, const std::string& where, bool elsewhere)
    {
        const std::string text = chain::signedText(m_databaseId, checkpoint);
        if (checkpoint.signer == m_fingerprint &&
            m_key.verify(viewOf(text), checkpoint.signature)) {
            m_claims.push_back(
                {.head = checkpoint.head, .number = checkpoint.number, .elsewhere = elsewhere});
            return;
        }
        const bool other = checkpoint.signer != m_fingerprint;
        m_walk.offer(checkpoint.head.entry,
                     {.table = where,
                      .row = checkpoint.number,
                      .reason = other ? concat("it is signed by the key ", checkpoint.signer,
                                               ", not by ", m_fingerprint)
                                      : std::string("its signature does not fit what it says: it "
                                                    "was changed, or forged")});
    }

    ChainWalk& m_walk;
    ChainReport& m_report;
    const VerifyingKey& m_key;
    const std::string m_fingerprint;
    const Bytes m_databaseId;
    Checkpoint m_last{};
    std::vector<Claim> m_claims{};
};

/// A finding about one table, in the words of a report.
void offerFirst(ChainWalk& walk, const detail::Finding& finding)
{
    if (finding)
        walk.offer(0, *finding);
}

Result<> walkChain(Connection& db, int version, const VerifyingKey& key,
                   const std::filesystem::path& elsewhere, ChainReport& report)
{
    ChainWalk walk(db, report);
    offerFirst(walk, TRY(detail::checkSchema(db, version)));
    if (walk.found())
        return {};
    const auto layouts = TRY(chain::readLayouts(db));
    offerFirst(walk, TRY(detail::checkLayouts(db, layouts)));
    if (walk.found())
        return {};
    auto origin = TRY(chain::readOrigin(db));
    Claims claims(walk, report, key, std::move(origin.databaseId));
    TRY(claims.readDatabase(db));
    if (!elsewhere.empty())
        TRY(claims.readElsewhere(elsewhere));
    TRY(walk.run(layouts, claims.take()));
    report.unsignedEntries = report.entries - std::min(report.entries, claims.last().head.entry);
    return {};
}

Result<detail::Finding> checkPages(Connection& db, const std::filesystem::path& file,
                                   const VerifyingKey& key)
{
    const auto origin = TRY(chain::readOrigin(db));
    auto writer = TRY(chain::Writer::open(db));
    const auto head = TRY(writer.head());
    return chain::checkPageSeal(db, detail::canonicalName(file), key, origin.databaseId, head);
}

Result<ChainReport> verifyChainOf(const std::filesystem::path& file, const VerifyingKey& key,
                                  const std::filesystem::path& elsewhere)
{
    auto db = TRY(Connection::open(file, Access::Inspect));
    TRY(db.script("BEGIN"));
    const int version = TRY(schemaVersion(db));
    const int newest = static_cast<int>(releasedMigrations().size());
    if (version < kFirstChainedSchema || version > newest)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("verify the chain of ", file.string(), ": its schema ", version,
                           version > newest ? " is newer than this program; use the newer one"
                                            : " has no chain yet; the station's program brings it "
                                              "with its next start, for what comes then"));
    ChainReport report;
    TRY(walkChain(db, version, key, elsewhere, report));
    if (!report.problem)
        report.problem = TRY(detail::checkSequences(db));
    if (!report.problem)
        report.problem = TRY(detail::checkRecords(db, version == newest));
    if (!report.problem)
        report.problem = TRY(checkPages(db, file, key));
    return report;
}

} // namespace

Result<ChainReport> verifyChain(const std::filesystem::path& file, const VerifyingKey& key,
                                const std::filesystem::path& checkpoints)
{
    auto report = verifyChainOf(file, key, checkpoints);
    if (report)
        return report;
    // What cannot even be read, or is not ours, is a finding; what cannot be opened is an error.
    const Error& error = report.error();
    if (error.code != Errc::Corrupt && error.code != Errc::InvalidData &&
        error.code != Errc::Internal)
        return report;
    ChainReport damaged;
    damaged.problem = VerifyProblem{.table = "database", .row = 0, .reason = error.message};
    return damaged;
}

} // namespace provost
