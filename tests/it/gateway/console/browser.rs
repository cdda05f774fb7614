//! A browser without JavaScript: it keeps cookies, follows redirects, and sends the forms of the current
//! page.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use url::form_urlencoded;
use vigie_harness::in_process::Cluster;

use crate::gateway::client::{Answer, Http};

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// A browser.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    http: Http,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A page that the browser shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The path and query after redirects.
    pub(crate) path: String,
    pub(crate) html: String,
}

impl Browser {
    /// A browser without a session.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self { http: Http::new(cluster), cookies: BTreeMap::new() }
    }

    /// A browser signed in with this key.
    pub(crate) async fn signed_in(cluster: &Cluster, key: &str) -> Self {
        let mut browser = Self::new(cluster);
        let page = browser.get("/console/sign-in").await;
        let shown = browser.send(&page, "/console/sign-in", &[("key", key)]).await;
        assert_eq!((shown.status, shown.path.as_str()), (StatusCode::OK, "/console/"), "{}", shown.html);
        browser
    }

    /// Goes to a page.
    pub(crate) async fn get(&mut self, path: &str) -> Shown {
        let answer = self.ask(Method::GET, path, &[], Bytes::new()).await;
        self.follow(path, answer).await
    }

    /// Sends a form of a page: these fields, and the hidden ones.
    pub(crate) async fn send(&mut self, page: &Shown, action: &str, fields: &[(&str, &str)]) -> Shown {
        let form = page.form(action);
        let mut body = form_urlencoded::Serializer::new(String::new());
        let given = |name: &str| fields.iter().any(|(field, _)| *field == name);
        body.extend_pairs(form.hidden.iter().filter(|(name, _)| !given(name)));
        let body = body.extend_pairs(fields).finish();
        self.post(action, &[("content-type", "application/x-www-form-urlencoded")], body).await
    }

    /// Sends a form of a page with files, each by its field, name and content.
    pub(crate) async fn upload(
        &mut self,
        page: &Shown,
        action: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Shown {
        let form = page.form(action);
        let mut body = Vec::new();
        let mut part = |head: String, content: &[u8]| {
            body.extend_from_slice(
                format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        let given = |name: &str| fields.iter().any(|(field, _)| *field == name);
        for (name, value) in form.hidden.iter().filter(|(name, _)| !given(name)) {
            part(format!("name=\"{name}\""), value.as_bytes());
        }
        for (name, value) in fields {
            part(format!("name=\"{name}\""), value.as_bytes());
        }
        for (name, file, content) in files {
            let kind = "\r\nContent-Type: application/octet-stream";
            part(format!("name=\"{name}\"; filename=\"{file}\"{kind}"), content);
        }
        body.extend_from_slice(b"--XX--\r\n");
        self.post(action, &[("content-type", "multipart/form-data; boundary=XX")], body).await
    }

    /// Sends a body unchanged.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Shown {
        let answer = self.ask(Method::POST, path, headers, body).await;
        self.follow(path, answer).await
    }

    /// Opens a page that redirects, and does not follow. Returns the status and the target.
    pub(crate) async fn lead(&mut self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let answer = self.ask(Method::GET, path, headers, Bytes::new()).await;
        let location = answer.headers.get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        (answer.status, location.unwrap_or_default())
    }

    /// Sends a request with an empty body, and follows no redirect.
    pub(crate) async fn ask_once(&mut self, method: Method, path: &str) -> Shown {
        let answer = self.ask(method, path, &[], Bytes::new()).await;
        let html = String::from_utf8_lossy(&answer.bytes).into_owned();
        Shown { status: answer.status, headers: answer.headers, path: path.to_owned(), html }
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let answer = self.http.send(method, path, &all, body).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    async fn follow(&mut self, path: &str, mut answer: Answer) -> Shown {
        let mut path = path.to_owned();
        for _ in 0..REDIRECTS_MAX {
            if !answer.status.is_redirection() {
                let html = String::from_utf8_lossy(&answer.bytes).into_owned();
                return Shown { status: answer.status, headers: answer.headers, path, html };
            }
            path = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
            answer = self.ask(Method::GET, &path, &[], Bytes::new()).await;
        }
        panic!("redirects without an end, at {path}");
    }
}

/// A form of a page.
#[derive(Debug)]
pub(crate) struct Form {
    hidden: Vec<(String, String)>,
}

impl Shown {
    /// The page; panics if the status is not 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}: {}", self.path, self.text());
        self
    }

    /// The first form with this action, with its hidden fields.
    #[track_caller]
    pub(crate) fn form(&self, action: &str) -> Form {
        let forms = self.html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let is_it = |form: &&str| form.split('>').next().unwrap().contains(&format!("action=\"{action}\""));
        let Some(form) = forms.into_iter().find(is_it) else { panic!("no form for {action}: {}", self.html) };
        let hidden = form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap());
        let hidden = hidden.filter(|input| input.contains("type=\"hidden\""));
        let of = |input: &str, name: &str| {
            let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
            Some(plain(value))
        };
        let field = |input: &str| Some((of(input, "name")?, of(input, "value").unwrap_or_default()));
        Form { hidden: hidden.filter_map(field).collect() }
    }

    /// Whether the page has a form with this action.
    pub(crate) fn has_form(&self, action: &str) -> bool {
        self.html.contains(&format!("action=\"{action}\""))
    }

    /// The visible text: the page without tags, with runs of spaces collapsed.
    pub(crate) fn text(&self) -> String {
        let main = self.html.split("<main").nth(1).unwrap_or(&self.html);
        let mut text = String::new();
        for part in main.split('<').skip(1) {
            text.push(' ');
            text.push_str(part.split_once('>').map_or("", |(_, text)| text));
        }
        plain(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The paths of the page's links, in order and without duplicates.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links: Vec<String> = Vec::new();
        for rest in self.html.split("href=\"").skip(1) {
            let link = plain(rest.split('"').next().unwrap());
            if link.starts_with("/console") && !link.contains("/static/") && !links.contains(&link) {
                links.push(link);
            }
        }
        links
    }
}

/// The plain text of an attribute or an element.
fn plain(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    pairs.into_iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
