//! What 12.1 knows of coverage: a table by post code and property, as a file anybody can replace.

use dmc::FileError;
use domain::SimInstant;

/// Coverage at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// Property the row is for; empty: by post code.
    uprn: String,
    /// First characters of the post code without blanks; empty: every one.
    post_code: String,
    /// `North`, `Central`, `South`, ...
    pub region: String,
    /// Whether there is coverage.
    pub available: bool,
    /// When it is expected, where there is none.
    pub expected: Option<String>,
    /// In words, up to 30 characters.
    pub technology: String,
    /// `High`, `Medium`, `Low`.
    pub likelihood: String,
    /// Up to 50 characters.
    pub auxiliary: Option<String>,
    /// Up to 250 characters.
    pub information: Option<String>,
}

/// The table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WanMatrix {
    rows: Vec<Coverage>,
}

impl WanMatrix {
    /// A small table of our own. That the south and middle are served by cellular networks and the north by long-range radio
    /// is recalled; everything else in it is invented.
    ///
    /// # Panics
    /// Never: that the text reads is proved by the tests.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_csv(include_str!("data/wan_matrix.csv")).expect("the compiled-in table reads, which the tests prove")
    }

    /// From CSV with the columns `uprn,post_code,region,available,expected,technology,likelihood,auxiliary,information`.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn from_csv(text: &str) -> Result<Self, FileError> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let fault = |line, reason: String| FileError {
            file: "WAN matrix".to_owned(),
            line: usize::try_from(line).unwrap_or(0),
            reason,
            suggestion: None,
        };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record =
                record.map_err(|error| fault(error.position().map_or(0, csv::Position::line), error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            let cells: Vec<&str> = record.iter().collect();
            let [
                uprn,
                post_code,
                region,
                available,
                expected,
                technology,
                likelihood,
                auxiliary,
                information,
            ] = cells[..]
            else {
                return Err(fault(line, format!("expected 9 cells, found {}", cells.len())));
            };
            let optional = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let available = match available {
                "yes" => true,
                "no" => false,
                other => return Err(fault(line, format!("available: expected yes or no, found {other:?}"))),
            };
            if !["High", "Medium", "Low"].contains(&likelihood) {
                return Err(fault(
                    line,
                    format!("likelihood: expected High, Medium or Low, found {likelihood:?}"),
                ));
            }
            if !expected.is_empty() && format!("{expected}T00:00:00Z").parse::<SimInstant>().is_err() {
                return Err(fault(
                    line,
                    format!("expected: expected a date such as 2021-06-01, found {expected:?}"),
                ));
            }
            rows.push(Coverage {
                uprn: uprn.to_owned(),
                post_code: plain(post_code),
                region: region.to_owned(),
                available,
                expected: optional(expected),
                technology: technology.to_owned(),
                likelihood: likelihood.to_owned(),
                auxiliary: optional(auxiliary),
                information: optional(information),
            });
        }
        Ok(Self { rows })
    }

    /// Coverage at a property, known by number.
    #[must_use]
    pub fn at_property(&self, uprn: &str) -> Option<&Coverage> {
        let uprn = uprn.trim_start_matches('0');
        self.rows
            .iter()
            .find(|row| !row.uprn.is_empty() && row.uprn.trim_start_matches('0') == uprn)
    }

    /// Coverage at a post code: the row that names most of it.
    #[must_use]
    pub fn at_post_code(&self, post_code: &str) -> Option<&Coverage> {
        let post_code = plain(post_code);
        let fitting = self
            .rows
            .iter()
            .filter(|row| row.uprn.is_empty() && post_code.starts_with(&row.post_code));
        fitting.max_by_key(|row| row.post_code.len())
    }
}

fn plain(post_code: &str) -> String {
    post_code
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_that_names_most_of_a_post_code_counts() {
        let matrix = WanMatrix::builtin();
        let region = |code: &str| matrix.at_post_code(code).map(|row| row.region.as_str());
        assert_eq!(region("eh1 1aa"), Some("North"));
        assert_eq!(region("SW1A 1AA"), Some("South"));
        assert_eq!(region("B1 1AA"), Some("Central"));
        assert_eq!(region("ZZ1 1AA"), None);
        let text = "uprn,post_code,region,available,expected,technology,likelihood,auxiliary,information\n100,,South,no,2021-06-01,Cellular,Low,Aerial,\n";
        let matrix = WanMatrix::from_csv(text).unwrap();
        assert_eq!(
            matrix.at_property("000000000100").map(|row| row.expected.as_deref()),
            Some(Some("2021-06-01"))
        );
        assert!(WanMatrix::from_csv(&text.replace(",no,", ",maybe,")).is_err());
        assert!(WanMatrix::from_csv(&text.replace("Low", "Lowish")).is_err());
        assert!(WanMatrix::from_csv(&text.replace("06-01", "13-01")).is_err());
    }
}
