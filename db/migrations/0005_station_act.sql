-- What people decided about the station itself, in order; of a slot the latest act holds. `actor`
-- is who was signed in to the computer. Virtual and real slots have the same numbers.
CREATE TABLE station_act (
    station_act_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_utc         INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('slot-off', 'slot-on')),
    slot           INTEGER NOT NULL CHECK (slot >= 1),
    simulated      INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    actor          TEXT NOT NULL CHECK (actor <> ''),
    why            TEXT NOT NULL
) STRICT;
CREATE INDEX station_act_slot ON station_act (simulated, slot);

CREATE TRIGGER station_act_refuses_update BEFORE UPDATE ON station_act
BEGIN
    SELECT RAISE(ABORT, 'acts are append-only');
END;
CREATE TRIGGER station_act_refuses_delete BEFORE DELETE ON station_act
BEGIN
    SELECT RAISE(ABORT, 'acts are append-only');
END;
-- REPLACE deletes without asking the delete trigger.
CREATE TRIGGER station_act_refuses_replace BEFORE INSERT ON station_act
WHEN EXISTS (SELECT 1 FROM station_act WHERE station_act_id = NEW.station_act_id)
BEGIN
    SELECT RAISE(ABORT, 'acts are append-only');
END;
