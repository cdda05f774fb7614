//! Incidents, and the types that members subscribe to.

use vigie_consortium::cases::{IncidentType, IncidentTypes, IncidentWords};

use super::text;
use crate::invalid::Invalid;
use crate::pb::consortium::v1 as pb;

impl TryFrom<&pb::OpenIncidentRequest> for IncidentWords {
    type Error = Invalid;

    fn try_from(message: &pb::OpenIncidentRequest) -> Result<Self, Invalid> {
        Ok(Self {
            of: IncidentType::new(&message.incident_type)
                .map_err(|error| Invalid::new("incident_type", error))?,
            title: text("title", &message.title)?,
            reason: text("reason", &message.reason)?,
        })
    }
}

impl TryFrom<&pb::SetIncidentSubscriptionRequest> for IncidentTypes {
    type Error = Invalid;

    fn try_from(message: &pb::SetIncidentSubscriptionRequest) -> Result<Self, Invalid> {
        let types =
            Self::only(&message.incident_types).map_err(|error| Invalid::new("incident_types", error))?;
        Ok(if message.every_type { Self::Every } else { types })
    }
}

impl From<IncidentTypes> for pb::StoredIncidentSubscription {
    fn from(types: IncidentTypes) -> Self {
        match types {
            IncidentTypes::Every => Self { incident_types: Vec::new(), every_type: true },
            IncidentTypes::Only(types) => {
                let incident_types = types.iter().map(|of| of.as_str().to_owned()).collect();
                Self { incident_types, every_type: false }
            }
        }
    }
}

impl TryFrom<pb::StoredIncidentSubscription> for IncidentTypes {
    type Error = Invalid;

    fn try_from(message: pb::StoredIncidentSubscription) -> Result<Self, Invalid> {
        if message.every_type {
            return Ok(Self::Every);
        }
        Self::only(&message.incident_types).map_err(|error| Invalid::new("incident_types", error))
    }
}

/// Reads the number of days for which a closed incident's bank is kept; the default for `None`.
pub fn keep_days(days: Option<u32>) -> Result<u16, Invalid> {
    let max = IncidentWords::KEEP_DAYS_MAX;
    let Some(days) = days else { return Ok(IncidentWords::KEEP_DAYS_DEFAULT) };
    let checked = u16::try_from(days).ok().filter(|days| *days <= max);
    checked.ok_or_else(|| Invalid::new("keep_days", format!("is {days}; it must be at most {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_read_back() {
        for types in [IncidentTypes::Every, IncidentTypes::only(&["a", "b"]).unwrap()] {
            assert_eq!(
                IncidentTypes::try_from(pb::StoredIncidentSubscription::from(types.clone())),
                Ok(types)
            );
        }
        let request =
            pb::SetIncidentSubscriptionRequest { incident_types: vec!["A".into()], ..Default::default() };
        assert_eq!(IncidentTypes::try_from(&request).unwrap_err().field, "incident_types");
        assert_eq!((keep_days(None), keep_days(Some(0))), (Ok(30), Ok(0)));
        assert!(keep_days(Some(366)).is_err());
    }
}
