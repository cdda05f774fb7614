//! `/openapi/openapi.json` and `/site-map`: the list of paths, for programs.

use axum::Json;
use serde_json::{Map, Value, json};

/// A path of the API.
struct Described {
    path: &'static str,
    methods: &'static [(&'static str, &'static str)],
}

const PATHS: &[Described] = &[
    Described {
        path: "/c/bank/{bank}",
        methods: &[
            ("get", "Show a bank"),
            ("put", "Rename a bank or set its ratio"),
            ("delete", "Delete a bank"),
        ],
    },
    Described {
        path: "/c/bank/{bank}/content",
        methods: &[("post", "Bank a picture or video, sent or named by a URL")],
    },
    Described {
        path: "/c/bank/{bank}/content/{id}",
        methods: &[
            ("get", "Show content"),
            ("put", "Disable or enable content, or set its note"),
            ("delete", "Remove content"),
        ],
    },
    Described { path: "/c/bank/{bank}/signal", methods: &[("post", "Bank hashes")] },
    Described { path: "/c/banks", methods: &[("get", "List banks"), ("post", "Create a bank")] },
    Described { path: "/c/content_type", methods: &[("get", "List types of content")] },
    Described {
        path: "/c/exchange/{name}",
        methods: &[
            ("get", "Show an exchange"),
            ("put", "Turn an exchange on or off"),
            ("delete", "Delete an exchange and its bank"),
        ],
    },
    Described { path: "/c/exchange/{name}/status", methods: &[("get", "Show what an exchange has fetched")] },
    Described {
        path: "/c/exchanges",
        methods: &[("get", "List exchanges"), ("post", "Create an exchange and its bank")],
    },
    Described {
        path: "/c/exchanges/api/{api}",
        methods: &[
            ("get", "Show whether a programme has credentials"),
            ("post", "Set the credentials of a programme"),
        ],
    },
    Described {
        path: "/c/exchanges/api/{api}/schema",
        methods: &[("get", "Show the fields of a programme")],
    },
    Described { path: "/c/exchanges/apis", methods: &[("get", "List programmes")] },
    Described { path: "/c/signal_type", methods: &[("get", "List types of signals")] },
    Described {
        path: "/c/signal_type/index",
        methods: &[("get", "Show what is banked and searched of each type")],
    },
    Described { path: "/h/hash", methods: &[("get", "Hash content at a URL"), ("post", "Hash a file")] },
    Described { path: "/m/compare", methods: &[("post", "Compare two hashes")] },
    Described { path: "/m/index/status", methods: &[("get", "Show what is searched of each type")] },
    Described {
        path: "/m/lookup",
        methods: &[("get", "Look up a hash, or content at a URL"), ("post", "Look up a file")],
    },
    Described { path: "/m/raw_lookup", methods: &[("get", "Look up a hash, whatever the ratios of banks")] },
    Described { path: "/openapi/openapi.json", methods: &[("get", "Show this document")] },
    Described { path: "/site-map", methods: &[("get", "List the paths")] },
    Described { path: "/status", methods: &[("get", "Say whether the whole cluster answers")] },
    Described { path: "/status/live", methods: &[("get", "Say that the server runs")] },
];

/// Lists the paths.
pub(crate) async fn site_map() -> Json<Vec<&'static str>> {
    Json(PATHS.iter().map(|described| described.path).collect())
}

/// Describes the paths. Clients compare the title with HMA's.
pub(crate) async fn document() -> Json<Value> {
    let methods = |described: &Described| {
        let of = |(method, summary): &(&str, &str)| {
            let names = described.path.split(['{', '}']).skip(1).step_by(2);
            let parameters: Vec<Value> = names
                .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
                .collect();
            let described = json!({
                "summary": summary,
                "parameters": parameters,
                "responses": { "default": { "description": "See the documentation of HMA." } },
            });
            ((*method).to_owned(), described)
        };
        Value::Object(described.methods.iter().map(of).collect())
    };
    let paths: Map<String, Value> =
        PATHS.iter().map(|described| (described.path.to_owned(), methods(described))).collect();
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "Open Media Match API", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
    }))
}
