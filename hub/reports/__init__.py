"""Reports: what marks become for the school's book, the transcript and the city; built pure, written by writers."""
