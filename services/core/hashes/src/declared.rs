//! Hash types that a deployment declares: the names, lengths and distances for numbers of vector types.
//!
//! The bank stores the declarations, and they are permanent. A process that reads type names (a frontend, a
//! gateway, a command) registers each declaration here when it receives it. From then on the declared type is
//! known in that process like a type of the table. A process without the declaration can still search hashes
//! of the type: see [`crate::vectors`].

use std::sync::{OnceLock, RwLock};

use thiserror::Error;

use crate::rows::ROWS;
use crate::table::{Distance, HashType, Lengths, Metric, Row, TextForm};
use crate::vectors::{VECTOR_ELEMENTS_MAX, VectorClass};

/// The largest number of types declared in one process.
pub const DECLARED_MAX: usize = 64;

/// The largest length of a name, in bytes.
pub const NAME_LEN_MAX: usize = 32;

/// Names of columns and fields in files, without underscores. Hashes of a type with such a name could not be
/// read from a file.
const NAMES_IN_FILES: &[&str] = &[
    "addedatunixms",
    "addedon",
    "algorithm",
    "bank",
    "baseline",
    "category",
    "collab",
    "confidence",
    "delta",
    "description",
    "digest",
    "durations",
    "error",
    "extension",
    "externalreference",
    "file",
    "fileavailable",
    "filename",
    "filepath",
    "frames",
    "framesleftout",
    "hash",
    "hashdigest",
    "hashes",
    "hashtype",
    "hashvalue",
    "height",
    "id",
    "imageid",
    "indicator",
    "indicatortype",
    "isdistributed",
    "itemid",
    "label",
    "labels",
    "lastupdated",
    "mediatype",
    "mimetype",
    "name",
    "norm",
    "numberofsubmissions",
    "offenderidentified",
    "owner",
    "partial",
    "path",
    "pdqquality",
    "privacytype",
    "quality",
    "reference",
    "reviewstatus",
    "seriesname",
    "set",
    "severity",
    "sharelevel",
    "signal",
    "signalstr",
    "signaltype",
    "signalvalue",
    "size",
    "status",
    "tags",
    "type",
    "value",
    "variants",
    "victimidentified",
    "ways",
    "width",
];

/// Whether a name is one of a column or a field in files.
#[must_use]
pub fn is_name_in_files(name: &str) -> bool {
    NAMES_IN_FILES.binary_search(&name.replace('_', "").as_str()).is_ok()
}

/// The declaration of one hash type of vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The type's number, which determines the form of the elements and the metric.
    pub hash_type: HashType,
    /// The type's name: a lower-case letter, then lower-case letters, digits and underscores.
    pub name: Box<str>,
    /// The number of elements of each vector.
    pub elements: u16,
    /// The distance of a search if neither the caller nor the bank names one.
    pub distance_default: Distance,
    /// The largest distance that a search accepts.
    pub distance_max: Distance,
}

/// The reasons why a declaration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeclarationError {
    /// The number is not that of a vector type.
    #[error("{0} is not the number of a vector type")]
    Number(u16),
    /// The name does not have the required form.
    #[error(
        "a name is 1 to {NAME_LEN_MAX} lower-case letters, digits and underscores, and begins with a letter"
    )]
    Name,
    /// The name belongs to a type of the table or to another declaration.
    #[error("{0} is the name of another hash type")]
    NameTaken(Box<str>),
    /// The name is that of a column or a field in files.
    #[error(
        "{0} is the name of a column or a field in files, so hashes of the type could not be found there"
    )]
    NameInFiles(Box<str>),
    /// The number of elements is 0, or above the limit.
    #[error("a vector has 1 to {VECTOR_ELEMENTS_MAX} elements, not {0}")]
    Elements(u16),
    /// The default distance is above the largest one, or the largest is 0 or above the metric's maximum.
    #[error("the default distance must be at most the largest, and the largest above 0 and at most {0}")]
    Distances(Distance),
    /// The same number was declared before with other values.
    #[error("hash type {0} was declared otherwise before, and a declaration is permanent")]
    Conflict(Box<str>),
    /// The process already holds [`DECLARED_MAX`] declarations.
    #[error("at most {DECLARED_MAX} hash types are declared")]
    TooMany,
}

