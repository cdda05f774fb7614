//! The names of keys and tables that the configuration itself reads.

/// The key of the address where a role listens.
pub(crate) const LISTEN: &str = "listen";
/// The key that allows plain text.
pub(crate) const ALLOW_PLAINTEXT: &str = "allow_plaintext";
/// The table of TLS.
pub(crate) const TLS: &str = "tls";
/// The table of metrics, probes and traces.
pub(crate) const TELEMETRY: &str = "telemetry";
/// The table of limits within that of each role.
pub(crate) const SERVING: &str = "serving";
/// The table of the directory of members within that of a role that follows it.
pub(crate) const DIRECTORY: &str = "directory";
/// The table of access within that of a role that members call.
pub(crate) const ACCESS: &str = "access";
/// The table of credentials within that of access.
pub(crate) const CREDENTIALS: &str = "credentials";
/// The table of the deployment's processes within that of each role.
pub(crate) const PROCESSES: &str = "processes";
/// The table of the audit within that of the bank.
pub(crate) const AUDIT: &str = "audit";
/// A role, and its table.
pub(crate) const BANK: &str = "bank";
/// A role, and its table.
pub(crate) const MATCHER: &str = "matcher";
/// A role, and its table.
pub(crate) const COORDINATOR: &str = "coordinator";
/// A role, and its table.
pub(crate) const FRONTEND: &str = "frontend";
/// A role, and its table.
pub(crate) const GATEWAY: &str = "gateway";
/// The table of the classifiers that are asked within that of a frontend.
pub(crate) const CLASSIFIERS: &str = "classifiers";
/// The table of fetching within that of the gateway.
pub(crate) const FETCH: &str = "fetch";
/// The table of the console within that of the gateway.
pub(crate) const CONSOLE: &str = "console";
/// The table of signing in at an identity provider within that of the console.
pub(crate) const OIDC: &str = "oidc";
/// A role, and its table.
pub(crate) const EXCHANGE: &str = "exchange";
/// A role, and its table.
pub(crate) const CLASSIFIER: &str = "classifier";
/// Every role.
pub(crate) const ROLES: [&str; 7] = [BANK, MATCHER, COORDINATOR, FRONTEND, GATEWAY, EXCHANGE, CLASSIFIER];
