//! The guard of a server: authenticates each call and checks the caller's rights.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::request::Parts;
use tonic::{Code, Status};
use vigie_consortium::rights::Audited;
use vigie_consortium::{ApiKey, KeyId, MemberName, Method, Process, Proven, Reference, View};
use vigie_credentials::api_key::{KeyDigest, StoredKey};
use vigie_credentials::jwt::FetchKeys;
use vigie_credentials::{
    Authenticator, Authorization, Carried, PrincipalReference, UNAUTHENTICATED, Verified, api_key,
};
use vigie_model::UnixMillis;
use vigie_serving::{Admission, ClientIdentity, Decision, Guard, Origin};

use crate::called::{Called, Proof};
use crate::config::{AccessConfig, ProcessesConfig};
use crate::directories::{Directories, ProcessesOnly};
use crate::fetch::fetch_keys;
use crate::process::{self, ClusterKey};
use crate::refused::{denied, rejected};
use crate::tally::{Tally, Who, is_refusal};

/// The guard: admits calls by their credentials and by the rights of their callers.
#[derive(Debug)]
pub struct Access {
    processes: ProcessesConfig,
    authenticator: Authenticator,
    cluster_key: Option<ClusterKey>,
    directories: Arc<dyn Directories>,
    /// The view that admits processes while the directory is not available; `None` if they wait for it like
    /// everybody.
    apart: Option<ProcessesOnly>,
    /// The tally that counts calls for the audit; `None` if there is none.
    tally: Option<Arc<Tally>>,
}

/// The proof of a call's caller, and the time at which its credential expires.
struct Known {
    proof: Proof,
    expires: Option<SystemTime>,
}

impl Access {
    /// Reads the secrets of the configuration. `fetch` fetches the keys of identity providers.
    ///
    /// # Errors
    ///
    /// The files have faults.
    pub fn new(
        config: &AccessConfig,
        processes: ProcessesConfig,
        fetch: &Arc<dyn FetchKeys>,
        directories: Arc<dyn Directories>,
    ) -> Result<Self, Vec<String>> {
        let pepper = config.pepper().map_err(|fault| vec![format!("access.{fault}")])?;
        let cluster_key = processes.key().map_err(|fault| vec![format!("processes.{fault}")])?;
        let authenticator = Authenticator::new(&config.credentials, pepper, fetch);
        Ok(Self { processes, authenticator, cluster_key, directories, apart: None, tally: None })
    }

    /// Counts calls for the audit.
    #[must_use]
    pub fn counting(self, tally: &Arc<Tally>) -> Self {
        Self { tally: Some(Arc::clone(tally)), ..self }
    }

    /// Makes a guard that admits only processes of the deployment and health probes; or every caller, if
    /// processes cannot prove themselves.
    ///
    /// # Errors
    ///
    /// The file has a fault.
    pub fn for_processes(processes: ProcessesConfig) -> Result<Self, Vec<String>> {
        let directories = Arc::new(ProcessesOnly::new(processes.is_set()));
        Self::new(&AccessConfig::default(), processes, &fetch_keys(), directories)
    }

    /// Makes a guard that admits processes of the deployment even without the directory, and principals
    /// according to it.
    ///
    /// # Errors
    ///
    /// The files have faults.
    pub fn for_processes_and_operators(
        config: &AccessConfig,
        processes: ProcessesConfig,
        directories: Arc<dyn Directories>,
    ) -> Result<Self, Vec<String>> {
        let apart = Some(ProcessesOnly::new(processes.is_set()));
        Ok(Self { apart, ..Self::new(config, processes, &fetch_keys(), directories)? })
    }

    /// Returns the view by which this call is decided.
    fn view_for(&self, call: &Parts, origin: &Origin) -> Result<Arc<View>, Status> {
        self.directories.view().or_else(|status| match &self.apart {
            Some(apart) if self.is_of_process(call, origin) => apart.view(),
            _ => Err(status),
        })
    }

    fn is_of_process(&self, call: &Parts, origin: &Origin) -> bool {
        let is_named =
            origin.certificate_name.as_deref().and_then(|name| self.processes.process_called(name));
        let by_bearer = self.process_of_bearer(&authorization_of(call), origin);
        is_named.is_some() || matches!(by_bearer, Ok(OfProcess::Proven(_)))
    }

    async fn decide(&self, call: &mut Parts, origin: Origin) -> Result<Admission, Status> {
        let Some(method) = Method::from_path(call.uri.path()) else {
            return Err(Status::unimplemented("nobody has decided who may call this method"));
        };
        let view = match self.view_for(call, &origin) {
            Ok(view) => view,
            // Probes are answered even without the directory.
            Err(_) if method.is_for_anyone() && !call.headers.contains_key(AUTHORIZATION) => {
                self.pass(call, Proof::default(), method, None);
                return Ok(Admission::default());
            }
            Err(status) => return Err(status),
        };
        let known = self.caller(call, &origin, &view).await;
        let known = known.inspect_err(|status| self.count(&view, Who::default(), method, status.code()))?;
        // Read again: a token may have waited for the keys of its issuer.
        let view = self.view_for(call, &origin)?;
        let who = known.proof.who(&view);
        let admitted = view.admit(known.proof.caller(&view), method, self.directories.now());
        admitted.map_err(denied).inspect_err(|status| self.count(&view, who, method, status.code()))?;
        if let Some(name) = known.proof.proven.and_then(|proven| view.principal_name(proven.principal)) {
            call.extensions.insert(ClientIdentity(name));
        }
        self.pass(call, known.proof, method, known.expires);
        let is_process = known.proof.process.is_some() && known.proof.proven.is_none();
        Ok(self.admission(&view, who, method, is_process))
    }

