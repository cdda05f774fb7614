//! Tests the member commands against a bank with scripted answers: the printed output, and the requests.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_credentials::api_key::ApiKey;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::consortium_service_server::{
    ConsortiumService, ConsortiumServiceServer,
};

/// The method of a call, and its `Authorization` header.
type Called = (&'static str, Option<String>);

/// A bank's service of members, with scripted answers.
#[derive(Clone)]
struct Bank {
    /// Whether there are principals.
    is_on: bool,
    /// Whether the answers to changes of principals are lost.
    loses_answers: bool,
    /// The keys that callers have generated for principals.
    keys: Arc<Mutex<Vec<String>>>,
    calls: Arc<Mutex<Vec<Called>>>,
}

impl Bank {
    fn of(is_on: bool) -> Self {
        Self { is_on, loses_answers: false, keys: Arc::default(), calls: Arc::default() }
    }

    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = ConsortiumServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        endpoint
    }

    fn note<Q>(&self, method: &'static str, request: &Request<Q>) -> Result<(), Status> {
        let header = request.metadata().get("authorization");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        let is_refused = self.is_on && header.is_none();
        self.calls.lock().unwrap().push((method, header));
        if is_refused { Err(Status::unauthenticated("the call needs a credential")) } else { Ok(()) }
    }

    /// Stores the key of a new principal. No answer contains it.
    fn take_key(&self, key: &str) -> Result<(), Status> {
        let mut keys = self.keys.lock().unwrap();
        keys.push(key.to_owned());
        if !self.loses_answers {
            return Ok(());
        }
        // The client sends the call again. Now there are members, and the call has none of their credentials.
        let is_again = keys.len().is_multiple_of(2);
        Err(if is_again { Status::unauthenticated("who is it?") } else { Status::unavailable("lost") })
    }

    fn last_key(&self) -> String {
        let key = self.keys.lock().unwrap().last().cloned().unwrap();
        assert!(ApiKey::parse(&key).is_ok());
        key
    }

    fn called(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().drain(..).map(|(method, _)| method).collect()
    }
}

fn member() -> pb::Member {
    pb::Member { id: 2, name: "acme".into(), display_name: "Acme".into(), state: 1, ..Default::default() }
}

fn principal(id: u64, key_ids: &[&str]) -> pb::Principal {
    let key = |key_id: &&str| pb::ApiKey { key_id: key_id.repeat(16), ..Default::default() };
    let keys = pb::ApiKeys { keys: key_ids.iter().map(key).collect() };
    pb::Principal {
        id,
        member_id: 2,
        roles: vec![1, 2],
        credential: Some(pb::principal::Credential::ApiKeys(keys)),
        created_at_unix_ms: 1_795_882_800_000,
        note: "the upload queue".into(),
        ..Default::default()
    }
}

macro_rules! bank {
    ($($method:ident($bank:ident, $request:ident: $ask:ident) -> $answer:ident $answered:block)*) => {
        #[tonic::async_trait]
        impl ConsortiumService for Bank {
            $(async fn $method(&self, request: Request<pb::$ask>) -> Result<Response<pb::$answer>, Status> {
                self.note(stringify!($method), &request)?;
                let ($bank, $request) = (self, request.into_inner());
                let answered: Result<pb::$answer, Status> = $answered;
                answered.map(Response::new)
            })*
        }
    };
}

fn not_here<A>(_: &Bank, _: impl std::fmt::Debug) -> Result<A, Status> {
    Err(Status::permission_denied("none of the caller's roles may call this"))
}

