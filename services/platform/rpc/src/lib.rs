//! What travels with a gRPC call beside its message, and what it means to both sides; and calls that do not travel.
//!
//! Always true: [`code`] is the only table of gRPC's codes; no header is written or read anywhere else.
//!
//! Reading order: [`code`], [`Priority`] and [`priority`], [`deadline`], [`details`], [`in_process`] (parts of one process that call each other as functions).

pub mod code;
pub mod priority;
pub mod deadline;
pub mod details;
pub mod in_process;

pub use code::CallEnd;
pub use in_process::LocalServers;
pub use priority::Priority;
pub use tonic::Code;
