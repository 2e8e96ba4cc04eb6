//! Simple types: what a text may be. The lexical rules are those of XML Schema 1.0.

mod example;

use std::borrow::Cow;
use std::cmp::Ordering;

/// A built-in type with facets.
pub(crate) struct Simple {
    base: Base,
    /// Bounds that come with the built-in type.
    builtin: (Option<Decimal<'static>>, Option<Decimal<'static>>),
    builtin_name: &'static str,
    min: Option<Decimal<'static>>,
    max: Option<Decimal<'static>>,
    above: Option<Decimal<'static>>,
    below: Option<Decimal<'static>>,
    length: Option<usize>,
    length_min: Option<usize>,
    length_max: Option<usize>,
    digits: Option<usize>,
    fraction: Option<usize>,
    patterns: Vec<Pattern>,
    values: Vec<&'static str>,
    /// The same in order, where there are so many that a search pays.
    sorted: Vec<&'static str>,
    /// The definition as it stands in the table, for messages.
    definition: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Any,
    Base64,
    Boolean,
    Date,
    DateTime,
    Decimal,
    Hex,
    Id,
    Integer,
    Text,
    Time,
    Token,
}

#[derive(Clone, Copy)]
enum Pattern {
    Digits,
    DigitsAndSpaces,
    Eui,
    EuiList,
    Printable,
    RequestId,
}

impl Simple {
    pub(crate) fn parse(definition: &'static str) -> Result<Self, String> {
        const MANY: usize = 8;
        let (facets, values): (_, Vec<&str>) = match definition.split_once(" in=") {
            Some((facets, values)) => (facets, values.split('|').collect()),
            None => (definition, Vec::new()),
        };
        let mut sorted = if values.len() > MANY {
            values.clone()
        } else {
            Vec::new()
        };
        sorted.sort_unstable();
        let mut words = facets.split(' ');
        let name = words.next().unwrap_or_default();
        let (base, min, max) = builtin(name).ok_or_else(|| format!("unknown type {name:?}"))?;
        let mut simple = Self {
            base,
            builtin: (min.and_then(Decimal::parse), max.and_then(Decimal::parse)),
            builtin_name: name,
            min: None,
            max: None,
            above: None,
            below: None,
            length: None,
            length_min: None,
            length_max: None,
            digits: None,
            fraction: None,
            patterns: Vec::new(),
            values,
            sorted,
            definition,
        };
        for word in words.filter(|word| !word.is_empty()) {
            simple.facet(word).ok_or_else(|| format!("wrong facet {word:?}"))?;
        }
        Ok(simple)
    }

    fn facet(&mut self, word: &'static str) -> Option<()> {
        let (name, value) = word.split_once('=')?;
        match name {
            "min" => self.min = Some(Decimal::parse(value)?),
            "max" => self.max = Some(Decimal::parse(value)?),
            "above" => self.above = Some(Decimal::parse(value)?),
            "below" => self.below = Some(Decimal::parse(value)?),
            "len" => self.length = Some(value.parse().ok()?),
            "minlen" => self.length_min = Some(value.parse().ok()?),
            "maxlen" => self.length_max = Some(value.parse().ok()?),
            "digits" => self.digits = Some(value.parse().ok()?),
            "fraction" => self.fraction = Some(value.parse().ok()?),
            "pattern" => self.patterns.push(match value {
                "digits" => Pattern::Digits,
                "digits-spaces" => Pattern::DigitsAndSpaces,
                "eui" => Pattern::Eui,
                "eui-list" => Pattern::EuiList,
                "printable" => Pattern::Printable,
                "request-id" => Pattern::RequestId,
                _ => return None,
            }),
            _ => return None,
        }
        Some(())
    }

