//! Registers in this process the hash types that the directory declares.

use std::collections::BTreeSet;

use vigie_consortium::Directory;
use vigie_model::{HashType, declared};

/// The declared hash types that this process has registered: their names, lengths and distances are known
/// from then on.
#[derive(Debug, Default)]
pub struct HashTypes {
    heard: BTreeSet<HashType>,
}

impl HashTypes {
    /// Registers the directory's declared types that are new. A type that cannot be registered stays unknown
    /// in this process, and is logged once.
    pub fn register(&mut self, directory: &Directory) {
        for declaration in directory.hash_types() {
            if !self.heard.insert(declaration.hash_type) {
                continue;
            }
            if let Err(error) = declared::register(declaration) {
                let number = declaration.hash_type.number();
                tracing::error!(%error, number, "a declared hash type is not known to this process");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::Change;
    use vigie_model::{Declaration, Distance, Sequence, VectorClass};

    use super::*;

    #[test]
    fn declared_types_are_known_in_the_process_and_conflicts_are_left_out() {
        let (hash_type, mut directory) = (VectorClass::ALL[3].hash_type(240), Directory::new());
        let declaration = Declaration {
            hash_type,
            name: "access_followed".into(),
            elements: 3,
            distance_default: Distance(1),
            distance_max: Distance(2),
        };
        directory.apply(Sequence(1), &Change::HashTypeDeclared(declaration.clone())).unwrap();
        let mut known = HashTypes::default();
        assert_eq!(hash_type.name(), None);
        known.register(&directory);
        assert_eq!(hash_type.name(), Some("access_followed"));
        // Another deployment's declaration of the same number has no effect here.
        let (mut other, elements) = (Directory::new(), 4);
        other
            .apply(Sequence(1), &Change::HashTypeDeclared(Declaration { elements, ..declaration.clone() }))
            .unwrap();
        HashTypes::default().register(&other);
        assert_eq!(Declaration::of(hash_type), Some(declaration));
    }
}
