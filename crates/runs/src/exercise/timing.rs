//! How a document asks for its time.

use duis::Request;

/// How a document asks for its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timing {
    /// At once.
    OnDemand,
    /// At a time to come.
    Dated,
    /// A request dated before is to be cancelled.
    Cancels,
}

impl Timing {
    /// The word tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Dated => "dated",
            Self::Cancels => "cancels",
        }
    }

    /// Of a request: by its `ExecutionDateTime`, which from the year 3000 on cancels.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request.body.child_text("ExecutionDateTime") {
            None => Self::OnDemand,
            Some(date) if date.trim() >= "3000" => Self::Cancels,
            Some(_) => Self::Dated,
        }
    }
}
