"""Cards: whose each one was, what its number is called, and whether it is the one it says it is."""
