//! Protects a gateway that asks for no credential against requests by other sites' web pages.
//!
//! A web page can make a browser send requests to any address that the browser reaches, including this
//! machine. Three headers that no page can forge reveal these requests. `Host` is the name by which the
//! browser found the gateway (after DNS rebinding, a name that the page's owner controls). `Origin` is the
//! site of the page. `Sec-Fetch-Site` is the relation of that site to the gateway (W3C Fetch Metadata).
//! Requests with a credential in a header need no such check: a page can add that header only after a CORS
//! preflight request, which the gateway never allows.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::problem::Problem;

/// The names by which clients may address the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Vec<String>);

/// The header with the relation of the page's site to the gateway.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// The header that separates navigation from requests by a script.
const SEC_FETCH_MODE: &str = "sec-fetch-mode";
/// The header that names the use of the answer, such as a document.
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

impl Hosts {
    /// Accepts `localhost`, every IP address, and these names, with or without a port.
    pub(crate) fn new(hosts: &[String]) -> Self {
        Self(hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    /// Refuses a request that another site's page may have caused.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let forbidden = |why: &str| Problem::new(StatusCode::FORBIDDEN, why.to_owned());
        let host = one(headers, &header::HOST).ok_or_else(|| Problem::bad("the request names no host"))?;
        if !self.is_ours(host) {
            return Err(forbidden(
                "requests without a credential may name this server only by its address, by localhost, or by a name of gateway.hosts",
            ));
        }
        match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
            None => {}
            Some(Ok(origin)) if is_of(origin, host) => {}
            Some(_) => return Err(forbidden("a page of another site may not use this server")),
        }
        match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
            None | Some(b"same-origin") => Ok(()),
            // The person has typed the address or opened a bookmark.
            Some(b"none") if matches!(*method, Method::GET | Method::HEAD) => Ok(()),
            Some(_) => Err(forbidden("a page of another site may not use this server")),
        }
    }

    /// Refuses a request to the console that another site's page may have caused. A link from another site
    /// may lead to a page, since a read changes nothing and the other site cannot see the answer.
    /// `has_session`: the request carries a session's cookie. A browser sends the cookie only to the name
    /// that set it, so every host name is allowed then.
    pub(super) fn check_page(
        &self,
        method: &Method,
        headers: &HeaderMap,
        has_session: bool,
    ) -> Result<(), Problem> {
        let is_link = matches!(*method, Method::GET | Method::HEAD)
            && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode.as_bytes() == b"navigate")
            && headers.get(SEC_FETCH_DEST).is_some_and(|of| of.as_bytes() == b"document");
        match (self.check(method, headers), has_session) {
            (Ok(()), _) => Ok(()),
            (Err(_), true) if is_link => Ok(()),
            (Err(_), false)
                if is_link && one(headers, &header::HOST).is_some_and(|host| self.is_ours(host)) =>
            {
                Ok(())
            }
            (Err(_), true) if is_of_same_site(headers) => Ok(()),
            (Err(problem), _) => Err(problem),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || self.0.iter().any(|ours| *ours == host || *ours == name)
    }
}

fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Returns whether the browser reports a page of this server, or a typed address, as the source of the
/// request.
fn is_of_same_site(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    let Some(host) = one(headers, &header::HOST) else { return false };
    let is_own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_of(origin, host));
    match headers.get(header::ORIGIN) {
        None => matches!(site, None | Some(b"same-origin" | b"none")),
        Some(origin) => is_own(origin) && matches!(site, None | Some(b"same-origin")),
    }
}

/// Returns whether an origin has this host.
fn is_of(origin: &str, host: &str) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let Some(authority) = origin.authority() else { return false };
    matches!(origin.scheme_str(), Some("http" | "https")) && authority.as_str().eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], method: Method) -> Result<(), Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Hosts::new(&["Vigie-Gateway".to_owned(), "match.example:8443".to_owned()]).check(&method, &map)
    }

    #[track_caller]
    fn check_page(headers: &[(&'static str, &str)], method: Method, has_session: bool, is_let_in: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let checked = Hosts::new(&[]).check_page(&method, &map, has_session);
        assert_eq!(checked.is_ok(), is_let_in, "{method} {headers:?} {has_session}");
    }

    #[test]
    fn a_link_of_another_site_leads_to_a_page_and_nothing_else_of_another_site_does() {
        let (ours, named, evil) =
            (("host", "127.0.0.1:7780"), ("host", "match.example"), ("host", "evil.example"));
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let with = |host, rest: &[(&'static str, &'static str)]| [&[host], rest].concat();
        check_page(&with(ours, &link), Method::GET, false, true);
        check_page(&with(named, &link), Method::GET, true, true);
        // A name that the page's owner controls sends a browser here without a session.
        check_page(&with(evil, &link), Method::GET, false, false);
        for has_session in [false, true] {
            check_page(&with(ours, &link), Method::POST, has_session, false);
            for dest in ["iframe", "image", "empty", "script"] {
                let other = [link[0], link[1], ("sec-fetch-dest", dest)];
                check_page(&with(ours, &other), Method::GET, has_session, false);
            }
            let script = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), link[2]];
            check_page(&with(ours, &script), Method::GET, has_session, false);
            let foreign = [("origin", "https://evil.example")];
            check_page(&with(ours, &foreign), Method::POST, has_session, false);
        }
    }

    #[test]
    fn a_session_may_be_used_by_every_name_under_which_it_was_given() {
        let own = [
            ("host", "match.example"),
            ("origin", "https://match.example"),
            ("sec-fetch-site", "same-origin"),
        ];
        check_page(&own, Method::POST, true, true);
        check_page(&own, Method::POST, false, false);
        let typed = [("host", "match.example"), ("sec-fetch-site", "none")];
        check_page(&typed, Method::GET, true, true);
        let sibling = [("host", "match.example"), ("sec-fetch-site", "same-site")];
        check_page(&sibling, Method::POST, true, false);
    }

    #[test]
    fn programs_and_our_own_pages_are_let_in() {
        for host in [
            "127.0.0.1:7780",
            "localhost:7780",
            "[::1]:7780",
            "10.0.0.7",
            "vigie-gateway:80",
            "match.example:8443",
        ] {
            assert!(check(&[("host", host)], Method::POST).is_ok(), "{host}");
        }
        let own = [
            ("host", "127.0.0.1:7780"),
            ("origin", "http://127.0.0.1:7780"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(check(&own, Method::POST).is_ok());
        assert!(check(&[("host", "localhost"), ("sec-fetch-site", "none")], Method::GET).is_ok());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "127.0.0.1:7780");
        for headers in [
            vec![("host", "evil.example")],
            vec![("host", "127.0.0.1.evil.example:7780")],
            vec![("host", "match.example")],
            vec![host, ("origin", "https://evil.example")],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "http://127.0.0.1:7781")],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(
                check(&headers, Method::POST).unwrap_err().status,
                StatusCode::FORBIDDEN,
                "{headers:?}"
            );
        }
        let both = [host, ("host", "localhost")];
        assert_eq!(check(&both, Method::GET).unwrap_err().status, StatusCode::BAD_REQUEST);
        assert_eq!(check(&[], Method::GET).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
