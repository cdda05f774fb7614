//! The log of a small application: counters by name, which nobody but these tests knows.
