//! The strict scanner: XML 1.0 with namespaces, without document types, processing instructions or entities of its own.
//!
//! Our own and not a general parser's, because reader and signature must see exactly the same document: one pass gives
//! names with their namespaces, normalised values and the octets they came from.

use std::borrow::Cow;

use crate::element::Namespace;
use crate::error::{ReadError, ReadErrorKind};
use crate::read::Limits;

/// What a name belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ns {
    /// One of the three DUIS uses.
    Known(Namespace),
    /// No namespace.
    None,
    /// Any other.
    Other,
    /// XML Schema instance.
    Xsi,
}

/// A declaration in force.
pub(crate) struct Binding<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) uri: Cow<'a, str>,
    ns: Ns,
}

/// An attribute that is no declaration.
pub(crate) struct Attribute<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) local: &'a str,
    pub(crate) ns: Ns,
    pub(crate) value: Cow<'a, str>,
    pub(crate) at: usize,
}

/// A start tag; its attributes are in [`Scanner::attributes`], its declarations in [`Scanner::declared`].
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) local: &'a str,
    pub(crate) ns: Ns,
    /// Where its `<` stands.
    pub(crate) at: usize,
}

impl<'a> Start<'a> {
    pub(crate) fn is(&self, namespace: Namespace, local: &str) -> bool {
        self.ns == Ns::Known(namespace) && self.local == local
    }
}

pub(crate) enum Event<'a> {
    Start(Start<'a>),
    /// The end of an element: where its `</` stands (or the end of the tag, if it has none) and where the next octet is.
    End {
        at: usize,
        after: usize,
    },
    /// Character data inside the root, decoded.
    Text(Cow<'a, str>, usize),
    /// The document is complete.
    Complete,
}

struct Open<'a> {
    qualified: &'a str,
    prefix: &'a str,
    local: &'a str,
    ns: Ns,
    /// How many declarations were in force before its own.
    bindings: usize,
}

pub(crate) struct Scanner<'a> {
    xml: &'a str,
    at: usize,
    limits: Limits,
    open: Vec<Open<'a>>,
    bindings: Vec<Binding<'a>>,
    pub(crate) attributes: Vec<Attribute<'a>>,
    /// The last start tag was an empty element: its end is due.
    empty: bool,
    rooted: bool,
    /// Prefixes used below this many declarations that were declared above.
    watch: Option<(usize, Vec<usize>)>,
}

type Scanned<T> = Result<T, ReadError>;

impl<'a> Scanner<'a> {
    pub(crate) fn new(octets: &'a [u8], limits: Limits) -> Scanned<Self> {
        if octets.len() > limits.octets {
            let place = Place { line: 1, column: 1 };
            let expected = format!("at most {} octets", limits.octets);
            return Err(place.error(ReadErrorKind::Limit, expected, format!("{} octets", octets.len())));
        }
        let xml = std::str::from_utf8(octets).map_err(|error| {
            let place = Place::of(octets, error.valid_up_to());
            let octet = octets.get(error.valid_up_to()).copied().unwrap_or_default();
            place.error(
                ReadErrorKind::Encoding,
                "UTF-8".to_owned(),
                format!("octet 0x{octet:02X}"),
            )
        })?;
        let mut scanner = Self {
            xml,
            at: 0,
            limits,
            open: Vec::with_capacity(16),
            bindings: Vec::with_capacity(8),
            attributes: Vec::with_capacity(4),
            empty: false,
            rooted: false,
            watch: None,
        };
        if let Some(at) = forbidden_character(xml) {
            let found = xml.get(at..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
            return Err(scanner.error(
                at,
                ReadErrorKind::Syntax,
                "characters XML permits",
                format!("U+{found:04X}"),
            ));
        }
        scanner.at = if xml.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        scanner.declaration()?;
        Ok(scanner)
    }

    pub(crate) fn next(&mut self) -> Scanned<Event<'a>> {
        if self.empty {
            self.empty = false;
            self.close();
            return Ok(Event::End {
                at: self.at,
                after: self.at,
            });
        }
        loop {
            let rest = self.rest();
            match *rest.as_bytes() {
                [] => return self.complete(),
                [b'<', b'/', ..] => return self.end_tag(rest),
                [b'<', b'!', ..] if rest.starts_with("<!--") => self.comment(rest)?,
                [b'<', b'!', ..] if rest.starts_with("<![CDATA[") => return self.cdata(rest),
                [b'<', b'!', ..] => {
                    return Err(self.fail(
                        ReadErrorKind::Forbidden,
                        "an element",
                        "a document type or other declaration",
                    ));
                }
                [b'<', b'?', ..] => {
                    return Err(self.fail(ReadErrorKind::Forbidden, "an element", "a processing instruction"));
                }
                [b'<', ..] => return self.start_tag(),
                _ => {
                    if let Some(text) = self.text(rest)? {
                        return Ok(text);
                    }
                }
            }
        }
    }