    /// The value with white space treated as the type says; none when the type does not permit it.
    pub(crate) fn accept<'a>(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let text = if self.base == Base::Text { text } else { collapsed(text) };
        self.permits(&text).then_some(text)
    }

    /// What the type permits, for messages.
    pub(crate) fn expected(&self) -> String {
        if self.values.is_empty() {
            return if self.definition == self.builtin_name {
                format!("a value of type {}", self.builtin_name)
            } else {
                format!("a value of type {}", self.definition)
            };
        }
        const SHOWN: usize = 12;
        let shown: Vec<&str> = self.values.iter().copied().take(SHOWN).collect();
        let more = self.values.len().saturating_sub(SHOWN);
        if more > 0 {
            format!("one of {} and {more} more", shown.join(", "))
        } else {
            format!("one of {}", shown.join(", "))
        }
    }

    fn permits(&self, text: &str) -> bool {
        let length = match self.base {
            Base::Any | Base::Id => return self.base == Base::Any || is_id(text),
            Base::Boolean => return matches!(text, "true" | "false" | "1" | "0"),
            Base::Date => return date(text).is_some_and(zone),
            Base::DateTime => return date_time(text),
            Base::Time => return time(text).is_some_and(|(rest, _)| zone(rest)),
            Base::Decimal | Base::Integer => return self.permits_number(text),
            Base::Base64 => base64_octets(text),
            Base::Hex => hex_octets(text),
            Base::Text | Base::Token => Some(if text.is_ascii() {
                text.len()
            } else {
                text.chars().count()
            }),
        };
        let Some(length) = length else { return false };
        self.length.is_none_or(|exact| length == exact)
            && self.length_min.is_none_or(|min| length >= min)
            && self.length_max.is_none_or(|max| length <= max)
            && self.patterns.iter().all(|pattern| pattern.matches(text))
            && self.lists(text)
    }

    /// Whether a text is one of the values, where there is a list of them.
    fn lists(&self, text: &str) -> bool {
        if self.sorted.is_empty() {
            return self.values.is_empty() || self.values.contains(&text);
        }
        self.sorted.binary_search(&text).is_ok()
    }

    fn permits_number(&self, text: &str) -> bool {
        let Some(number) = Decimal::parse(text) else {
            return false;
        };
        if self.base == Base::Integer && text.contains('.') {
            return false;
        }
        let at_least = |bound: &Option<Decimal<'_>>| bound.as_ref().is_none_or(|bound| number.compare(bound).is_ge());
        let at_most = |bound: &Option<Decimal<'_>>| bound.as_ref().is_none_or(|bound| number.compare(bound).is_le());
        at_least(&self.builtin.0)
            && at_most(&self.builtin.1)
            && at_least(&self.min)
            && at_most(&self.max)
            && self.above.as_ref().is_none_or(|bound| number.compare(bound).is_gt())
            && self.below.as_ref().is_none_or(|bound| number.compare(bound).is_lt())
            && self
                .digits
                .is_none_or(|digits| number.whole.len() + number.fraction.len() <= digits)
            && self.fraction.is_none_or(|fraction| number.fraction.len() <= fraction)
            && (self.values.is_empty()
                || self
                    .values
                    .iter()
                    .filter_map(|value| Decimal::parse(value))
                    .any(|v| number.compare(&v).is_eq()))
    }
}

impl Pattern {
    fn matches(self, text: &str) -> bool {
        match self {
            Self::Digits => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
            Self::DigitsAndSpaces => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b' '),
            Self::Eui => is_eui(text),
            Self::EuiList => text.split(',').all(is_eui),
            Self::Printable => !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b)),
            Self::RequestId => {
                let mut parts = text.split(':');
                let parts = (parts.next(), parts.next(), parts.next(), parts.next());
                let (Some(originator), Some(target), Some(counter), None) = parts else {
                    return false;
                };
                let plain = counter == "0" || !counter.starts_with(['0', '+']);
                is_eui(originator) && is_eui(target) && plain && counter.parse::<u64>().is_ok()
            }
        }
    }
}

