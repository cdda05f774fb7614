//! The exchange: follows hash-sharing programmes, and stores what they share in banks. Where it is asked to, it submits own items.
//!
//! Always true:
//!
//! - **Cursor and items move together.** The bank stores the records of a page and the cursor after it in one transaction. After a crash
//!   at any moment a round goes on from the stored cursor, and the bank ends with what the programme shares.
//! - **Nothing is skipped.** A page that cannot be read, a checkpoint that goes back and a round that would remove too much stop the
//!   exchange with an alarm, and leave the cursor where it is.
//! - **Withdrawals come first**, within a page and within a call.
//! - **Write-back is off by default**, sends each change at least once, and no item that came by a programme. The same holds for opinions of the
//!   owner on items of the exchange: none that came by a programme is sent.
//! - **One process follows**: the one that has the bank's lease.
//! - **Requests are bounded** in bytes, time and redirects, and go to allowed origins alone.
//! - **Credentials are in no table and no log**, and wiped from memory.
//!
//! Reading order: `config`; `bank` (what exchanges need of it), `cursor`; `asking` (requests, the way to programmes, when they are made again);
//! `secret`, `credentials`; [`sources`] (the programmes) and `targets` (those that take submissions and opinions); `following` (rounds); `server`, `metrics`, `error`.

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