    /// How deep the element just started or just ended inside stands: the root is 1.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Declarations in force, outermost first.
    pub(crate) fn bindings(&self) -> &[Binding<'a>] {
        &self.bindings
    }

    /// How many declarations were in force before those of the innermost open element.
    pub(crate) fn inherited(&self) -> usize {
        self.open.last().map_or(0, |open| open.bindings)
    }

    /// The URI a prefix stands for here; empty for none.
    pub(crate) fn uri(&self, prefix: &str) -> &str {
        if prefix == "xml" {
            return XML_URI;
        }
        self.bindings
            .iter()
            .rev()
            .find(|binding| binding.prefix == prefix)
            .map_or("", |binding| &binding.uri)
    }

    /// From here on notes which outer declarations the innermost open element and its content use.
    pub(crate) fn watch(&mut self) {
        let base = self.inherited();
        self.watch = Some((base, Vec::new()));
        let mut prefixes: Vec<&'a str> = self
            .attributes
            .iter()
            .map(|a| a.prefix)
            .filter(|p| !p.is_empty())
            .collect();
        prefixes.extend(self.open.last().map(|open| open.prefix));
        for prefix in prefixes {
            if let Some(at) = self.bindings.iter().rposition(|binding| binding.prefix == prefix) {
                self.note(at);
            }
        }
    }

    /// Ends [`Scanner::watch`]: the outer declarations used, as attributes.
    pub(crate) fn watched(&mut self) -> String {
        let Some((_, used)) = self.watch.take() else {
            return String::new();
        };
        let mut out = String::new();
        for binding in used.into_iter().filter_map(|at| self.bindings.get(at)) {
            out.push_str(if binding.prefix.is_empty() { " xmlns" } else { " xmlns:" });
            out.push_str(binding.prefix);
            out.push_str("=\"");
            crate::c14n::escape_attribute(&mut out, &binding.uri);
            out.push('"');
        }
        out
    }