impl Declaration {
    /// Returns the elements' form and the metric; `None` if the number is not that of a vector type.
    #[must_use]
    pub fn class(&self) -> Option<VectorClass> {
        self.hash_type.vector_serial().map(|(class, _)| class)
    }

    /// Checks the declaration by itself, without the other declarations of the process.
    pub fn check(&self) -> Result<VectorClass, DeclarationError> {
        let class = self.class().ok_or(DeclarationError::Number(self.hash_type.number()))?;
        let has_form = |name: &str| {
            let mut bytes = name.bytes();
            let is_rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            name.len() <= NAME_LEN_MAX
                && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
                && bytes.all(is_rest)
        };
        if !has_form(&self.name) {
            return Err(DeclarationError::Name);
        }
        if ROWS.iter().any(|row| row.is_called(&self.name)) {
            return Err(DeclarationError::NameTaken(self.name.clone()));
        }
        if is_name_in_files(&self.name) {
            return Err(DeclarationError::NameInFiles(self.name.clone()));
        }
        if !(1..=VECTOR_ELEMENTS_MAX).contains(&usize::from(self.elements)) {
            return Err(DeclarationError::Elements(self.elements));
        }
        let most = class.metric.distance_max().unwrap_or(Distance(u32::MAX - 1));
        let is_in_order = self.distance_default <= self.distance_max && self.distance_max.0 > 0;
        if !is_in_order || self.distance_max > most {
            return Err(DeclarationError::Distances(most));
        }
        Ok(class)
    }

    /// Returns the declaration of a registered type; `None` if no declaration of it was registered.
    #[must_use]
    pub fn of(hash_type: HashType) -> Option<Self> {
        let row = row(hash_type)?;
        let class = hash_type.vector_class()?;
        let elements = u16::try_from(row.lengths.least() / class.element.bytes()).ok()?;
        let Row { name, distance_default, distance_max, .. } = *row;
        Some(Self { hash_type, name: name.into(), elements, distance_default, distance_max })
    }
}

/// Returns the rows of declared types, ordered by number. A row lives until the process ends, and never
/// changes.
fn rows() -> &'static RwLock<Vec<&'static Row>> {
    static DECLARED: OnceLock<RwLock<Vec<&'static Row>>> = OnceLock::new();
    DECLARED.get_or_init(RwLock::default)
}

/// Registers a declaration in this process. Has no effect if the same declaration is already registered.
pub fn register(declaration: &Declaration) -> Result<(), DeclarationError> {
    let class = declaration.check()?;
    let mut rows = rows().write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Declaration { hash_type, name, elements, distance_default, distance_max } = declaration;
    let bytes = usize::from(*elements) * class.element.bytes();
    let at = rows.binary_search_by_key(hash_type, |row| row.hash_type);
    if let Ok(at) = at {
        let known = rows[at];
        let is_same = known.name == &**name
            && known.lengths.least() == bytes
            && (known.distance_default, known.distance_max) == (*distance_default, *distance_max);
        return if is_same { Ok(()) } else { Err(DeclarationError::Conflict(name.clone())) };
    }
    if rows.iter().any(|row| row.name == &**name) {
        return Err(DeclarationError::NameTaken(name.clone()));
    }
    if rows.len() >= DECLARED_MAX {
        return Err(DeclarationError::TooMany);
    }
    let row = Row {
        hash_type: *hash_type,
        name: Box::leak(name.clone()),
        aliases: &[],
        lengths: Lengths::Of(Box::leak(Box::new([bytes]))),
        text: TextForm::Vector,
        metric: Metric::Vector,
        distance_default: *distance_default,
        distance_max: *distance_max,
        has_variants: false,
        has_quality_floor: false,
    };
    let at = at.unwrap_or_else(|at| at);
    rows.insert(at, Box::leak(Box::new(row)));
    Ok(())
}

