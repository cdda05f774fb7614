//! Commands about the organisations that share a deployment.

pub(crate) mod whoami;
pub(crate) mod member;
pub(crate) mod principal;
pub(crate) mod grant;
pub(crate) mod quota;
pub(crate) mod charter;
pub(crate) mod policy;
mod connect;
pub(crate) mod new_key;
mod lines;
