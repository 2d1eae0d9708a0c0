"""For all tests: examples are drawn on machines that others load, so no example is failed for its time."""

from hypothesis import HealthCheck, settings

settings.register_profile("k12edge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k12edge")
