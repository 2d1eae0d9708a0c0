-- The people of the school: a mirror of what the city, or a list, says of them. Nobody edits it here.
CREATE TABLE pupils (
    pupil_key TEXT PRIMARY KEY,               -- opaque, for life: the only name that travels
    name TEXT NOT NULL,
    code TEXT UNIQUE,                         -- the school's (mã học sinh)
    city_id TEXT UNIQUE,                      -- the city's (OneRoster sourcedId)
    birth TEXT,                               -- ISO date
    sex TEXT CHECK (sex IN ('m', 'f')),
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'provisional', 'left')),
    origin TEXT NOT NULL CHECK (origin IN ('city', 'list', 'hand')),
    missing INTEGER NOT NULL DEFAULT 0        -- full pulls in a row without this pupil
) STRICT, WITHOUT ROWID;

-- Of which class a pupil is, from a day to another, both included; `last` NULL: until further notice.
CREATE TABLE enrolments (
    pupil_key TEXT NOT NULL REFERENCES pupils (pupil_key),
    first TEXT NOT NULL,
    last TEXT,
    class TEXT NOT NULL,
    PRIMARY KEY (pupil_key, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolments_class ON enrolments (class);

INSERT INTO pupils (pupil_key, name, state, origin)
    SELECT pupil_key, max(display_name), 'enrolled', 'list' FROM roster_rows GROUP BY pupil_key;
INSERT INTO enrolments (pupil_key, first, class)
    SELECT pupil_key, '0001-01-01', max(class) FROM roster_rows GROUP BY pupil_key;

-- When the city said that it holds these records, from a position to another; kept for some weeks.
CREATE TABLE city_answers (
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (first, last)
) STRICT, WITHOUT ROWID;
CREATE INDEX city_answers_time ON city_answers (at_ms);

-- From here on: what the ledger's records say, taken apart. All of it can be made anew from them (hub/days/daybook.py).
CREATE TABLE day_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,                -- every record to here was read
    attributed INTEGER NOT NULL               -- to here the city was told where a gateway took a tap for somebody else's
) STRICT;
INSERT INTO day_cursor (one, position, attributed) VALUES (1, 0, 0);

-- Cards held to a station. `best_ms` is where to look for it; the time that counts is worked out when it is asked for,
-- from boot, clock and the anchors of then. `card`: the canonical form where the raw read could be opened, else as sent.
CREATE TABLE taps (
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    point TEXT NOT NULL,
    dir TEXT,
    card TEXT NOT NULL,
    student TEXT,                             -- whose the gateway believed that it was
    decision TEXT NOT NULL,
    reason TEXT,
    boot TEXT NOT NULL,
    mono INTEGER NOT NULL,
    stated_ms INTEGER NOT NULL,
    err INTEGER,
    best_ms INTEGER NOT NULL,
    anchored INTEGER NOT NULL,
    PRIMARY KEY (journal, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX taps_time ON taps (best_ms);
CREATE INDEX taps_card ON taps (card, best_ms);
CREATE INDEX taps_student ON taps (student, best_ms);
CREATE INDEX taps_unanchored ON taps (journal) WHERE anchored = 0;

-- Whose taps were corrected: the newest word on each counts.
CREATE TABLE tap_corrections (
    tap TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    record TEXT NOT NULL,
    student TEXT,
    card TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (tap, at_ms, record)
) STRICT, WITHOUT ROWID;

-- What happened to cards. Whose a card was when follows from it (hub/cards/holdings.py). `from_ms` NULL: since ever.
CREATE TABLE card_changes (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    card TEXT NOT NULL,                       -- canonical form
    pupil_key TEXT NOT NULL,
    change TEXT NOT NULL,
    from_ms INTEGER,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO card_changes (record, at_ms, card, pupil_key, change, by)
    SELECT 'roster.' || card, 0, card, pupil_key, 'issued', 'roster' FROM roster_rows WHERE card IS NOT NULL;
DROP TABLE roster_rows;

-- What people said of a pupil's half-day (see hub/attendance/evidence.py); `seen_ms`: who was seen coming in, and when.
CREATE TABLE statements (
    record TEXT NOT NULL,
    pupil_key TEXT NOT NULL,
    day TEXT NOT NULL,
    half TEXT NOT NULL,
    state TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    how TEXT NOT NULL,
    seen_ms INTEGER,
    PRIMARY KEY (record, pupil_key, half)
) STRICT, WITHOUT ROWID;
CREATE INDEX statements_day ON statements (day);
CREATE INDEX statements_pupil ON statements (pupil_key, day);

CREATE TABLE leaves (
    record TEXT PRIMARY KEY,
    pupil_key TEXT NOT NULL,
    first_day TEXT NOT NULL,
    first_half TEXT NOT NULL,
    last_day TEXT NOT NULL,
    last_half TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leaves_days ON leaves (last_day, first_day);
CREATE TABLE leaves_withdrawn (
    leave TEXT NOT NULL,
    record TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (leave, record)
) STRICT, WITHOUT ROWID;

-- A class's half-day as a person signed it.
CREATE TABLE confirmations (
    record TEXT PRIMARY KEY,
    class TEXT NOT NULL,
    day TEXT NOT NULL,
    half TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX confirmations_day ON confirmations (day);

-- What gateways said of how far their records go, and whose records a person doesn't wait for.
CREATE TABLE watermarks (
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    complete_to_ms INTEGER NOT NULL,
    error_ms INTEGER,
    stations TEXT NOT NULL,                   -- JSON: station -> kind
    blind TEXT NOT NULL,                      -- JSON: [[station, since_ms, until_ms or null]] that saw nobody
    PRIMARY KEY (journal, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX watermarks_time ON watermarks (complete_to_ms);
-- Records of a journal that the gateway itself named as gone for good.
CREATE TABLE losses (
    journal TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (device, journal, first, last)
) STRICT, WITHOUT ROWID;
CREATE TABLE waivers (
    record TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    through_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The school's calendar and timetable, as one document from a day on; see hub/attendance/timetable.py.
CREATE TABLE timetables (
    first_day TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- From when on a device counts no more; NULL for one that was retired before this was written down.
ALTER TABLE devices ADD COLUMN retired_ms INTEGER;
