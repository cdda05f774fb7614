//! The exchange follows hash-sharing programmes and stores what they share in banks. If configured, it also
//! submits a member's own items to the programmes.
//!
//! Always true:
//!
//! - **Cursor and items move together.** The bank stores the records of a page and the cursor after it in one
//!   transaction. After a crash at any time, a round continues from the stored cursor, and the bank ends with
//!   what the programme shares.
//! - **Nothing is skipped.** A page that cannot be read, a checkpoint that goes back, or a round that would
//!   remove too much stops the exchange with an alarm, and leaves the cursor unchanged.
//! - **Withdrawals come first**, within a page and within a call.
//! - **Write-back is off by default.** It sends each change at least once, and never an item that came from a
//!   programme. The same holds for opinions of the owner on items of the exchange: opinions that came from a
//!   programme are never sent.
//! - **One process follows**: the one that holds the bank's lease.
//! - **Requests are bounded** in bytes, time and redirects, and go only to allowed origins.
//! - **Credentials are in no table and no log**, and are wiped from memory.
//!
//! Reading order: `config`; `bank` (the operations of the bank that exchanges need), `cursor`; `asking`
//! (requests, how they are sent, and when they are repeated); `secret`, `credentials`; [`sources`] (the
//! programmes) and `targets` (the programmes that accept submissions and opinions); `following` (rounds);
//! `server`, `metrics`, `error`.

mod config;
mod server;
mod error;
mod metrics;
mod secret;
mod credentials;
mod cursor;
pub mod bank;
/// Requests to programmes.
pub mod asking {
    pub mod request;
    pub mod fetch;
    pub mod origins;
    pub mod pacing;
    pub mod http;
}
pub mod sources;
mod targets;
mod following;

pub use config::Config;
pub use credentials::{Credentials, CredentialsError, Vault};
pub use cursor::{BadCursor, Cursor, OutPlace, Pass, SaidPlace};
pub use error::RunError;
pub use following::alarm::Alarm;
pub use secret::Secret;
pub use server::{run_on, run_with};
pub use sources::feedback::Feedback;
pub use sources::settings::{Api, Settings, SettingsError};
pub use sources::submit::{Submit, SubmitWords};

#[cfg(test)]
mod tests;
