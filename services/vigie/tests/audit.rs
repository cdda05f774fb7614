//! Tests the audit commands against a bank with scripted answers: the printed output, the files that are
//! written, and what is refused.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard};

use prost::Message as _;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::note::{KeyKind, SignerKey};
use vigie_audit::tree::{
    Frontier, LeafIndex, NodeHash, ReadHashes, Size, StoredIndex, TreeHead, consistency, inclusion, root,
};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::audit_service_server::{AuditService, AuditServiceServer};

const ORIGIN: &str = "vigie.example/audit";

/// The audit log of the bank.
#[derive(Debug)]
struct Log {
    entries: Vec<Vec<u8>>,
    stored: Vec<NodeHash>,
    frontier: Frontier,
    /// Size of the newest checkpoint.
    signed: u64,
    /// Id of the member whose auditor calls; 0 for the host's auditor.
    caller: u32,
    /// Whether the bank has a key to sign checkpoints with.
    has_key: bool,
}

impl ReadHashes for Log {
    type Error = StoredIndex;

    fn read(&mut self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoredIndex> {
        positions
            .iter()
            .map(|at| self.stored.get(usize::try_from(at.0).unwrap()).copied().ok_or(*at))
            .collect()
    }
}

/// A bank's service of the audit, with scripted answers.
#[derive(Clone)]
struct Bank(Arc<Mutex<Log>>);

fn log_key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, KeyKind::Log, [1; 32]).unwrap()
}

fn entry(index: u64, salt: u8) -> pb::AuditEntry {
    let is_refused = index % 5 == 4;
    pb::AuditEntry {
        index,
        at_unix_ms: 1_795_882_800_000 + index * 60_000,
        member_id: u32::try_from(index % 3).unwrap(),
        principal_id: index % 4,
        action: if index == 0 {
            "checkpoint.key".into()
        } else {
            "/vigie.bank.v1.BankService/AddItems".into()
        },
        code: if is_refused { 7 } else { 0 },
        bank_ids: vec![3, 4],
        item_count: 2,
        sequence: if is_refused { 0 } else { index + 100 },
        calls: 1 + index % 2,
        salt: vec![salt; 16],
        ..Default::default()
    }
}

impl Bank {
    /// Returns a bank whose newest checkpoint has `signed` entries, and that has logged `more` further ones.
    fn of(signed: u64, more: u64) -> Self {
        let log = Log {
            entries: Vec::new(),
            stored: Vec::new(),
            frontier: Frontier::empty(),
            signed,
            caller: 0,
            has_key: true,
        };
        let bank = Self(Arc::new(Mutex::new(log)));
        (0..signed + more).for_each(|index| bank.log().append(entry(index, 9).encode_to_vec()));
        bank
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }

    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(AuditServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        endpoint
    }
}

impl Log {
    fn append(&mut self, entry: Vec<u8>) {
        self.stored.extend(self.frontier.append(&entry).unwrap().hashes);
        self.entries.push(entry);
    }

    fn head(&mut self) -> TreeHead {
        let size = Size::new(self.signed).unwrap();
        TreeHead { size, root: root(size).read(self).unwrap() }
    }

    fn may_read(&self, index: u64) -> bool {
        self.caller == 0 || u64::from(self.caller) == index % 3
    }
}

