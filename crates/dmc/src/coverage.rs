//! What the catalogue has of each item that is known of SMETS1 devices: the committed classification.

/// How an item is met.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// A check of the product holds it.
    Constraint,
    /// Rules of the catalogue have it.
    Rule,
    /// Not of SMETS1, or not for it.
    NotSmets1,
    /// A rule in kind, but nothing here has it.
    NotModelled,
}

impl Class {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Constraint => "constraint",
            Self::NotModelled => "not modelled",
            Self::NotSmets1 => "not SMETS1",
            Self::Rule => "rule",
        }
    }
}

/// One item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its id, such as `SEC-004` or `MB-26`.
    pub id: String,
    /// How it is met.
    pub class: Class,
    /// The rules that have it.
    pub rules: Vec<String>,
    /// The test that proves it: file and name, joined by `::`.
    pub proof: Option<String>,
    /// What it says, or why it is not here, in our words.
    pub says: String,
}

/// All items, in the order of the file.
///
/// # Panics
/// When the built-in file is not a table of five columns; the tests prove that it is.
#[must_use]
pub fn items() -> Vec<Item> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.skip(1).map(item).collect()
}

fn item(line: &str) -> Item {
    let cells: Vec<&str> = line.split('\t').collect();
    let [id, class, rules, proof, says] = cells[..] else {
        panic!("coverage.tsv: {line:?} has {} cells", cells.len())
    };
    let class = match (class, proof) {
        ("constraint", _) => Class::Constraint,
        ("not-smets1", _) => Class::NotSmets1,
        ("rule", "not-modelled") => Class::NotModelled,
        ("rule", _) => Class::Rule,
        _ => panic!("coverage.tsv: {id} is of no class"),
    };
    Item {
        id: id.to_owned(),
        class,
        rules: rules
            .split(',')
            .filter(|rule| !rule.is_empty())
            .map(str::to_owned)
            .collect(),
        proof: Some(proof.to_owned()).filter(|proof| proof.contains("::")),
        says: says.to_owned(),
    }
}

const FILE: &str = include_str!("../../../fixtures/dmc/coverage.tsv");
