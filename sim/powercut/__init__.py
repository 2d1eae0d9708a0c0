"""Power cuts replayed: a real process's writes and syncs recorded, every state that a cut could leave rebuilt."""
