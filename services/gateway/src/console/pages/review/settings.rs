//! Settings for the person's own wellbeing: the initial display of a picture, and the time until a break is
//! suggested. Stored in a cookie.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use maud::{Markup, html};

use crate::console::page::{Done, Page};
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::state::Console;
use crate::console::visit::Visit;

/// The path of the page.
pub(super) const PATH: &str = "/console/review/settings";
/// The cookie. Its value has one part for each setting: `b1.g1.small.45`.
const COOKIE: &str = "vigie-wellbeing";
/// The lifetime of the cookie: a year, in seconds.
const KEPT_SECONDS: u32 = 31_536_000;

/// The size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Medium,
    Large,
}

impl Size {
    const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// Returns the name of the size in the cookie, in forms and in the style sheet.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// The settings of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether a picture is blurred until it is revealed.
    pub(super) blur: bool,
    /// Whether a picture is shown without colours.
    pub(super) grey: bool,
    /// The size of a picture.
    pub(super) size: Size,
    /// Minutes of review after which a break is suggested; 0 for never.
    pub(super) break_minutes: u8,
}

impl Settings {
    /// Minutes after which a break can be suggested; 0 for never.
    const BREAKS: [u8; 5] = [0, 15, 30, 45, 60];

    /// The settings of a person who has chosen none.
    const DEFAULT: Self = Self { blur: true, grey: true, size: Size::Small, break_minutes: 45 };

    /// Returns the settings in a request's cookie. An invalid or missing cookie gives the default.
    fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let own = pairs.find(|(name, _)| *name == COOKIE);
        own.and_then(|(_, value)| Self::read(value)).unwrap_or(Self::DEFAULT)
    }

    fn read(value: &str) -> Option<Self> {
        let parts: Vec<&str> = value.split('.').take(5).collect();
        let [blur, grey, size, minutes] = parts[..] else { return None };
        Self::of_parts(
            match blur {
                "b1" => true,
                "b0" => false,
                _ => return None,
            },
            match grey {
                "g1" => true,
                "g0" => false,
                _ => return None,
            },
            size,
            minutes,
        )
    }

    fn of_parts(blur: bool, grey: bool, size: &str, minutes: &str) -> Option<Self> {
        let break_minutes = minutes.parse().ok().filter(|minutes| Self::BREAKS.contains(minutes))?;
        Some(Self { blur, grey, size: Size::of(size)?, break_minutes })
    }

    fn cookie(self, is_secure: bool) -> String {
        let Self { blur, grey, size, break_minutes } = self;
        let value = format!("b{}.g{}.{}.{break_minutes}", u8::from(blur), u8::from(grey), size.name());
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path=/console; Max-Age={KEPT_SECONDS}; HttpOnly; SameSite=Lax{secure}")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Settings {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&head.headers))
    }
}

pub(super) async fn show(visit: Visit, settings: Settings) -> Page {
    page(&visit, settings, "")
}

fn page(visit: &Visit, settings: Settings, fault: &str) -> Page {
    let Settings { blur, grey, size, break_minutes } = settings;
    let sizes = [
        ("small", visit.t("review.settings.small")),
        ("medium", visit.t("review.settings.medium")),
        ("large", visit.t("review.settings.large")),
    ];
    let after = |minutes: u8| match minutes {
        0 => visit.t("review.settings.never").to_owned(),
        minutes => visit.count("review.settings.after", minutes.into()),
    };
    let minutes = Settings::BREAKS.map(|minutes| (minutes.to_string(), after(minutes)));
    let minutes: Vec<(&str, &str)> =
        minutes.iter().map(|(value, words)| (value.as_str(), words.as_str())).collect();
    let chosen = break_minutes.to_string();
    let fields = html! {
        fieldset {
            legend { (visit.t("review.settings.pictures")) }
            (parts::checkbox("blur", "1", visit.t("review.settings.blur"), blur))
            (parts::checkbox("grey", "1", visit.t("review.settings.grey"), grey))
            (parts::choice(
                &Field {
                    name: "size",
                    label: visit.t("review.settings.size"),
                    value: size.name(),
                    fault,
                    ..Field::default()
                },
                &sizes,
            ))
        }
        (parts::choice(
            &Field {
                name: "minutes",
                label: visit.t("review.settings.break"),
                hint: visit.t("review.settings.break_hint"),
                value: &chosen,
                ..Field::default()
            },
            &minutes,
        ))
        (parts::button(visit.t("review.settings.keep"), None))
    };
    let main = html! {
        p { (visit.t("review.settings.what")) }
        (parts::form(visit, PATH, fields))
        p { a href="/console/review" { (visit.t("review.back")) } }
    };
    Page::new(visit.t("review.settings.title"), main)
}

