-- The authenticity of taps: what was read of the ledger, and what was found. All of it can be made anew from the ledger.
CREATE TABLE card_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,                -- every record to here was judged
    round INTEGER NOT NULL,                   -- counts how often all was made anew
    names BLOB,                               -- which card key cards are named under; NULL: not begun
    proofs BLOB                               -- which keys proofs were checked with; NULL: some were not checked
) STRICT;
INSERT INTO card_cursor (one, position, round, names, proofs) VALUES (1, 0, 1, NULL, NULL);

-- What is known of each card, as JSON; see hub/cards/authenticity.py. Of an earlier round: forgotten.
CREATE TABLE cards (
    card TEXT PRIMARY KEY,                    -- the keyed id of the whole number under the newest card key
    state TEXT NOT NULL,
    round INTEGER NOT NULL
) STRICT;

-- Of each tap that came with a proof, or should have. A tap that has no row had none, and needed none.
CREATE TABLE card_verdicts (
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    counter INTEGER,
    PRIMARY KEY (journal, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE card_findings (
    number INTEGER PRIMARY KEY,
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    round INTEGER NOT NULL,
    UNIQUE (journal, sequence, code)
) STRICT;

-- From which record on a station needs proofs: what was tapped before it was said so is no fault.
CREATE TABLE card_policies (
    station TEXT PRIMARY KEY,                 -- DEVICE/STATION
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
