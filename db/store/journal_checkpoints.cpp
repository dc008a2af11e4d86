// Journal: when the chain is signed, and where the signatures are kept besides.
#include "core/byte_io.h"
#include "core/text.h"
#include "store/journal_p.h"
#include "store/page_seal_p.h"

namespace provost {

using chain::Checkpoint;
using chain::CheckpointFile;
using chain::Head;
using sqlite::Connection;

namespace {

Unexpected brokenChain(const std::string& file, std::string_view what)
{
    return fail(Errc::Corrupt, Blame::Station,
                concat("sign the records in ", file, ": ", what,
                       "; keep the file as it is, let an engineer run provost db verify on it"));
}

/// Whoever signs vouches for what lies behind the last signature, too.
Result<> checkTail(Connection& db, const Checkpoint& last)
{
    Sha256 link{};
    if (last.number > 0) {
        auto row = TRY(db.query("SELECT link FROM chain_entry WHERE entry = ?", {last.head.entry}));
        const bool found = TRY(row.step());
        if (!found || chain::sha256In(row, 0) != last.head.link)
            return brokenChain(db.file(), concat("checkpoint ", last.number,
                                                 " does not fit the entries before it"));
        link = last.head.link;
    } else {
        const auto origin = TRY(chain::readOrigin(db));
        link = chain::linkOf(origin);
    }
    auto rows = TRY(db.query(concat(chain::kEntryColumns, "WHERE entry > ? ORDER BY entry"),
                             {last.head.entry}));
    while (TRY(rows.step())) {
        const auto entry = chain::entryIn(rows);
        link = chain::linkOf(link, entry);
        if (link != chain::linkIn(rows))
            return brokenChain(db.file(),
                               concat("entry ", entry.number, " of its chain was changed"));
    }
    return {};
}

/// The database knows everything that is kept elsewhere, or it is not the one that it was.
Result<> checkKept(Connection& db, const CheckpointFile& file, const std::vector<Checkpoint>& kept)
{
    if (kept.empty())
        return {};
    const Checkpoint& last = kept.back();
    const auto known = TRY(db.integer(
        "SELECT count(*) FROM chain_checkpoint WHERE chain_checkpoint_id = ? AND link = ?",
        {last.number, ByteView(last.head.link)}));
    if (known == 1)
        return {};
    return brokenChain(db.file(),
                       concat("checkpoint ", last.number, " of ", detail::utcText(last.atUtc),
                              " stands in ", file.path().string(),
                              " and not in the database, which is cut or an older copy"));
}

/// Those that are not kept elsewhere yet, as lines.
Result<std::string> missingLines(Connection& db, const CheckpointFile& file, std::int64_t kept)
{
    std::string lines;
    auto rows = TRY(db.query(
        chain::checkpointColumns("WHERE chain_checkpoint_id > ? ORDER BY chain_checkpoint_id"),
        {kept}));
    while (TRY(rows.step()))
        lines += file.lineOf(chain::checkpointIn(rows));
    return lines;
}

} // namespace

Result<> Journal::signCheckpoints(CheckpointSettings settings)
{
    ENSURE(settings.key != nullptr);
    auto& impl = *m_impl;
    const MutexLock guard(impl.mutex);
    if (!impl.writer)
        return fail(
            Errc::Denied, Blame::Software,
            concat("sign the records in ", impl.file.string(), ": it was opened for reading only"));
    const auto origin = TRY(chain::readOrigin(*impl.writer));
    const Checkpoint last = TRY(chain::lastCheckpoint(*impl.writer));
    TRY(checkTail(*impl.writer, last));
    std::optional<CheckpointFile> elsewhere;
    if (!settings.elsewhere.empty()) {
        elsewhere.emplace(settings.elsewhere, origin.databaseId);
        const auto kept = TRY(elsewhere->read());
        TRY(checkKept(*impl.writer, *elsewhere, kept));
        const auto lines =
            TRY(missingLines(*impl.writer, *elsewhere, kept.empty() ? 0 : kept.back().number));
        TRY(elsewhere->append(lines)); // nothing to say is a try as well
    }
    impl.signing.emplace(Signing{.key = std::move(settings.key),
                                 .rules = settings.rules,
                                 .databaseId = origin.databaseId,
                                 .elsewhere = std::move(elsewhere),
                                 .last = last});
    return {};
}

std::optional<std::string_view> Journal::Impl::whyDue(const Head& head, Occasion occasion) const
{
    const Checkpoint& last = signing->last;
    const auto open = head.entry - last.head.entry;
    if (open == 0)
        return std::nullopt;
    if (occasion == Occasion::Verdict)
        return "verdict";
    if (occasion == Occasion::Closing)
        return "close";
    if (open >= signing->rules.entries)
        return "count";
    const std::chrono::milliseconds age{now() - last.atUtc};
    return last.number > 0 && age >= signing->rules.age ? std::optional<std::string_view>("time")
                                                        : std::nullopt;
}

Result<std::optional<Checkpoint>> Journal::Impl::signIfDue(Occasion occasion)
{
    if (!signing)
        return std::optional<Checkpoint>{};
    const Head head = TRY(sealer->head());
    const auto why = whyDue(head, occasion);
    if (!why)
        return std::optional<Checkpoint>{};
    Checkpoint made{.number = signing->last.number + 1,
                    .head = head,
                    .atUtc = now(),
                    .reason = std::string(*why),
                    .signer = signing->key->verifyingKey().fingerprint()};
    const std::string text = chain::signedText(signing->databaseId, made);
    made.signature = TRY(signing->key->sign(viewOf(text)));
    TRY(chain::insertCheckpoint(*writer, made));
    return std::optional(std::move(made));
}

void Journal::Impl::signedNow(Checkpoint checkpoint)
{
    if (signing->elsewhere)
        signing->waiting += signing->elsewhere->lineOf(checkpoint);
    signing->last = std::move(checkpoint);
}

// What is shown and shipped does not wait for another disk, and no lock is held for it: the lines
// that could not be kept go with the next ones.
void Journal::Impl::keepElsewhere()
{
    bool changed = false;
    Result<> kept;
    std::string place;
    {
        const MutexLock keeping(keepMutex);
        std::optional<CheckpointFile> to;
        std::string lines;
        bool failedBefore = false;
        {
            const MutexLock guard(mutex);
            if (!signing || !signing->elsewhere || signing->waiting.empty())
                return;
            to = signing->elsewhere;
            lines = std::exchange(signing->waiting, {});
            failedBefore = signing->keepingFailed;
        }
        place = to->path().string();
        kept = to->append(lines);
        changed = failedBefore == kept.has_value();
        const MutexLock guard(mutex);
        signing->keepingFailed = !kept;
        if (!kept)
            signing->waiting.insert(0, lines);
    }
    if (changed)
        noteKeeping(kept ? std::string("caught up") : describe(kept.error()),
                    kept ? "checkpoints-kept" : "checkpoints-not-kept", place);
}

void Journal::Impl::noteKeeping(const std::string& what, std::string_view kind,
                                const std::string& place)
{
    // A station that cannot write this either says so with its next row.
    static_cast<void>(write("note where checkpoints are kept", [&](Connection& db) {
        return db.execute(
            "INSERT INTO station_event (at_utc, kind, subject, payload) VALUES (?, ?, ?, ?)",
            {now(), kind, place, what});
    }));
}

Result<> Journal::checkpointsKept()
{
    const MutexLock guard(m_impl->mutex);
    if (!m_impl->signing || !m_impl->signing->keepingFailed)
        return {};
    return fail(Errc::Io, Blame::Station,
                concat("keep checkpoints in ", m_impl->signing->elsewhere->path().string(),
                       ": the last ones could not be written; make the place writable, they "
                       "follow with the next verdict"));
}

void Journal::Impl::close()
{
    bool signs = false;
    {
        const MutexLock guard(mutex);
        signs = signing.has_value();
    }
    if (signs)
        static_cast<void>(write(
            "sign the records on closing", [](Connection&) -> Result<> { return {}; },
            Occasion::Closing));
    keepElsewhere();
    if (signs)
        sealPages();
}

// A closed file has no second copy of anything: what is changed in it from here on can be told by
// its bytes. Reading it through our own connection's locks would lose them, so that goes first.
void Journal::Impl::sealPages()
{
    const MutexLock guard(mutex);
    const auto head = sealer->head();
    sealer.reset();
    writer.reset();
    if (head && head->entry == signing->last.head.entry)
        static_cast<void>(chain::writePageSeal(file, *signing->key, signing->databaseId, *head));
}

} // namespace provost
