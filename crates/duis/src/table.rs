//! The structure table: parsed once from the text files under `structure/`, then shared by reader, writer and check.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::element::Namespace;
use crate::simple::Simple;

/// Which edition of the schemas a message is held against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Version {
    /// DUIS and MMC 5.1.
    V5_1,
    /// DUIS and MMC 5.4: the default.
    #[default]
    V5_4,
}

impl Version {
    /// The edition that a message of this `schemaVersion` is held against: 5.1 below 5.3, where what differs came in, and for
    /// text that is no version, else 5.4.
    #[must_use]
    pub fn of(schema_version: &str) -> Self {
        let (major, minor) = schema_version.trim().split_once('.').unwrap_or((schema_version, "0"));
        let minor = minor.get(..1).unwrap_or(minor);
        match (major.parse::<u32>(), minor.parse::<u32>()) {
            (Ok(6..), _) | (Ok(5), Ok(3..)) => Self::V5_4,
            _ => Self::V5_1,
        }
    }

    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::V5_1 => &TABLE_5_1,
            Self::V5_4 => &TABLE_5_4,
        }
    }
}

/// Everything one version of the schemas permits.
pub(crate) struct Table {
    pub(crate) roots: Vec<(Namespace, &'static str, TypeRef)>,
    pub(crate) simples: Vec<Simple>,
    pub(crate) complexes: Vec<Complex>,
    pub(crate) groups: Vec<Group>,
}

/// Type of an element or attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TypeRef {
    Simple(usize),
    Complex(usize),
}

/// An element type with attributes or children.
pub(crate) struct Complex {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) text: Option<usize>,
    pub(crate) mixed: bool,
    pub(crate) group: Option<usize>,
}

pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) simple: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupKind {
    Sequence,
    Choice,
}

/// A sequence or choice of particles.
pub(crate) struct Group {
    pub(crate) kind: GroupKind,
    pub(crate) particles: Vec<Particle>,
    /// Every name that can begin it, sorted, with the particle it begins.
    pub(crate) first: Vec<(Namespace, &'static str, usize)>,
    /// Whether nothing at all satisfies it.
    pub(crate) nullable: bool,
}

/// An element or group, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Particle {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) term: Term,
}

#[derive(Clone, Copy)]
pub(crate) enum Term {
    Element(Namespace, &'static str, TypeRef),
    Group(usize),
}

impl Group {
    /// The particle a name begins, if any.
    pub(crate) fn starts(&self, namespace: Namespace, name: &str) -> Option<usize> {
        let at = self
            .first
            .binary_search_by(|(ns, local, _)| (*ns, *local).cmp(&(namespace, name)))
            .ok()?;
        self.first.get(at).map(|(_, _, particle)| *particle)
    }
}

impl Table {
    pub(crate) fn nullable(&self, particle: &Particle) -> bool {
        particle.min == 0 || self.empty_term(particle.term)
    }

    fn empty_term(&self, term: Term) -> bool {
        match term {
            Term::Element(..) => false,
            Term::Group(group) => self.groups.get(group).is_some_and(|group| group.nullable),
        }
    }

