//! Banks in the directory: owners, names, grants and charters. Items are in the `items` module.

pub mod bank;
pub mod grant;
pub mod charter;

pub use bank::{BankRef, BankRefError, OwnedBank};
pub use charter::{Charter, CharterDraft, CharterError};
pub use grant::{Capabilities, Capability, Grant};
