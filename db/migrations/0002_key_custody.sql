-- What became of each private key, in order: made, burnt, proved, wrapped to the escrow key,
-- destroyed. `detail` says where and how; no private byte is ever in it.
CREATE TABLE key_custody (
    key_custody_id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint    TEXT NOT NULL
                   CHECK (length(fingerprint) = 64 AND fingerprint NOT GLOB '*[^0-9a-f]*'),
    event          TEXT NOT NULL
                   CHECK (event IN ('birth', 'burn', 'proof', 'escrow', 'destruction')),
    detail         TEXT NOT NULL,
    run_id         INTEGER NOT NULL REFERENCES run,
    journal_seq    INTEGER NOT NULL REFERENCES journal
) STRICT;
CREATE INDEX key_custody_fingerprint ON key_custody (fingerprint);

CREATE TRIGGER key_custody_refuses_update BEFORE UPDATE ON key_custody
BEGIN
    SELECT RAISE(ABORT, 'custody is append-only');
END;
CREATE TRIGGER key_custody_refuses_delete BEFORE DELETE ON key_custody
BEGIN
    SELECT RAISE(ABORT, 'custody is append-only');
END;
CREATE TRIGGER key_custody_refuses_replace BEFORE INSERT ON key_custody
WHEN EXISTS (SELECT 1 FROM key_custody WHERE key_custody_id = NEW.key_custody_id)
BEGIN
    SELECT RAISE(ABORT, 'custody is append-only');
END;
-- What is destroyed stays destroyed: a key that comes back is not ours to use.
CREATE TRIGGER key_custody_ends BEFORE INSERT ON key_custody
WHEN NEW.event IN ('birth', 'burn', 'escrow')
     AND EXISTS (SELECT 1 FROM key_custody
                 WHERE fingerprint = NEW.fingerprint AND event = 'destruction')
BEGIN
    SELECT RAISE(ABORT, 'this private key was destroyed');
END;

-- Equal keys are found by their number, whatever stands around it: the modulus of an RSA key of
-- 1024 bits, most of the point of a P-256 key.
CREATE INDEX unit_key_number ON unit_key (substr(public_der, 30, 128));