    /// The octets between two offsets.
    pub(crate) fn span(&self, from: usize, to: usize) -> &'a str {
        self.xml.get(from..to).unwrap_or_default()
    }

    /// A fault at an offset, with the path of the open elements.
    pub(crate) fn error(
        &self,
        at: usize,
        kind: ReadErrorKind,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ReadError {
        let mut error = Place::of(self.xml.as_bytes(), at).error(kind, expected.into(), shortened(&found.into()));
        for open in &self.open {
            error.path.push('/');
            if let Ns::Known(namespace) = open.ns {
                error.path.push_str(namespace.prefix());
                error.path.push(':');
                error.path.push_str(open.local);
            } else {
                error.path.push_str(&shortened(open.qualified));
            }
        }
        error
    }

    fn fail(&self, kind: ReadErrorKind, expected: &str, found: impl Into<String>) -> ReadError {
        self.error(self.at, kind, expected, found)
    }

    fn rest(&self) -> &'a str {
        self.xml.get(self.at..).unwrap_or_default()
    }

    fn complete(&self) -> Scanned<Event<'a>> {
        match self.open.last() {
            Some(open) => {
                let expected = format!("</{}>", shortened(open.qualified));
                Err(self.fail(ReadErrorKind::Syntax, &expected, "the end of the document"))
            }
            None if !self.rooted => Err(self.fail(ReadErrorKind::Syntax, "an element", "the end of the document")),
            None => Ok(Event::Complete),
        }
    }

    /// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, if there is one.
    fn declaration(&mut self) -> Scanned<()> {
        let rest = self.rest();
        let Some(inner) = rest.strip_prefix("<?xml").filter(|rest| rest.starts_with(is_space)) else {
            return Ok(());
        };
        let Some(end) = inner.find("?>") else {
            return Err(self.fail(ReadErrorKind::Syntax, "?> at the end of the XML declaration", "none"));
        };
        let mut attributes = inner.get(..end).unwrap_or_default();
        let mut names = ["version", "encoding", "standalone"].into_iter();
        let mut first = true;
        while !attributes.trim_start_matches(is_space).is_empty() {
            let wrong = |found: &str| {
                self.fail(
                    ReadErrorKind::Syntax,
                    "version, encoding, standalone in the XML declaration",
                    found,
                )
            };
            let trimmed = attributes.trim_start_matches(is_space);
            let (name, after) = trimmed.split_once('=').ok_or_else(|| wrong(trimmed))?;
            let name = name.trim_end_matches(is_space);
            let after = after.trim_start_matches(is_space);
            let quote = after
                .chars()
                .next()
                .filter(|c| matches!(c, '"' | '\''))
                .ok_or_else(|| wrong(trimmed))?;
            let (value, next) = after
                .get(1..)
                .and_then(|v| v.split_once(quote))
                .ok_or_else(|| wrong(trimmed))?;
            if !names.any(|expected| expected == name)
                || first != (name == "version")
                || trimmed.len() == attributes.len()
            {
                return Err(wrong(trimmed));
            }
            first = false;
            let (kind, expected, good) = match name {
                "version" => (ReadErrorKind::Syntax, "XML version 1.0", value == "1.0"),
                "encoding" => (
                    ReadErrorKind::Encoding,
                    "encoding UTF-8",
                    value.eq_ignore_ascii_case("UTF-8"),
                ),
                _ => (
                    ReadErrorKind::Syntax,
                    "standalone yes or no",
                    matches!(value, "yes" | "no"),
                ),
            };
            if !good {
                return Err(self.fail(kind, expected, value));
            }
            attributes = next;
        }
        if first {
            return Err(self.fail(ReadErrorKind::Syntax, "a version in the XML declaration", "none"));
        }
        self.at += "<?xml".len() + end + "?>".len();
        Ok(())
    }

    fn comment(&mut self, rest: &str) -> Scanned<()> {
        let inner = rest.get(4..).unwrap_or_default();
        let Some(end) = inner.find("--") else {
            return Err(self.fail(ReadErrorKind::Syntax, "-->", "a comment without end"));
        };
        if !inner.get(end..).unwrap_or_default().starts_with("-->") {
            return Err(self.fail(ReadErrorKind::Syntax, "a comment without --", "-- inside"));
        }
        self.at += 4 + end + 3;
        Ok(())
    }

    fn text(&mut self, rest: &'a str) -> Scanned<Option<Event<'a>>> {
        let raw = rest.get(..until(rest, b'<').unwrap_or(rest.len())).unwrap_or_default();
        let at = self.at;
        if self.open.is_empty() {
            if raw.chars().all(is_space) {
                self.at += raw.len();
                return Ok(None);
            }
            let expected = if self.rooted {
                "nothing after the root"
            } else {
                "an element"
            };
            return Err(self.fail(ReadErrorKind::Syntax, expected, raw.trim_start_matches(is_space)));
        }
        if any(raw, |b| b == b']') && raw.contains("]]>") {
            return Err(self.fail(ReadErrorKind::Syntax, "text without ]]>", "]]>"));
        }
        self.long(raw)?;
        let text = self.decode(raw, at, false)?;
        self.at += raw.len();
        Ok(Some(Event::Text(text, at)))
    }

    fn cdata(&mut self, rest: &'a str) -> Scanned<Event<'a>> {
        const OPEN: usize = "<![CDATA[".len();
        if self.open.is_empty() {
            return Err(self.fail(ReadErrorKind::Syntax, "an element", "a CDATA section"));
        }
        let inner = rest.get(OPEN..).unwrap_or_default();
        let Some(end) = inner.find("]]>") else {
            return Err(self.fail(ReadErrorKind::Syntax, "]]>", "a CDATA section without end"));
        };
        let raw = inner.get(..end).unwrap_or_default();
        self.long(raw)?;
        let at = self.at;
        self.at += OPEN + end + 3;
        Ok(Event::Text(line_ends(raw), at))
    }

    fn end_tag(&mut self, rest: &'a str) -> Scanned<Event<'a>> {
        let at = self.at;
        let inner = rest.get(2..).unwrap_or_default();
        let as_opened = self.open.last().filter(|open| {
            let after = inner.as_bytes().strip_prefix(open.qualified.as_bytes());
            after.is_some_and(|after| after.first() == Some(&b'>'))
        });
        if let Some(open) = as_opened {
            self.at += 2 + open.qualified.len() + 1;
            self.close();
            return Ok(Event::End { at, after: self.at });
        }
        let Some((name, _)) = inner.split_once('>') else {
            return Err(self.fail(ReadErrorKind::Syntax, "> at the end of the tag", "none"));
        };
        let name_only = name.trim_end_matches(is_space);
        match self.open.last() {
            Some(open) if open.qualified == name_only => {}
            Some(open) => {
                let expected = format!("</{}>", shortened(open.qualified));
                return Err(self.fail(ReadErrorKind::Syntax, &expected, format!("</{}>", shortened(name_only))));
            }
            None => {
                return Err(self.fail(
                    ReadErrorKind::Syntax,
                    "an element",
                    format!("</{}>", shortened(name_only)),
                ));
            }
        }
        self.at += 2 + name.len() + 1;
        self.close();
        Ok(Event::End { at, after: self.at })
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.bindings.truncate(open.bindings);
        }
    }

    fn start_tag(&mut self) -> Scanned<Event<'a>> {
        let at = self.at;
        if self.open.is_empty() && self.rooted {
            return Err(self.fail(ReadErrorKind::Syntax, "nothing after the root", "another element"));
        }
        if self.open.len() >= self.limits.depth {
            let expected = format!("at most {} elements inside one another", self.limits.depth);
            return Err(self.fail(ReadErrorKind::Depth, &expected, "one more"));
        }
        self.at += 1;
        let (qualified, prefix, local) = self.name("an element name")?;
        self.attributes.clear();
        let inherited = self.bindings.len();
        let mut count = 0;
        loop {
            let spaced = self.skip_space();
            let rest = self.rest();
            match *rest.as_bytes() {
                [b'>', ..] => {
                    self.at += 1;
                    break;
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    self.empty = true;
                    break;
                }
                _ => {}
            }
            if rest.is_empty() || !spaced {
                let found = rest
                    .chars()
                    .next()
                    .map_or_else(|| "the end of the document".to_owned(), String::from);
                return Err(self.fail(ReadErrorKind::Syntax, "white space, > or /> in a tag", found));
            }
            count += 1;
            if count > self.limits.attributes {
                let expected = format!("at most {} attributes", self.limits.attributes);
                return Err(self.fail(ReadErrorKind::Limit, &expected, "one more"));
            }
            self.attribute(inherited)?;
        }
        self.rooted = true;
        self.open.push(Open {
            qualified,
            prefix,
            local,
            ns: Ns::None,
            bindings: inherited,
        });
        self.resolve_attributes()?;
        let ns = self.resolve(prefix, at)?;
        if let Some(open) = self.open.last_mut() {
            open.ns = ns;
        }
        Ok(Event::Start(Start { prefix, local, ns, at }))
    }

    fn attribute(&mut self, inherited: usize) -> Scanned<()> {
        let at = self.at;
        let (qualified, prefix, local) = self.name("an attribute name")?;
        self.skip_space();
        if !self.rest().starts_with('=') {
            return Err(self.fail(ReadErrorKind::Syntax, "= after an attribute name", first(self.rest())));
        }
        self.at += 1;
        self.skip_space();
        let quote = self.rest().bytes().next();
        let Some(quote) = quote.filter(|b| matches!(b, b'"' | b'\'')) else {
            return Err(self.fail(ReadErrorKind::Syntax, "a quoted attribute value", first(self.rest())));
        };
        self.at += 1;
        let rest = self.rest();
        let Some(raw) = until(rest, quote).and_then(|end| rest.get(..end)) else {
            return Err(self.fail(ReadErrorKind::Syntax, "the closing quote of an attribute value", "none"));
        };
        if any(raw, |b| b == b'<') {
            return Err(self.fail(ReadErrorKind::Syntax, "an attribute value without <", "<"));
        }
        self.long(raw)?;
        let value = self.decode(raw, self.at, true)?;
        self.at += raw.len() + 1;
        if qualified == "xmlns" || prefix == "xmlns" {
            let declared = if qualified == "xmlns" { "" } else { local };
            return self.declare(declared, value, inherited, at);
        }
        self.attributes.push(Attribute {
            prefix,
            local,
            ns: Ns::None,
            value,
            at,
        });
        Ok(())
    }

    fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>, inherited: usize, at: usize) -> Scanned<()> {
        let wrong = match (prefix, &*uri) {
            ("xmlns", _) | (_, XMLNS_URI) => Some("no declaration of xmlns"),
            ("xml", uri) if uri != XML_URI => Some("xml bound to its own namespace"),
            (prefix, XML_URI) if prefix != "xml" => Some("the xml namespace bound to xml only"),
            (prefix, "") if !prefix.is_empty() => Some("a namespace for every declared prefix"),
            _ => None,
        };
        if let Some(expected) = wrong {
            return Err(self.error(at, ReadErrorKind::Namespace, expected, format!("{prefix}={uri:?}")));
        }
        let own = self.bindings.get(inherited..).unwrap_or_default();
        if own.iter().any(|binding| binding.prefix == prefix) {
            let found = format!("two declarations of {prefix:?}");
            return Err(self.error(at, ReadErrorKind::Syntax, "each attribute once", found));
        }
        if prefix == "xml" {
            return Ok(());
        }
        let ns = match &*uri {
            "" => Ns::None,
            XSI_URI => Ns::Xsi,
            uri => Namespace::ALL
                .into_iter()
                .find(|known| known.uri() == uri)
                .map_or(Ns::Other, Ns::Known),
        };
        self.bindings.push(Binding { prefix, uri, ns });
        Ok(())
    }

    fn resolve_attributes(&mut self) -> Scanned<()> {
        for at in 0..self.attributes.len() {
            let Some(&Attribute {
                prefix,
                local,
                at: place,
                ..
            }) = self.attributes.get(at)
            else {
                continue;
            };
            let ns = if prefix.is_empty() {
                Ns::None
            } else {
                self.resolve(prefix, place)?
            };
            let earlier = self.attributes.get(..at).unwrap_or_default();
            let same = |other: &Attribute<'_>| {
                other.local == local
                    && other.prefix.is_empty() == prefix.is_empty()
                    && (other.prefix == prefix || self.uri(other.prefix) == self.uri(prefix))
            };
            if earlier.iter().any(same) {
                let found = format!("two of {local:?}");
                return Err(self.error(place, ReadErrorKind::Syntax, "each attribute once", shortened(&found)));
            }
            if let Some(attribute) = self.attributes.get_mut(at) {
                attribute.ns = ns;
            }
        }
        Ok(())
    }

    fn resolve(&mut self, prefix: &str, at: usize) -> Scanned<Ns> {
        if prefix == "xml" {
            return Ok(Ns::Other);
        }
        match self.bindings.iter().rposition(|binding| same(binding.prefix, prefix)) {
            Some(found) => {
                self.note(found);
                Ok(self.bindings.get(found).map_or(Ns::None, |binding| binding.ns))
            }
            None if prefix.is_empty() => Ok(Ns::None),
            None => {
                let found = format!("prefix {:?} without one", shortened(prefix));
                Err(self.error(at, ReadErrorKind::Namespace, "a declaration for every prefix", found))
            }
        }
    }

    fn note(&mut self, binding: usize) {
        if let Some((base, used)) = &mut self.watch
            && binding < *base
            && !used.contains(&binding)
        {
            used.push(binding);
        }
    }

    /// A qualified name: all of it, prefix, local part.
    fn name(&mut self, expected: &str) -> Scanned<(&'a str, &'a str, &'a str)> {
        let rest = self.rest();
        // Octet by octet, all in one go: names are too short for a search to pay.
        let (mut end, mut colon, mut colons, mut ascii) = (0, 0, 0, true);
        for octet in rest.bytes() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {}
                b':' => {
                    colons += 1;
                    colon = if colons == 1 { end } else { colon };
                }
                0x80.. => ascii = false,
                _ => break,
            }
            end += 1;
        }
        let qualified = rest.get(..end).unwrap_or_default();
        let (prefix, local) = match colons {
            0 => ("", qualified),
            _ => (
                qualified.get(..colon).unwrap_or_default(),
                qualified.get(colon + 1..).unwrap_or_default(),
            ),
        };
        let fits = |name: &str| {
            if ascii {
                name.bytes()
                    .next()
                    .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            } else {
                is_ncname(name)
            }
        };
        if colons > 1 || !fits(local) || colons == 1 && !fits(prefix) {
            return Err(self.fail(ReadErrorKind::Syntax, expected, first(rest)));
        }
        self.at += end;
        Ok((qualified, prefix, local))
    }

    fn skip_space(&mut self) -> bool {
        let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = self.rest().bytes().take_while(space).count();
        self.at += spaces;
        spaces > 0
    }

    fn long(&self, raw: &str) -> Scanned<()> {
        if raw.len() <= self.limits.text {
            return Ok(());
        }
        let expected = format!("at most {} octets of text", self.limits.text);
        Err(self.fail(ReadErrorKind::Limit, &expected, format!("{} octets", raw.len())))
    }

    /// Resolves references and line ends; in attributes white space becomes spaces.
    fn decode(&self, raw: &'a str, at: usize, attribute: bool) -> Scanned<Cow<'a, str>> {
        let special = |b: u8| matches!(b, b'&' | b'\r') || attribute && matches!(b, b'\n' | b'\t');
        if !any(raw, special) {
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(next) = rest.bytes().position(special) {
            let (plain, tail) = rest.split_at(next);
            out.push_str(plain);
            let here = at + raw.len() - tail.len();
            if tail.starts_with('&') {
                let Some((name, after)) = tail.get(1..).unwrap_or_default().split_once(';') else {
                    return Err(self.error(here, ReadErrorKind::Syntax, "; after a reference", first(tail)));
                };
                out.push(self.reference(name, here)?);
                rest = after;
                continue;
            }
            let after = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
            out.push(if attribute { ' ' } else { '\n' });
            rest = after;
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }

    fn reference(&self, name: &str, at: usize) -> Scanned<char> {
        let number = match name {
            "lt" => return Ok('<'),
            "gt" => return Ok('>'),
            "amp" => return Ok('&'),
            "apos" => return Ok('\''),
            "quot" => return Ok('"'),
            _ => match name.strip_prefix('#') {
                Some(digits) => digits,
                None => {
                    let found = format!("&{};", shortened(name));
                    return Err(self.error(at, ReadErrorKind::Forbidden, "one of the five entities of XML", found));
                }
            },
        };
        let value = match number.strip_prefix('x') {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
            None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok(),
            _ => None,
        };
        let character = value.and_then(char::from_u32).filter(|c| is_character(*c));
        let found = || format!("&#{};", shortened(number));
        character.ok_or_else(|| {
            self.error(
                at,
                ReadErrorKind::Syntax,
                "a reference to a character XML permits",
                found(),
            )
        })
    }
}

/// Line and column of an offset, from 1; columns count characters.
struct Place {
    line: u32,
    column: u32,
}

impl Place {
    fn of(octets: &[u8], at: usize) -> Self {
        let before = octets.get(..at).unwrap_or(octets);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: count(before.iter().filter(|b| **b == b'\n').count()).saturating_add(1),
            // Continuation octets of UTF-8 are no characters of their own.
            column: count(in_line.iter().filter(|b| **b & 0xC0 != 0x80).count()).saturating_add(1),
        }
    }

    fn error(&self, kind: ReadErrorKind, expected: String, found: String) -> ReadError {
        ReadError {
            kind,
            path: String::new(),
            line: self.line,
            column: self.column,
            expected,
            found,
        }
    }
}

pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// At most 60 characters of a text from outside, in one line.
pub(crate) fn shortened(text: &str) -> String {
    const LENGTH: usize = 60;
    let mut out: String = text
        .chars()
        .take(LENGTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

fn first(text: &str) -> String {
    text.chars()
        .next()
        .map_or_else(|| "the end of the document".to_owned(), |c| format!("{c:?}"))
}

fn line_ends(raw: &str) -> Cow<'_, str> {
    if raw.contains('\r') {
        Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(raw)
    }
}

fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn forbidden_character(xml: &str) -> Option<usize> {
    let low = |b: u8| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r');
    if any(xml, low) {
        return xml.bytes().position(low);
    }
    if xml.is_ascii() {
        None
    } else {
        xml.find(['\u{fffe}', '\u{ffff}'])
    }
}

/// Where an octet of ASCII stands first: mostly near, and a search made for far things begins slowly.
fn until(text: &str, octet: u8) -> Option<usize> {
    const NEAR: usize = 64;
    let (near, far) = text.split_at(text.floor_char_boundary(NEAR));
    let found = near.bytes().position(|b| b == octet);
    found.or_else(|| far.find(char::from(octet)).map(|at| near.len() + at))
}

/// Whether an octet of some kind is in a text: without a way out on the first one, so that many are looked at together.
fn any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |found, b| found | is(b))
}

/// Equal, for texts of a few octets.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().eq(other.bytes())
}

fn is_ncname(name: &str) -> bool {
    name.chars().next().is_some_and(is_name_start) && name.chars().all(is_name_character)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn is_name_character(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";
const XSI_URI: &str = "http://www.w3.org/2001/XMLSchema-instance";
