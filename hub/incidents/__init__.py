"""Incidents: who ate a meal and exactly when, of whom nobody knows it, and what is missing; as lists and as files."""
