//! The outcomes of classifiers for the contents of a request, known or pending.

use std::sync::Arc;

use tokio::time::Instant;
use vigie_classifiers::RgbPicture;
use vigie_rpc::Priority;

use super::asking::{Asked, Asking, Classifiers, Counted};
use super::plan::Plan;
use super::said::Said;

/// The outcomes of classifiers for one content.
#[derive(Debug)]
pub(crate) enum Telling {
    /// The outcomes are known.
    Told(Said),
    /// The classifiers have been asked.
    Asking(Asking),
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
    ) -> Telling {
        let Some(pixels) = pixels else { return Telling::Told(self.about_undecoded(plan)) };
        let pictures = pixels.into_iter().map(|picture| picture.map(Arc::new)).collect();
        let until = self.until(deadline);
        Telling::Asking(self.ask(plan, Asked::Pictures(pictures), Counted::Yes, priority, until))
    }

    /// Returns the outcomes for hashes and for a video.
    pub(crate) fn about_other_content(&self, plan: &Arc<Plan>) -> Telling {
        Telling::Told(self.unread(plan, false, "classifiers read images: neither hashes nor videos"))
    }

    fn about_undecoded(&self, plan: &Arc<Plan>) -> Said {
        self.unread(plan, true, "the image could not be decoded, so no model reads it")
    }
}

/// Waits for all outcomes.
pub(crate) async fn all_said(telling: Vec<Option<Telling>>) -> Vec<Option<Said>> {
    let mut all = Vec::with_capacity(telling.len());
    for telling in telling {
        all.push(match telling {
            None => None,
            Some(Telling::Told(said)) => Some(said),
            Some(Telling::Asking(asking)) => Some(asking.said().await),
        });
    }
    all
}
