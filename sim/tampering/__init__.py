"""The tampering campaign: journals changed by hand in every way, proven by the real `verify`, the bad record named."""
