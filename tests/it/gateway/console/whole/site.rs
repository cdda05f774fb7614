//! The pages of the console that links lead to, and the route of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use http::StatusCode;
use vigie_gateway::{ConsoleRoute, console_routes};

use crate::gateway::console::browser::{Browser, Shown};

/// The most pages that are visited; one of each route needs fewer.
const PAGES_MAX: usize = 400;

/// The pages that a person reaches by links from the first page.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// A page of each route and each set of query fields.
    pub(crate) pages: Vec<Shown>,
    /// By route: the first path, without its query, that a link or a form has.
    pub(crate) examples: BTreeMap<&'static str, String>,
}

/// The routes of the console.
pub(crate) fn routes() -> Vec<ConsoleRoute> {
    console_routes()
}

/// The route of a path.
pub(crate) fn route_of(path: &str) -> Option<&'static str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let fits = |route: &str| {
        let (mut parts, mut asked) = (route.split('/'), path.split('/'));
        loop {
            match (parts.next(), asked.next()) {
                (None, None) => return true,
                (Some(part), Some(asked)) if part == asked => {}
                (Some(part), Some(asked)) if part.starts_with('{') && !asked.is_empty() => {}
                _ => return false,
            }
        }
    };
    let routes = routes();
    let plain = routes.iter().find(|route| route.path == path);
    plain.or_else(|| routes.iter().find(|route| fits(route.path))).map(|route| route.path)
}

/// A path of a route, with `1` for each parameter.
pub(crate) fn any_path(route: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

impl Site {
    /// Follows the links of a person, from the first page.
    pub(crate) async fn of(browser: &mut Browser) -> Self {
        let mut site = Self::default();
        site.extend(browser).await;
        site
    }

    /// Follows the links of another person too.
    pub(crate) async fn extend(&mut self, browser: &mut Browser) {
        self.follow(browser, &["/console/".to_owned(), "/console/sign-in".to_owned()]).await;
    }

    /// Follows a person's links breadth first from these pages, so that the first entry of a list is the
    /// example.
    pub(crate) async fn follow(&mut self, browser: &mut Browser, from: &[String]) {
        let mut waiting = VecDeque::from(from.to_vec());
        let mut entered = BTreeSet::new();
        let (mut looked, mut dead) = (0, Vec::new());
        while let Some(path) = waiting.pop_front() {
            looked += 1;
            assert!(looked <= PAGES_MAX, "links without an end, at {path}");
            let shown = browser.get(&path).await;
            if shown.status == StatusCode::SERVICE_UNAVAILABLE {
                // The proof of an entry that no checkpoint covers yet.
                self.example(&path);
                continue;
            }
            if !shown.status.is_success() {
                dead.push(format!("{path}: {}", shown.status));
                continue;
            }
            for link in shown.links() {
                let route = route_of(&link);
                if route.is_none() {
                    dead.push(format!("{link}, of {path}"));
                    continue;
                }
                self.example(&link);
                if entered.insert((route, asks(&link))) {
                    waiting.push_back(link);
                }
            }
            for action in actions(&shown.html) {
                if route_of(&action).is_none() {
                    dead.push(format!("{action}, a form of {path}"));
                }
                self.example(&action);
            }
            self.example(&path);
            self.pages.push(shown);
        }
        assert_eq!(dead, [""; 0], "links and forms that lead to no page");
    }

    fn example(&mut self, path: &str) {
        if let Some(route) = route_of(path) {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            self.examples.entry(route).or_insert_with(|| path.to_owned());
        }
    }

    /// A path of a route: one that a page links to, or otherwise any.
    pub(crate) fn path(&self, route: &str) -> String {
        self.examples.get(route).cloned().unwrap_or_else(|| any_path(route))
    }

    /// The routes with parameters that no page leads to.
    pub(crate) fn unreached(&self) -> Vec<&'static str> {
        let all = routes().into_iter().map(|route| route.path);
        all.filter(|path| !self.examples.contains_key(path) && path.contains('{')).collect()
    }
}

/// The parts of a link's query that select a page: the names of its fields, and the kind of a tab.
fn asks(link: &str) -> BTreeSet<String> {
    let pairs = link.split_once('?').map_or("", |(_, query)| query).split('&');
    let shown = |pair: &str| {
        if pair.starts_with("kind=") { pair.to_owned() } else { pair.split('=').next().unwrap().to_owned() }
    };
    pairs.map(shown).collect()
}

/// The targets of a page's forms and buttons.
pub(crate) fn actions(html: &str) -> Vec<String> {
    let mut actions = Vec::new();
    for name in [" action=\"", " formaction=\""] {
        for rest in html.split(name).skip(1) {
            let action = rest.split('"').next().unwrap_or_default().replace("&amp;", "&");
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
    }
    actions
}

/// The names of the fields of a page.
pub(crate) fn fields(html: &str) -> BTreeSet<String> {
    let inputs = ["<input", "<select", "<textarea"];
    let tags = inputs.iter().flat_map(|tag| html.split(*tag).skip(1));
    let names = tags.filter_map(|rest| {
        let tag = rest.split('>').next()?;
        Some(tag.split(" name=\"").nth(1)?.split('"').next()?.to_owned())
    });
    names.collect()
}
