//! Plans declarations of hash types: the number of a new one, and the checks of charters that name them.

use vigie_consortium::{Charter, Directory};
use vigie_model::{Declaration, Distance, VectorClass};

use crate::error::Error;

/// A hash type of vectors that a caller declares. The bank chooses its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewHashType {
    /// Its name.
    pub(crate) name: Box<str>,
    /// The form of the elements, and the metric.
    pub(crate) class: VectorClass,
    /// Elements of each vector.
    pub(crate) elements: u16,
    /// The distance that a search uses if it names none.
    pub(crate) distance_default: Distance,
    /// The largest distance that a search accepts.
    pub(crate) distance_max: Distance,
}

impl NewHashType {
    /// Returns the declaration. Its number is the existing one if the name is declared with the same class,
    /// and otherwise a free one.
    ///
    /// The search for a free number begins at a number derived from the name, so that deployments that
    /// declare the same types tend to number them alike.
    pub(crate) fn declared(self, directory: &Directory) -> Result<Declaration, Error> {
        let Self { name, class, elements, distance_default, distance_max } = self;
        let known = directory.hash_type_called(&name).filter(|known| known.class() == Some(class));
        let hash_type = match known {
            Some(known) => known.hash_type,
            None => {
                let first = begin_of(&name);
                let serials = (first..=u8::MAX).chain(1..first);
                let mut numbers = serials.map(|serial| class.hash_type(serial));
                let free = numbers.find(|number| directory.hash_type(*number).is_none());
                free.ok_or(Error::NoHashTypeLeft)?
            }
        };
        Ok(Declaration { hash_type, name, elements, distance_default, distance_max })
    }
}

/// Returns the serial number, 1 to 255, at which the search for a free one begins.
fn begin_of(name: &str) -> u8 {
    let [a, b, c, d, ..] = *blake3::hash(name.as_bytes()).as_bytes();
    let below = u32::from_be_bytes([a, b, c, d]) % u32::from(u8::MAX);
    // Below 255, so `below + 1` is at most 255.
    u8::try_from(below).map_or(1, |below| below + 1)
}

/// Checks that the hash types that a charter names are declared and their distances allowed. The charter
/// itself has checked the distances' form.
pub(crate) fn check_declared(directory: &Directory, charter: &Charter) -> Result<(), Error> {
    for (hash_type, distance) in charter.vector_distances() {
        let declared = directory.hash_type(*hash_type).ok_or(Error::NotDeclared(*hash_type))?;
        if *distance > declared.distance_max {
            return Err(Error::TooFar { hash_type: *hash_type, max: declared.distance_max });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vigie_consortium::Row;

    use super::*;

    fn new(name: &str, class: usize) -> NewHashType {
        NewHashType {
            name: name.into(),
            class: VectorClass::ALL[class],
            elements: 3,
            distance_default: Distance(1),
            distance_max: Distance(2),
        }
    }

    #[test]
    fn every_number_of_a_class_is_given_once_and_a_name_keeps_its_own() {
        let (mut directory, mut numbers) = (Directory::new(), BTreeSet::new());
        for at in 0..255 {
            let declared = new(&format!("type_{at}"), 1).declared(&directory).unwrap();
            assert_eq!(declared.class(), Some(VectorClass::ALL[1]));
            assert!(numbers.insert(declared.hash_type));
            directory.set_row(Row::HashType(declared.clone().into()));
            assert_eq!(new(&declared.name, 1).declared(&directory), Ok(declared));
        }
        assert_eq!(new("one_more", 1).declared(&directory), Err(Error::NoHashTypeLeft));
        assert!(new("one_more", 0).declared(&directory).is_ok());
        // The number depends only on the name.
        assert_eq!(new("clip", 0).declared(&directory), new("clip", 0).declared(&Directory::new()));
    }
}
