//! The object store in a configuration. Its credentials are never printed.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

/// The kind of store that holds the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// A folder of this machine, or one that is mounted.
    Folder,
    S3,
    GoogleCloudStorage,
    AzureBlobStorage,
}

/// The URL of an object store, such as `file:///var/lib/vigie/snapshots` or `s3://bucket/prefix`.
///
/// User, password and query are never printed: a URL that has them is refused, and the error does not repeat
/// them.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Creates a URL from a text. The configuration's `faults` reports one that is invalid.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the provider and the URL, or the reason why the URL is invalid.
    pub(crate) fn parse(&self) -> Result<(Provider, Url), &'static str> {
        let url = Url::parse(&self.0).map_err(|_| "is no URL")?;
        let provider = match url.scheme() {
            "file" => Provider::Folder,
            "s3" => Provider::S3,
            "gs" => Provider::GoogleCloudStorage,
            "az" => Provider::AzureBlobStorage,
            _ => return Err("begins with none of file://, s3://, gs:// and az://"),
        };
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials || url.query().is_some() || url.fragment().is_some() {
            return Err("must not hold a user, a query or a fragment; put credentials into snapshot_options");
        }
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        match provider {
            Provider::Folder if has_host || url.path().len() <= 1 => {
                Err("names no folder: write file:///path, with three slashes")
            }
            Provider::S3 | Provider::GoogleCloudStorage | Provider::AzureBlobStorage if !has_host => {
                Err("names no bucket or container")
            }
            Provider::Folder | Provider::S3 | Provider::GoogleCloudStorage | Provider::AzureBlobStorage => {
                Ok((provider, url))
            }
        }
    }
}

/// Prints the URL without user, password, query and fragment.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(url) => write!(f, "{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()),
            Err(_) => f.write_str("(no URL)"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Options of an object store, by the names of its provider, such as `aws_endpoint` or
/// `aws_secret_access_key`.
///
/// Their values are never printed, nor written where a configuration is: some are credentials.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StoreOptions(BTreeMap<String, Hidden>);

#[derive(Clone, PartialEq, Eq, JsonSchema)]
struct Hidden(String);

impl StoreOptions {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.0.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for StoreOptions {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(options: I) -> Self {
        Self(options.into_iter().map(|(name, value)| (name.into(), Hidden(value.into()))).collect())
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, HIDDEN))).finish()
    }
}

impl Serialize for StoreOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.keys().map(|name| (name, HIDDEN)))
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HiddenVisitor)
    }
}

/// Accepts `true` and `9000` as the texts that they are written as. An error never repeats the value.
struct HiddenVisitor;

impl Visitor<'_> for HiddenVisitor {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Hidden, E> {
        Ok(Hidden(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Hidden, E> {
        Ok(Hidden(value.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Hidden, E> {
        Err(E::custom("a number with a fraction: write it in quotes"))
    }
}

const HIDDEN: &str = "(hidden)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_url_is_refused_with_the_reason() {
        let check = |text: &str, expected: Result<Provider, &str>| {
            let parsed = StoreUrl::new(text).parse().map(|(provider, _)| provider);
            match (parsed, expected) {
                (Ok(provider), Ok(expected)) => assert_eq!(provider, expected, "{text}"),
                (Err(fault), Err(part)) => assert!(fault.contains(part), "{text}: {fault}"),
                (parsed, _) => panic!("{text}: {parsed:?}"),
            }
        };
        check("file:///var/lib", Ok(Provider::Folder));
        check("s3://bucket", Ok(Provider::S3));
        check("gs://bucket/a/b", Ok(Provider::GoogleCloudStorage));
        check("az://container/a", Ok(Provider::AzureBlobStorage));
        check("snapshots", Err("no URL"));
        check("http://bucket/a", Err("none of"));
        check("file://folder/a", Err("three slashes"));
        check("file:///", Err("three slashes"));
        check("s3:///a", Err("no bucket"));
        check("s3://name:word@bucket/a", Err("must not hold"));
        check("az://container/a?sig=word", Err("must not hold"));
    }

    #[test]
    fn credentials_are_never_printed() {
        let text = r#"{"aws_secret_access_key": "swordfish", "aws_allow_http": true, "pin": 4711}"#;
        let options: StoreOptions = serde_json::from_str(text).unwrap();
        assert!(options.iter().any(|one| one == ("aws_allow_http", "true")));
        let url = StoreUrl::new("s3://name:swordfish@bucket/a?sig=4711#4711");
        for printed in [
            format!("{options:?} {options:#?} {url:?} {url}"),
            serde_json::to_string(&options).unwrap(),
            serde_json::to_string(&url).unwrap(),
            url.parse().unwrap_err().to_owned(),
            serde_json::from_str::<StoreOptions>(r#"{"key": ["swordfish"]}"#).unwrap_err().to_string(),
            serde_json::from_str::<StoreOptions>(r#"{"key": 4711.5}"#).unwrap_err().to_string(),
        ] {
            assert!(!printed.contains("swordfish") && !printed.contains("4711"), "{printed}");
        }
    }
}
