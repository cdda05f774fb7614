//! A small tree of XML: elements, attributes and text, without entities, document types and namespaces.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion, escape};

use crate::programme::fault::{Fault, text};

/// The namespace of every root element of NCMEC's documents.
pub(crate) const NAMESPACE: &str = "https://hashsharing.ncmec.org/hashsharing/v2";

/// The largest depth of nested elements. The format has 8 levels.
const DEPTH_MAX: usize = 32;
/// The largest number of elements of one document. It limits the memory of the tree, at about 100 bytes an
/// element. A page of 1,000 entries has about 10,000.
const ELEMENTS_MAX: usize = 500_000;

/// An element. Its names have no prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: Box<str>,
    pub(crate) attributes: Vec<(Box<str>, Box<str>)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

impl Element {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Creates a root element, with the namespace.
    pub(crate) fn root(name: &str) -> Self {
        Self::new(name).with("xmlns", NAMESPACE)
    }

    /// Creates an element that contains only text.
    pub(crate) fn of_text(name: &str, text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::new(name) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    pub(crate) fn holding(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(one, _)| &**one == name).map(|(_, value)| &**value)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| &*child.name == name)
    }

    /// Returns the text without surrounding blanks; `None` if nothing is left.
    pub(crate) fn trimmed(&self) -> Option<&str> {
        let text = self.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// Returns the document with this root.
    pub(crate) fn document(&self) -> Vec<u8> {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n");
        self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, to: &mut String) {
        to.extend(["<", &self.name]);
        for (name, value) in &self.attributes {
            to.extend([" ", name, "=\"", &escape::escape(&*legal(value)), "\""]);
        }
        if self.children.is_empty() && self.text.is_empty() {
            to.push_str("/>");
            return;
        }
        to.extend([">", &escape::escape(&*legal(&self.text))]);
        for child in &self.children {
            child.write(to);
        }
        to.extend(["</", &self.name, ">"]);
    }
}

/// Returns the text without the characters that are not allowed in XML.
fn legal(text: &str) -> String {
    let is_legal = |c: &char| match *c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    };
    text.chars().filter(is_legal).collect()
}

/// Reads the root element of a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Element, Fault> {
    let text = text(bytes)?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The open elements, the innermost last. The first one is the document, whose only child is the root.
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        let event =
            reader.read_event().map_err(|error| fault(&error, reader.error_position(), text.len()))?;
        let malformed = || Fault::Malformed { syntax: "XML", at: reader.buffer_position() };
        let is_outside = open.len() == 1;
        let top = open.last_mut().ok_or_else(malformed)?;
        match event {
            Event::Start(start) => {
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err(Fault::Elements(ELEMENTS_MAX));
                }
                if is_outside && !top.children.is_empty() {
                    return Err(malformed());
                }
                let element = element(&start, reader.buffer_position())?;
                if open.len() > DEPTH_MAX {
                    return Err(Fault::Depth(DEPTH_MAX));
                }
                open.push(element);
            }
            Event::End(_) => {
                let element = open.pop().ok_or_else(malformed)?;
                open.last_mut().ok_or_else(malformed)?.children.push(element);
            }
            Event::Text(part) => {
                let part = part.xml10_content().map_err(|_| Fault::Encoding)?;
                if is_outside && !part.trim().is_empty() {
                    return Err(malformed());
                }
                top.text.push_str(&part);
            }
            Event::CData(part) => top.text.push_str(&part.xml10_content().map_err(|_| Fault::Encoding)?),
            Event::GeneralRef(reference) => top.text.push(character(&reference)?),
            Event::Decl(declaration) => check_encoding(declaration.encoding())?,
            Event::DocType(_) => return Err(Fault::DocumentType),
            // `Empty` does not occur, because it is expanded to a start and an end.
            Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
            Event::Eof => break,
        }
    }
    let [document] = <[Element; 1]>::try_from(open).map_err(|_| Fault::Torn)?;
    document.children.into_iter().next().ok_or(Fault::Torn)
}

