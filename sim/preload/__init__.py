"""A preloaded library for real processes: their clocks told otherwise, their storage calls failed or slowed."""
