-- The last transfers of a run that did not pass, in the form that provost-trace 1 replays. Secret
-- payloads are lengths only. As final as the verdict that it explains.
CREATE TABLE run_trace (
    run_id    INTEGER PRIMARY KEY REFERENCES run,
    transfers INTEGER NOT NULL CHECK (transfers >= 0),
    dropped   INTEGER NOT NULL CHECK (dropped >= 0),
    trace     TEXT NOT NULL CHECK (trace <> '')
) STRICT;

CREATE TRIGGER run_trace_is_final BEFORE UPDATE ON run_trace
BEGIN
    SELECT RAISE(ABORT, 'a trace is final');
END;
CREATE TRIGGER run_trace_stays BEFORE DELETE ON run_trace
BEGIN
    SELECT RAISE(ABORT, 'traces are never deleted');
END;
