//! From a listener to a clean shutdown: layers, limits, deadlines, health, reflection.
