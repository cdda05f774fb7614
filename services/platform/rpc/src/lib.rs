//! What travels with a gRPC call beside its message, and what it means to both sides.
//!
//! Always true: [`code`] is the only table of gRPC's codes; no header is written or read anywhere else.
//!
//! Reading order: [`code`], [`Priority`] and [`priority`], [`deadline`], [`details`].

pub mod code;
pub mod priority;
pub mod deadline;
pub mod details;

pub use code::CallEnd;
pub use priority::Priority;
pub use tonic::Code;
