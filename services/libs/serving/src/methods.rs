//! The methods that there are, by which a path of the caller's choice is told from the name of a method.

use std::collections::HashSet;
use std::sync::Arc;

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;

/// The paths of methods. Clones are handles of the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Methods(Arc<HashSet<Arc<str>>>);

impl Methods {
    /// All that these encoded descriptors describe.
    pub(crate) fn described(descriptors: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut paths = HashSet::new();
        for descriptors in descriptors {
            for file in FileDescriptorSet::decode(*descriptors)?.file {
                for service in &file.service {
                    for method in &service.method {
                        let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                        paths.insert(path.into());
                    }
                }
            }
        }
        Ok(Self(Arc::new(paths)))
    }

    /// The method of this path, if there is one.
    pub(crate) fn named(&self, path: &str) -> Option<Arc<str>> {
        self.0.get(path).cloned()
    }
}
