//! Canonical XML, as far as the one signature profile needs it: 1.0 inclusive of a whole document, and exclusive of a
//! subtree; both without comments.
//!
//! The scanner has already normalised line ends, attribute values and references, and refused document types and
//! processing instructions, so what remains is order, declarations and escaping.

use crate::scan::{Ns, Scanner, Start};

/// Which declarations are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// All that differ from those in force at the parent.
    Inclusive,
    /// Those the element or its attributes use and no ancestor inside the subtree has written.
    Exclusive,
}

/// Writes the canonical form while the scanner moves on.
pub(crate) struct Canonical {
    mode: Mode,
    out: String,
    /// Where the names of the open elements stand in `out`.
    names: Vec<(usize, usize)>,
    /// Exclusive: what has been written and is in force, with the depth of its element.
    written: Vec<(String, String, usize)>,
    depth: usize,
}

impl Canonical {
    pub(crate) fn new(mode: Mode, capacity: usize) -> Self {
        Self {
            mode,
            out: String::with_capacity(capacity),
            written: Vec::new(),
            depth: 0,
            names: Vec::with_capacity(16),
        }
    }

    pub(crate) fn start(&mut self, start: &Start<'_>, scanner: &Scanner<'_>) {
        self.depth += 1;
        self.out.push('<');
        let from = self.out.len();
        if !start.prefix.is_empty() {
            self.out.push_str(start.prefix);
            self.out.push(':');
        }
        self.out.push_str(start.local);
        self.names.push((from, self.out.len()));
        match self.mode {
            Mode::Inclusive => self.inclusive(scanner),
            Mode::Exclusive => self.exclusive(start, scanner),
        }
        if scanner.attributes.len() < 2 {
            for attribute in &scanner.attributes {
                self.attribute(attribute.prefix, attribute.local, &attribute.value);
            }
        } else {
            let mut sorted: Vec<_> = scanner.attributes.iter().collect();
            let uri = |ns: Ns, prefix: &str| if ns == Ns::None { "" } else { scanner.uri(prefix) };
            sorted.sort_by_key(|attribute| (uri(attribute.ns, attribute.prefix), attribute.local));
            for attribute in sorted {
                self.attribute(attribute.prefix, attribute.local, &attribute.value);
            }
        }
        self.out.push('>');
    }

    pub(crate) fn end(&mut self) {
        if let Some((from, to)) = self.names.pop() {
            self.out.push_str("</");
            self.out.extend_from_within(from..to);
            self.out.push('>');
        }
        while self.written.last().is_some_and(|(_, _, depth)| *depth == self.depth) {
            self.written.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    pub(crate) fn text(&mut self, text: &str) {
        escape_text(&mut self.out, text);
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.out.as_bytes()
    }

    fn inclusive(&mut self, scanner: &Scanner<'_>) {
        let inherited = scanner.inherited();
        let (outer, own) = scanner.bindings().split_at(inherited.min(scanner.bindings().len()));
        if own.is_empty() {
            return;
        }
        let mut new: Vec<(&str, &str)> = own
            .iter()
            .filter(|binding| {
                let before = outer
                    .iter()
                    .rev()
                    .find(|other| other.prefix == binding.prefix)
                    .map_or("", |other| &other.uri);
                before != binding.uri
            })
            .map(|binding| (binding.prefix, &*binding.uri))
            .collect();
        new.sort_unstable();
        for (prefix, uri) in new {
            declare(&mut self.out, prefix, uri);
        }
    }

    fn exclusive(&mut self, start: &Start<'_>, scanner: &Scanner<'_>) {
        let attributes = scanner
            .attributes
            .iter()
            .map(|attribute| attribute.prefix)
            .filter(|prefix| !prefix.is_empty());
        let mut used: Vec<&str> = std::iter::once(start.prefix)
            .chain(attributes)
            .filter(|p| *p != "xml")
            .collect();
        used.sort_unstable();
        used.dedup();
        for prefix in used {
            let uri = scanner.uri(prefix);
            let written = self
                .written
                .iter()
                .rev()
                .find(|(other, _, _)| other == prefix)
                .map_or("", |(_, uri, _)| uri);
            if written != uri {
                declare(&mut self.out, prefix, uri);
                self.written.push((prefix.to_owned(), uri.to_owned(), self.depth));
            }
        }
    }

    fn attribute(&mut self, prefix: &str, local: &str, value: &str) {
        self.out.push(' ');
        if !prefix.is_empty() {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(local);
        self.out.push_str("=\"");
        escape_attribute(&mut self.out, value);
        self.out.push('"');
    }
}

fn declare(out: &mut String, prefix: &str, uri: &str) {
    out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
    out.push_str(prefix);
    out.push_str("=\"");
    escape_attribute(out, uri);
    out.push('"');
}

/// Text as the canonical form has it; also how the writer writes it.
pub(crate) fn escape_text(out: &mut String, text: &str) {
    escape(out, text, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

/// An attribute value as the canonical form has it; also how the writer writes it.
pub(crate) fn escape_attribute(out: &mut String, value: &str) {
    escape(out, value, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape(out: &mut String, text: &str, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut from = 0;
    for (at, octet) in text.bytes().enumerate() {
        if let Some(replacement) = replacement(octet) {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str(replacement);
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}
