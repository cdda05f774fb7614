//! Names of the keys and tables that the configuration itself reads.

/// Name of the key of the address that a role listens on.
pub(crate) const LISTEN: &str = "listen";
/// Name of the key that allows plain text.
pub(crate) const ALLOW_PLAINTEXT: &str = "allow_plaintext";
/// Name of the table of TLS.
pub(crate) const TLS: &str = "tls";
/// Name of the table of metrics, probes and traces.
pub(crate) const TELEMETRY: &str = "telemetry";
/// Name of the table of limits, within the table of each role.
pub(crate) const SERVING: &str = "serving";
/// Name of the table of the members' directory, within the table of each role that follows it.
pub(crate) const DIRECTORY: &str = "directory";
/// Name of the table of access, within the table of each role that members call.
pub(crate) const ACCESS: &str = "access";
/// Name of the table of credentials, within the table of access.
pub(crate) const CREDENTIALS: &str = "credentials";
/// Name of the table of the deployment's processes, within the table of each role.
pub(crate) const PROCESSES: &str = "processes";
/// Name of the table of the audit, within the bank's table.
pub(crate) const AUDIT: &str = "audit";
/// Name of the bank role, and of its table.
pub(crate) const BANK: &str = "bank";
/// Name of the matcher role, and of its table.
pub(crate) const MATCHER: &str = "matcher";
/// Name of the coordinator role, and of its table.
pub(crate) const COORDINATOR: &str = "coordinator";
/// Name of the frontend role, and of its table.
pub(crate) const FRONTEND: &str = "frontend";
/// Name of the gateway role, and of its table.
pub(crate) const GATEWAY: &str = "gateway";
/// Name of the table of the classifiers that a frontend calls, within the frontend's table.
pub(crate) const CLASSIFIERS: &str = "classifiers";
/// Name of the table of fetching, within the gateway's table.
pub(crate) const FETCH: &str = "fetch";
/// Name of the table of the console, within the gateway's table.
pub(crate) const CONSOLE: &str = "console";
/// Name of the table of signing in at an identity provider, within the console's table.
pub(crate) const OIDC: &str = "oidc";
/// Name of the exchange role, and of its table.
pub(crate) const EXCHANGE: &str = "exchange";
/// Name of the classifier role, and of its table.
pub(crate) const CLASSIFIER: &str = "classifier";
/// The names of all roles.
pub(crate) const ROLES: [&str; 7] = [BANK, MATCHER, COORDINATOR, FRONTEND, GATEWAY, EXCHANGE, CLASSIFIER];
