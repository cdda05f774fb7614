//! The access matrix: each role on each route, as the services' rights imply, as the console answers, and as
//! `matrix.txt` lists.
//!
//! `VIGIE_WRITE_MATRIX=1` writes the file anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http::{Method as HttpMethod, StatusCode};
use vigie_consortium::rights::Method;
use vigie_consortium::{Flag as _, Role};

use crate::gateway::console::browser::{Browser, Shown};
use crate::gateway::console::whole::site::{Site, any_path, routes};
use crate::gateway::filled::{Filled, Person};

/// A path that does not exist.
const NEVER: &str = "/console/never-there";

/// Whether the rights let a role call at least one of a route's methods.
fn is_allowed(methods: &[Method], role: &str) -> bool {
    let role = Role::ALL.iter().find(|known| known.name() == role).unwrap();
    methods.is_empty() || methods.iter().any(|method| method.is_open_to(*role))
}

/// An answer without the parts that always differ: the ids of writes, and the requested path with its mark in
/// the navigation.
fn comparable(shown: &Shown, path: &str) -> (StatusCode, String, String) {
    let mut html = String::new();
    for (at, part) in shown.html.split("name=\"once\" value=\"").enumerate() {
        html.push_str(if at == 0 { part } else { part.split_once('"').unwrap().1 });
    }
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| match name.as_str() {
        "date" | "content-length" => None,
        name => Some(format!("{name}: {}\n", value.to_str().unwrap())),
    };
    let next = format!("name=\"next\" value=\"{path}\"");
    let html = html.replace(&next, "").replace(" aria-current=\"page\"", "");
    (shown.status, shown.headers.iter().filter_map(header).collect(), html)
}

/// The roles for which each request was answered as an existing page, and the differences from the rights.
#[derive(Debug, Default)]
struct Matrix {
    listed: String,
    differences: Vec<String>,
}

impl Matrix {
    /// Tries one kind of request on every route, for each role at the host or at a member.
    async fn fill(
        &mut self,
        cluster: &vigie_harness::in_process::Cluster,
        place: &str,
        site: &Site,
        roles: &[(&'static str, Person)],
        method: &HttpMethod,
    ) {
        let mut browsers = Vec::new();
        for (role, person) in roles {
            browsers.push((*role, Browser::signed_in(cluster, &person.key).await));
        }
        // A principal has every role. If that principal gets no answer either, the route has no page, or no
        // form, for this kind of request. The sign-in routes are open to everybody and have no navigation.
        for route in routes().iter().filter(|route| !route.path.starts_with("/console/sign-")) {
            let path = site.path(route.path);
            let reads = method == HttpMethod::GET;
            let (verb, methods) = if reads { ("read", route.reads) } else { ("changed", route.changes) };
            let mut seen = BTreeSet::new();
            for (role, browser) in &mut browsers {
                let shown = browser.ask_once(method.clone(), &path).await;
                let is_there = match (reads, shown.status) {
                    (_, StatusCode::NOT_FOUND) => false,
                    // Sent without the session's token: the form exists and is refused.
                    (false, StatusCode::FORBIDDEN) => true,
                    // The proof of an entry is unavailable until a checkpoint covers it.
                    (true, StatusCode::SERVICE_UNAVAILABLE) => true,
                    (true, status) if status.is_success() || status.is_redirection() => true,
                    (_, status) => {
                        self.differences.push(format!("{path} is {verb} by {place}'s {role}: {status}"));
                        continue;
                    }
                };
                if is_there {
                    seen.insert(*role);
                } else {
                    let never = browser.ask_once(method.clone(), NEVER).await;
                    if comparable(&shown, &path) != comparable(&never, NEVER) {
                        self.differences.push(format!("{place}'s {role} learns that {path} is there"));
                    }
                }
            }
            if seen.is_empty() {
                // No page or no form for this kind of request.
                continue;
            }
            for (role, _) in roles {
                if seen.contains(role) != is_allowed(methods, role) {
                    let found = if seen.contains(role) { "finds" } else { "does not find" };
                    self.differences.push(format!("{place}'s {role} {found} {path} to be {verb}"));
                }
            }
            let seen: Vec<&str> =
                roles.iter().map(|(role, _)| *role).filter(|role| seen.contains(role)).collect();
            writeln!(self.listed, "{} {verb} by {place}'s {}", route.path, seen.join(" ")).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_finds_the_pages_that_its_rights_are_for() {
    let filled = Filled::plain().await;
    let mut browser = Browser::signed_in(&filled.cluster, &filled.everything.key).await;
    let mut member = Site::of(&mut browser).await;
    member.follow(&mut browser, &filled.special_pages()).await;
    // The person who sees the fewest audit entries comes first, so that the example entry is visible to all.
    let (_, administrator) = filled.of_host.iter().find(|(role, _)| *role == "administrator").unwrap();
    let mut host = Site::of(&mut Browser::signed_in(&filled.cluster, &administrator.key).await).await;
    host.extend(&mut Browser::signed_in(&filled.cluster, &filled.host.key).await).await;
    host.extend(&mut Browser::signed_in(&filled.cluster, &filled.operator.key).await).await;
    let unreached: Vec<_> =
        member.unreached().into_iter().filter(|path| host.unreached().contains(path)).collect();
    assert_eq!(unreached, [""; 0], "routes that no page leads to");

    let mut matrix = Matrix::default();
    for (place, site, roles) in
        [("a member", &member, &filled.of_member), ("the host", &host, &filled.of_host)]
    {
        for method in [HttpMethod::GET, HttpMethod::POST] {
            matrix.fill(&filled.cluster, place, site, roles, &method).await;
        }
    }
    assert_eq!(matrix.differences, [""; 0]);
    let mut lines: Vec<&str> = matrix.listed.lines().collect();
    lines.sort_unstable();
    let listed = lines.join("\n") + "\n";
    if std::env::var_os("VIGIE_WRITE_MATRIX").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/it/gateway/console/whole/matrix.txt");
        std::fs::write(file, format!("{}{listed}", heading())).unwrap();
    } else {
        let file: Vec<&str> =
            include_str!("matrix.txt").lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, file, "VIGIE_WRITE_MATRIX=1 writes matrix.txt anew");
    }
    // A parameter that names nothing is answered as a path that does not exist.
    let never = comparable(&browser.ask_once(HttpMethod::GET, NEVER).await, NEVER);
    for route in routes().iter().filter(|route| route.path.contains('{')) {
        let path = any_path(route.path).replace("/1", "/999999999");
        let shown = browser.ask_once(HttpMethod::GET, &path).await;
        if shown.status == StatusCode::NOT_FOUND {
            assert_eq!(comparable(&shown, &path), never, "{path}");
        }
    }
    filled.cluster.stop().await.unwrap();
}

fn heading() -> &'static str {
    "# Who finds which page of the console: \"PATH read by PLACE's ROLES\", \"PATH changed by PLACE's ROLES\".\n\
     # Written by VIGIE_WRITE_MATRIX=1; the test compares it with the rights of the services and with what the console answers.\n"
}
