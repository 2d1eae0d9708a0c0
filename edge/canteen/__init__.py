"""The counter of a canteen: servings, who is expected, and what other counters say; pure but for its shells."""
