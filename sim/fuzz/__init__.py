"""Fuzzing: every parser of the road against hostile inputs, each named by parser, seed and number."""
