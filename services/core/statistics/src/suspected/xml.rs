//! The fragment `fileDetails` of a CyberTipline report. Its elements have a fixed order; another order is
//! refused (response 4100).

use super::report::Suspected;

/// The largest length of `name` in `nameValuePair` and of `originalFileHash`, in characters.
const SHORT_LEN_MAX: usize = 64;

impl Suspected<'_> {
    /// Returns `fileDetails` with the elements that Vigie fills, in the documented order. The platform
    /// inserts its own elements: those up to `locationOfFile` before `fileViewedByEsp`, and those from
    /// `exifViewedByEsp` to `fileAnnotations` after it.
    #[must_use]
    pub fn to_file_details_xml(&self) -> String {
        let mut xml = String::from("<fileDetails>");
        element(&mut xml, "fileViewedByEsp", &self.is_viewed().to_string());
        if let Some(classification) = self.industry_classification() {
            element(&mut xml, "industryClassification", classification);
        }
        for digest in self.digests {
            let name = digest.digest_type().name();
            xml.push_str(&format!(
                "<originalFileHash hashType=\"{name}\">{}</originalFileHash>",
                digest.hex()
            ));
        }
        if let Some((name, value)) = self.perceptual_hash() {
            xml.push_str("<details><nameValuePair>");
            element(&mut xml, "name", &name.chars().take(SHORT_LEN_MAX).collect::<String>());
            element(&mut xml, "value", &value);
            element(&mut xml, "type", "HASH");
            xml.push_str("</nameValuePair></details>");
        }
        element(&mut xml, "additionalInfo", &self.additional_info());
        xml.push_str("</fileDetails>");
        xml
    }
}

fn element(xml: &mut String, name: &str, text: &str) {
    xml.push_str(&format!("<{name}>{}</{name}>", escaped(text)));
}

/// Escapes markup, and replaces characters that XML 1.0 does not allow (section 2.2).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}
