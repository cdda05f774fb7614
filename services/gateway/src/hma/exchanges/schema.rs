//! The programmes that exchanges follow, with the fields from which HMA's clients draw forms.

use serde_json::{Map, Value, json};
use vigie_formats::ncmec::ENVIRONMENTS;

use crate::hma::refusal::Refusal;

/// A programme with its name and fields in HMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    /// HMA's name, which exchanges use too.
    pub(crate) name: &'static str,
    /// The settings of an exchange.
    pub(crate) config: &'static [Field],
    /// Its credentials; `None` if it has none.
    pub(crate) credentials: Option<&'static [Field]>,
}

/// A field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// The name in HMA's requests.
    pub(crate) name: &'static str,
    /// The name in Vigie's settings and credentials.
    pub(crate) own: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    help: &'static str,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A number, 0 or more.
    Number,
    /// Numbers.
    SetOfNumber,
    /// The URL of one of NCMEC's lists.
    Environment,
}

const fn secret(name: &'static str, own: &'static str, help: &'static str) -> Field {
    Field { name, own, kind: Kind::Text, required: true, help }
}

/// Every programme, in the order of HMA's list.
pub(crate) const APIS: [Api; 5] = [
    Api { name: "sample", config: &[], credentials: None },
    Api {
        name: "fb_threatexchange",
        config: &[Field {
            name: "privacy_group",
            own: "privacy_group",
            kind: Kind::Number,
            required: true,
            help: "The number of the privacy group",
        }],
        credentials: Some(&[secret("api_token", "token", "The app's token, APP|SECRET")]),
    },
    Api {
        name: "ncmec",
        config: &[
            Field {
                name: "environment",
                own: "base_url",
                kind: Kind::Environment,
                required: true,
                help: "Which of the programme's lists",
            },
            Field {
                name: "only_esp_ids",
                own: "members",
                kind: Kind::SetOfNumber,
                required: false,
                help: "Only entries of these members; none for all",
            },
        ],
        credentials: Some(&[
            secret("user", "user", "The account's name"),
            secret("password", "password", "The account's password"),
        ]),
    },
    Api {
        name: "stop_ncii",
        config: &[],
        credentials: Some(&[
            secret("fetch_function_key", "fetch_key", "The key of FetchHashes"),
            secret("subscription_key", "subscription_key", "The key of the subscription"),
        ]),
    },
    Api {
        name: "tat",
        config: &[],
        credentials: Some(&[
            secret("username", "user", "The account's name"),
            secret("password", "password", "The account's password"),
        ]),
    },
];

impl Api {
    /// Returns the programme with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        APIS.into_iter().find(|api| api.name == name)
    }

    /// Returns the schema from which clients draw forms.
    pub(crate) fn schema(self) -> Value {
        let fields = |fields: &[Field]| json!({ "fields": fields.iter().map(|field| field.shown()).collect::<Vec<_>>() });
        json!({ "config_schema": fields(self.config), "credentials_schema": self.credentials.map(fields) })
    }

    /// Converts the settings of a request to Vigie's names. Unknown keys are ignored, as in HMA.
    pub(crate) fn settings(self, given: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let mut settings = Map::new();
        for field in self.config {
            match given.get(field.name).filter(|value| !value.is_null()) {
                Some(value) if field.takes(value) => {
                    settings.insert(field.own.to_owned(), value.clone());
                }
                Some(_) => return Err(Refusal::bad(format!("api_json: {} has a wrong type", field.name))),
                None if field.required => {
                    return Err(Refusal::bad(format!("api_json: {} is required", field.name)));
                }
                None => {}
            }
        }
        Ok(settings)
    }

    /// Converts Vigie's settings to HMA's names.
    pub(crate) fn shown(self, settings: &Map<String, Value>) -> Map<String, Value> {
        let known = |field: &Field| Some((field.name.to_owned(), settings.get(field.own)?.clone()));
        self.config.iter().filter_map(known).collect()
    }
}

impl Field {
    fn shown(self) -> Value {
        let (kind, choices, default) = match self.kind {
            Kind::Text => ("string", Value::Null, Value::Null),
            Kind::Number => ("number", Value::Null, Value::Null),
            Kind::SetOfNumber => ("set_of_number", Value::Null, json!([])),
            Kind::Environment => ("enum", json!(ENVIRONMENTS.map(|one| one.base)), Value::Null),
        };
        json!({
            "name": self.name, "type": kind, "required": self.required, "default": default, "help": self.help,
            "choices": choices,
        })
    }

    /// Returns whether a value has the field's type.
    pub(crate) fn takes(self, value: &Value) -> bool {
        match self.kind {
            Kind::Text => value.is_string(),
            Kind::Number => value.is_u64(),
            Kind::SetOfNumber => value.as_array().is_some_and(|all| all.iter().all(Value::is_u64)),
            Kind::Environment => {
                value.as_str().is_some_and(|url| ENVIRONMENTS.iter().any(|one| one.base == url))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_the_keys_that_clients_read() {
        for api in APIS {
            let schema = api.schema();
            let fields = schema["config_schema"]["fields"].as_array().unwrap();
            let credentials = schema["credentials_schema"]["fields"].as_array().into_iter().flatten();
            for field in fields.iter().chain(credentials) {
                let keys: Vec<_> = field.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(keys, ["choices", "default", "help", "name", "required", "type"]);
                assert_eq!(field["choices"].is_array(), field["type"] == "enum");
            }
        }
        assert!(Api::named("sample").unwrap().schema()["credentials_schema"].is_null());
    }

    #[test]
    fn settings_are_checked_and_come_back_in_the_same_words() {
        let api = Api::named("fb_threatexchange").unwrap();
        let given = json!({ "privacy_group": 123, "other": true });
        let settings = api.settings(given.as_object().unwrap()).unwrap();
        assert_eq!(api.shown(&settings), *json!({ "privacy_group": 123 }).as_object().unwrap());
        for bad in [json!({}), json!({ "privacy_group": "123" }), json!({ "privacy_group": -1 })] {
            assert!(api.settings(bad.as_object().unwrap()).is_err(), "{bad}");
        }
        let ncmec = Api::named("ncmec").unwrap();
        let given = json!({ "environment": "https://hashsharing.ncmec.org/npo", "only_esp_ids": [1, 2] });
        let settings = ncmec.settings(given.as_object().unwrap()).unwrap();
        assert_eq!(settings["base_url"], "https://hashsharing.ncmec.org/npo");
        assert!(
            ncmec.settings(json!({ "environment": "https://evil.example" }).as_object().unwrap()).is_err()
        );
    }
}
