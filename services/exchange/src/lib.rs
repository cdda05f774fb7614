//! The exchange: follows sharing programmes.
