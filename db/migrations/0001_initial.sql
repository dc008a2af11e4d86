-- The first schema. Times are UTC milliseconds since 1970; NULL in a measurement means that it was
-- not taken, which is never 0. A file of a release is not edited any more: add the next number.

PRAGMA application_id = 0x50525653; -- "PRVS"

-- One board, known by the id that was read from its wire.
CREATE TABLE unit (
    unit_id        INTEGER PRIMARY KEY,
    device_id      TEXT NOT NULL UNIQUE
                   CHECK (length(device_id) = 24 AND device_id NOT GLOB '*[^0-9a-f]*'),
    label          TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'new'
                   CHECK (state IN ('new', 'pass', 'hold', 'fail', 'inspect')),
    simulated      INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    first_seen_utc INTEGER NOT NULL,
    last_seen_utc  INTEGER NOT NULL
) STRICT;
CREATE INDEX unit_label ON unit (label);

-- One execution of a plan in a slot. `unit_id` is NULL until the device id was read.
CREATE TABLE run (
    run_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    unit_id       INTEGER REFERENCES unit,
    slot          INTEGER NOT NULL CHECK (slot >= 0),
    label         TEXT NOT NULL,
    route         TEXT NOT NULL DEFAULT '',
    plan_id       TEXT NOT NULL,
    plan_revision INTEGER NOT NULL CHECK (plan_revision >= 0),
    plan_digest   TEXT NOT NULL
                  CHECK (plan_digest = '' OR
                         (length(plan_digest) = 64 AND plan_digest NOT GLOB '*[^0-9a-f]*')),
    station       TEXT NOT NULL,
    simulated     INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    started_utc   INTEGER NOT NULL,
    finished_utc  INTEGER,
    seconds       REAL CHECK (seconds >= 0),
    verdict       TEXT CHECK (verdict IN ('pass', 'hold', 'fail', 'aborted', 'error')),
    cause         TEXT NOT NULL DEFAULT '',
    error         TEXT NOT NULL DEFAULT '',
    CHECK ((verdict IS NULL) = (finished_utc IS NULL)),
    CHECK ((verdict IS NULL) = (seconds IS NULL)),
    CHECK (verdict IS NULL OR verdict <> 'pass' OR unit_id IS NOT NULL)
) STRICT;
CREATE INDEX run_unit ON run (unit_id);
CREATE INDEX run_finished ON run (finished_utc);
CREATE INDEX run_plan ON run (plan_id);

CREATE TRIGGER run_verdict_is_final BEFORE UPDATE ON run WHEN OLD.verdict IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a run that has its verdict is final');
END;
CREATE TRIGGER run_stays BEFORE DELETE ON run
BEGIN
    SELECT RAISE(ABORT, 'runs are never deleted');
END;
-- REPLACE deletes without asking the delete trigger.
CREATE TRIGGER run_is_not_replaced BEFORE INSERT ON run
WHEN EXISTS (SELECT 1 FROM run WHERE run_id = NEW.run_id)
BEGIN
    SELECT RAISE(ABORT, 'runs are never replaced');
END;

-- One try of one step.
CREATE TABLE attempt (
    attempt_id INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES run,
    position   INTEGER NOT NULL CHECK (position >= 1),
    step       TEXT NOT NULL,
    name       TEXT NOT NULL,
    attempt    INTEGER NOT NULL CHECK (attempt >= 1),
    verdict    TEXT NOT NULL
               CHECK (verdict IN ('not-run', 'pass', 'hold', 'fail', 'aborted', 'error')),
    seconds    REAL NOT NULL CHECK (seconds >= 0),
    note       TEXT NOT NULL,
    cause      TEXT NOT NULL,
    error      TEXT NOT NULL,
    UNIQUE (run_id, position)
) STRICT;

-- A named value with its limit: times, rates, signal strength. At most one of the three value
-- columns is set; with none the value was to be measured and was not, and cannot pass.
CREATE TABLE measurement (
    measurement_id INTEGER PRIMARY KEY,
    attempt_id     INTEGER NOT NULL REFERENCES attempt,
    position       INTEGER NOT NULL CHECK (position >= 1),
    name           TEXT NOT NULL CHECK (name <> ''),
    number         REAL,
    words          TEXT,
    flag           INTEGER CHECK (flag IN (0, 1)),
    minimum        REAL,
    maximum        REAL,
    unit           TEXT NOT NULL,
    verdict        TEXT NOT NULL
                   CHECK (verdict IN ('not-run', 'pass', 'hold', 'fail', 'aborted', 'error')),
    UNIQUE (attempt_id, position),
    CHECK ((number IS NOT NULL) + (words IS NOT NULL) + (flag IS NOT NULL) <= 1),
    CHECK (verdict <> 'pass' OR number IS NOT NULL OR words IS NOT NULL OR flag IS NOT NULL),
    CHECK (minimum IS NULL OR maximum IS NULL OR minimum <= maximum)
) STRICT;
CREATE INDEX measurement_name ON measurement (name);

