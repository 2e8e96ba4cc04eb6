//! The machine that holds a stream of elements against the structure table. The reader feeds it from a document, the
//! writer from a tree.

use std::borrow::Cow;

use crate::element::Namespace;
use crate::error::ReadErrorKind;
use crate::scan::{is_space, shortened};
use crate::simple::Simple;
use crate::table::{Complex, Group, GroupKind, Particle, Table, Term, TypeRef};

/// A fault without its place, which only the caller knows.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ReadErrorKind,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Fault {
    pub(crate) fn new(kind: ReadErrorKind, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            kind,
            expected: expected.into(),
            found: shortened(&found.into()),
        }
    }
}

/// Where matching stands inside one group.
struct Position {
    group: usize,
    /// Particle being matched; none yet chosen in a choice that has not begun.
    particle: Option<usize>,
    /// How often it has occurred.
    count: u32,
}

struct Open {
    namespace: Namespace,
    name: &'static str,
    kind: TypeRef,
    /// Positions below belong to the elements around it.
    base: usize,
}

pub(crate) struct Validator {
    table: &'static Table,
    open: Vec<Open>,
    positions: Vec<Position>,
    /// A root that must be signed may still lack its signature: the writer's case.
    unsigned: bool,
}

enum Step {
    Matched(&'static str, TypeRef),
    Missing,
    Full,
}

impl Validator {
    pub(crate) fn new(table: &'static Table, unsigned: bool) -> Self {
        Self {
            table,
            open: Vec::with_capacity(16),
            positions: Vec::with_capacity(16),
            unsigned,
        }
    }

    /// An element begins. Gives its name as the table has it.
    pub(crate) fn start(&mut self, namespace: Namespace, name: &str) -> Result<&'static str, Fault> {
        let (name, kind) = match self.open.last() {
            None => self.root(namespace, name)?,
            Some(open) => match open.kind {
                TypeRef::Simple(_) => {
                    return Err(unexpected(
                        ReadErrorKind::UnexpectedElement,
                        "text only",
                        namespace,
                        name,
                    ));
                }
                TypeRef::Complex(_) => self.child(open.base, namespace, name)?,
            },
        };
        let base = self.positions.len();
        if let TypeRef::Complex(complex) = kind
            && let Some(group) = self.complex(complex).and_then(|complex| complex.group)
        {
            self.enter(group);
        }
        self.open.push(Open {
            namespace,
            name,
            kind,
            base,
        });
        Ok(name)
    }

