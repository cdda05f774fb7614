//! The headers and codes of gRPC calls, with the same meaning for both sides; and calls within a process.
//!
//! Always true: [`code`] is the only table of gRPC's codes; no header is written or read anywhere else.
//!
//! Reading order: [`code`], [`Priority`] and [`priority`], [`deadline`], [`details`], [`in_process`] (parts
//! of one process that call each other as functions).

pub mod code;
pub mod priority;
pub mod deadline;
pub mod details;
pub mod in_process;

pub use code::CallEnd;
pub use in_process::LocalServers;
pub use priority::Priority;
pub use tonic::Code;
