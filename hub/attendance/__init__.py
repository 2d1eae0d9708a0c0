"""Attendance: what taps, teachers, leave notices and completeness say together of each pupil and half-day. Pure."""
