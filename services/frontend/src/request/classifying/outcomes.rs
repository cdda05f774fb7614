//! The outcomes of classifiers for the contents of a request, known or pending.

use std::sync::Arc;

use tokio::time::Instant;
use vigie_classifiers::RgbPicture;
use vigie_rpc::Priority;

use super::asking::{Asked, Asking, Classifiers, Counted};
use super::plan::Plan;
use super::said::Said;

/// The outcomes of classifiers for one content, known or pending.
#[derive(Debug)]
pub(crate) enum Outcomes {
    /// The outcomes are known.
    Known(Said),
    /// The classifiers have been asked and have not all answered.
    Pending(Asking),
}

impl Classifiers {
    /// Begins to ask about an image with these pixels, in the order of the plan's forms; `None` for a form
    /// that could not be decoded.
    pub(crate) fn about_image(
        &self,
        plan: &Arc<Plan>,
        pixels: Option<Vec<Option<RgbPicture>>>,
        priority: Priority,
        deadline: Instant,
    ) -> Outcomes {
        let Some(pixels) = pixels else { return Outcomes::Known(self.about_undecoded(plan)) };
        let pictures = pixels.into_iter().map(|picture| picture.map(Arc::new)).collect();
        let until = self.until(deadline);
        Outcomes::Pending(self.ask(plan, Asked::Pictures(pictures), Counted::Yes, priority, until))
    }

    /// Returns the outcomes for hashes and for a video.
    pub(crate) fn about_other_content(&self, plan: &Arc<Plan>) -> Outcomes {
        Outcomes::Known(self.unread(plan, false, "classifiers read images: neither hashes nor videos"))
    }

    fn about_undecoded(&self, plan: &Arc<Plan>) -> Said {
        self.unread(plan, true, "the image could not be decoded, so no model reads it")
    }
}

/// Waits for all outcomes.
pub(crate) async fn all_said(outcomes: Vec<Option<Outcomes>>) -> Vec<Option<Said>> {
    let mut all = Vec::with_capacity(outcomes.len());
    for outcomes in outcomes {
        all.push(match outcomes {
            None => None,
            Some(Outcomes::Known(said)) => Some(said),
            Some(Outcomes::Pending(asking)) => Some(asking.said().await),
        });
    }
    all
}