    /// Counts a refused call.
    fn count(&self, view: &View, who: Who, method: Method, code: Code) {
        if let Some(tally) = self.tally.as_ref().filter(|_| view.directory().is_on() && is_refusal(code)) {
            tally.count(who, method, code, 0, self.directories.now());
        }
    }

    /// Counts the call when its answer begins, if calls of its method are counted. A refused call of a
    /// process of the deployment is not counted, because it says nothing about a member or a stranger.
    fn admission(&self, view: &View, who: Who, method: Method, is_process: bool) -> Admission {
        let tally = self.tally.as_ref().filter(|_| view.directory().is_on());
        let Some(tally) = tally.filter(|_| method.audited() != Audited::Never).cloned() else {
            return Admission::default();
        };
        let directories = Arc::clone(&self.directories);
        Admission::reporting(move |code| {
            let is_counted = code == Code::Ok && method.audited() == Audited::Counted;
            if is_counted || is_refusal(code) && !is_process {
                tally.count(who, method, code, 0, directories.now());
            }
        })
    }

    fn pass(&self, call: &mut Parts, proof: Proof, method: Method, expires: Option<SystemTime>) {
        let (directories, tally) = (Arc::clone(&self.directories), self.tally.clone());
        call.extensions.insert(Called { proof, method, directories, expires, tally });
    }

    async fn caller(&self, call: &Parts, origin: &Origin, view: &View) -> Result<Known, Status> {
        let authorization = authorization_of(call);
        let authorization = match self.process_of_bearer(&authorization, origin)? {
            OfProcess::Proven(process) => {
                let proof = Proof { proven: None, process: Some(process) };
                return Ok(Known { proof, expires: None });
            }
            OfProcess::Unchecked => Authorization::Absent,
            OfProcess::No => authorization,
        };
        let certificate_name = origin.certificate_name.as_deref();
        let carried = Carried { address: origin.address, certificate_name, authorization };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.directories.now().0);
        let stored = |id: api_key::KeyId| stored_key(view, id);
        let verified = self.authenticator.verify(&carried, stored, now).await;
        let verified: Verified = verified.map_err(|refused| rejected(&refused, origin.address))?;
        let at = self.directories.now();
        let found = self.authenticator.resolve(origin.address, &verified, |reference| {
            let (proven, member) = find(view, reference, at)?;
            Some((proven, member.as_str()))
        });
        let proven = match found {
            Ok(proven) => proven,
            // Certificates keep the meaning that they had before there were members.
            Err(_) if !view.directory().is_on() && verified.bearer().is_none() => None,
            Err(refused) => return Err(rejected(&refused, origin.address)),
        };
        let process = certificate_name.and_then(|name| self.processes.process_called(name));
        Ok(Known { proof: Proof { proven, process }, expires: verified.expires() })
    }

    /// Returns whether the call carries the bearer of a process.
    fn process_of_bearer(
        &self,
        authorization: &Authorization<'_>,
        origin: &Origin,
    ) -> Result<OfProcess, Status> {
        let Authorization::One(value) = authorization else { return Ok(OfProcess::No) };
        let rest = value.strip_prefix(b"Bearer ").and_then(|rest| rest.strip_prefix(process::PREFIX));
        let Some(rest) = rest else { return Ok(OfProcess::No) };
        let Some(key) = &self.cluster_key else { return Ok(OfProcess::Unchecked) };
        key.process_of(rest).map(OfProcess::Proven).ok_or_else(|| {
            tracing::warn!(
                address = ?origin.address,
                "a process shows another cluster key than this one's: `cluster_key` has to be the same everywhere"
            );
            Status::unauthenticated(UNAUTHENTICATED)
        })
    }
}

/// The result of checking a bearer against the deployment's processes.
enum OfProcess {
    /// The bearer proves this process.
    Proven(Process),
    /// The bearer is that of a process, and this server has no key to check it. It is ignored, so that the
    /// processes of a deployment can be given a key one after the other.
    Unchecked,
    /// The bearer belongs to no process.
    No,
}

impl Guard for Access {
    fn admit<'a>(&'a self, call: &'a mut Parts, origin: Origin) -> Decision<'a> {
        Box::pin(self.decide(call, origin))
    }
}

fn authorization_of(call: &Parts) -> Authorization<'_> {
    Authorization::of(call.headers.get_all(AUTHORIZATION).iter().map(http::HeaderValue::as_bytes))
}

fn stored_key(view: &View, id: api_key::KeyId) -> Option<StoredKey> {
    let key: &ApiKey = view.api_key(listed(id)?)?;
    let expires = key.expiry.moment().map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at.0));
    Some(StoredKey { id, digest: KeyDigest::from_bytes(key.digest.0), expires })
}

/// Returns the id in the directory's form.
fn listed(id: api_key::KeyId) -> Option<KeyId> {
    id.characters().try_into().ok()
}

fn find<'v>(
    view: &'v View,
    reference: PrincipalReference<'_>,
    now: UnixMillis,
) -> Option<(Proven, &'v MemberName)> {
    let reference = match &reference {
        PrincipalReference::Certificate(id) => Reference::Certificate(id.as_str()),
        PrincipalReference::ApiKey(id) => Reference::ApiKey(listed(*id)?),
        PrincipalReference::Token(token) => {
            Reference::Token { issuer: token.issuer(), subject: token.subject() }
        }
    };
    view.find(reference, now)
}
