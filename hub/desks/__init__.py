"""Desks: what people ask of a hub, by command or page, done in one transaction each and answered in words."""