pub(super) async fn keep(
    visit: Visit,
    State(console): State<Console>,
    settings: Settings,
    posted: Posted,
) -> Response {
    let is_ticked = |name: &str| posted.field(name) == "1";
    let chosen = Settings::of_parts(
        is_ticked("blur"),
        is_ticked("grey"),
        posted.field("size"),
        posted.field("minutes"),
    );
    let Some(chosen) = chosen else {
        return page(&visit, settings, visit.t("review.settings.wrong")).into_response();
    };
    let mut answer = Done::saying("/console/review", "wellbeing", &[]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&chosen.cookie(console.sessions.is_secure())) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// Renders the personal tools of a case page: the comparison with a picture of the person's own, and the
/// suggestion of a break.
///
/// The browser shows the picture from its own memory. Nothing of it is sent.
pub(super) fn compare(visit: &Visit, settings: Settings) -> Markup {
    let Settings { blur, grey, size, break_minutes } = settings;
    let toggle = |what: &str, words: &str, is_on: bool| {
        html! { button.second type="button" data-toggle=(what) aria-pressed=(is_on) { (words) } }
    };
    html! {
        section.compare data-blur[blur] data-grey[grey] data-size=(size.name()) {
            h2 { (visit.t("review.compare.title")) }
            p { (visit.t("review.compare.without")) }
            div.compare-own hidden {
                div.field {
                    label for="f-own-picture" { (visit.t("review.compare.choose")) }
                    input #f-own-picture type="file" accept="image/*" aria-describedby="f-own-picture-hint";
                    p.hint #f-own-picture-hint { (visit.t("review.compare.hint")) }
                }
                div.compare-shown hidden {
                    p.row {
                        button.second type="button" data-hold="v" aria-keyshortcuts="v" {
                            (visit.t("review.compare.reveal")) " " kbd aria-hidden="true" { "v" }
                        }
                        (toggle("blur", visit.t("review.settings.blur_short"), blur))
                        (toggle("grey", visit.t("review.settings.grey_short"), grey))
                        (toggle("small", visit.t("review.settings.small_short"), size == Size::Small))
                    }
                    img alt=(visit.t("review.compare.alt"));
                }
            }
            p { a href=(PATH) { (visit.t("review.settings.title")) } }
        }
        @if break_minutes > 0 {
            dialog #break data-minutes=(break_minutes) aria-labelledby="break-title" aria-describedby="break-text" {
                h2 #break-title { (visit.t("review.break.title")) }
                p #break-text { (visit.count("review.break.text", break_minutes.into())) }
                p.row {
                    button type="button" data-break="taken" { (visit.t("review.break.taken")) }
                    button.second type="button" data-break="later" { (visit.t("review.break.later")) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cookie: &str) -> Settings {
        Settings::of(&HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]))
    }

    #[test]
    fn settings_come_back_as_they_were_kept() {
        for break_minutes in Settings::BREAKS {
            for size in Size::ALL {
                for (blur, grey) in [(false, false), (true, false), (false, true), (true, true)] {
                    let settings = Settings { blur, grey, size, break_minutes };
                    let cookie = settings.cookie(true);
                    assert!(cookie.contains("; Path=/console; ") && cookie.ends_with("; Secure"), "{cookie}");
                    let pair = cookie.split(';').next().unwrap();
                    assert_eq!(of(&format!("vigie-language=fr; {pair}")), settings);
                }
            }
        }
        assert!(!Settings::DEFAULT.cookie(false).contains("Secure"));
    }

    #[test]
    fn a_cookie_of_nonsense_says_nothing() {
        for wrong in [
            "",
            "x",
            "b1.g1.small",
            "b1.g1.small.45.1",
            "b2.g1.small.45",
            "b1.g.small.45",
            "b0.g0.huge.45",
            "b0.g0.large.7",
            "b0.g0.large.-15",
            "b0.g0.large.\"><script>",
        ] {
            assert_eq!(of(&format!("{COOKIE}={wrong}")), Settings::DEFAULT, "{wrong}");
        }
        assert_eq!(of("other=b0.g0.large.0"), Settings::DEFAULT);
    }
}
