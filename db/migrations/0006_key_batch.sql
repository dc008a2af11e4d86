-- One order to put keys into so many units. Its runs carry its number; what was done and what is
-- left to do follows from them, so that a station that died anywhere goes on where it was.
CREATE TABLE key_batch (
    key_batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE
                 CHECK (name <> '' AND name NOT GLOB '*[^A-Za-z0-9._-]*' AND name NOT GLOB '.*'),
    platform     TEXT NOT NULL CHECK (platform <> ''),
    plan_id      TEXT NOT NULL,
    plan_digest  TEXT NOT NULL,
    station      TEXT NOT NULL,
    wanted       INTEGER NOT NULL CHECK (wanted > 0),
    begun_utc    INTEGER NOT NULL
) STRICT;
CREATE TRIGGER key_batch_refuses_update BEFORE UPDATE ON key_batch
BEGIN
    SELECT RAISE(ABORT, 'a batch is final once it has begun');
END;
CREATE TRIGGER key_batch_refuses_delete BEFORE DELETE ON key_batch
BEGIN
    SELECT RAISE(ABORT, 'batches are never deleted');
END;

ALTER TABLE run ADD COLUMN key_batch_id INTEGER REFERENCES key_batch;
CREATE INDEX run_key_batch ON run (key_batch_id);
-- A run of a station that is not in production: its units are for practice.
ALTER TABLE run ADD COLUMN training INTEGER NOT NULL DEFAULT 0 CHECK (training IN (0, 1));

-- What happened at the station beside any run: a guard that refused, a private key that left in the
-- clear. `subject` is what it was about.
CREATE TABLE station_event (
    station_event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_utc           INTEGER NOT NULL,
    kind             TEXT NOT NULL CHECK (kind <> ''),
    subject          TEXT NOT NULL,
    payload          TEXT NOT NULL
) STRICT;
CREATE TRIGGER station_event_refuses_update BEFORE UPDATE ON station_event
BEGIN
    SELECT RAISE(ABORT, 'events of the station are append-only');
END;
CREATE TRIGGER station_event_refuses_delete BEFORE DELETE ON station_event
BEGIN
    SELECT RAISE(ABORT, 'events of the station are append-only');
END;
CREATE TRIGGER station_event_refuses_replace BEFORE INSERT ON station_event
WHEN EXISTS (SELECT 1 FROM station_event WHERE station_event_id = NEW.station_event_id)
BEGIN
    SELECT RAISE(ABORT, 'events of the station are append-only');
END;
