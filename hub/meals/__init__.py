"""Meals: who is expected at a meal, who was served, and what follows for kitchen, office and city. Pure."""
