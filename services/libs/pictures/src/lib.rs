//! Draws benign pictures and alters them: test material for the demonstration, the tests and the load test.
