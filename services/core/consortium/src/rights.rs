//! Rights: a table with one row for each method, the caller, and the things that the caller's member may see.

pub mod method;
pub mod table;
pub mod audited;
pub mod denied;
pub mod member_banks;
pub mod view;
pub mod caller;
pub mod admitted;

pub use admitted::{Admitted, Claim, ItemPlace, ItemView, ListedBanks, Members, SearchBanks};
pub use audited::Audited;
pub use caller::{Caller, InvalidCredential, Process, Proven, Reference};
pub use denied::{Denied, DeniedKind};
pub use member_banks::MemberBanks;
pub use method::Method;
pub use view::View;
pub use vigie_model::BankSet;
