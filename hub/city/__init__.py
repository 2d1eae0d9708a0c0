"""The road to the city: one adapter a file."""
