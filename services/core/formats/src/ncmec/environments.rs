//! The addresses at which the programme is served.

/// An environment: a separate list with its own members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment {
    /// The name that python-threatexchange gives it.
    pub name: &'static str,
    /// The base URL.
    pub base: &'static str,
}

/// The production and test environments (documentation of the programme).
pub const ENVIRONMENTS: [Environment; 14] = [
    Environment { name: "Industry", base: "https://report.cybertip.org/hashsharing" },
    Environment {
        name: "Industry_Exploitative",
        base: "https://report.cybertip.org/exploitative-hashsharing",
    },
    Environment { name: "LawEnforcement", base: "https://lesp.ncmec.org/csam-hashsharing" },
    Environment { name: "NGO", base: "https://hashsharing.ncmec.org/npo" },
    Environment { name: "Exploitative", base: "https://hashsharing.ncmec.org/exploitative" },
    Environment { name: "NGO_Generative_AI", base: "https://hashsharing.ncmec.org/generative-ai-csam" },
    Environment {
        name: "NGO_Generative_AI_Exploitative",
        base: "https://hashsharing.ncmec.org/generative-ai-exploitative",
    },
    Environment { name: "test_Industry", base: "https://exttest.cybertip.org/hashsharing" },
    Environment {
        name: "test_Industry_Exploitative",
        base: "https://exttest.cybertip.org/exploitative-hashsharing",
    },
    Environment { name: "test_LawEnforcement", base: "https://betalesp.ncmec.org/csam-hashsharing" },
    Environment { name: "test_NGO", base: "https://hashsharing-test.ncmec.org/npo" },
    Environment { name: "test_Exploitative", base: "https://hashsharing-test.ncmec.org/exploitative" },
    Environment {
        name: "test_NGO_Generative_AI",
        base: "https://hashsharing-test.ncmec.org/generative-ai-csam",
    },
    Environment {
        name: "test_NGO_Generative_AI_Exploitative",
        base: "https://hashsharing-test.ncmec.org/generative-ai-exploitative",
    },
];
