//! Records of certificates between the words of the field and those of the wire.

use std::sync::Arc;

use domain::{CertificateId, Credentials, Eui64, Notified, PartyCredentials};
use proto::{Credentials as ProtoCredentials, NotifiedCertificate, PartyCredentials as ProtoPartyCredentials};

/// For the wire.
#[must_use]
pub fn to_proto(record: &Credentials) -> ProtoCredentials {
    ProtoCredentials {
        supplier: Some(party_to_proto(&record.supplier)),
        network_operator: Some(party_to_proto(&record.network_operator)),
        cos_counter: record.cos_counter,
    }
}

/// From the wire. A certificate whose hash has another length than a SHA-1 keeps none.
#[must_use]
pub fn from_proto(record: ProtoCredentials) -> Credentials {
    Credentials {
        supplier: party_from_proto(record.supplier.unwrap_or_default()),
        network_operator: party_from_proto(record.network_operator.unwrap_or_default()),
        cos_counter: record.cos_counter,
    }
}

fn party_to_proto(party: &PartyCredentials) -> ProtoPartyCredentials {
    let certificate = |notified: &Arc<Notified>| NotifiedCertificate {
        serial: notified.id.serial.clone(),
        issuer: notified.id.issuer.clone(),
        party: notified.party.0,
        fingerprint: notified.fingerprint.to_vec().into(),
    };
    ProtoPartyCredentials {
        critical: party.critical.as_ref().map(certificate),
        non_critical: party.non_critical.as_ref().map(certificate),
        execution_counter: party.execution_counter,
    }
}

fn party_from_proto(party: ProtoPartyCredentials) -> PartyCredentials {
    let certificate = |notified: NotifiedCertificate| {
        Arc::new(Notified {
            id: CertificateId {
                serial: notified.serial,
                issuer: notified.issuer,
            },
            party: Eui64(notified.party),
            fingerprint: notified.fingerprint.as_ref().try_into().unwrap_or_default(),
        })
    };
    PartyCredentials {
        critical: party.critical.map(certificate),
        non_critical: party.non_critical.map(certificate),
        execution_counter: party.execution_counter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_went() {
        let notified = Arc::new(Notified {
            id: CertificateId {
                serial: "167048897159233642262001557408276884033".into(),
                issuer: "Z1".into(),
            },
            party: Eui64(7),
            fingerprint: [9; 20],
        });
        let record = Credentials {
            supplier: PartyCredentials {
                critical: Some(notified.clone()),
                non_critical: None,
                execution_counter: u64::MAX,
            },
            network_operator: PartyCredentials {
                non_critical: Some(notified),
                ..PartyCredentials::default()
            },
            cos_counter: 3,
        };
        assert_eq!(from_proto(to_proto(&record)), record);
        assert_eq!(from_proto(ProtoCredentials::default()), Credentials::default());
    }
}
