-- Meals. From here to `meal_months`: what the ledger's records say, taken apart; made anew from them like `taps`.

-- What a counter believed of a record of its own, and who entered it by hand. Its time and card stand in `taps`.
CREATE TABLE meal_taps (
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    said TEXT,                                -- JSON of protocol.meals.MealTap
    hand TEXT,                                -- JSON of protocol.meals.ByHand
    PRIMARY KEY (journal, sequence)
) STRICT, WITHOUT ROWID;

-- What people said of such a record: nobody was served, or somebody after all; the same tray, or a second helping.
CREATE TABLE serving_words (
    tap TEXT NOT NULL,
    record TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (tap, record)
) STRICT, WITHOUT ROWID;

-- Faces at the tray return.
CREATE TABLE meal_ratings (
    journal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    day TEXT NOT NULL,
    meal TEXT NOT NULL,
    point TEXT NOT NULL,
    face TEXT NOT NULL,
    PRIMARY KEY (journal, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_ratings_day ON meal_ratings (day, meal);

-- Who eats at school; `last` NULL: until further notice. `weekdays`, `meals`: words with blanks between.
CREATE TABLE meal_enrolments (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    pupil_key TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT,
    weekdays TEXT NOT NULL,
    meals TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_enrolments_pupil ON meal_enrolments (pupil_key);
CREATE TABLE meal_portions (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    pupil_key TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT,
    portion TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_portions_pupil ON meal_portions (pupil_key);

CREATE TABLE meal_cuts (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    pupil_key TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    meals TEXT NOT NULL,                      -- empty: all
    how TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_cuts_days ON meal_cuts (last, first);
CREATE TABLE meal_cuts_withdrawn (
    cut TEXT NOT NULL,
    record TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (cut, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE meal_closures (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    meals TEXT NOT NULL,                      -- empty: all
    closed INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_closures_day ON meal_closures (day);

CREATE TABLE meal_services (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    class TEXT NOT NULL,
    day TEXT NOT NULL,
    meal TEXT NOT NULL,
    served TEXT NOT NULL,                     -- pupil keys with blanks between
    seen_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_services_day ON meal_services (day);

-- Frozen sheets and what was adjusted since, a row for each class. `class` '': the row of a part without any.
CREATE TABLE meal_locks (
    record TEXT NOT NULL,
    class TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    meal TEXT NOT NULL,
    lock TEXT NOT NULL,
    version INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    frozen_ms INTEGER NOT NULL,
    rules TEXT NOT NULL,
    digest TEXT NOT NULL,
    closed INTEGER NOT NULL,
    by TEXT NOT NULL,
    numbers TEXT NOT NULL,                    -- JSON of protocol.mealrecords.Portions
    PRIMARY KEY (record, class)
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_locks_day ON meal_locks (day, meal);
CREATE TABLE meal_adjustments (
    record TEXT NOT NULL,
    class TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    meal TEXT NOT NULL,
    version INTEGER NOT NULL,
    number INTEGER NOT NULL,
    why TEXT NOT NULL,
    students TEXT NOT NULL,                   -- pupil keys with blanks between
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    numbers TEXT NOT NULL,
    PRIMARY KEY (record, class)
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_adjustments_day ON meal_adjustments (day, meal);

-- What a month came to, pupil by pupil, version by version. `pupil_key` '': the row of a part without any.
CREATE TABLE meal_months (
    record TEXT NOT NULL,
    pupil_key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    month TEXT NOT NULL,
    meal TEXT NOT NULL,
    version INTEGER NOT NULL,
    rules TEXT NOT NULL,
    evidence TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    numbers TEXT NOT NULL,                    -- JSON of protocol.mealrecords.MealDays
    PRIMARY KEY (record, pupil_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_months_month ON meal_months (month, meal, version);

-- From here on: what no record says.

-- The school's meals, as one document from a day on; see hub/meals/sittings.py.
CREATE TABLE meal_plans (
    first_day TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a pupil must not eat, in words for staff: health data. The newest row of a pupil counts.
CREATE TABLE diets (
    number INTEGER PRIMARY KEY,
    pupil_key TEXT NOT NULL,
    alerts TEXT NOT NULL,                     -- a line each; none: nothing any more
    confirmed INTEGER NOT NULL,               -- the school saw a paper
    at_ms INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT;
CREATE INDEX diets_pupil ON diets (pupil_key);

-- What is cooked: a dish of a meal of a day, where it came from, and the kept sample.
CREATE TABLE menus (
    day TEXT NOT NULL,
    meal TEXT NOT NULL,
    portion TEXT NOT NULL,
    dish TEXT NOT NULL,
    allergens TEXT NOT NULL,                  -- words with blanks between
    lot TEXT NOT NULL,
    supplier TEXT NOT NULL,
    sample TEXT NOT NULL DEFAULT '',          -- the label of the sample that is kept
    PRIMARY KEY (day, meal, portion, dish)
) STRICT, WITHOUT ROWID;

-- Who may take a shift at a counter: by a PIN, by a card, or both; and whose card it is when adults eat.
CREATE TABLE counter_staff (
    id TEXT PRIMARY KEY,                      -- what stands in records: no name
    shown TEXT NOT NULL,
    pin TEXT,                                 -- argon2id, RFC 9106, as text
    card TEXT UNIQUE,                         -- canonical form
    since_ms INTEGER NOT NULL,
    gone_ms INTEGER                           -- from when on no more
) STRICT, WITHOUT ROWID;

-- The newest version of the counters' sheet.
CREATE TABLE counter_sheets (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO counter_sheets (one, version) VALUES (1, 0);