/// An exact decimal: comparisons neither round nor overflow, however long the text is.
#[derive(Clone, Copy)]
struct Decimal<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !numeric(whole) || !numeric(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self {
            negative: negative && !zero,
            whole,
            fraction,
        })
    }

    fn compare(&self, other: &Decimal<'_>) -> Ordering {
        let size = || {
            self.whole
                .len()
                .cmp(&other.whole.len())
                .then_with(|| self.whole.cmp(other.whole))
                .then_with(|| self.fraction.cmp(other.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }
}

type Builtin = (Base, Option<&'static str>, Option<&'static str>);

fn builtin(name: &str) -> Option<Builtin> {
    let integer = |min, max| (Base::Integer, min, max);
    Some(match name {
        "ID" => (Base::Id, None, None),
        "anyURI" => (Base::Any, None, None),
        "base64Binary" => (Base::Base64, None, None),
        "boolean" => (Base::Boolean, None, None),
        "date" => (Base::Date, None, None),
        "dateTime" => (Base::DateTime, None, None),
        "decimal" => (Base::Decimal, None, None),
        "hexBinary" => (Base::Hex, None, None),
        "int" => integer(Some("-2147483648"), Some("2147483647")),
        "integer" => integer(None, None),
        "nonNegativeInteger" => integer(Some("0"), None),
        "nonPositiveInteger" => integer(None, Some("0")),
        "positiveInteger" => integer(Some("1"), None),
        "short" => integer(Some("-32768"), Some("32767")),
        "string" => (Base::Text, None, None),
        "time" => (Base::Time, None, None),
        "token" => (Base::Token, None, None),
        "unsignedInt" => integer(Some("0"), Some("4294967295")),
        "unsignedLong" => integer(Some("0"), Some("18446744073709551615")),
        "unsignedShort" => integer(Some("0"), Some("65535")),
        _ => return None,
    })
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn collapsed(text: Cow<'_, str>) -> Cow<'_, str> {
    // As after a space: one at the beginning is one too many.
    let mut spaced = true;
    let plain = text.bytes().all(|b| {
        let before = std::mem::replace(&mut spaced, b == b' ');
        !(matches!(b, b'\t' | b'\n' | b'\r') || before && spaced)
    });
    let plain = plain && !spaced || text.is_empty();
    if plain {
        return text;
    }
    Cow::Owned(
        text.split(is_space)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn is_eui(text: &str) -> bool {
    text.len() == 23
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if at % 3 == 2 { b == b'-' } else { b.is_ascii_hexdigit() })
}

fn is_id(text: &str) -> bool {
    let start = |c: char| c.is_alphabetic() || c == '_';
    text.chars().next().is_some_and(start)
        && text
            .chars()
            .all(|c| start(c) || c.is_ascii_digit() || matches!(c, '-' | '.' | '\u{b7}'))
}

fn hex_octets(text: &str) -> Option<usize> {
    (text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())).then_some(text.len() / 2)
}

/// Number of octets, if it is base64 with optional single spaces and nothing left over.
fn base64_octets(text: &str) -> Option<usize> {
    let (mut digits, mut padding, mut last) = (0_usize, 0_usize, 0_u8);
    for byte in text.bytes() {
        match byte {
            b' ' => {}
            b'=' => padding += 1,
            _ if padding > 0 => return None,
            _ => {
                last = match byte {
                    b'A'..=b'Z' => byte - b'A',
                    b'a'..=b'z' => byte - b'a' + 26,
                    b'0'..=b'9' => byte - b'0' + 52,
                    b'+' => 62,
                    b'/' => 63,
                    _ => return None,
                };
                digits += 1;
            }
        }
    }
    let whole = digits / 4 * 3;
    match (digits % 4, padding) {
        (0, 0) => Some(whole),
        // The bits that no octet needs must be zero.
        (2, 2) if last & 0x0f == 0 => Some(whole + 1),
        (3, 1) if last & 0x03 == 0 => Some(whole + 2),
        _ => None,
    }
}

fn date_time(text: &str) -> bool {
    let Some(rest) = date(text).and_then(|rest| rest.strip_prefix('T')) else {
        return false;
    };
    time(rest).is_some_and(|(rest, _)| zone(rest))
}

/// Year, month and day; gives what follows.
fn date(text: &str) -> Option<&str> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (year, rest) = unsigned.split_once('-')?;
    let year_wrong = year.len() < 4
        || !year.bytes().all(|b| b.is_ascii_digit())
        || year.len() > 4 && year.starts_with('0')
        || year == "0000";
    if year_wrong {
        return None;
    }
    let (month, rest) = two(rest)?;
    let (day, rest) = two(rest.strip_prefix('-')?)?;
    // Only the last four digits matter for leap years: 10,000 is divisible by 400.
    let cycle: u32 = year.get(year.len() - 4..)?.parse().ok()?;
    let leap = cycle.is_multiple_of(4) && (!cycle.is_multiple_of(100) || cycle.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    (1..=days).contains(&day).then_some(rest)
}

/// Hour, minute, second with fraction; gives what follows and whether it is the end of the day.
fn time(text: &str) -> Option<(&str, bool)> {
    let (hour, rest) = two(text)?;
    let (minute, rest) = two(rest.strip_prefix(':')?)?;
    let (second, mut rest) = two(rest.strip_prefix(':')?)?;
    let mut nothing_more = minute == 0 && second == 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = fraction.split_at(end);
        if digits.is_empty() {
            return None;
        }
        nothing_more &= digits.bytes().all(|b| b == b'0');
        rest = after;
    }
    let midnight = hour == 24 && nothing_more;
    (midnight || hour < 24 && minute < 60 && second < 60).then_some((rest, midnight))
}

fn zone(text: &str) -> bool {
    if text.is_empty() || text == "Z" {
        return true;
    }
    let Some(rest) = text.strip_prefix(['+', '-']) else {
        return false;
    };
    let Some((hours, rest)) = two(rest) else { return false };
    let Some((minutes, rest)) = rest.strip_prefix(':').and_then(two) else {
        return false;
    };
    rest.is_empty() && minutes < 60 && (hours < 14 || hours == 14 && minutes == 0)
}

fn two(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..2)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, text.get(2..)?))
}

