//! Declared hash types of vectors.

use vigie_consortium::Change;
use vigie_model::{Declaration, Distance, HashType, VectorClass, VectorElement, VectorMetric};

use crate::invalid::Invalid;
use crate::pb::consortium::v1 as pb;

impl From<VectorElement> for pb::VectorElement {
    fn from(element: VectorElement) -> Self {
        match element {
            VectorElement::F32 => Self::F32,
            VectorElement::U8 => Self::U8,
        }
    }
}

impl From<VectorMetric> for pb::VectorMetric {
    fn from(metric: VectorMetric) -> Self {
        match metric {
            VectorMetric::Cosine => Self::Cosine,
            VectorMetric::L2 => Self::L2,
        }
    }
}

/// Reads the element format and the metric of a type.
pub fn vector_class(element: i32, metric: i32) -> Result<VectorClass, Invalid> {
    let unknown = |number, what: &str| format!("{number} is no {what} that this version knows");
    let element = match pb::VectorElement::try_from(element) {
        Ok(pb::VectorElement::F32) => VectorElement::F32,
        Ok(pb::VectorElement::U8) => VectorElement::U8,
        Ok(pb::VectorElement::Unspecified) => return Err(Invalid::missing("element")),
        Err(_) => return Err(Invalid::new("element", unknown(element, "form of elements"))),
    };
    let metric = match pb::VectorMetric::try_from(metric) {
        Ok(pb::VectorMetric::Cosine) => VectorMetric::Cosine,
        Ok(pb::VectorMetric::L2) => VectorMetric::L2,
        Ok(pb::VectorMetric::Unspecified) => return Err(Invalid::missing("metric")),
        Err(_) => return Err(Invalid::new("metric", unknown(metric, "metric"))),
    };
    Ok(VectorClass { element, metric })
}

/// Reads the number of elements of a vector. The bounds of a declaration are checked elsewhere.
pub fn vector_elements(elements: u32) -> Result<u16, Invalid> {
    u16::try_from(elements).map_err(|_| Invalid::new("elements", format!("{elements} is too many")))
}

impl From<Declaration> for pb::DeclaredHashType {
    fn from(declaration: Declaration) -> Self {
        let class = declaration.class();
        let element = class.map_or(pb::VectorElement::Unspecified, |class| class.element.into());
        let metric = class.map_or(pb::VectorMetric::Unspecified, |class| class.metric.into());
        Self {
            hash_type: crate::model::hash_type_number(declaration.hash_type),
            name: declaration.name.into_string(),
            elements: declaration.elements.into(),
            element: element.into(),
            metric: metric.into(),
            distance_default: declaration.distance_default.0,
            distance_max: declaration.distance_max.0,
        }
    }
}

/// Reads a declaration that the bank has checked. Its number must be that of a vector type with this element
/// format and metric.
impl TryFrom<pb::DeclaredHashType> for Declaration {
    type Error = Invalid;

    fn try_from(message: pb::DeclaredHashType) -> Result<Self, Invalid> {
        let hash_type = u16::try_from(message.hash_type).ok().and_then(HashType::from_number);
        let class = vector_class(message.element, message.metric)?;
        let is_of_class = |one: &HashType| one.vector_serial().is_some_and(|(of, _)| of == class);
        let hash_type = hash_type.filter(is_of_class).ok_or_else(|| {
            let reason = format!("{} is not the number of a type of such vectors", message.hash_type);
            Invalid::new("hash_type", reason)
        })?;
        Ok(Self {
            hash_type,
            name: message.name.into_boxed_str(),
            elements: vector_elements(message.elements)?,
            distance_default: Distance(message.distance_default),
            distance_max: Distance(message.distance_max),
        })
    }
}

pub(crate) fn declared_to_wire(declaration: Declaration) -> pb::HashTypeDeclared {
    pb::HashTypeDeclared { hash_type: Some(declaration.into()) }
}

pub(crate) fn declared_change(message: pb::HashTypeDeclared) -> Result<Change, Invalid> {
    let declared = message.hash_type.ok_or_else(|| Invalid::missing("hash_type"))?;
    Ok(Change::HashTypeDeclared(declared.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_of_every_class_survive_the_wire_and_others_are_refused() {
        for (serial, class) in (1..).zip(VectorClass::ALL) {
            let declaration = Declaration {
                hash_type: class.hash_type(serial),
                name: "clip".into(),
                elements: 384,
                distance_default: Distance(100_000),
                distance_max: Distance(500_000),
            };
            let message = pb::DeclaredHashType::from(declaration.clone());
            assert_eq!(Declaration::try_from(message.clone()), Ok(declaration));
            let check = |change: &dyn Fn(&mut pb::DeclaredHashType), field| {
                let mut message = message.clone();
                change(&mut message);
                assert_eq!(Declaration::try_from(message).unwrap_err().field, field);
            };
            check(&|one| one.hash_type = 1, "hash_type");
            check(&|one| one.hash_type = class.marker().number().into(), "hash_type");
            check(&|one| one.metric = 3 - one.metric, "hash_type");
            check(&|one| one.element = 0, "element");
            check(&|one| one.metric = 7, "metric");
            check(&|one| one.elements = 70_000, "elements");
        }
    }
}
