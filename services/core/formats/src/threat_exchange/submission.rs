//! The data that an app sends to the programme: descriptors of hashes, the search for its own descriptors,
//! and the answers.

use serde::Deserialize;
use serde_json::Value;
use vigie_model::Hash;

use super::mapping::{KINDS, VPDQ};
use super::page::{Reaction, Status, WireList, WireReaction, reactions_of};
use crate::json::{self, Records};
use crate::programme::hash_text::word_among;
use crate::programme::{Fault, HashText};

/// The levels of sharing, in the words of the traffic light protocol: they limit who may pass on a
/// descriptor.
pub const SHARE_LEVELS: [&str; 4] = ["WHITE", "GREEN", "AMBER", "RED"];

/// The privacy type of a descriptor that only the members of privacy groups see.
pub const OF_GROUP: &str = "HAS_PRIVACY_GROUP";
/// The privacy types that a submission may have: that of groups, and that of all members of the programme.
pub const PRIVACY_TYPES: [&str; 2] = [OF_GROUP, "VISIBLE"];

/// The fields that all descriptors of one submitter share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The level of sharing, one of [`SHARE_LEVELS`].
    pub share_level: String,
    /// The privacy type, one of [`PRIVACY_TYPES`].
    pub privacy_type: String,
    /// The privacy group, a number.
    pub group: String,
    /// The description of each descriptor, which the programme requires.
    pub description: String,
    /// The tags of each descriptor.
    pub tags: Vec<String>,
}

/// Returns the programme's words for the types of hashes that can be submitted. No word for the frames of
/// videos is known.
pub fn signal_types() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.word).filter(|word| *word != VPDQ)
}

/// Returns the programme's word for a hash that is submitted. `signal_types` are the allowed words; empty
/// allows all. `None` if no word fits, for the frames of a video, and for a hash of only zero bytes.
#[must_use]
pub fn signal_type(hash: &Hash, signal_types: &[String]) -> Option<&'static str> {
    word_among(KINDS, hash, signal_types).filter(|word| *word != VPDQ)
}

impl Sharing {
    /// Returns the form fields that submit a hash of this type as harmful. Submitting the same hash again
    /// replaces the app's descriptor.
    #[must_use]
    pub fn fields(&self, hash: &Hash, signal_type: &str) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("indicator", hash.to_text()),
            ("type", signal_type.to_owned()),
            ("description", self.description.clone()),
            ("share_level", self.share_level.clone()),
            ("status", Status::Malicious.as_str().to_owned()),
            ("privacy_type", self.privacy_type.clone()),
        ];
        if self.privacy_type == OF_GROUP {
            fields.push(("privacy_members", self.group.clone()));
        }
        if !self.tags.is_empty() {
            fields.push(("tags", self.tags.join(",")));
        }
        fields
    }
}

/// Reads the answer to a submission or a deletion. Returns a fault unless the programme reports success.
pub fn parse_success(bytes: &[u8]) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Answer {
        success: bool,
    }
    let Answer { success } = json::read(bytes)?;
    if success { Ok(()) } else { Err(Fault::Field { syntax: "JSON", field: "success" }) }
}

/// A descriptor that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The descriptor's id, a number as text.
    pub id: String,
    /// The app's id, a number as text; empty if the programme does not show it.
    pub owner: String,
    /// The hash, the URL or the text.
    pub indicator: HashText,
    /// The programme's word for the type.
    pub kind: String,
    /// The reactions to the descriptor, if the search asks for them.
    pub reactions: Vec<Reaction>,
}

impl Found {
    /// The fields of a descriptor that a search has to ask for.
    pub const FIELDS: &'static str = "id,raw_indicator,type,owner{id}";
    /// The same fields, and the reactions.
    pub const FIELDS_WITH_REACTIONS: &'static str = "id,raw_indicator,type,owner{id},reactions";

    /// Checks whether this is the app's descriptor of a hash.
    #[must_use]
    pub fn is_of(&self, app: &str, hash: &Hash, signal_type: &str) -> bool {
        self.owner == app && self.is_about(hash, signal_type)
    }

    /// Checks whether this is a descriptor of a hash.
    #[must_use]
    pub fn is_about(&self, hash: &Hash, signal_type: &str) -> bool {
        self.kind.eq_ignore_ascii_case(signal_type)
            && self.indicator.as_str().eq_ignore_ascii_case(&hash.to_text())
    }

    /// Returns the words of an app's reactions to the descriptor.
    pub fn reactions_of<'f>(&'f self, app: &'f str) -> impl Iterator<Item = &'f str> {
        let of_app = self.reactions.iter().filter(move |reaction| reaction.apps.contains(app));
        of_app.map(|reaction| reaction.kind.as_str())
    }
}

/// Reads the answer to a search: the descriptors, and whether there are more. A descriptor of another form is
/// a fault of the whole answer, because a descriptor that was not read would not be deleted.
pub fn parse_found(bytes: &[u8]) -> Result<(Vec<Found>, bool), Fault> {
    #[derive(Deserialize)]
    struct Answer {
        data: Records<Descriptor>,
        paging: Option<Paging>,
    }
    #[derive(Deserialize)]
    struct Paging {
        next: Option<String>,
    }
    #[derive(Deserialize)]
    struct Descriptor {
        #[serde(deserialize_with = "json::id")]
        id: String,
        raw_indicator: HashText,
        #[serde(rename = "type")]
        kind: String,
        owner: Option<Owner>,
        reactions: Option<WireList<WireReaction>>,
    }
    #[derive(Deserialize)]
    struct Owner {
        #[serde(deserialize_with = "json::id")]
        id: String,
    }
    let Answer { data, paging } = json::read(bytes)?;
    if data.bad > 0 {
        return Err(Fault::Field { syntax: "JSON", field: "descriptor" });
    }
    let found = |Descriptor { id, raw_indicator, kind, owner, reactions }| Found {
        id,
        owner: owner.map_or_else(String::new, |owner: Owner| owner.id),
        indicator: raw_indicator,
        kind,
        reactions: reactions_of(reactions),
    };
    let has_more = paging.and_then(|paging| paging.next).is_some_and(|next| !next.is_empty());
    Ok((data.records.into_iter().map(found).collect(), has_more))
}

/// Returns the Graph API's code of an error. The HTTP status alone does not identify the error.
#[must_use]
pub fn error_code(bytes: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(bytes).ok()?;
    body.get("error")?.get("code")?.as_u64()
}
