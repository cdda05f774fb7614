//! Banks as the directory knows them: owners, names, grants, charters. Items are elsewhere.

pub mod bank;
pub mod grant;
pub mod charter;

pub use bank::{BankRef, BankRefError, OwnedBank};
pub use charter::{Charter, CharterDraft, CharterError};
pub use grant::{Capabilities, Capability, Grant};
