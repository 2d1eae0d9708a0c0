"""Lists that people bring: Excel and CSV files read whole or not at all, every fault named by sheet, row and column."""