fn refused(error: impl std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn bytes(hashes: Vec<NodeHash>) -> Vec<Vec<u8>> {
    hashes.into_iter().map(|hash| hash.0.to_vec()).collect()
}

#[tonic::async_trait]
impl AuditService for Bank {
    /// Scans seven entries in each call, so that pages are short and some are empty.
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (log, request) = (self.log(), request.into_inner());
        let size = log.entries.len() as u64;
        let end = size.min(request.from_index + u64::try_from(request.page_size).unwrap().min(7));
        let mut entries = Vec::new();
        for index in (request.from_index..end).filter(|index| log.may_read(*index)) {
            if request.member == "acme" && index % 3 != 2 {
                continue;
            }
            entries.push(log.entries[usize::try_from(index).unwrap()].clone());
        }
        let next_index = if end < size { end } else { 0 };
        Ok(Response::new(pb::ListEntriesResponse { entries, next_index, tree_size: size }))
    }

    async fn get_checkpoint(
        &self,
        _: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let mut log = self.log();
        if !log.has_key {
            return Err(Status::unimplemented("the bank has no key of a log"));
        }
        let extension = "bank 00 5 00".to_owned();
        let note = Checkpoint::new(ORIGIN, log.head(), &[extension]).unwrap().sign(&[&log_key()]).unwrap();
        Ok(Response::new(pb::GetCheckpointResponse { signed_note: note.to_string() }))
    }

    async fn prove_inclusion(
        &self,
        request: Request<pb::ProveInclusionRequest>,
    ) -> Result<Response<pb::ProveInclusionResponse>, Status> {
        let (mut log, request) = (self.log(), request.into_inner());
        let size = Size::new(request.tree_size).unwrap();
        let query = inclusion(LeafIndex(request.index), size).map_err(refused)?;
        let leaf = NodeHash::of_entry(&log.entries[usize::try_from(request.index).unwrap()]);
        let path = bytes(query.read(&mut *log).unwrap());
        let leaf_hash = leaf.0.to_vec();
        Ok(Response::new(pb::ProveInclusionResponse { leaf_hash, path, tree_size: size.get() }))
    }

    async fn prove_consistency(
        &self,
        request: Request<pb::ProveConsistencyRequest>,
    ) -> Result<Response<pb::ProveConsistencyResponse>, Status> {
        let (mut log, request) = (self.log(), request.into_inner());
        let (old, new) = (Size::new(request.old_size).unwrap(), Size::new(request.new_size).unwrap());
        assert!(old > Size::ZERO && old < new, "the bank refuses other sizes");
        let path = bytes(consistency(old, new).map_err(refused)?.read(&mut *log).unwrap());
        Ok(Response::new(pb::ProveConsistencyResponse { path, new_size: new.get() }))
    }

    async fn record_calls(
        &self,
        _: Request<pb::RecordCallsRequest>,
    ) -> Result<Response<pb::RecordCallsResponse>, Status> {
        Err(Status::permission_denied("none of the caller's roles may call this"))
    }
}

