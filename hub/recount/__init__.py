"""The recount: a month's meals as a pack of raw records that anybody counts again, without a hub. Pure."""
