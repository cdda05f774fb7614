//! Conversions of the rules for videos, and of the evidence of a video match.

use vigie_model::{Percent, VideoEvidence, VideoRule, VideoRuleKind, VideoRules, VideoSide};

use crate::invalid::{Invalid, check_len};
use crate::pb::model::v1 as pb;

impl From<VideoRuleKind> for pb::VideoRuleKind {
    fn from(kind: VideoRuleKind) -> Self {
        match kind {
            VideoRuleKind::ClipOfKnown => Self::ClipOfKnown,
            VideoRuleKind::ContainsKnown => Self::ContainsKnown,
            VideoRuleKind::ThreatExchange => Self::Threatexchange,
        }
    }
}

fn kind(number: i32) -> Option<VideoRuleKind> {
    Some(match pb::VideoRuleKind::try_from(number) {
        Ok(pb::VideoRuleKind::ClipOfKnown) => VideoRuleKind::ClipOfKnown,
        Ok(pb::VideoRuleKind::ContainsKnown) => VideoRuleKind::ContainsKnown,
        Ok(pb::VideoRuleKind::Threatexchange) => VideoRuleKind::ThreatExchange,
        Ok(pb::VideoRuleKind::Unspecified) | Err(_) => return None,
    })
}

/// Returns the rules as messages. The default rules are sent as an empty list: a peer of another version
/// knows them too.
pub(crate) fn video_rules_message(rules: &VideoRules) -> Vec<pb::VideoRule> {
    if *rules == VideoRules::default() {
        return Vec::new();
    }
    let rule = |rule: &VideoRule| pb::VideoRule {
        kind: pb::VideoRuleKind::from(rule.kind).into(),
        query_percent: Some(rule.query_share.get().into()),
        item_percent: Some(rule.item_share.get().into()),
        frames_min: Some(rule.frames_min),
    };
    rules.iter().map(rule).collect()
}

/// Reads the rules of a search.
pub(crate) fn video_rules(messages: &[pb::VideoRule]) -> Result<VideoRules, Invalid> {
    check_len("video_rules", messages.len(), 0, VideoRuleKind::ALL.len())?;
    let mut rules = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        rules.push(rule(message).map_err(|invalid| invalid.within(format!("video_rules[{at}]")))?);
    }
    VideoRules::new(rules).map_err(|error| Invalid::new("video_rules", error))
}

fn rule(message: &pb::VideoRule) -> Result<VideoRule, Invalid> {
    let named = kind(message.kind);
    let usual = VideoRule::usual(named.ok_or_else(|| {
        if message.kind == 0 {
            return Invalid::missing("kind");
        }
        Invalid::new("kind", format!("{} is no rule that this version knows", message.kind))
    })?);
    let share = |field: &str, percent: Option<u32>, usual| {
        percent.map_or(Ok(usual), |percent| Percent::new(percent).map_err(|error| Invalid::new(field, error)))
    };
    Ok(VideoRule {
        query_share: share("query_percent", message.query_percent, usual.query_share)?,
        item_share: share("item_percent", message.item_percent, usual.item_share)?,
        frames_min: message.frames_min.unwrap_or(usual.frames_min),
        ..usual
    })
}

impl From<VideoSide> for pb::VideoSide {
    fn from(side: VideoSide) -> Self {
        let VideoSide { frames, frames_matched, time_ms, time_matched_ms, first_ms } = side;
        Self { frames, frames_matched, time_ms, time_matched_ms, first_ms }
    }
}

impl From<pb::VideoSide> for VideoSide {
    fn from(message: pb::VideoSide) -> Self {
        let pb::VideoSide { frames, frames_matched, time_ms, time_matched_ms, first_ms } = message;
        Self { frames, frames_matched, time_ms, time_matched_ms, first_ms }
    }
}

impl From<VideoEvidence> for pb::VideoEvidence {
    fn from(evidence: VideoEvidence) -> Self {
        let number = |kind| pb::VideoRuleKind::from(kind).into();
        Self {
            query: Some(evidence.query.into()),
            item: Some(evidence.item.into()),
            rules: evidence.rules.iter().map(number).collect(),
        }
    }
}

impl From<pb::VideoEvidence> for VideoEvidence {
    /// Drops rules that only newer peers know.
    fn from(message: pb::VideoEvidence) -> Self {
        Self {
            query: message.query.map(Into::into).unwrap_or_default(),
            item: message.item.map(Into::into).unwrap_or_default(),
            rules: message.rules.into_iter().filter_map(kind).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_were_sent() {
        let of = |kind| VideoRule { frames_min: 7, ..VideoRule::usual(kind) };
        let rules = VideoRules::new(VideoRuleKind::ALL.map(of)).unwrap();
        assert_eq!(video_rules(&video_rules_message(&rules)), Ok(rules));
        assert!(video_rules_message(&VideoRules::default()).is_empty());
        assert_eq!(video_rules(&[]), Ok(VideoRules::default()));
    }

    #[test]
    fn what_is_unset_is_the_usual_number() {
        for kind in VideoRuleKind::ALL {
            let message =
                pb::VideoRule { kind: pb::VideoRuleKind::from(kind).into(), ..pb::VideoRule::default() };
            assert_eq!(rule(&message), Ok(VideoRule::usual(kind)));
        }
    }

    #[test]
    fn bad_rules_are_refused_with_their_field() {
        let refused = |messages: &[pb::VideoRule]| video_rules(messages).unwrap_err().field;
        let clip = pb::VideoRule { kind: 1, ..pb::VideoRule::default() };
        assert_eq!(refused(&[pb::VideoRule::default()]), "video_rules[0].kind");
        assert_eq!(refused(&[clip, pb::VideoRule { kind: 9, ..clip }]), "video_rules[1].kind");
        assert_eq!(
            refused(&[pb::VideoRule { query_percent: Some(101), ..clip }]),
            "video_rules[0].query_percent"
        );
        assert_eq!(refused(&[pb::VideoRule { query_percent: Some(0), ..clip }]), "video_rules");
        assert_eq!(refused(&[clip, clip]), "video_rules");
        assert_eq!(refused(&[clip, clip, clip, clip]), "video_rules");
    }
}