/// Returns the row of a declared type; `None` if no declaration of it was registered.
pub(crate) fn row(hash_type: HashType) -> Option<&'static Row> {
    hash_type.vector_class()?;
    let rows = rows().read().unwrap_or_else(std::sync::PoisonError::into_inner);
    let at = rows.binary_search_by_key(&hash_type, |row| row.hash_type).ok()?;
    Some(rows[at])
}

/// Returns the rows of all declared types, ordered by number.
pub(crate) fn all() -> Vec<&'static Row> {
    rows().read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Hash, HashError};

    fn declaration(name: &str, serial: u8) -> Declaration {
        Declaration {
            hash_type: VectorClass::ALL[0].hash_type(serial),
            name: name.into(),
            elements: 3,
            distance_default: Distance(100_000),
            distance_max: Distance(500_000),
        }
    }

    #[test]
    fn a_declared_type_is_known_by_its_name_and_its_number() {
        let declared = declaration("tests_of_names", 201);
        let hash_type = declared.hash_type;
        assert_eq!((hash_type.name(), hash_type.to_string().as_str()), (None, "type-1225"));
        register(&declared).unwrap();
        register(&declared).unwrap();
        assert_eq!("tests_of_names".parse(), Ok(hash_type));
        assert_eq!(
            (hash_type.to_string().as_str(), hash_type.distance_default()),
            ("tests_of_names", Distance(100_000))
        );
        assert!(HashType::known().any(|known| known == hash_type));
        assert_eq!(Declaration::of(hash_type), Some(declared.clone()));
        let hash = Hash::from_text(hash_type, "[3, 0, 4]").unwrap();
        assert_eq!(Hash::from_text(hash_type, &hash.to_text()), Ok(hash.clone()));
        assert_eq!(
            hash.distance(&Hash::from_text(hash_type, "[0, 1, 0]").unwrap()),
            Some(Distance(1_000_000))
        );
        let error = Hash::from_text(hash_type, "[1, 2]").unwrap_err();
        assert_eq!(error.to_string(), "a tests_of_names hash has 3 elements (12 bytes), not 8 bytes");
        assert!(matches!(Hash::from_text(hash_type, "[1, 2, x]"), Err(HashError::Text { .. })));
        let other = Declaration { elements: 4, ..declared.clone() };
        assert!(matches!(register(&other), Err(DeclarationError::Conflict(_))));
        let same_name = declaration("tests_of_names", 202);
        assert!(matches!(register(&same_name), Err(DeclarationError::NameTaken(_))));
    }

    #[test]
    fn what_is_no_declaration_is_refused() {
        let check = |change: &dyn Fn(&mut Declaration)| {
            let mut declared = declaration("tests_of_refusals", 203);
            change(&mut declared);
            register(&declared).unwrap_err()
        };
        assert!(matches!(check(&|one| one.hash_type = HashType::PDQ), DeclarationError::Number(1)));
        let marker = VectorClass::ALL[1].marker();
        assert!(matches!(check(&|one| one.hash_type = marker), DeclarationError::Number(1_280)));
        for name in ["", "Big", "1st", "a-b", &"a".repeat(33)] {
            assert_eq!(check(&|one| one.name = name.into()), DeclarationError::Name, "{name}");
        }
        for name in ["pdq", "sha-256"] {
            assert!(register(&declaration(name, 204)).is_err(), "{name}");
        }
        assert!(NAMES_IN_FILES.is_sorted());
        for name in ["labels", "external_reference", "quality", "hash_type"] {
            assert_eq!(check(&|one| one.name = name.into()), DeclarationError::NameInFiles(name.into()));
        }
        assert_eq!(check(&|one| one.elements = 0), DeclarationError::Elements(0));
        assert_eq!(check(&|one| one.elements = 4_097), DeclarationError::Elements(4_097));
        assert!(matches!(check(&|one| one.distance_max = Distance(9)), DeclarationError::Distances(_)));
        assert!(matches!(
            check(&|one| one.distance_max = Distance(2_000_001)),
            DeclarationError::Distances(_)
        ));
        assert_eq!("tests_of_refusals".parse::<HashType>().ok(), None);
    }
}
