//! The forms that add an exchange: first the programme, then its settings, one field each.

use maud::{Markup, html};
use serde_json::{Map, Value};
use vigie_clients::{Code, NewExchange};
use vigie_consortium::{Exchange, ExchangeConfig};
use vigie_formats::ncmec::ENVIRONMENTS;
use vigie_model::BankRef;

use crate::console::page::Done;
use crate::console::parts::{self, Entered, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::hma::exchanges::schema::{APIS, Api, Kind};
use crate::problem::Problem;
use crate::v1::values::value;

/// A setting of a programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    /// The setting's name in the configuration; also the key of its label.
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

/// Programmes that HMA does not support, with their settings.
const OTHERS: [(&str, &[Setting]); 3] = [
    ("vigie", &[required("base_url"), required("bank")]),
    ("local_file", &[required("path"), optional("signal_type"), optional("format")]),
    ("http_file", &[required("url"), optional("signal_type"), optional("format")]),
];

const fn required(name: &'static str) -> Setting {
    Setting { name, kind: Kind::Text, is_required: true }
}

const fn optional(name: &'static str) -> Setting {
    Setting { name, kind: Kind::Text, is_required: false }
}

/// The programme of a new exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    name: &'static str,
    settings: Vec<Setting>,
}

impl Chosen {
    /// Returns the programme with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        if let Some(api) = Api::named(name) {
            let setting = |field: &crate::hma::exchanges::schema::Field| Setting {
                name: field.own,
                kind: field.kind,
                is_required: field.required,
            };
            return Some(Self { name: api.name, settings: api.config.iter().map(setting).collect() });
        }
        let (name, settings) = OTHERS.into_iter().find(|(known, _)| *known == name)?;
        Some(Self { name, settings: settings.to_vec() })
    }

    /// Returns the settings of a form: its fields merged with its JSON object, which takes precedence.
    fn config(&self, visit: &Visit, posted: &Posted) -> Result<ExchangeConfig, Problem> {
        let mut settings = Map::new();
        for setting in &self.settings {
            let (name, text) = (setting.field(), posted.field(&setting.field()));
            if text.is_empty() {
                if setting.is_required {
                    return Err(Problem::field(name, visit.t("exchanges.required")));
                }
                continue;
            }
            let value = setting.read(text).ok_or_else(|| Problem::field(name, visit.t("exchanges.unfit")))?;
            settings.insert(setting.name.to_owned(), value);
        }
        let more = posted.field("settings");
        if !more.is_empty() {
            let more: Map<String, Value> = serde_json::from_str(more)
                .map_err(|_| Problem::field("settings", visit.t("exchanges.no_json")))?;
            settings.extend(more);
        }
        ExchangeConfig::new(&Value::Object(settings).to_string())
            .map_err(|why| Problem::field("settings", why))
    }
}

impl Setting {
    /// The name of the form field.
    fn field(self) -> String {
        format!("setting-{}", self.name)
    }

    /// Parses the entered text as JSON; `None` if it has the wrong type.
    fn read(self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Text => Some(text.into()),
            Kind::Number => text.parse::<u64>().ok().map(Value::from),
            Kind::SetOfNumber => {
                let numbers = text.split([',', ' ']).filter(|number| !number.is_empty());
                numbers
                    .map(|number| number.parse::<u64>().ok().map(Value::from))
                    .collect::<Option<Vec<_>>>()
                    .map(Value::from)
            }
            Kind::Environment => ENVIRONMENTS.iter().any(|one| one.base == text).then(|| text.into()),
        }
    }

    fn shown(self, visit: &Visit, entered: Entered<'_>) -> Markup {
        let (name, label) = (self.field(), visit.t(&format!("exchanges.setting.{}", self.name)));
        let field = Field {
            name: &name,
            label,
            value: entered.value(&name, ""),
            fault: entered.fault(&name),
            is_required: self.is_required,
            ..Field::default()
        };
        match self.kind {
            Kind::Environment => {
                let options: Vec<(&str, &str)> =
                    ENVIRONMENTS.iter().map(|one| (one.base, one.base)).collect();
                parts::choice(&field, &options)
            }
            Kind::Text | Kind::Number | Kind::SetOfNumber => parts::field(&field),
        }
    }
}

/// The display name of a programme; its identifier if it has none.
pub(super) fn programme(visit: &Visit, api: &str) -> String {
    let key = format!("exchanges.programmes.{api}");
    if visit.language.has(&key) { visit.t(&key).to_owned() } else { api.to_owned() }
}

