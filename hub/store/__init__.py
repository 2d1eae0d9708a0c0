"""What the hub keeps: one SQLite ledger, and the tables beside it that change in the same transactions."""