bank! {
    who_am_i(bank, _request: WhoAmIRequest) -> WhoAmIResponse {
        let principal = bank.is_on.then(|| principal(7, &["a"]));
        Ok(pb::WhoAmIResponse { member: Some(member()), principal, quota: None, sequence: 9 })
    }
    create_principal(bank, request: CreatePrincipalRequest) -> CreatePrincipalResponse {
        let Some(pb::create_principal_request::Credential::ApiKey(key)) = request.credential else {
            panic!("a principal of another kind");
        };
        bank.take_key(&key).map(|()| pb::CreatePrincipalResponse {
            principal: Some(principal(8, &["a"])), api_key: String::new(), sequence: 10,
        })
    }
    rotate_key(bank, request: RotateKeyRequest) -> RotateKeyResponse {
        bank.take_key(&request.api_key).map(|()| pb::RotateKeyResponse {
            principal: Some(principal(8, &["a", "b"])), api_key: String::new(), sequence: 11,
        })
    }
    list_principals(_bank, _request: ListPrincipalsRequest) -> ListPrincipalsResponse {
        let principals = vec![principal(7, &["a"]), principal(8, &["a", "b"])];
        Ok(pb::ListPrincipalsResponse { principals, sequence: 11 })
    }
    create_member(bank, request: CreateMemberRequest) -> CreateMemberResponse { not_here(bank, request) }
    get_member(bank, request: GetMemberRequest) -> GetMemberResponse { not_here(bank, request) }
    list_members(bank, request: ListMembersRequest) -> ListMembersResponse { not_here(bank, request) }
    update_member(bank, request: UpdateMemberRequest) -> UpdateMemberResponse { not_here(bank, request) }
    set_member_state(bank, request: SetMemberStateRequest) -> SetMemberStateResponse { not_here(bank, request) }
    set_token_issuers(bank, request: SetTokenIssuersRequest) -> SetTokenIssuersResponse { not_here(bank, request) }
    revoke_principal(bank, request: RevokePrincipalRequest) -> RevokePrincipalResponse { not_here(bank, request) }
    put_grant(bank, request: PutGrantRequest) -> PutGrantResponse { not_here(bank, request) }
    revoke_grant(bank, request: RevokeGrantRequest) -> RevokeGrantResponse { not_here(bank, request) }
    set_alias(bank, request: SetAliasRequest) -> SetAliasResponse { not_here(bank, request) }
    list_grants(bank, request: ListGrantsRequest) -> ListGrantsResponse { not_here(bank, request) }
    set_quota(bank, request: SetQuotaRequest) -> SetQuotaResponse { not_here(bank, request) }
    set_charter(bank, request: SetCharterRequest) -> SetCharterResponse { not_here(bank, request) }
    get_charter(bank, request: GetCharterRequest) -> GetCharterResponse { not_here(bank, request) }
}