/// The section of the page that adds an exchange.
pub(super) fn section(visit: &Visit, chosen: Option<&Chosen>, entered: Entered<'_>) -> Markup {
    let known = APIS.iter().map(|api| api.name).chain(OTHERS.iter().map(|(name, _)| *name));
    let options: Vec<(&str, String)> = known.map(|name| (name, programme(visit, name))).collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, words)| (*name, words.as_str())).collect();
    let choice = Field {
        name: "api",
        label: visit.t("exchanges.programme"),
        value: chosen.map_or("", |chosen| chosen.name),
        ..Field::default()
    };
    let body = html! {
        form method="get" action="/console/exchanges#f-name" {
            (parts::choice(&choice, &options))
            button.second type="submit" { (visit.t("exchanges.choose")) }
        }
        @if let Some(chosen) = chosen { (form(visit, chosen, entered)) }
    };
    parts::section(visit.t("exchanges.add"), body)
}

fn form(visit: &Visit, chosen: &Chosen, entered: Entered<'_>) -> Markup {
    let fields = html! {
        input type="hidden" name="api" value=(chosen.name);
        (parts::field(&Field {
            hint: visit.t("exchanges.name_hint"),
            is_required: true,
            ..entered.field("name", visit.t("exchanges.name"))
        }))
        (parts::field(&Field {
            hint: visit.t("exchanges.bank_hint"),
            is_required: true,
            ..entered.field("bank", visit.t("exchanges.bank"))
        }))
        @for setting in &chosen.settings { (setting.shown(visit, entered)) }
        (parts::field(&Field {
            hint: visit.t("exchanges.interval_hint"),
            ..entered.field("interval", visit.t("exchanges.interval"))
        }))
        (parts::area(&Field {
            hint: visit.t("exchanges.more_hint"),
            ..entered.field("settings", visit.t("exchanges.more"))
        }, 3))
        p.hint { (visit.t("exchanges.credentials")) }
        (parts::button(visit.t("exchanges.add_this"), None))
    };
    html! {
        h3 { (programme(visit, chosen.name)) }
        (entered.notice(visit.t("exchanges.refused")))
        (parts::form(visit, "/console/exchanges", fields))
    }
}

/// Adds the exchange of a form.
pub(super) async fn add(visit: &Visit, chosen: &Chosen, posted: &Posted) -> Result<Done, Problem> {
    let config = chosen.config(visit, posted)?;
    let interval = posted.field("interval");
    let interval_seconds = if interval.is_empty() { 0 } else { posted.number("interval")? };
    let max = Exchange::INTERVAL_SECONDS_MAX;
    if interval_seconds > max {
        return Err(Problem::field("interval", visit.fill("exchanges.interval_max", &[("max", &max)])));
    }
    let new = NewExchange {
        name: value("name", posted.field("name"))?,
        api: value("api", chosen.name)?,
        config,
        interval_seconds,
    };
    let bank: BankRef = value("bank", posted.field("bank"))?;
    let added = visit.caller.exchanges().add_exchange(&new, &bank, posted.once(), visit.deadline()).await;
    let added = added.map_err(|error| {
        // The form names the bank, which may be one that the person cannot see.
        if error.code() == Code::NotFound {
            return Problem::field("bank", visit.t("exchanges.no_bank"));
        }
        if error.code() == Code::AlreadyExists {
            return Problem::field("name", visit.t("exchanges.taken"));
        }
        error.into()
    })?;
    visit.wrote(added.sequence);
    let path = format!("/console/exchanges/{}", new.name);
    Ok(Done::saying(&path, "exchanges.add", &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_read_by_the_type_of_its_setting() {
        let of = |kind, text: &str| Setting { name: "x", kind, is_required: false }.read(text);
        assert_eq!(of(Kind::Number, "12"), Some(12.into()));
        assert_eq!(of(Kind::Number, "12x"), None);
        assert_eq!(of(Kind::SetOfNumber, "1, 2 3"), Some(vec![1, 2, 3].into()));
        assert_eq!(of(Kind::SetOfNumber, "1, b"), None);
        assert_eq!(of(Kind::Environment, "https://evil.example"), None);
        assert_eq!(of(Kind::Environment, ENVIRONMENTS[0].base), Some(ENVIRONMENTS[0].base.into()));
    }

    #[test]
    fn every_programme_is_known_by_its_name() {
        for name in APIS.iter().map(|api| api.name).chain(OTHERS.iter().map(|(name, _)| *name)) {
            assert_eq!(Chosen::named(name).unwrap().name, name);
        }
        assert_eq!(Chosen::named("carrier_pigeon"), None);
    }
}