    /// The attributes of the element just begun. Gives their names as the table has them.
    pub(crate) fn attributes<'v>(
        &self,
        present: impl Iterator<Item = (&'v str, &'v str)>,
        mut accepted: impl FnMut(&'static str, &'v str),
    ) -> Result<(), (Option<String>, Fault)> {
        let complex = self.open.last().and_then(|open| match open.kind {
            TypeRef::Complex(complex) => self.complex(complex),
            TypeRef::Simple(_) => None,
        });
        let known = complex.map(|complex| complex.attributes.as_slice()).unwrap_or_default();
        let mut seen = 0_u64;
        for (name, value) in present {
            let Some((at, attribute)) = known.iter().enumerate().find(|(_, attribute)| attribute.name == name) else {
                let expected = match known {
                    [] => "no attributes".to_owned(),
                    _ => format!(
                        "attributes {}",
                        known.iter().map(|a| a.name).collect::<Vec<_>>().join(", ")
                    ),
                };
                return Err((
                    None,
                    Fault::new(
                        ReadErrorKind::UnexpectedAttribute,
                        expected,
                        format!("attribute {name}"),
                    ),
                ));
            };
            let simple = self.table.simples.get(attribute.simple);
            if simple.is_some_and(|simple| simple.accept(Cow::Borrowed(value)).is_none()) {
                let expected = simple.map(Simple::expected).unwrap_or_default();
                let fault = Fault::new(ReadErrorKind::Value, expected, format!("{value:?}"));
                return Err((Some(format!("/@{}", attribute.name)), fault));
            }
            if at < 64 && seen & 1 << at != 0 {
                let fault = Fault::new(
                    ReadErrorKind::UnexpectedAttribute,
                    "each attribute once",
                    format!("two of {name}"),
                );
                return Err((None, fault));
            }
            seen |= 1_u64.checked_shl(u32::try_from(at).unwrap_or(64)).unwrap_or(0);
            accepted(attribute.name, value);
        }
        let missing = known
            .iter()
            .enumerate()
            .find(|(at, a)| a.required && *at < 64 && seen & 1 << at == 0);
        match missing {
            Some((_, attribute)) => Err((
                None,
                Fault::new(
                    ReadErrorKind::MissingAttribute,
                    format!("attribute {}", attribute.name),
                    "none",
                ),
            )),
            None => Ok(()),
        }
    }

    /// Whether the innermost open element holds text that the caller must collect for [`Validator::end`].
    pub(crate) fn holds_text(&self) -> bool {
        self.text_type().is_some()
    }

    /// Text in an element that does not hold text: white space between children is nothing.
    pub(crate) fn stray_text(&self, text: &str) -> Result<(), Fault> {
        let complex = self.open.last().and_then(|open| match open.kind {
            TypeRef::Complex(complex) => self.complex(complex),
            TypeRef::Simple(_) => None,
        });
        let Some(complex) = complex.filter(|complex| !complex.mixed) else {
            return Ok(());
        };
        if complex.group.is_none() {
            // An element without content model may not even hold white space.
            return Err(Fault::new(
                ReadErrorKind::UnexpectedText,
                "an empty element",
                format!("{text:?}"),
            ));
        }
        if text.chars().all(is_space) {
            return Ok(());
        }
        Err(Fault::new(
            ReadErrorKind::UnexpectedText,
            "elements only",
            format!("{:?}", text.trim_matches(is_space)),
        ))
    }

    /// The innermost element ends; `text` is what it held. Gives the text as its type normalises it.
    pub(crate) fn end<'v>(&mut self, text: Cow<'v, str>) -> Result<Cow<'v, str>, Fault> {
        let text = match self.text_type() {
            Some(simple) => match simple.accept(text.clone()) {
                Some(text) => text,
                None => return Err(Fault::new(ReadErrorKind::Value, simple.expected(), format!("{text:?}"))),
            },
            None => Cow::Borrowed(""),
        };
        let Some(base) = self.open.last().map(|open| open.base) else {
            return Ok(text);
        };
        if self.unsigned && self.open.len() == 1 && !self.complete(base) {
            // Where a signature could still come, it stands for itself.
            let _ = self.child(base, Namespace::Ds, "Signature");
        }
        if !self.complete(base) {
            let mut expected = self.candidates(base);
            expected.retain(|name| name != END);
            return Err(Fault::new(
                ReadErrorKind::MissingElement,
                listed(&expected),
                "the end of the element",
            ));
        }
        self.positions.truncate(base);
        self.open.pop();
        Ok(text)
    }

    /// The innermost element ends without a look at its content: it was checked as a document of its own.
    pub(crate) fn end_unchecked(&mut self) {
        if let Some(open) = self.open.pop() {
            self.positions.truncate(open.base);
        }
    }

    /// `/sr:Request/sr:Header` of the open elements.
    pub(crate) fn path(&self) -> String {
        self.open
            .iter()
            .map(|open| format!("/{}:{}", open.namespace.prefix(), open.name))
            .collect()
    }

    fn complex(&self, id: usize) -> Option<&'static Complex> {
        self.table.complexes.get(id)
    }

    fn text_type(&self) -> Option<&'static Simple> {
        let id = match self.open.last()?.kind {
            TypeRef::Simple(simple) => simple,
            TypeRef::Complex(complex) => self.complex(complex)?.text?,
        };
        self.table.simples.get(id)
    }

    fn root(&self, namespace: Namespace, name: &str) -> Result<(&'static str, TypeRef), Fault> {
        let mut roots = self.table.roots.iter();
        match roots.find(|(ns, local, _)| *ns == namespace && *local == name) {
            Some((_, name, kind)) => Ok((name, *kind)),
            None => {
                let all: Vec<String> = self
                    .table
                    .roots
                    .iter()
                    .map(|(ns, local, _)| format!("{}:{local}", ns.prefix()))
                    .collect();
                Err(unexpected(ReadErrorKind::Root, &listed(&all), namespace, name))
            }
        }
    }

    fn enter(&mut self, group: usize) {
        let sequence = self.group(group).is_some_and(|group| group.kind == GroupKind::Sequence);
        self.positions.push(Position {
            group,
            particle: sequence.then_some(0),
            count: 0,
        });
    }

    fn group(&self, id: usize) -> Option<&'static Group> {
        self.table.groups.get(id)
    }

    fn child(&mut self, base: usize, namespace: Namespace, name: &str) -> Result<(&'static str, TypeRef), Fault> {
        loop {
            match self.step(namespace, name) {
                Step::Matched(name, kind) => return Ok((name, kind)),
                // One round of this group is over: the group around it decides.
                Step::Full if self.positions.len() > base + 1 => drop(self.positions.pop()),
                Step::Full | Step::Missing => {
                    let expected = self.candidates(base);
                    let expected = if expected.is_empty() {
                        "an empty element".to_owned()
                    } else {
                        listed(&expected)
                    };
                    return Err(unexpected(ReadErrorKind::UnexpectedElement, &expected, namespace, name));
                }
            }
        }
    }

    /// Tries to match a name in the innermost group, descending as needed.
    fn step(&mut self, namespace: Namespace, name: &str) -> Step {
        loop {
            let table = self.table;
            let Some(position) = self.positions.last_mut() else {
                return Step::Missing;
            };
            let Some(group) = table.groups.get(position.group) else {
                return Step::Missing;
            };
            let at = match position.particle {
                Some(at) => at,
                None => match group.starts(namespace, name) {
                    Some(at) => {
                        position.particle = Some(at);
                        at
                    }
                    None if group.nullable => return Step::Full,
                    None => return Step::Missing,
                },
            };
            let Some(particle) = group.particles.get(at) else {
                return Step::Full;
            };
            if position.count < particle.max {
                match particle.term {
                    Term::Element(ns, local, kind) if ns == namespace && local == name => {
                        position.count += 1;
                        return Step::Matched(local, kind);
                    }
                    Term::Group(inner)
                        if table
                            .groups
                            .get(inner)
                            .is_some_and(|g| g.starts(namespace, name).is_some()) =>
                    {
                        position.count += 1;
                        self.enter(inner);
                        continue;
                    }
                    _ => {}
                }
            }
            if !satisfied(table, particle, position.count) {
                return Step::Missing;
            }
            match group.kind {
                GroupKind::Choice => return Step::Full,
                GroupKind::Sequence => {
                    position.particle = Some(at + 1);
                    position.count = 0;
                }
            }
        }
    }

    /// Whether the element whose positions start at `base` may end here.
    fn complete(&self, base: usize) -> bool {
        let open = self.positions.get(base..).unwrap_or_default();
        open.iter().all(|position| {
            let Some(group) = self.group(position.group) else {
                return true;
            };
            let Some(at) = position.particle else {
                return group.nullable;
            };
            let current = group
                .particles
                .get(at)
                .is_none_or(|p| satisfied(self.table, p, position.count));
            let later = group.particles.get(at + 1..).unwrap_or_default();
            current && (group.kind == GroupKind::Choice || later.iter().all(|p| self.table.nullable(p)))
        })
    }

    /// What could stand at this place, for messages.
    fn candidates(&self, base: usize) -> Vec<String> {
        let mut out = Vec::new();
        let open = self.positions.get(base..).unwrap_or_default();
        for position in open.iter().rev() {
            let Some(group) = self.group(position.group) else { break };
            let Some(at) = position.particle else {
                out.extend(
                    group
                        .first
                        .iter()
                        .map(|(ns, name, _)| format!("{}:{name}", ns.prefix())),
                );
                if group.nullable {
                    continue;
                }
                return out;
            };
            let mut count = position.count;
            for particle in group.particles.get(at..).unwrap_or_default() {
                if count < particle.max {
                    out.extend(self.names(particle));
                }
                if !satisfied(self.table, particle, count) {
                    return out;
                }
                count = 0;
                if group.kind == GroupKind::Choice {
                    break;
                }
            }
        }
        out.push(END.to_owned());
        out
    }

    fn names(&self, particle: &Particle) -> Vec<String> {
        match particle.term {
            Term::Element(ns, name, _) => vec![format!("{}:{name}", ns.prefix())],
            Term::Group(group) => self
                .group(group)
                .map(|group| {
                    group
                        .first
                        .iter()
                        .map(|(ns, name, _)| format!("{}:{name}", ns.prefix()))
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}

const END: &str = "the end of the element";

fn satisfied(table: &Table, particle: &Particle, count: u32) -> bool {
    count >= particle.min || table.nullable(particle)
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        _ if names.len() > SHOWN => {
            format!(
                "one of {} and {} more",
                names.get(..SHOWN).unwrap_or_default().join(", "),
                names.len() - SHOWN
            )
        }
        _ => format!("one of {}", names.join(", ")),
    }
}

fn unexpected(kind: ReadErrorKind, expected: &str, namespace: Namespace, name: &str) -> Fault {
    Fault::new(kind, expected, format!("{}:{name}", namespace.prefix()))
}
