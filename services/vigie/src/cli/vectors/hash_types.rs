//! The arguments of `vigie hash-type`, and names of hash types.

use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use vigie_model::{HashType, UnknownHashType, VectorElement, VectorMetric};

use crate::cli::BankAddressArgs;

/// The name of a hash type, which may be one that is declared: such names are known once the bank was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashTypeName(Box<str>);

impl HashTypeName {
    /// The hash type of this name.
    pub(crate) fn resolve(&self) -> Result<HashType, UnknownHashType> {
        self.0.parse()
    }
}

impl FromStr for HashTypeName {
    type Err = UnknownHashType;

    fn from_str(text: &str) -> Result<Self, UnknownHashType> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let has_form = !text.is_empty() && text.len() <= 32 && text.bytes().all(is_name);
        if has_form { Ok(Self(text.into())) } else { Err(UnknownHashType) }
    }
}

impl fmt::Display for HashTypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The subcommands of `vigie hash-type`.
#[derive(Debug, Subcommand)]
pub(crate) enum HashTypeCommand {
    /// Declare a hash type of vectors, permanently; for operators. Repeating an equal declaration changes
    /// nothing
    Declare(HashTypeDeclareArgs),
    /// List the declared hash types
    List(BankAddressArgs),
}

/// Arguments of `vigie hash-type declare`.
#[derive(Debug, Args)]
pub(crate) struct HashTypeDeclareArgs {
    /// The type's name: 1 to 32 of a-z 0-9 _, beginning with a letter, such as that of the model
    pub(crate) name: String,
    /// Elements of each vector, 1 to 4096
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(crate) elements: u16,
    /// How two vectors are compared: by one minus the cosine of their angle, or by their Euclidean distance
    #[arg(long, value_name = "METRIC", value_parser = metric())]
    pub(crate) metric: VectorMetric,
    /// The form of the elements
    #[arg(long, value_name = "FORM", default_value = "f32", value_parser = element())]
    pub(crate) element: VectorElement,
    /// The largest distance of a match where neither the caller nor the bank names one, such as 0.15 [default
    /// with cosine: 0.1]
    #[arg(long, value_name = "DISTANCE", required_if_eq("metric", "l2"))]
    pub(crate) distance: Option<String>,
    /// The largest distance that a search may ask for [default with cosine: 0.5]
    #[arg(long, value_name = "DISTANCE", required_if_eq("metric", "l2"))]
    pub(crate) distance_max: Option<String>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

fn metric() -> impl TypedValueParser<Value = VectorMetric> {
    let all = [VectorMetric::Cosine, VectorMetric::L2];
    let names = PossibleValuesParser::new(all.map(VectorMetric::name));
    names.try_map(move |name| all.into_iter().find(|one| one.name() == name).ok_or("is not known"))
}

fn element() -> impl TypedValueParser<Value = VectorElement> {
    let all = [VectorElement::F32, VectorElement::U8];
    let names = PossibleValuesParser::new(all.map(VectorElement::name));
    names.try_map(move |name| all.into_iter().find(|one| one.name() == name).ok_or("is not known"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn hash_types_are_declared_with_distances_of_their_metric() {
        let check = |line: &str| Cli::command().try_get_matches_from(line.split(' ')).map(drop);
        for good in [
            "vigie hash-type declare clip --elements 512 --metric cosine",
            "vigie hash-type declare clip --elements 512 --metric l2 --distance 0.5 --distance-max 3 --element u8",
            "vigie hash-type list",
        ] {
            check(good).unwrap();
        }
        for (bad, says) in [
            ("vigie hash-type declare clip --metric cosine", "--elements"),
            ("vigie hash-type declare clip --elements 4097 --metric cosine", "4096"),
            ("vigie hash-type declare clip --elements 5 --metric hamming", "cosine"),
            ("vigie hash-type declare clip --elements 5 --metric l2 --distance 1", "--distance-max"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn a_name_is_resolved_when_it_is_known() {
        assert_eq!("PDQ".parse::<HashTypeName>().unwrap().resolve(), Ok(HashType::PDQ));
        let unheard: HashTypeName = "not_declared_here".parse().unwrap();
        assert_eq!(unheard.resolve(), Err(UnknownHashType));
        for text in ["", "a b", "a:b", &"a".repeat(33)] {
            assert!(text.parse::<HashTypeName>().is_err(), "{text}");
        }
    }
}
