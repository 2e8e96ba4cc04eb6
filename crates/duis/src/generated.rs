//! Documents generated from the structure table, sound and damaged, are judged the same by the real schemas: so the table
//! says what they say for every message and payload, also those no published sample shows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastxml::schema::{FileFetcher, Schema, Validator};

use crate::element::Namespace;
use crate::read::{Limits, check_against};
use crate::table::{GroupKind, Table, Term, TypeRef, Version};

/// Writes one random document after another; choices take turns, so that each alternative is met.
struct Generator {
    table: &'static Table,
    state: u64,
    turns: BTreeMap<usize, usize>,
    out: String,
    /// How many elements until the one that is damaged.
    damage: Option<usize>,
}

impl Generator {
    fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % sides as u64) as usize
    }

    fn document(&mut self, root: usize, damage: Option<usize>) -> String {
        self.out.clear();
        self.damage = damage;
        let (namespace, name, kind) = self.table.roots[root];
        self.element(namespace, name, kind, true);
        std::mem::take(&mut self.out)
    }

    fn element(&mut self, namespace: Namespace, name: &'static str, kind: TypeRef, root: bool) {
        let hit = match &mut self.damage {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        // Signatures stay whole: the schema's wildcards there are refused on purpose.
        let damage = if hit && !root && namespace != Namespace::Ds {
            self.damage = None;
            Some(self.roll(7))
        } else {
            None
        };
        match damage {
            Some(0) => return,
            Some(1) => self.whole(namespace, name.to_owned(), kind, root, None),
            Some(2) => return self.whole(namespace, format!("X{name}"), kind, root, None),
            _ => {}
        }
        self.whole(namespace, name.to_owned(), kind, root, damage);
    }

    fn whole(&mut self, namespace: Namespace, name: String, kind: TypeRef, root: bool, damage: Option<usize>) {
        let qualified = format!("{}:{name}", namespace.prefix());
        self.out.push('<');
        self.out.push_str(&qualified);
        if root {
            for namespace in Namespace::ALL {
                self.out
                    .push_str(&format!(" xmlns:{}=\"{}\"", namespace.prefix(), namespace.uri()));
            }
        }
        if damage == Some(3) {
            self.out.push_str(" damage=\"1\"");
        }
        let complex = match kind {
            TypeRef::Complex(complex) => Some(&self.table.complexes[complex]),
            TypeRef::Simple(_) => None,
        };
        for attribute in complex.map(|complex| complex.attributes.as_slice()).unwrap_or_default() {
            let present = if attribute.required {
                damage != Some(4)
            } else {
                self.roll(2) == 0
            };
            if present {
                let value = self.value(attribute.simple, damage == Some(5));
                self.out.push_str(&format!(" {}=\"{value}\"", attribute.name));
            }
        }
        self.out.push('>');
        let text = match kind {
            TypeRef::Simple(simple) => Some(simple),
            TypeRef::Complex(_) => complex.and_then(|complex| complex.text),
        };
        if let Some(simple) = text {
            let value = self.value(simple, matches!(damage, Some(4..=6)));
            crate::c14n::escape_text(&mut self.out, &value);
        }
        if let Some(group) = complex.and_then(|complex| complex.group) {
            if damage == Some(6) {
                self.out.push_str("damage");
            }
            self.group(group);
        }
        self.out.push_str(&format!("</{qualified}>"));
    }

    fn value(&mut self, simple: usize, damaged: bool) -> String {
        const WRONG: [&str; 12] = [
            "",
            " ",
            "0",
            "-1",
            "256",
            "1.5",
            "true",
            "abc",
            "AA==",
            "0FF",
            "2019-02-29T00:00:00Z",
            "99999999999999999999999",
        ];
        if damaged {
            return WRONG[self.roll(WRONG.len())].to_owned();
        }
        let simple = &self.table.simples[simple];
        simple.sample(&mut |sides| self.roll(sides))
    }

    fn group(&mut self, id: usize) {
        let group = &self.table.groups[id];
        let turn = self.turns.entry(id).or_default();
        let chosen = *turn % group.particles.len().max(1);
        *turn += 1;
        for (at, particle) in group.particles.iter().enumerate() {
            if group.kind == GroupKind::Choice && at != chosen {
                continue;
            }
            let most = particle.max.min(particle.min + 2);
            let count = particle.min as usize + self.roll((most - particle.min) as usize + 1);
            for _ in 0..count {
                match particle.term {
                    Term::Element(namespace, name, kind) => self.element(namespace, name, kind, false),
                    Term::Group(inner) => self.group(inner),
                }
            }
        }
    }
}

fn schemas() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("S1LAB_SHARED")
        .map_or(beside, PathBuf::from)
        .join("domain/duis/xsd");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the real schemas are needed in {}", folder.display());
    None
}

fn compare(version: Version, name: &str) {
    let Some(folder) = schemas() else { return };
    let folder = folder.join(name).canonicalize().unwrap();
    let duis = std::fs::read(folder.join("duis.xsd")).unwrap();
    let fetcher = FileFetcher::with_base_dir(&folder);
    let builder = Schema::builder().add(format!("file://{}/duis.xsd", folder.display()), duis);
    let schema = Arc::new(builder.resolve_with(&fetcher).unwrap());
    let theirs = |xml: &str| match Validator::from_reader(xml.as_bytes()).schema(Arc::clone(&schema)).run() {
        Ok(report) => report.errors().iter().map(|error| error.to_string()).collect(),
        Err(error) => vec![error.to_string()],
    };
    let table = version.table();
    let mut generator = Generator {
        table,
        state: 0x5EED + version as u64,
        turns: BTreeMap::new(),
        out: String::new(),
        damage: None,
    };
    let (mut sound, mut refused, mut disagreements) = (0, 0, Vec::<String>::new());
    for root in 0..table.roots.len() {
        for round in 0..300 {
            let damage = if round % 2 == 0 { None } else { Some(generator.roll(12)) };
            let xml = generator.document(root, damage);
            let ours = check_against(xml.as_bytes(), version, &Limits::DEFAULT);
            let theirs: Vec<String> = theirs(&xml);
            match (&ours, theirs.is_empty()) {
                (Ok(_), true) => sound += 1,
                (Err(_), false) => refused += 1,
                _ => disagreements.push(format!("ours {ours:?}\ntheirs {theirs:?}\n{xml}\n")),
            }
            assert!(damage.is_some() || ours.is_ok(), "a sound document: {ours:?}\n{xml}");
        }
    }
    println!(
        "{sound} sound, {refused} refused, {} disagreements",
        disagreements.len()
    );
    assert!(
        disagreements.is_empty(),
        "{}: {}",
        disagreements.len(),
        disagreements.join("\n")
    );
    assert!(sound > 750 && refused > 300, "{sound} sound, {refused} refused");
}

#[test]
fn generated_documents_are_judged_as_the_5_4_schemas_judge_them() {
    compare(Version::V5_4, "5.4");
}

#[test]
fn generated_documents_are_judged_as_the_5_1_schemas_judge_them() {
    compare(Version::V5_1, "5.1");
}
