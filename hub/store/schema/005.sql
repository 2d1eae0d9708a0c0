-- Access to the pages and the JSON API. Of every secret only a hash lies here.
CREATE TABLE users (
    user INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,                -- what is typed to log in: small letters
    shown TEXT NOT NULL,
    secret TEXT,                              -- argon2id, encoded; NULL: no password was set yet
    role TEXT NOT NULL,
    class TEXT,                               -- bound to it
    until TEXT,                               -- the role's last day (ISO), NULL: none
    made_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE sessions (
    token BLOB PRIMARY KEY,                   -- SHA-256 of what the browser holds
    user INTEGER NOT NULL REFERENCES users (user),
    made_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    agent TEXT NOT NULL                       -- what the browser calls itself, for the list of one's own sessions
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user);

CREATE TABLE tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token BLOB NOT NULL UNIQUE,               -- SHA-256
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    class TEXT,
    until TEXT,
    made_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

-- One-time links: the first user's (user NULL), and those that set a password.
CREATE TABLE login_links (
    token BLOB PRIMARY KEY,                   -- SHA-256
    user INTEGER REFERENCES users (user),
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE login_failures (
    about TEXT PRIMARY KEY,                   -- `user <hash>` or `address <address>`
    count INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who looked at what and who changed what. Opaque keys only, no pupil's name.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    what TEXT NOT NULL,
    object TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('read', 'write')),
    outcome TEXT NOT NULL CHECK (outcome IN ('allowed', 'refused'))
) STRICT;
CREATE INDEX audit_who ON audit (who, number);

-- Append only: a row never changes, and only the oldest one can go.
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_goes BEFORE DELETE ON audit WHEN OLD.number <> (SELECT min(number) FROM audit)
BEGIN SELECT RAISE(ABORT, 'only the oldest row of the audit can go'); END;