/// Runs the program with this bank and `environment`, and without any `VIGIE_` variables of the test run.
fn vigie(args: &[&str], bank: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VIGIE_")) {
        command.env_remove(name);
    }
    let environment = environment.iter().copied().chain([("VIGIE_BANK", bank)]);
    command.args(args).envs(environment).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_members_whoami_says_so() {
    let bank = Bank::of(false).serve().await;
    let output = vigie(&["whoami"], &bank, &[]);
    let (said, hint) = texts(&output);
    assert_eq!(said, "no members: every caller acts for `acme`, with every role\n");
    assert!(hint.contains("vigie principal add"), "{hint}");
    let (object, _) = texts(&vigie(&["--json", "whoami"], &bank, &[]));
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!((object["member"]["member"].as_str(), object["principal"].is_null()), (Some("acme"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_sent_from_a_variable_and_from_a_file_and_a_refusal_names_which() {
    let bank = Bank::of(true);
    let endpoint = bank.serve().await;
    let key = ApiKey::generate().unwrap();
    let (text, id) = (key.reveal(), key.id().to_string());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.key");
    std::fs::write(&file, format!("{}\n", *text)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();

    let by_variable = vigie(&["whoami"], &endpoint, &[("VIGIE_API_KEY", text.as_str())]);
    let by_file = vigie(&["whoami", "--api-key-file", file], &endpoint, &[]);
    let header = Some(format!("Bearer {}", *text));
    let sent: Vec<_> = bank.calls.lock().unwrap().drain(..).map(|(_, header)| header).collect();
    assert_eq!(sent, [header.clone(), header]);
    for output in [&by_variable, &by_file] {
        let (said, _) = texts(output);
        assert!(said.contains("acme (Acme) is active") && said.contains("matcher,contributor"), "{said}");
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    }
    let (_, warned) = texts(&by_file);
    assert_eq!(warned.matches("chmod 600").count(), 1, "{warned}");

    let refused = vigie(&["whoami"], &endpoint, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let (_, hint) = texts(&refused);
    assert!(hint.contains("carried no credential") && hint.contains("VIGIE_API_KEY"), "{hint}");
    let denied = vigie(&["member", "list"], &endpoint, &[("VIGIE_API_KEY", text.as_str())]);
    assert!(texts(&denied).1.contains("`vigie whoami` shows for whom"), "{denied:?}");
    let nowhere = vigie(&["whoami"], &endpoint, &[("VIGIE_API_KEY", &text[..78])]);
    let (_, fault) = texts(&nowhere);
    assert!(fault.contains("VIGIE_API_KEY: an API key has 79 characters"), "{fault}");
    assert_eq!(bank.called(), ["who_am_i", "list_members"]);
    assert!(!fault.contains(&text[30..40]) && !hint.contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_alone_on_standard_output_or_in_a_file_of_its_own() {
    let bank = Bank::of(true);
    let endpoint = bank.serve().await;
    let environment = [("VIGIE_TOKEN", "header.claims.signature")];
    let add = ["principal", "add", "--role", "matcher,contributor"];
    let printed = vigie(&add, &endpoint, &environment);
    let (said, words) = texts(&printed);
    assert_eq!(said, format!("{}\n", bank.last_key()));
    assert!(words.contains("principal 8") && words.contains("cannot be shown again"), "{words}");
    assert!(!words.contains(&bank.last_key()[21..]));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.key");
    let shown = file.to_str().unwrap();
    let rotate = ["--json", "principal", "rotate", "8", "--key-file", shown];
    let (object, _) = texts(&vigie(&rotate, &endpoint, &environment));
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!((object["key_file"].as_str(), object.get("api_key")), (Some(shown), None));
    assert_eq!(object["credential"]["api_keys"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", bank.last_key()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    bank.called();
    let refused = vigie(&rotate, &endpoint, &environment);
    assert_eq!(refused.status.code(), Some(1));
    assert!(texts(&refused).1.contains("must not exist yet"), "{refused:?}");
    assert_eq!(bank.called(), [""; 0], "nothing is rotated whose key could not be kept");

    let (list, _) = texts(&vigie(&["principal", "list"], &endpoint, &environment));
    assert_eq!(list.lines().count(), 5, "{list}");
    assert!(list.contains("key bbbbbbbbbbbbbbbb"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_no_success_and_loses_no_key() {
    // The second case creates the first operator. If its key were lost, nobody could do anything.
    for (is_on, credentials) in [(true, &[("VIGIE_TOKEN", "a.b.c")][..]), (false, &[])] {
        let bank = Bank { loses_answers: true, ..Bank::of(is_on) };
        let endpoint = bank.serve().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new.key");
        let add = ["principal", "add", "--role", "operator", "--turn-on"];
        let lost =
            vigie(&[&add[..], &["--key-file", file.to_str().unwrap()]].concat(), &endpoint, credentials);
        assert_ne!(lost.status.code(), Some(0));
        let (said, words) = texts(&lost);
        assert!(
            said.is_empty() && words.contains("it is not known whether") && words.contains("new.key"),
            "{words}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", bank.last_key()));
        let printed = vigie(&add, &endpoint, credentials);
        assert_ne!(printed.status.code(), Some(0));
        assert_eq!(texts(&printed).0, format!("{}\n", bank.last_key()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_principal_leaves_no_file() {
    let bank = Bank::of(true);
    let endpoint = bank.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.key");
    let rotate = ["principal", "rotate", "8", "--key-file", file.to_str().unwrap()];
    let refused = vigie(&rotate, &endpoint, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(texts(&refused).1.contains("carried no credential"), "{refused:?}");
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_turns_members_on_by_accident() {
    let bank = Bank::of(false);
    let endpoint = bank.serve().await;
    let add = |more: &[&str]| vigie(&[&["principal", "add", "--role"], more].concat(), &endpoint, &[]);
    for (more, expected) in [
        (&["matcher"][..], "has to be an operator"),
        (&["matcher", "--turn-on"], "has to be an operator"),
        (&["operator"], "add --turn-on"),
    ] {
        let refused = add(more);
        assert_eq!(refused.status.code(), Some(1));
        assert!(texts(&refused).1.contains(expected), "{refused:?}");
    }
    assert_eq!(bank.called(), ["who_am_i"; 3]);
    let on = add(&["operator", "--turn-on"]);
    assert_eq!(on.status.code(), Some(0));
    assert!(texts(&on).1.contains("every call needs a credential"), "{on:?}");
    assert_eq!(bank.called(), ["who_am_i", "create_principal"]);
}
