//! The data of items that searches do not need: origins, submissions, holds, opinions and disputes.

pub mod origin;
pub mod hold;
pub mod taxonomy;
pub mod details;
pub mod opinion;
pub mod foreign;
pub mod dispute;
pub mod record;
pub mod programmes;
pub mod standing;
pub mod published;

pub use details::{Classification, Details, Metadata, MetadataError, TooManyClasses};
pub use dispute::{Dispute, FloodLift, MemberHold, Resolution};
pub use foreign::ForeignOpinion;
pub use hold::{Hold, Holder, Holds};
pub use opinion::{Opinion, OpinionReason, OpinionWords, Opinions, TooManyOpinions};
pub use origin::{Origin, OriginError, Submission};
pub use published::{EntryDigest, ListChain, ListContent, ListHead, ListKey, ListSecret};
pub use record::{ContentDigest, ItemRecord, TooManySubmissions, Whose};
pub use taxonomy::{Class, ClassError, Taxonomy, taxonomies};
