-- What the city was told of pupils' half-days, as the hub's own records say: the newest word, by number, time and record.
CREATE TABLE marks_told (
    day TEXT NOT NULL,
    half TEXT NOT NULL,
    pupil_key TEXT NOT NULL,
    class TEXT NOT NULL,
    category TEXT,                            -- NULL: what was told was taken back
    minutes INTEGER NOT NULL,
    derived INTEGER NOT NULL,                 -- 0: a person's word
    number INTEGER NOT NULL,
    record TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (day, half, pupil_key)
) STRICT, WITHOUT ROWID;

-- How far it was seen to (hub/days/marker.py): every record to `position`, every day to `last_day`.
CREATE TABLE marks_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    last_day TEXT                             -- NULL: none yet
) STRICT;
-- Days before this step are told only where something of them changes.
INSERT INTO marks_cursor (one, position) SELECT 1, coalesce(max(position), 0) FROM events;

-- Days of which something is still to come: a final moment, or records of some device.
CREATE TABLE marks_open (
    day TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Pupils who were erased: their key stays, so that the chain and every count do; nothing of the person does.
CREATE TABLE pupils_erased (
    pupil_key TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Records that aren't written down again as they were: taps of an erased pupil's cards keep whose they were (NULL:
-- nobody's) without the card; what happened to such a card isn't written down at all.
CREATE TABLE records_erased (
    record TEXT PRIMARY KEY,
    student TEXT
) STRICT, WITHOUT ROWID;
