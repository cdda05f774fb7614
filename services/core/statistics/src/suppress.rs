//! Suppression of small cells in tables across members.
//!
//! A cell below the threshold reveals much about one member, so it is not shown, and neither is any number
//! from which it could be computed. The guarantee of [`suppress_table`] and [`suppress_list`], which tests
//! check against an enumeration of all possible tables:
//!
//! - A reader without numbers of its own can exclude no value from 0 to 9 for a suppressed cell that is below
//!   the threshold, and has at least ten possible values for any other suppressed cell.
//! - **A member that subtracts its own numbers** has the same uncertainty about the numbers of each other
//!   member, and at least ten possible values for each suppressed total.
//! - A shown total has at least three contributing members, and is at least the threshold. A total of fewer
//!   members is not secret if the table shows the numbers of each of them.
//!
//! Zero is suppressed like any number below the threshold, and all suppressed cells look alike. The guarantee
//! does not cover members that combine their numbers, inequalities between measures, and several reports that
//! divide the same counters differently. Therefore periods must be disjoint, and the named banks must be the
//! same for all readers.
//!
//! The method is complementary suppression with an audit by network flows. The cells and totals of a two-way
//! table are the arcs of a circulation, and the range of a suppressed cell is exactly the flow that the
//! unknown arcs allow. (L. H. Cox, "Network models for complementary cell suppression", Journal of the
//! American Statistical Association 90, 1995.)

mod rule;
mod flow;
mod table;
mod list;
#[cfg(test)]
mod tests;

pub use list::{Contributions, suppress_list};
pub use rule::{Cell, Rule};
pub use table::{Published, Row, suppress_table};
