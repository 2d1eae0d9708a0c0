-- The school's ledger. A record's bytes are never changed; `position` counts in the order of commits.
CREATE TABLE journals (
    number INTEGER PRIMARY KEY,
    journal TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    device TEXT,                              -- NULL: the hub's own
    held TEXT NOT NULL DEFAULT '[]',          -- JSON list of [first, last]: records in `events`
    parked TEXT NOT NULL DEFAULT '[]',        -- records set aside with their bytes
    pruned_through INTEGER NOT NULL DEFAULT 0, -- what the device says it pruned (the city holds it)
    city_held TEXT NOT NULL DEFAULT '[]',
    city_dead TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_name ON events (journal, sequence);

-- Each verified batch's header: the device's signature over a range, provable for every record by the chain.
CREATE TABLE headers (
    journal INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    key TEXT NOT NULL,
    sig TEXT NOT NULL,
    PRIMARY KEY (journal, first, last)
) STRICT, WITHOUT ROWID;

-- Records (journal and sequence set) and whole messages (NULL) that could not be taken, with their bytes.
CREATE TABLE parked (
    number INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    journal TEXT,
    sequence INTEGER,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_name ON parked (journal, sequence);
CREATE INDEX parked_device ON parked (device);

-- Other bytes under a name that the ledger already holds.
CREATE TABLE forks (
    journal TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    device TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (journal, sequence, digest)
) STRICT;

-- What a person should know; one row for each thing, counted.
CREATE TABLE alarms (
    code TEXT NOT NULL,
    device TEXT NOT NULL,
    detail TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (code, device, detail)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'retired')),
    expects TEXT,                             -- accepted before first contact: a fingerprint, '' for any key; NULL: bound
    config_version INTEGER NOT NULL DEFAULT 0,
    first_seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device_keys (
    device TEXT NOT NULL REFERENCES devices (device),
    key TEXT NOT NULL,
    box TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'retired')),
    hk0 TEXT,                                 -- the gateway's own card key, sealed to this hub
    first_seen_ms INTEGER NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;

-- Batches under a key that no person has accepted: kept, receipted, uncounted.
CREATE TABLE pending_batches (
    number INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    journal TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    head TEXT NOT NULL,
    payload BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (device, key, journal, first, last, head)
) STRICT;

CREATE TABLE card_keys (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    secret BLOB NOT NULL
) STRICT;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_releases (
    number INTEGER PRIMARY KEY,
    release TEXT NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;

-- The rows of the newest release only: names are kept no longer than they are needed.
CREATE TABLE roster_rows (
    pupil_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    class TEXT NOT NULL,
    card TEXT,                                -- canonical form, such as a:04A1B2C3D4E580
    UNIQUE (card)
) STRICT;
CREATE INDEX roster_pupils ON roster_rows (pupil_key);

-- The road to the city: every record to the cursor is answered or stands among the exceptions.
CREATE TABLE forward_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO forward_cursor (one, position) VALUES (1, 0);

CREATE TABLE forward_exceptions (
    position INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'held-back', 'dead', 'closed')),
    attempts INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    problem TEXT,
    boot TEXT,                                -- held back: source and boot whose anchor is awaited
    note TEXT
) STRICT;
CREATE INDEX forward_due ON forward_exceptions (state, due_ms);
CREATE INDEX forward_boot ON forward_exceptions (boot) WHERE boot IS NOT NULL;

-- Certain moments of each boot, for effective time, as JSON; see protocol/anchors.py.
CREATE TABLE anchors (
    source TEXT NOT NULL,
    boot TEXT NOT NULL,
    kept TEXT NOT NULL,
    PRIMARY KEY (source, boot)
) STRICT, WITHOUT ROWID;
