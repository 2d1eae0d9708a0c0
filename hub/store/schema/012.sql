-- Incident packs that were made: what is to be remembered of each version, so that the next one names the difference.
CREATE TABLE incident_packs (
    scope TEXT NOT NULL,                      -- what was asked: hub/incidents/asking.py
    drill INTEGER NOT NULL,
    number INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    by TEXT NOT NULL,
    record TEXT NOT NULL,                     -- the hub's own record of it
    summary TEXT NOT NULL,                    -- JSON of protocol.records.IncidentPack
    kept BLOB NOT NULL,                       -- hub/incidents/versions.py: opaque keys, no names
    sent_ms INTEGER,
    PRIMARY KEY (scope, drill, number)
) STRICT, WITHOUT ROWID;