-- Append-only: what is about to be done to silicon, how it ended, and everything else in order.
-- `subject` is the effect of `intend` and `settle`, the fingerprint of `key`, the device id of
-- `identify` and `inspected`.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id  INTEGER NOT NULL REFERENCES run,
    at_utc  INTEGER NOT NULL,
    kind    TEXT NOT NULL CHECK (kind <> ''),
    subject TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX journal_run ON journal (run_id);
CREATE INDEX journal_intent ON journal (kind, subject)
    WHERE kind IN ('intend', 'settle', 'inspected');

CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
CREATE TRIGGER journal_refuses_replace BEFORE INSERT ON journal
WHEN EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

-- Intents of which nobody knows how they ended: not settled, and the unit not inspected since.
CREATE VIEW unsettled_intent AS
SELECT i.seq, i.run_id, r.unit_id, i.at_utc, i.subject AS effect, i.payload
FROM journal AS i JOIN run AS r ON r.run_id = i.run_id
WHERE i.kind = 'intend'
  AND NOT EXISTS (SELECT 1 FROM journal AS s
                  WHERE s.kind = 'settle' AND s.subject = i.subject
                    AND s.run_id = i.run_id AND s.seq > i.seq)
  AND NOT EXISTS (SELECT 1 FROM unit AS u JOIN journal AS c ON c.subject = u.device_id
                  WHERE u.unit_id = r.unit_id AND c.kind = 'inspected' AND c.seq > i.seq);

-- Public keys and their history; a private key is never here. 'refused': seen on this unit while
-- another unit owns it.
CREATE TABLE unit_key (
    unit_key_id INTEGER PRIMARY KEY,
    unit_id     INTEGER NOT NULL REFERENCES unit,
    fingerprint TEXT NOT NULL
                CHECK (length(fingerprint) = 64 AND fingerprint NOT GLOB '*[^0-9a-f]*'),
    public_der  BLOB NOT NULL CHECK (length(public_der) > 0),
    state       TEXT NOT NULL
                CHECK (state IN ('journalled', 'burnt', 'proved', 'registered', 'superseded',
                                 'refused')),
    origin      TEXT NOT NULL CHECK (origin IN ('generated', 'kept')),
    run_id      INTEGER NOT NULL REFERENCES run,
    journal_seq INTEGER NOT NULL REFERENCES journal,
    UNIQUE (unit_id, fingerprint)
) STRICT;
CREATE UNIQUE INDEX unit_key_one_owner ON unit_key (fingerprint) WHERE state <> 'refused';

-- Which image, by its bytes, went into a unit.
CREATE TABLE image_use (
    image_use_id   INTEGER PRIMARY KEY,
    run_id         INTEGER NOT NULL REFERENCES run,
    role           TEXT NOT NULL CHECK (role <> ''),
    version        TEXT NOT NULL,
    sha256         TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    module_version INTEGER NOT NULL
) STRICT;
CREATE INDEX image_use_run ON image_use (run_id);

-- The arrows of each handshake that a run saw.
CREATE TABLE handshake_arrow (
    run_id      INTEGER NOT NULL REFERENCES run,
    session     INTEGER NOT NULL CHECK (session >= 1),
    position    INTEGER NOT NULL,
    from_device INTEGER NOT NULL CHECK (from_device IN (0, 1)),
    what        TEXT NOT NULL,
    note        TEXT NOT NULL,
    bytes       INTEGER NOT NULL CHECK (bytes >= 0),
    at_ms       REAL NOT NULL,
    failed      INTEGER NOT NULL CHECK (failed IN (0, 1)),
    PRIMARY KEY (run_id, session, position)
) STRICT, WITHOUT ROWID;

-- What the cloud is still to be told. The idempotency key means one thing for ever.
CREATE TABLE outbox (
    outbox_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id          INTEGER NOT NULL REFERENCES run,
    kind            TEXT NOT NULL CHECK (kind <> ''),
    idempotency_key TEXT NOT NULL UNIQUE CHECK (idempotency_key <> ''),
    device_id       TEXT REFERENCES unit (device_id),
    payload         TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'superseded')),
    tries           INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    created_utc     INTEGER NOT NULL,
    last_error      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX outbox_state ON outbox (state);
