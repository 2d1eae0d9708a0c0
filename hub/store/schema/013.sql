-- What parents said of their child's meals, and the school's answers; from the records, made anew from them like `taps`.
CREATE TABLE meal_complaints (
    record TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    pupil_key TEXT NOT NULL,
    month TEXT NOT NULL,
    day TEXT,                                 -- NULL: of the whole month
    meal TEXT,
    says TEXT NOT NULL,
    answers TEXT,                             -- the complaint's record; NULL: this is a complaint
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meal_complaints_month ON meal_complaints (month, pupil_key);
