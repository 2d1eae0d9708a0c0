"""The hub's backups: copies of a running hub in numbered folders, and a hub made of one again."""
