//! Mutants of the published messages are judged the same by our table and by another implementation with the real schemas.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{Oracle, files, shared};
use duis::{Limits, ReadErrorKind, Version, check_against};

/// One element of a document: where its start tag begins, where its content begins, where it ends. Found by counting tags,
/// which is enough for these documents.
struct Span {
    from: usize,
    content: usize,
    content_end: usize,
    to: usize,
}

fn spans(xml: &str) -> Vec<Span> {
    let (mut out, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(next) = xml[at..].find('<').map(|found| at + found) {
        if xml[next..].starts_with("<!--") {
            at = next + xml[next..].find("-->").unwrap() + 3;
            continue;
        }
        let end = next + xml[next..].find('>').unwrap() + 1;
        match &xml[next..next + 2] {
            "<?" => {}
            "</" => {
                let (from, content) = open.pop().unwrap();
                out.push(Span {
                    from,
                    content,
                    content_end: next,
                    to: end,
                });
            }
            _ if xml[..end].ends_with("/>") => out.push(Span {
                from: next,
                content: end,
                content_end: end,
                to: end,
            }),
            _ => open.push((next, end)),
        }
        at = end;
    }
    out
}

/// A small generator of our own (xorshift): the same mutants in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

const VALUES: [&str; 24] = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "9",
    "256",
    "99999999999999999999999",
    "1.5",
    "true",
    "TRUE",
    "abc",
    "AA==",
    "AAAA",
    "00FF",
    "0",
    "2019-02-29T00:00:00Z",
    "2020-02-29T23:59:59.9+01:00",
    "2020-06-01",
    "12:00:00",
    "GBP",
    "ESME",
    "E4",
    "00-DB-12-34-56-78-90-A0",
];

fn mutant(xml: &str, dice: &mut Dice) -> String {
    let spans = spans(xml);
    // Signatures are the schema's own business; their wildcards are refused on purpose.
    let limit = xml.find("<ds:Signature").unwrap_or(xml.len());
    let inside: Vec<&Span> = spans.iter().filter(|span| span.to <= limit).collect();
    let span = inside[dice.roll(inside.len())];
    let element = &xml[span.from..span.to];
    let leaf = !xml[span.content..span.content_end].contains('<');
    let (before, after) = (&xml[..span.from], &xml[span.to..]);
    match dice.roll(8) {
        0 => format!("{before}{after}"),
        1 => format!("{before}{element}{element}{after}"),
        2 => {
            let renamed = element.replacen("<sr:", "<sr:X", 1).replacen("<ra:", "<ra:X", 1);
            let name = |text: &str| text[1..].split([' ', '>', '/']).next().unwrap_or_default().to_owned();
            let (old, new) = (name(element), name(&renamed));
            let closed = renamed
                .rfind(&format!("</{old}>"))
                .map_or(renamed.clone(), |close| format!("{}</{new}>", &renamed[..close]));
            format!("{before}{closed}{after}")
        }
        3 if span.content > span.from && !xml[span.from..span.content].ends_with("/>") => {
            format!("{} extra=\"1\"{}", &xml[..span.content - 1], &xml[span.content - 1..])
        }
        4 if !leaf => format!("{}text{}", &xml[..span.content], &xml[span.content..]),
        5 => {
            let other = inside[dice.roll(inside.len())];
            let copy = &xml[other.from..other.to];
            format!("{before}{element}{copy}{after}")
        }
        6 if leaf && xml[span.content..span.content_end].contains(|c: char| c.is_ascii_digit()) => {
            // One digit becomes another: often still a value the type permits.
            let value = &xml[span.content..span.content_end];
            let at = span.content + value.find(|c: char| c.is_ascii_digit()).unwrap();
            format!("{}{}{}", &xml[..at], dice.roll(10), &xml[at + 1..])
        }
        _ if leaf && span.content < span.to => {
            let value = VALUES[dice.roll(VALUES.len())];
            format!("{}{value}{}", &xml[..span.content], &xml[span.content_end..])
        }
        _ => {
            let with_attribute = xml[span.from..span.content].find("=\"");
            match with_attribute {
                Some(equals) => {
                    let from = span.from + equals + 2;
                    let to = from + xml[from..].find('"').unwrap();
                    format!("{}{}{}", &xml[..from], VALUES[dice.roll(VALUES.len())], &xml[to..])
                }
                None => format!("{before}{after}"),
            }
        }
    }
}

/// Differences that are meant. XML Schema has no more to say about either.
fn stricter_on_purpose(kind: ReadErrorKind) -> bool {
    matches!(kind, ReadErrorKind::Namespace | ReadErrorKind::Syntax)
}

fn compare(version: Version, name: &str) {
    let Some(folder) = shared("the differential test") else {
        return;
    };
    let oracle = Oracle::new(&folder, name);
    let mut documents = files(&folder.join("templates"));
    documents.extend(files(&folder.join("samples")));
    // Large documents take the other implementation long and bring nothing new: three of that kind are enough.
    let mut large = 0;
    documents.retain(|(_, xml)| {
        large += usize::from(xml.len() > 12_000);
        xml.len() <= 12_000 || large <= 3
    });
    let mut dice = Dice(0x5EED_0000 + version as u64);
    let (mut valid, mut refused, mut disagreements) = (0, 0, Vec::new());
    for (name, xml) in &documents {
        let xml = std::str::from_utf8(xml).unwrap();
        for _ in 0..6 {
            let mutant = mutant(xml, &mut dice);
            let ours = check_against(mutant.as_bytes(), version, &Limits::DEFAULT);
            let theirs = oracle.judge(mutant.as_bytes());
            match (&ours, theirs.is_empty()) {
                (Ok(_), true) => valid += 1,
                (Err(_), false) => refused += 1,
                (Err(error), true) if stricter_on_purpose(error.kind) => {}
                _ => disagreements.push(format!("{name}: ours {ours:?}, theirs {theirs:?}\n{mutant}\n")),
            }
        }
    }
    println!(
        "{valid} valid, {refused} refused, {} disagreements",
        disagreements.len()
    );
    assert!(
        disagreements.is_empty(),
        "{}: {}",
        disagreements.len(),
        disagreements.join("\n")
    );
    assert!(
        valid > 50 && refused > 500,
        "{valid} valid, {refused} refused: the mutants prove too little"
    );
}

#[test]
fn mutants_are_judged_as_the_5_1_schemas_judge_them() {
    compare(Version::V5_1, "5.1");
}

#[test]
fn mutants_are_judged_as_the_5_4_schemas_judge_them() {
    compare(Version::V5_4, "5.4");
}
