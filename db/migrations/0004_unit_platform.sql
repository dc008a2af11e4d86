-- The product family that a unit showed itself to be when it was identified last: photon, p1, electron,
-- core. Empty in rows that only older programs wrote: not known.
ALTER TABLE unit ADD COLUMN platform TEXT NOT NULL DEFAULT '';
