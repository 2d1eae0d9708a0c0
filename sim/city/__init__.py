"""The reference K12 records service: what a city must do to hold each event exactly once."""
