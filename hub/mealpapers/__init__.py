"""Meal papers: what kitchens, parents and offices read of meals - sheets, slips, months - ready to print. Pure."""
