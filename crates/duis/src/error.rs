//! What is wrong with a message, and where.

use std::fmt;

/// Why a message is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// Not well-formed XML.
    Syntax,
    /// Well-formed, but with something DUIS never needs: a document type, a processing instruction, an undeclared entity.
    Forbidden,
    /// Not UTF-8, or another encoding is declared.
    Encoding,
    /// Larger or longer than the limits.
    Limit,
    /// More elements inside one another than the limit.
    Depth,
    /// A prefix without a declaration, or a namespace bound against the rules.
    Namespace,
    /// The root is not a message, or not the one asked for.
    Root,
    /// An element that may not stand here.
    UnexpectedElement,
    /// An element ended before all it must contain.
    MissingElement,
    /// An attribute that the element does not have, or has twice.
    UnexpectedAttribute,
    /// A required attribute is absent.
    MissingAttribute,
    /// Text where only elements may stand.
    UnexpectedText,
    /// A value that its type does not permit.
    Value,
}

/// A message that cannot be read: the sender's fault, unless a limit is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError {
    /// What kind of fault.
    pub kind: ReadErrorKind,
    /// The element it is in: `/sr:Request/sr:Header/sr:RequestID`; attributes as `/@name`. Empty before the root.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What could stand there.
    pub expected: String,
    /// What stands there, shortened.
    pub found: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, ", {}", self.path)?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for ReadError {}

/// A message that was built wrongly: our own fault, or a value taken from outside without a check.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The structure table does not permit it.
    #[error("write {root}: {problem}")]
    Structure {
        /// Which message.
        root: &'static str,
        /// What and where; line and column count in the text written so far.
        #[source]
        problem: ReadError,
    },
    /// The signed part to be carried is not one.
    #[error("carry a signed part unchanged")]
    Signed(#[source] ReadError),
}
