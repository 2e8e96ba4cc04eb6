//! What a supplier is told of the codes that meters take.

use serde::{Deserialize, Serialize};

/// The policy table of codes: recalled that there is one, not which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VendingConfig {
    /// When the code that the meter takes for a top-up is returned by S1SP alert.
    pub utrn_alert: UtrnAlert,
    /// Whether that alert goes before or after the response.
    pub utrn_order: UtrnOrder,
}

/// When the meter's own code is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UtrnAlert {
    /// As a matter of course.
    #[default]
    Always,
    /// Never, but for codes that are only made to be given away.
    Never,
    /// Where the meter has not taken it.
    OnFailure,
}

/// Which of the two comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UtrnOrder {
    /// The response.
    AfterResponse,
    /// The alert; as a matter of course even before the meter is tried.
    #[default]
    BeforeResponse,
}

impl VendingConfig {
    pub(crate) fn policy(self) -> s1sp::Vending {
        s1sp::Vending {
            alert: match self.utrn_alert {
                UtrnAlert::Always => s1sp::UtrnAlert::Always,
                UtrnAlert::Never => s1sp::UtrnAlert::Never,
                UtrnAlert::OnFailure => s1sp::UtrnAlert::OnFailure,
            },
            order: match self.utrn_order {
                UtrnOrder::AfterResponse => s1sp::UtrnOrder::AfterResponse,
                UtrnOrder::BeforeResponse => s1sp::UtrnOrder::BeforeResponse,
            },
        }
    }
}
