"""The demonstration: a fast school day over the whole chain, parts killed in the middle, a reckoning at the end."""
