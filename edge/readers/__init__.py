"""Card readers: one driver a file, opened by URL; presence and supervision are shared."""