#[cfg(test)]
impl Simple {
    /// A value the type permits; `roll(n)` gives a number below n.
    pub(crate) fn sample(&self, roll: &mut dyn FnMut(usize) -> usize) -> String {
        if !self.values.is_empty() {
            return self.values[roll(self.values.len())].to_owned();
        }
        let low = self.length.or(self.length_min).unwrap_or(0);
        let high = self.length.or(self.length_max).unwrap_or(low + 6).min(low + 6);
        let length = low + roll(high - low + 1);
        let candidates: Vec<String> = match self.base {
            Base::Any => vec!["urn:x".to_owned()],
            Base::Id => vec![format!("id{}", roll(1 << 30))],
            Base::Boolean => ["true", "false", "0", "1"].map(str::to_owned).to_vec(),
            Base::Date => ["2020-02-29", "1999-12-31Z"].map(str::to_owned).to_vec(),
            Base::DateTime => [
                "2020-02-29T12:00:00Z",
                "1999-12-31T23:59:59.999+01:00",
                "2020-01-01T00:00:00",
            ]
            .map(str::to_owned)
            .to_vec(),
            Base::Time => ["12:30:00", "00:00:00Z", "23:59:59.5"].map(str::to_owned).to_vec(),
            Base::Decimal | Base::Integer => {
                let mut numbers: Vec<String> = [
                    "0", "1", "7", "-5", "300", "2026", "70000", "12.5", "0.01", "1.9", "2.1", "0.5", "-0.5", "45.5",
                ]
                .map(str::to_owned)
                .to_vec();
                let bounds = [&self.min, &self.max, &self.builtin.0, &self.builtin.1];
                numbers.extend(bounds.into_iter().flatten().map(|bound| {
                    let zero = if bound.whole.is_empty() { "0" } else { "" };
                    format!("{}{zero}{}", if bound.negative { "-" } else { "" }, bound.whole)
                }));
                numbers
            }
            Base::Base64 => {
                use base64::Engine;
                vec![base64::engine::general_purpose::STANDARD.encode(vec![0x5A; length])]
            }
            Base::Hex => vec!["5a".repeat(length)],
            Base::Text | Base::Token => {
                let eui = "90-B3-D5-1F-30-01-00-00";
                match self.patterns.first() {
                    Some(Pattern::Digits | Pattern::DigitsAndSpaces) => vec!["7".repeat(length.max(1))],
                    Some(Pattern::Eui) => vec![eui.to_owned()],
                    Some(Pattern::EuiList) => vec![format!("{eui},{eui}"), eui.to_owned()],
                    Some(Pattern::RequestId) => vec![format!("{eui}:{eui}:17")],
                    Some(Pattern::Printable) => vec!["~".repeat(length.max(1))],
                    None => vec!["x".repeat(length)],
                }
            }
        };
        let fitting: Vec<String> = candidates.into_iter().filter(|value| self.permits(value)).collect();
        assert!(!fitting.is_empty(), "no sample for {}", self.definition);
        fitting[roll(fitting.len())].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(definition: &'static str, good: &[&str], bad: &[&str]) {
        let simple = Simple::parse(definition).expect("a definition");
        for text in good {
            assert!(
                simple.accept(Cow::Borrowed(text)).is_some(),
                "{definition}: {text:?} is fine"
            );
        }
        for text in bad {
            assert!(
                simple.accept(Cow::Borrowed(text)).is_none(),
                "{definition}: {text:?} is wrong"
            );
        }
    }

    #[test]
    fn numbers() {
        check(
            "positiveInteger min=1 max=8",
            &["1", "08", " 3 ", "+2"],
            &["0", "9", "-1", "1.0", "", "x", "1 2"],
        );
        check("integer", &["-0", "99999999999999999999999999"], &["1.", "--1"]);
        check(
            "decimal digits=4 fraction=2",
            &["12.34", "12.3400", ".5", "5."],
            &["123.45", "1.234", ".", "1e3"],
        );
        check("integer above=-1 below=10", &["0", "9"], &["-1", "10"]);
        check("positiveInteger in=1|2", &["1", "02"], &["3"]);
        check("unsignedLong", &["18446744073709551615"], &["18446744073709551616"]);
    }

    #[test]
    fn dates_and_times() {
        let good = [
            "2019-03-31T00:30:00Z",
            "2019-03-31T00:30:00.123+01:00",
            "3000-12-31T00:00:00.00Z",
            "2020-02-29T24:00:00",
        ];
        let bad = [
            "2019-02-29T00:00:00Z",
            "2019-03-31",
            "2019-03-31T25:00:00",
            "2019-03-31T24:00:01",
            "0000-01-01T00:00:00",
        ];
        check("dateTime", &good, &bad);
        check(
            "date",
            &["2000-02-29", "2019-03-31Z", "-0044-03-15"],
            &["1900-02-29", "19-1-1", "2019-13-01"],
        );
        check(
            "time",
            &["00:00:00", "23:59:59.9Z", "12:00:00-14:00"],
            &["24:00:01", "12:00", "12:00:00+14:01"],
        );
    }

    #[test]
    fn octets_and_identities() {
        check(
            "base64Binary",
            &["", "AA==", "AAA=", "AAAA", "AA AA", "\nAAAA\n"],
            &["A", "AB==", "AA=A", "AAAA=", "A!=="],
        );
        check("base64Binary len=2", &["AAA="], &["AAAA"]);
        check("hexBinary maxlen=2", &["", "00fF"], &["0", "000000", "0g"]);
        check(
            "string pattern=eui",
            &["00-DB-12-34-56-78-90-a0"],
            &["00-DB-12-34-56-78-90", " 00-DB-12-34-56-78-90-A0"],
        );
        let id = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0";
        let good = [format!("{id}:0"), format!(" {id}:18446744073709551615")];
        let bad = [
            format!("{id}:01"),
            format!("{id}:+1"),
            format!("{id}:18446744073709551616"),
            id.to_owned(),
        ];
        check(
            "token pattern=request-id",
            &good.each_ref().map(String::as_str),
            &bad.each_ref().map(String::as_str),
        );
        check(
            "string minlen=1 maxlen=2 pattern=printable",
            &["a", "~ "],
            &["", "abc", "é"],
        );
        check(
            "string in=4G North|Unknown",
            &["4G North"],
            &["4G  North", " Unknown", "4G"],
        );
        check("boolean", &["true", " 0 "], &["TRUE", "2", ""]);
    }
}
