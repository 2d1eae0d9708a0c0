"""The screens at a counter: the pupil's page and the staff's, served to browsers on this machine alone."""
