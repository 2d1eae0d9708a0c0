"""Emulated devices on real pseudo-terminals: what a driver meets in the field, faults included."""
