"""Messages to parents: what is to be said when, and in which words. Pure."""