    /// Later texts replace definitions of earlier ones.
    fn parse(texts: &[&'static str]) -> Result<Self, String> {
        let mut source = Source::default();
        for text in texts {
            source.collect(text)?;
        }
        let mut builder = Builder::default();
        for (position, id) in source.simples.keys().enumerate() {
            builder.simple_ids.insert(id, position);
        }
        for (position, id) in source.complexes.keys().enumerate() {
            builder.complex_ids.insert(id, position);
        }
        for (id, definition) in &source.simples {
            builder
                .simples
                .push(Simple::parse(definition).map_err(|problem| format!("{id}: {problem}"))?);
        }
        let mut complexes = Vec::with_capacity(source.complexes.len());
        for (id, lines) in &source.complexes {
            complexes.push(
                builder
                    .complex(id, lines)
                    .map_err(|problem| format!("{id}: {problem}"))?,
            );
        }
        let mut roots = Vec::new();
        for (name, type_name) in &source.roots {
            let (namespace, local) = split_name(name, Namespace::Sr);
            roots.push((namespace, local, builder.type_ref(type_name)?));
        }
        Ok(Self {
            roots,
            simples: builder.simples,
            complexes,
            groups: builder.groups,
        })
    }
}

/// The lines of the texts by definition.
#[derive(Default)]
struct Source {
    roots: Vec<(&'static str, &'static str)>,
    simples: BTreeMap<&'static str, &'static str>,
    complexes: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Source {
    fn collect(&mut self, text: &'static str) -> Result<(), String> {
        let mut open: Option<&'static str> = None;
        for line in text.lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with(' ') {
                let id = open.ok_or_else(|| format!("no type is open at {line:?}"))?;
                self.complexes.entry(id).or_default().push(line);
                continue;
            }
            let (kind, rest) = line.split_once(' ').ok_or_else(|| format!("half a line: {line:?}"))?;
            let (id, definition) = rest.split_once(' ').unwrap_or((rest, ""));
            open = None;
            match kind {
                "r" => self.roots.push((id, definition)),
                "s" => drop(self.simples.insert(id, definition)),
                "c" => {
                    self.complexes.insert(id, vec![definition]);
                    open = Some(id);
                }
                _ => return Err(format!("unknown kind of line: {line:?}")),
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Builder {
    simple_ids: BTreeMap<&'static str, usize>,
    complex_ids: BTreeMap<&'static str, usize>,
    simples: Vec<Simple>,
    groups: Vec<Group>,
}

impl Builder {
    fn complex(&mut self, id: &'static str, lines: &[&'static str]) -> Result<Complex, String> {
        let (head, body) = lines.split_first().ok_or("no head")?;
        let mut complex = Complex {
            attributes: Vec::new(),
            text: None,
            mixed: false,
            group: None,
        };
        for word in head.split(' ').filter(|word| !word.is_empty()) {
            match word.strip_prefix("text=") {
                Some(simple) => complex.text = Some(self.simple(simple)?),
                None if word == "mixed" => complex.mixed = true,
                None => return Err(format!("unknown word {word:?}")),
            }
        }
        let is_attribute = |line: &str| line.trim_start().starts_with('@');
        for line in body.iter().filter(|line| is_attribute(line)) {
            let (name, simple) = line
                .trim_start_matches([' ', '@'])
                .split_once(' ')
                .ok_or("attribute without type")?;
            let required = !name.ends_with('?');
            let name = name.trim_end_matches('?');
            complex.attributes.push(Attribute {
                name,
                required,
                simple: self.simple(simple)?,
            });
        }
        let particles: Vec<&'static str> = body.iter().copied().filter(|line| !is_attribute(line)).collect();
        if !particles.is_empty() {
            let default = match id.split('.').next() {
                Some("ra") => Namespace::Ra,
                Some("ds") => Namespace::Ds,
                _ => Namespace::Sr,
            };
            complex.group = Some(self.group(GroupKind::Sequence, default, &particles, 1)?);
        }
        Ok(complex)
    }

    fn group(
        &mut self,
        kind: GroupKind,
        default: Namespace,
        lines: &[&'static str],
        depth: usize,
    ) -> Result<usize, String> {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut particles = Vec::new();
        let mut rest = lines;
        while let Some((line, after)) = rest.split_first() {
            let inner = after.iter().take_while(|line| indent(line) > depth).count();
            let (children, next) = after.split_at(inner);
            rest = next;
            let words = line.trim_start();
            let nested = match words.chars().next() {
                Some('(') => Some(GroupKind::Sequence),
                Some('[') => Some(GroupKind::Choice),
                _ => None,
            };
            if let Some(nested) = nested {
                let (min, max) = cardinality(&words[1..])?;
                let group = self.group(nested, default, children, depth + 1)?;
                particles.push(Particle {
                    min,
                    max,
                    term: Term::Group(group),
                });
                continue;
            }
            let (name, type_name) = words
                .split_once(' ')
                .ok_or_else(|| format!("element without type: {words:?}"))?;
            let end = name.find(['?', '*', '+', '{']).unwrap_or(name.len());
            let (name, card) = name.split_at(end);
            let (min, max) = cardinality(card)?;
            let (namespace, name) = split_name(name, default);
            let term = Term::Element(namespace, name, self.type_ref(type_name)?);
            particles.push(Particle { min, max, term });
        }
        self.finish(kind, particles)
    }

    /// Works out what can begin the group and whether it may be empty.
    fn finish(&mut self, kind: GroupKind, particles: Vec<Particle>) -> Result<usize, String> {
        let empty = |particle: &Particle| {
            particle.min == 0
                || matches!(particle.term, Term::Group(group) if self.groups.get(group).is_some_and(|g| g.nullable))
        };
        let mut first = Vec::new();
        for (position, particle) in particles.iter().enumerate() {
            match particle.term {
                Term::Element(namespace, name, _) => first.push((namespace, name, position)),
                Term::Group(group) => {
                    let inner = self.groups.get(group).ok_or("group out of order")?;
                    first.extend(
                        inner
                            .first
                            .iter()
                            .map(|(namespace, name, _)| (*namespace, *name, position)),
                    );
                }
            }
            if kind == GroupKind::Sequence && !empty(particle) {
                break;
            }
        }
        first.sort_unstable();
        // The same name may begin two particles of a sequence (`a?, a`): the earlier one counts.
        first.dedup_by_key(|(namespace, name, _)| (*namespace, *name));
        let nullable = match kind {
            GroupKind::Sequence => particles.iter().all(empty),
            GroupKind::Choice => particles.iter().any(empty),
        };
        self.groups.push(Group {
            kind,
            particles,
            first,
            nullable,
        });
        Ok(self.groups.len() - 1)
    }

    fn type_ref(&mut self, name: &'static str) -> Result<TypeRef, String> {
        match name.strip_prefix('#') {
            Some(id) => self
                .complex_ids
                .get(id)
                .copied()
                .map(TypeRef::Complex)
                .ok_or_else(|| format!("unknown type {name:?}")),
            None => self.simple(name).map(TypeRef::Simple),
        }
    }

    /// A defined simple type, or a built-in one without facets.
    fn simple(&mut self, name: &'static str) -> Result<usize, String> {
        if let Some(id) = self.simple_ids.get(name) {
            return Ok(*id);
        }
        self.simples.push(Simple::parse(name)?);
        self.simple_ids.insert(name, self.simples.len() - 1);
        Ok(self.simples.len() - 1)
    }
}

fn split_name(name: &'static str, default: Namespace) -> (Namespace, &'static str) {
    match name.split_once(':') {
        Some((prefix, local)) => (
            Namespace::ALL
                .into_iter()
                .find(|namespace| namespace.prefix() == prefix)
                .unwrap_or(default),
            local,
        ),
        None => (default, name),
    }
}

fn cardinality(text: &str) -> Result<(u32, u32), String> {
    match text {
        "" => Ok((1, 1)),
        "?" => Ok((0, 1)),
        "*" => Ok((0, u32::MAX)),
        "+" => Ok((1, u32::MAX)),
        _ => {
            let wrong = || format!("wrong cardinality {text:?}");
            let inner = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'))
                .ok_or_else(wrong)?;
            let (min, max) = inner.split_once(',').ok_or_else(wrong)?;
            let min = min.parse().map_err(|_| wrong())?;
            let max = if max.is_empty() {
                u32::MAX
            } else {
                max.parse().map_err(|_| wrong())?
            };
            Ok((min, max))
        }
    }
}

const DUIS: &str = include_str!("structure/duis.txt");
const MMC: &str = include_str!("structure/mmc.txt");
const SIGNATURE: &str = include_str!("structure/signature.txt");
const ONLY_5_1: &str = include_str!("structure/only_5.1.txt");

static TABLE_5_4: LazyLock<Table> =
    LazyLock::new(|| Table::parse(&[DUIS, MMC, SIGNATURE]).expect("the built-in table parses, as a test proves"));
static TABLE_5_1: LazyLock<Table> = LazyLock::new(|| {
    Table::parse(&[DUIS, MMC, SIGNATURE, ONLY_5_1]).expect("the built-in table parses, as a test proves")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_parse() {
        for version in [Version::V5_1, Version::V5_4] {
            let table = version.table();
            assert_eq!(table.roots.len(), 5);
            assert!(table.complexes.len() > 500, "{}", table.complexes.len());
        }
    }

    #[test]
    fn all_129_requests_are_there() {
        let table = Version::V5_4.table();
        let TypeRef::Complex(request) = table.roots[0].2 else {
            panic!("a message has children")
        };
        let envelope = &table.groups[table.complexes[request].group.expect("children")];
        let Term::Element(_, "Body", TypeRef::Complex(body)) = envelope.particles[1].term else {
            panic!("the second child is the body")
        };
        let body = &table.groups[table.complexes[body].group.expect("children")];
        // The 129 service elements and the signed pre-command.
        assert_eq!(body.first.len(), 130);
    }

    #[test]
    fn a_wrong_table_is_refused_with_a_reason() {
        for text in [
            " a string",
            "c sr.A\n a",
            "c sr.A\n a #sr.B",
            "s sr.A number",
            "c sr.A\n a{1} string",
            "x y",
        ] {
            assert!(Table::parse(&[text]).is_err(), "{text}");
        }
    }
}
