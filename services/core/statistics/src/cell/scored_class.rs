//! A class of a model, in the form in which counters name it.

use super::key::ClassText;

/// A class of one version of a model's card. Values are ordered by model, version and class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoredClass {
    /// The name of the model.
    pub model: String,
    /// The version of its card.
    pub version: u32,
    /// The class.
    pub class: String,
}

impl ScoredClass {
    /// Returns the text by which counters name the class: `model/version/class`. Names of models and classes
    /// contain no slash. `None` if a name is invalid or too long.
    #[must_use]
    pub fn text(&self) -> Option<ClassText> {
        let Self { model, version, class } = self;
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        let text = || ClassText::new(&format!("{model}/{version}/{class}")).ok();
        if is_name(model) && is_name(class) { text() } else { None }
    }

    /// Parses [`ScoredClass::text`]. Counters beyond the bank's limit have no class: they are counted for the
    /// model `others`.
    #[must_use]
    pub fn read(text: &ClassText) -> Self {
        let mut parts = text.as_str().splitn(3, '/');
        let read = parts.next().zip(parts.next()).zip(parts.next()).and_then(|((model, version), class)| {
            Some(Self { model: model.into(), version: version.parse().ok()?, class: class.into() })
        });
        read.unwrap_or_else(|| Self { model: "others".into(), version: 0, class: "others".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_longest_names_are_read_back() {
        for (model, version, class) in [("a", 1, "b"), (&*"m".repeat(64), u32::MAX, &*"c".repeat(64))] {
            let scored = ScoredClass { model: model.into(), version, class: class.into() };
            assert_eq!(ScoredClass::read(&scored.text().unwrap()), scored);
        }
        let of =
            |model: &str, class: &str| ScoredClass { model: model.into(), version: 1, class: class.into() };
        for wrong in [of("", "b"), of("a", ""), of("a/b", "c"), of("a", "b/c"), of(&"m".repeat(200), "c")] {
            assert_eq!(wrong.text(), None, "{wrong:?}");
        }
        for text in ["", "a", "a/b", "a/b/c"] {
            assert_eq!(ScoredClass::read(&ClassText::new(text).unwrap()).model, "others");
        }
    }
}
