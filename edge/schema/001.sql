-- The gateway's book. A record stands at position journal.number << 40 | sequence; its bytes are never changed.
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    raw BLOB NOT NULL
) STRICT;

-- One row for each run of the gateway whose records are, or were, in this file.
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    journal TEXT NOT NULL UNIQUE,
    boot TEXT NOT NULL,
    salvaged INTEGER NOT NULL DEFAULT 0,     -- 1: recovered from a damaged file that was set aside
    pruned_through INTEGER NOT NULL DEFAULT 0,
    pruned_head TEXT,                        -- digest of record pruned_through
    pruned_sig TEXT,                         -- the device's signature over both
    hub_held TEXT NOT NULL DEFAULT '[]',     -- JSON list of [first, last]
    city_held TEXT NOT NULL DEFAULT '[]',
    last INTEGER NOT NULL DEFAULT 0,         -- known when the journal was closed or salvaged; 0: read it from event
    settled_ms INTEGER                       -- Unix ms when every record of a closed journal was seen held by the city
) STRICT;

-- True time of each boot: wall clock = offset_ms + CLOCK_BOOTTIME, for ageing records before they are pruned.
CREATE TABLE boot (
    boot TEXT PRIMARY KEY,
    offset_ms INTEGER NOT NULL
) STRICT;