/// Runs the program in a folder with this bank, and without any `VIGIE_` variables of the test run.
fn vigie(folder: &Path, bank: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VIGIE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(args).env("VIGIE_BANK", bank).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A folder, a bank, and the key for the commands.
struct Fixture {
    folder: tempfile::TempDir,
    bank: Bank,
    endpoint: String,
    /// Public key of the log.
    key: String,
}

impl Fixture {
    async fn of(bank: Bank) -> Self {
        let endpoint = bank.serve().await;
        let folder = tempfile::tempdir().unwrap();
        Self { folder, bank, endpoint, key: log_key().public().to_string() }
    }

    /// Runs `vigie audit` with `args`, in which the log's key replaces `LOG`.
    fn run(&self, args: &str) -> Output {
        let args: Vec<&str> = args.split(' ').map(|arg| if arg == "LOG" { &self.key } else { arg }).collect();
        vigie(self.folder.path(), &self.endpoint, &[&["audit"], &args[..]].concat())
    }

    /// Runs a command that must succeed, and returns its standard output.
    fn done(&self, args: &str) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args}: {}", texts(&output).1);
        texts(&output).0
    }

    fn object(&self, args: &str) -> serde_json::Value {
        serde_json::from_str(&self.done(&format!("{args} --json"))).unwrap()
    }

    /// Runs a command that must fail with `code`, and returns its standard error.
    fn fails(&self, code: i32, args: &str) -> String {
        let output = self.run(args);
        let error = texts(&output).1;
        assert_eq!(output.status.code(), Some(code), "{args}: {error}");
        error
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_page_by_page_as_a_table_and_as_objects() {
    let it = Fixture::of(Bank::of(20, 3)).await;
    let table = it.done("list --from 2 --limit 20");
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 20, "{table}");
    let head = ["2", "2026-11-28", "16:22", "2", "2", "BankService/AddItems", "OK", "3,4", "2", "102", "1"];
    assert_eq!(rows[0], head);
    assert!(rows[2].contains(&"PERMISSION_DENIED"), "{table}");
    let (objects, note) = texts(&it.run("list --member acme --limit 5 --json"));
    let objects: Vec<serde_json::Value> =
        objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let indexes: Vec<u64> = objects.iter().map(|object| object["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [2, 5, 8, 11, 14]);
    assert_eq!(objects[4]["code"], "PERMISSION_DENIED");
    assert_eq!(objects[4]["action"], "/vigie.bank.v1.BankService/AddItems");
    assert_eq!((objects[4]["sequence"].is_null(), &objects[4]["member_id"]), (true, &2.into()));
    assert!(note.contains("stopped after 5 entries; go on with --from 1"), "{note}");
    assert!(it.done("list").contains("checkpoint.key"));
    assert_eq!(it.done("list --from 23"), "no entries\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_a_file_that_is_checked_alone() {
    let it = Fixture::of(Bank::of(20, 3)).await;
    assert!(it.done("prove 7").contains("7.tlog-proof: entry 7 is in the log of 20 entries"));
    it.write("log.pub", &format!("{}\n", it.key));
    let said = it.done("verify 7.tlog-proof --log-key log.pub");
    for expected in [
        "entry 7 is in the log\n",
        "2026-11-28 16:27 UTC, BankService/AddItems, OK, for member 1, by principal 3, 2 calls",
        "vigie.example/audit",
        "20 entries",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let object = it.object("verify 7.tlog-proof --log-key LOG");
    assert_eq!((&object["kind"], &object["entry"]["index"]), (&"entry".into(), &7.into()));
    assert_eq!((&object["proven"], &object["size"]), (&true.into(), &20.into()));

    let proof = it.read("7.tlog-proof");
    assert_eq!(it.done("prove 7 --output -"), proof);
    assert!(it.fails(1, "prove 7").contains("--force"));
    it.done("prove 7 --force");
    it.write("7.tlog-proof", &proof.replace("index 7", "index 6"));
    assert!(it.fails(1, "verify 7.tlog-proof --log-key LOG").contains("entry 6"));
    let other = SignerKey::from_seed("other.example", KeyKind::Log, [3; 32]).unwrap().public().to_string();
    assert!(it.fails(1, &format!("verify 7.tlog-proof --log-key {other}")).contains("no known key"));
    assert!(
        it.fails(1, &format!("verify 7.tlog-proof --log-key LOG --log-key {other}")).contains("--origin")
    );
    assert!(it.fails(1, "verify 7.tlog-proof --log-key nothing.pub").contains("nothing.pub"));
    assert!(it.fails(1, "verify nothing --log-key LOG").contains("nothing is not proven"));

    let newer = it.fails(4, "prove 21");
    assert!(newer.contains("newer than the newest checkpoint, which has 20 entries"), "{newer}");
    assert!(newer.contains("audit.checkpoint_seconds"), "{newer}");
    assert!(it.fails(1, "prove 23").contains("the audit has 23 entries, and none with the index 23"));
    it.bank.log().caller = 2;
    assert!(it.fails(1, "prove 9").contains("that the caller may read"));
    it.done("prove 8");
    assert_eq!(it.files(), ["7.tlog-proof", "8.tlog-proof", "log.pub"], "nothing is left of what failed");
    it.bank.log().has_key = false;
    let error = it.fails(1, "prove 8 --output -");
    assert!(error.contains("signs no checkpoints") && !error.contains("hint"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_the_whole_log_is_complete_and_one_of_a_member_is_proven() {
    let it = Fixture::of(Bank::of(20, 3)).await;
    assert_eq!(it.done("export all"), "all: 20 entries, all of the log\n");
    assert!(it.done("verify all --log-key LOG").contains("20 entries: all of the log"));
    assert!(it.fails(1, "export all").contains("--force"));
    let before = it.read("all");
    it.bank.log().signed = 22;
    assert_eq!(it.object("export all --force")["entries"], 22);
    assert_ne!(it.read("all"), before);

    it.bank.log().caller = 1;
    let object = it.object("export some");
    assert_eq!(
        (&object["kind"], &object["entries"], &object["size"]),
        (&"proven".into(), &7.into(), &22.into())
    );
    let object = it.object("verify some --log-key LOG");
    assert_eq!((&object["kind"], &object["entries"]), (&"proven".into(), &7.into()));
    let some = it.read("some");
    let dropped: Vec<&str> = some.split_inclusive('\n').filter(|line| !line.starts_with("10 ")).collect();
    it.write("some", &dropped.concat());
    assert!(it.fails(1, "verify some --log-key LOG").contains("counts 7 entries, and 6 are there"));

    // The bank returns an entry that differs from the one that it has signed.
    it.bank.log().entries[4] = entry(4, 8).encode_to_vec();
    assert!(it.fails(1, "export other").contains("entry 4 is not in the tree that the bank has signed"));
    it.bank.log().caller = 0;
    assert!(it.fails(1, "export other").contains("entry 4 is not in the tree that the bank has signed"));
    assert_eq!(it.files(), ["all", "some"], "nothing is left of what failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_signs_a_log_that_goes_on_and_no_other() {
    let it = Fixture::of(Bank::of(20, 30)).await;
    let witness = it.done("key new --kind witness acme.example/witness w.key");
    let mode = std::fs::metadata(it.folder.path().join("w.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(it.done("key show w.key"), witness);
    it.write("w.pub", &witness);

    let cosign = "cosign --witness-key w.key --state w.state --log-key LOG";
    let note = it.done(cosign);
    assert_eq!(it.read("w.state"), note);
    assert_eq!(note.matches("\u{2014} ").count(), 2, "{note}");
    for size in [20, 31, 50] {
        it.bank.log().signed = size;
        let object = it.object(&format!("{cosign} --output signed"));
        assert_eq!((&object["size"], &object["file"]), (&size.into(), &"signed".into()));
        assert_eq!(object["cosignatures"][0]["witness"], "acme.example/witness");
        assert_eq!(it.read("w.state"), it.read("signed"));
    }

    // An export is verified with the witness only if its checkpoint has the witness's signature.
    it.done("export all");
    let all = it.read("all");
    let without = it.fails(1, "verify all --log-key LOG --witness w.pub");
    assert!(without.contains("without a signature: acme.example/witness"), "{without}");
    let (_, entries) = all.split_once("\n0 ").unwrap();
    it.write("all", &format!("vigie-audit-export@v1\nkind complete\n\n{}\n0 {entries}", it.read("signed")));
    let said = it.done("verify all --log-key LOG --witness w.pub");
    assert!(said.contains("witness     acme.example/witness at 20"), "{said}");

    let (state, signed) = (it.read("w.state"), it.read("signed"));
    it.bank.log().signed = 49;
    let shrunk = it.fails(1, &format!("{cosign} --output signed"));
    for expected in ["REFUSED", "50 entries", "49 entries", "entries were removed", "w.state.refused-49"] {
        assert!(shrunk.contains(expected), "{expected} in {shrunk}");
    }
    let refused = it.files().into_iter().find(|file| file.starts_with("w.state.refused-49-")).unwrap();
    assert!(it.read(&refused).starts_with("vigie.example/audit\n49\n"));
    // The same checkpoint may be signed again.
    it.bank.log().signed = 50;
    assert_eq!(it.done(cosign).lines().count(), state.lines().count());
    let state = it.read("w.state");
    {
        let mut log = it.bank.log();
        (log.entries, log.stored, log.frontier) = (Vec::new(), Vec::new(), Frontier::empty());
        (0..60).for_each(|index| log.append(entry(index, 8).encode_to_vec()));
    }
    let forked = it.fails(1, cosign);
    assert!(forked.contains("REFUSED") && forked.contains("two histories of 50 entries"), "{forked}");
    it.bank.log().signed = 60;
    let inconsistent = it.fails(1, cosign);
    for expected in ["REFUSED", "50 entries", "60 entries", "nothing proves"] {
        assert!(inconsistent.contains(expected), "{expected} in {inconsistent}");
    }
    assert_eq!((it.read("w.state"), it.read("signed")), (state, signed), "nothing was signed");

    it.write("w.state", "nonsense");
    assert!(it.fails(1, cosign).contains("w.state has no checkpoint of this log"));
    assert_eq!(it.read("w.state"), "nonsense");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_works_with_the_state_of_a_witness() {
    let it = Fixture::of(Bank::of(20, 0)).await;
    it.done("key new --kind witness acme.example/witness w.key");
    let lock = std::fs::File::create(it.folder.path().join("w.state.lock")).unwrap();
    lock.lock().unwrap();
    let cosign = "cosign --witness-key w.key --state w.state --log-key LOG";
    assert!(it.fails(1, cosign).contains("another `vigie audit cosign` works with w.state"));
    drop(lock);
    it.done(cosign);
}

#[test]
fn keys_are_made_once_and_each_has_its_use() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| vigie(folder.path(), "http://127.0.0.1:1", args);
    let new = ["audit", "key", "new", "--kind", "log", "vigie.example/audit", "log.key"];
    let (public, words) = texts(&run(&new));
    assert!(public.starts_with("vigie.example/audit+") && public.lines().count() == 1, "{public}");
    let private = std::fs::read_to_string(folder.path().join("log.key")).unwrap();
    assert!(private.starts_with("PRIVATE+KEY+vigie.example/audit+"));
    assert!(!public.contains(private.trim_end()) && !words.contains(private.trim_end()));
    let again = run(&new);
    assert_eq!(again.status.code(), Some(1));
    assert!(texts(&again).1.contains("must not exist yet"), "{again:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("log.key")).unwrap(), private);

    let object = texts(&run(&["--json", "audit", "key", "show", "log.key"])).0;
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!((&object["kind"], &object["public_key"]), (&"log".into(), &public.trim_end().into()));
    std::fs::set_permissions(folder.path().join("log.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = texts(&run(&["audit", "key", "show", "log.key"])).1;
    assert!(open.contains("chmod 600 log.key"), "{open}");

    let spaced = run(&["audit", "key", "new", "--kind", "log", "two words", "other.key"]);
    assert!(texts(&spaced).1.contains("no space"), "{spaced:?}");
    assert!(!folder.path().join("other.key").exists());
    let log = ["--state", "w.state", "--log-key", public.trim_end(), "--witness-key", "log.key"];
    let wrong = run(&[&["audit", "cosign"], &log[..]].concat());
    assert!(texts(&wrong).1.contains("is a key of a log (0x01)"), "{wrong:?}");
}
