"""Roster pulls against cities that forget, clamp, shift, lie and fail: nobody is lost, nobody stays for ever."""