fn element(start: &BytesStart<'_>, at: u64) -> Result<Element, Fault> {
    let malformed = Fault::Malformed { syntax: "XML", at };
    let name = |bytes: &[u8]| std::str::from_utf8(bytes).map(Box::<str>::from).map_err(|_| malformed);
    let mut element = Element { name: name(start.local_name().as_ref())?, ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| fault(&error, at, usize::MAX))?;
        element.attributes.push((name(attribute.key.local_name().as_ref())?, value.into()));
    }
    Ok(element)
}

/// Returns the character of a reference: by number, or one of the five that XML predefines.
fn character(reference: &BytesRef<'_>) -> Result<char, Fault> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| Fault::Entity)? {
        return Ok(character);
    }
    let name = reference.decode().map_err(|_| Fault::Encoding)?;
    let text = escape::resolve_predefined_entity(&name).ok_or(Fault::Entity)?;
    text.chars().next().ok_or(Fault::Entity)
}

fn check_encoding<E>(encoding: Option<Result<std::borrow::Cow<'_, [u8]>, E>>) -> Result<(), Fault> {
    match encoding {
        None => Ok(()),
        Some(Ok(name)) if [&b"utf-8"[..], b"us-ascii"].iter().any(|one| name.eq_ignore_ascii_case(one)) => {
            Ok(())
        }
        Some(Ok(_) | Err(_)) => Err(Fault::Encoding),
    }
}

/// Converts an error, whose text repeats parts of the document, to a fault. An error at the end means an
/// incomplete document.
fn fault(error: &Error, at: u64, len: usize) -> Fault {
    match error {
        Error::Escape(escape::EscapeError::UnrecognizedEntity(..)) => Fault::Entity,
        Error::Encoding(_) => Fault::Encoding,
        Error::Syntax(_) => Fault::Torn,
        Error::IllFormed(quick_xml::errors::IllFormedError::MissingEndTag(_)) => Fault::Torn,
        Error::Io(_)
        | Error::IllFormed(_)
        | Error::InvalidAttr(_)
        | Error::Escape(_)
        | Error::Namespace(_) => {
            if usize::try_from(at).is_ok_and(|at| at >= len) {
                Fault::Torn
            } else {
                Fault::Malformed { syntax: "XML", at }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_that_declares_or_uses_entities_is_refused_as_such() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"x\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert_eq!(parse(bomb.as_bytes()), Err(Fault::DocumentType));
        assert_eq!(parse(b"<a>&c;</a>"), Err(Fault::Entity));
        assert_eq!(parse(b"<a b=\"&c;\"/>"), Err(Fault::Entity));
        let root = parse("\u{feff}<a b='&lt;'>&amp;&#65;<![CDATA[<x>]]></a>".as_bytes()).unwrap();
        assert_eq!((root.trimmed(), root.attribute("b")), (Some("&A<x>"), Some("<")));
    }

    #[test]
    fn torn_deep_and_malformed_documents_are_distinguished() {
        for torn in ["", " ", "<a>", "<a><b></b>", "<a", "<a b=\"", "<!-- "] {
            assert_eq!(parse(torn.as_bytes()), Err(Fault::Torn), "{torn}");
        }
        for malformed in ["<a></b>", "<a/><b/>", "<a/>x", "x<a/>", "<a b=1/>", "<a>&am"] {
            assert!(matches!(parse(malformed.as_bytes()), Err(Fault::Malformed { .. })), "{malformed}");
        }
        let nested = |depth| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        assert!(parse(nested(32).as_bytes()).is_ok());
        assert_eq!(parse(nested(33).as_bytes()), Err(Fault::Depth(32)));
        assert_eq!(
            parse(format!("<a>{}</a>", "<b/>".repeat(500_000)).as_bytes()),
            Err(Fault::Elements(500_000))
        );
        assert_eq!(parse(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>"), Err(Fault::Encoding));
    }

    proptest! {
        #[test]
        fn any_text_survives_a_document(value in "[^\r\t\n\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,20}") {
            let root = Element::of_text("a", &value).with("b", &value);
            prop_assert_eq!(parse(&root.document()), Ok(root));
        }

        #[test]
        fn any_bytes_are_read_without_a_fault_of_ours(text in "[<>a&;/!?\"= -]{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
