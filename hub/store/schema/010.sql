-- The day on which it was said that a pupil left: from it, or from their last day where that is later, counts how long
-- they are kept. NULL: a pupil of the school, or one of whom no build said it; `hub retention` then counts from its run.
ALTER TABLE pupils ADD COLUMN left_on TEXT;
UPDATE pupils SET left_on = (SELECT max(last) FROM enrolments AS e WHERE e.pupil_key = pupils.pupil_key)
    WHERE state = 'left';
