//! Whose certificates a device's record names: the four notified certificates and the counters against replay.
//!
//! For a SMETS1 device none of this is on the device: the record is held on the DCC side (inferred from the definitions of
//! the draft S1SR). A certificate is named by serial number and issuer's common name.

use std::fmt;
use std::sync::Arc;

use crate::Eui64;

/// Names a certificate in the Smart Energy Code's sense.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CertificateId {
    /// Serial number, decimal.
    pub serial: String,
    /// Common name of its issuer.
    pub issuer: String,
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.serial, self.issuer)
    }
}

/// One notified certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Notified {
    /// Which certificate.
    pub id: CertificateId,
    /// Whose it is, as its subject says.
    pub party: Eui64,
    /// Its SHA-1, as responses about credentials give it.
    pub fingerprint: [u8; 20],
}

/// The two kinds of remote party that a SMETS1 device's record has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RemoteParty {
    /// The network operator.
    NetworkOperator,
    /// The supplier.
    Supplier,
}

impl RemoteParty {
    /// The word DUIS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetworkOperator => "NetworkOperator",
            Self::Supplier => "Supplier",
        }
    }
}

/// The two certificates of one remote party, and its counter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartyCredentials {
    /// Checked for critical requests. Shared, because few parties are notified for many devices.
    pub critical: Option<Arc<Notified>>,
    /// For everything else.
    pub non_critical: Option<Arc<Notified>>,
    /// The Execution Counter: the highest counter of a critical request so far, or the floor set with the certificates.
    pub execution_counter: u64,
}

/// The record of one device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// The supplier's.
    pub supplier: PartyCredentials,
    /// The network operator's.
    pub network_operator: PartyCredentials,
    /// The CoS Execution Counter: the highest counter of a change of supplier so far.
    pub cos_counter: u64,
}

impl Credentials {
    /// One remote party's part.
    #[must_use]
    pub fn of(&self, party: RemoteParty) -> &PartyCredentials {
        match party {
            RemoteParty::NetworkOperator => &self.network_operator,
            RemoteParty::Supplier => &self.supplier,
        }
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, party: RemoteParty) -> &mut PartyCredentials {
        match party {
            RemoteParty::NetworkOperator => &mut self.network_operator,
            RemoteParty::Supplier => &mut self.supplier,
        }
    }

    /// Who is notified for critical requests in a role; none where nobody was ever set.
    #[must_use]
    pub fn critical_party(&self, party: RemoteParty) -> Option<Eui64> {
        self.of(party).critical.as_ref().map(|notified| notified.party)
    }

    /// Puts new certificates in. Those that the change does not name stay.
    pub fn apply(&mut self, change: &CredentialsChange) {
        let of = self.of_mut(change.party);
        if let Some(critical) = &change.critical {
            of.critical = Some(Arc::new(critical.clone()));
        }
        if let Some(non_critical) = &change.non_critical {
            of.non_critical = Some(Arc::new(non_critical.clone()));
        }
        if let Some(floor) = change.floor {
            of.execution_counter = floor;
        }
    }
}

/// New certificates for one remote party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialsChange {
    /// Whose.
    pub party: RemoteParty,
    /// The digital signing certificate.
    pub critical: Option<Notified>,
    /// The key agreement certificate.
    pub non_critical: Option<Notified>,
    /// Where the Execution Counter starts from then on.
    pub floor: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notified(serial: &str, party: u64) -> Notified {
        Notified {
            id: CertificateId {
                serial: serial.into(),
                issuer: "L1".into(),
            },
            party: Eui64(party),
            fingerprint: [0; 20],
        }
    }

    #[test]
    fn a_change_touches_what_it_names() {
        let mut record = Credentials::default();
        record.supplier.non_critical = Some(Arc::new(notified("1", 1)));
        record.supplier.execution_counter = 900;
        record.apply(&CredentialsChange {
            party: RemoteParty::Supplier,
            critical: Some(notified("2", 2)),
            non_critical: None,
            floor: Some(5),
        });
        assert_eq!(record.critical_party(RemoteParty::Supplier), Some(Eui64(2)));
        assert_eq!(record.supplier.non_critical, Some(Arc::new(notified("1", 1))));
        assert_eq!((record.supplier.execution_counter, record.cos_counter), (5, 0));
        assert_eq!(record.critical_party(RemoteParty::NetworkOperator), None);
    }
}
