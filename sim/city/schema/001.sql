-- What the city holds. `position` counts in the order of commits; bytes are never changed.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    journal TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    type TEXT NOT NULL,
    student TEXT,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (source, event_id)
) STRICT;
CREATE INDEX events_range ON events (journal, sequence);

-- Other bytes under a name that is taken.
CREATE TABLE conflicts (
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    raw BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (source, event_id, digest)
) STRICT;

-- Certain moments of each boot, as JSON; see protocol/anchors.py.
CREATE TABLE anchors (
    source TEXT NOT NULL,
    boot TEXT NOT NULL,
    kept TEXT NOT NULL,
    PRIMARY KEY (source, boot)
) STRICT, WITHOUT ROWID;
