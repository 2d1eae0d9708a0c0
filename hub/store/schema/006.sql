-- The city's roster as it was last pulled, row by row: what a delta is laid over, and what grace is counted by. Mirrored
-- from the city, and to be had from it again. `facts`: what is read of a row (hub/rostersync/rows.py), as JSON; NULL: it
-- could never be understood.
CREATE TABLE city_rows (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,                         -- OneRoster sourcedId
    modified_ms INTEGER,                      -- by the city's clock
    active INTEGER NOT NULL,                  -- 0: the city says that it goes
    missing INTEGER NOT NULL,                 -- in so many full pulls in a row it was missing
    unreadable INTEGER NOT NULL,              -- 1: its newest form couldn't be understood
    facts TEXT,
    PRIMARY KEY (collection, id)
) STRICT, WITHOUT ROWID;

-- What the next pull must know (hub/rostersync/settling.py), as JSON.
CREATE TABLE city_sync (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL
) STRICT;
