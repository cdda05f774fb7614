//! The tabs of the page of cases.

use maud::{Markup, html};
use vigie_consortium::MemberId;
use vigie_consortium::rights::Method;

use crate::console::page::Page;
use crate::console::visit::Visit;

/// Whether the person acts for the host. Some changes of cases are the host's only.
pub(super) fn is_host(visit: &Visit) -> bool {
    visit.who.as_ref().is_none_or(|who| who.member.id == MemberId::HOST)
}

/// A kind of case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Incidents,
    Referrals,
    Reports,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Incidents, Self::Referrals, Self::Reports];

    const fn name(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Referrals => "referrals",
            Self::Reports => "reports",
        }
    }

    const fn reads(self) -> Method {
        match self {
            Self::Incidents => Method::ListIncidents,
            Self::Referrals => Method::ListReferrals,
            Self::Reports => Method::ListReports,
        }
    }

    /// Returns the tab with this name, by default the first one, if the person may read it.
    pub(super) fn chosen(visit: &Visit, name: Option<&str>) -> Option<Self> {
        let is_it = |tab: &Self| name.is_none_or(|name| name == tab.name()) && visit.may(tab.reads());
        Self::ALL.into_iter().find(is_it)
    }

    /// The path of the tab.
    pub(super) fn path(self) -> String {
        format!("/console/cases?kind={}", self.name())
    }

    /// A page of the tab.
    pub(super) fn page(self, visit: &Visit, body: Markup) -> Page {
        let main = html! {
            nav.tabs aria-label=(visit.t("cases.tabs")) {
                ul {
                    @for tab in Self::ALL.into_iter().filter(|tab| visit.may(tab.reads())) {
                        li {
                            a href=(tab.path()) aria-current=[(tab == self).then_some("page")] {
                                (visit.t(&format!("cases.tab.{}", tab.name())))
                            }
                        }
                    }
                }
            }
            (body)
        };
        Page::new(visit.t("cases.title"), main)
    }

    /// The path of the next page of the tab's list.
    pub(super) fn next(self, after: &str) -> String {
        format!("{}&after={after}", self.path())
    }
}
