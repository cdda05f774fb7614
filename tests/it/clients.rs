//! Other people's clients, unmodified, against our servers.

mod feeds;
