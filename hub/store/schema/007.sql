-- Messages to parents: who may be told of a pupil, and the outbox. No name stands here: erasing a pupil's row is enough.
CREATE TABLE consents (
    pupil_key TEXT PRIMARY KEY,
    given INTEGER NOT NULL CHECK (given IN (0, 1)),   -- no row: no consent
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    number INTEGER PRIMARY KEY,               -- the order in which they are sent
    key TEXT NOT NULL UNIQUE,                 -- for life: a receiver that has it takes it no second time
    pupil_key TEXT NOT NULL,
    day TEXT NOT NULL,
    half TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,                      -- waiting, sent, refused, expired, cancelled
    attempts INTEGER NOT NULL DEFAULT 0,      -- committed before each: 0 means that nobody can have got it
    next_ms INTEGER NOT NULL DEFAULT 0,       -- not before
    made_ms INTEGER NOT NULL,
    valid_until_ms INTEGER NOT NULL,          -- from then on it is sent no more
    done_ms INTEGER,                          -- when it left `waiting`
    detail TEXT NOT NULL DEFAULT '',          -- what the receiver or the hub said of it
    body TEXT NOT NULL                        -- the whole message as JSON; see hub/messages/planning.py
) STRICT;
CREATE INDEX messages_waiting ON messages (number) WHERE state = 'waiting';
CREATE INDEX messages_of ON messages (pupil_key, day, half);
CREATE INDEX messages_done ON messages (done_ms) WHERE done_ms IS NOT NULL;
