//! The one durable truth: banks, items and the log of their changes.
