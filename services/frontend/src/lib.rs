//! Decodes and hashes what is sent, asks the coordinator, answers; keeps nothing.
