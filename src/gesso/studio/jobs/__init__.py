"""Jobs: what is waiting, what is worked on, each in a process of its own, and what became of it."""
