-- Files for the city: who said that a number was sent, a projection of the records `files.sent`.
CREATE TABLE files_sent (
    record TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    manifest TEXT NOT NULL,                   -- SHA-256 of manifest.json as it was then
    by TEXT NOT NULL,
    sent_to TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
