-- The hash chain: what the station wrote is what stands here. Each change of a row of any other
-- table adds an entry, linked by SHA-256 to the entry before; checkpoints sign the last link. How the
-- bytes are made: db/store/chain.h.

-- Where the chain of this database begins. Rows that were there before are sealed as they are found.
CREATE TABLE chain_origin (
    chain_origin_id INTEGER PRIMARY KEY CHECK (chain_origin_id = 1),
    database_id     BLOB NOT NULL CHECK (length(database_id) = 16),
    at_utc          INTEGER NOT NULL
) STRICT;
INSERT INTO chain_origin
VALUES (1, randomblob(16), CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));

-- Which columns an entry seals, in order. A table that gains a column gains a layout; the older
-- entries stand for the columns that there were.
CREATE TABLE chain_layout (
    chain_layout_id INTEGER PRIMARY KEY,
    table_name      TEXT NOT NULL CHECK (table_name <> ''),
    columns         TEXT NOT NULL CHECK (columns <> '')
) STRICT;

-- `digest` is of the row as the change left it; `marks` has two bytes of each column, which name the
-- one that differs; `link` is over all that and the link before.
CREATE TABLE chain_entry (
    entry           INTEGER PRIMARY KEY CHECK (entry >= 1),
    chain_layout_id INTEGER NOT NULL REFERENCES chain_layout,
    row_id          INTEGER NOT NULL,
    change          TEXT NOT NULL CHECK (change IN ('add', 'change', 'remove', 'adopt')),
    at_utc          INTEGER NOT NULL,
    digest          BLOB NOT NULL CHECK (length(digest) = 32),
    marks           BLOB NOT NULL,
    link            BLOB NOT NULL CHECK (length(link) = 32)
) STRICT;

-- The station signed the chain up to `entry`. Kept in a second place, these lines find a database
-- that was cut or replaced by an older copy of itself.
CREATE TABLE chain_checkpoint (
    chain_checkpoint_id INTEGER PRIMARY KEY CHECK (chain_checkpoint_id >= 1),
    entry               INTEGER NOT NULL REFERENCES chain_entry,
    link                BLOB NOT NULL CHECK (length(link) = 32),
    at_utc              INTEGER NOT NULL,
    reason              TEXT NOT NULL CHECK (reason IN ('verdict', 'count', 'time', 'close')),
    signer              TEXT NOT NULL
                        CHECK (length(signer) = 64 AND signer NOT GLOB '*[^0-9a-f]*'),
    signature           BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

-- An arrow gets a number of its own: the chain knows rows by their number.
CREATE TABLE handshake_arrow_numbered (
    handshake_arrow_id INTEGER PRIMARY KEY,
    run_id             INTEGER NOT NULL REFERENCES run,
    session            INTEGER NOT NULL CHECK (session >= 1),
    position           INTEGER NOT NULL,
    from_device        INTEGER NOT NULL CHECK (from_device IN (0, 1)),
    what               TEXT NOT NULL,
    note               TEXT NOT NULL,
    bytes              INTEGER NOT NULL CHECK (bytes >= 0),
    at_ms              REAL NOT NULL,
    failed             INTEGER NOT NULL CHECK (failed IN (0, 1)),
    UNIQUE (run_id, session, position)
) STRICT;
INSERT INTO handshake_arrow_numbered (run_id, session, position, from_device, what, note, bytes,
                                      at_ms, failed)
SELECT run_id, session, position, from_device, what, note, bytes, at_ms, failed
FROM handshake_arrow ORDER BY run_id, session, position;
DROP TABLE handshake_arrow;
ALTER TABLE handshake_arrow_numbered RENAME TO handshake_arrow;

-- Nothing is ever deleted, whatever may still change.
CREATE TRIGGER unit_stays BEFORE DELETE ON unit
BEGIN
    SELECT RAISE(ABORT, 'units are never deleted');
END;
CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt
BEGIN
    SELECT RAISE(ABORT, 'attempts are never deleted');
END;
CREATE TRIGGER measurement_stays BEFORE DELETE ON measurement
BEGIN
    SELECT RAISE(ABORT, 'measurements are never deleted');
END;
CREATE TRIGGER unit_key_stays BEFORE DELETE ON unit_key
BEGIN
    SELECT RAISE(ABORT, 'keys are never deleted');
END;
CREATE TRIGGER image_use_stays BEFORE DELETE ON image_use
BEGIN
    SELECT RAISE(ABORT, 'images of a run are never deleted');
END;
CREATE TRIGGER handshake_arrow_stays BEFORE DELETE ON handshake_arrow
BEGIN
    SELECT RAISE(ABORT, 'arrows are never deleted');
END;
CREATE TRIGGER outbox_stays BEFORE DELETE ON outbox
BEGIN
    SELECT RAISE(ABORT, 'messages are never deleted');
END;

CREATE TRIGGER chain_origin_refuses_update BEFORE UPDATE ON chain_origin
BEGIN
    SELECT RAISE(ABORT, 'the chain begins once');
END;
CREATE TRIGGER chain_origin_refuses_delete BEFORE DELETE ON chain_origin
BEGIN
    SELECT RAISE(ABORT, 'the chain begins once');
END;
CREATE TRIGGER chain_layout_refuses_update BEFORE UPDATE ON chain_layout
BEGIN
    SELECT RAISE(ABORT, 'the chain is append-only');
END;
CREATE TRIGGER chain_layout_refuses_delete BEFORE DELETE ON chain_layout
BEGIN
    SELECT RAISE(ABORT, 'the chain is append-only');
END;
CREATE TRIGGER chain_entry_refuses_update BEFORE UPDATE ON chain_entry
BEGIN
    SELECT RAISE(ABORT, 'the chain is append-only');
END;
CREATE TRIGGER chain_entry_refuses_delete BEFORE DELETE ON chain_entry
BEGIN
    SELECT RAISE(ABORT, 'the chain is append-only');
END;
CREATE TRIGGER chain_checkpoint_refuses_update BEFORE UPDATE ON chain_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are final');
END;
CREATE TRIGGER chain_checkpoint_refuses_delete BEFORE DELETE ON chain_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are final');
END;
