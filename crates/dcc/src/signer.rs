//! Who signed a request, and whether the certificate is one to be believed.

use domain::{Eui64, SimInstant};
use duis::signature::{Certificate, Certificates, Proof, SignatureError, Signer};
use steps::Failure;

use crate::Directory;
use crate::directory::User;
use crate::front_door::{Denied, said};
use crate::options::{Trust, Validity};

/// Role numbers of certificates that sign requests: XML signing, and the DCC's own.
const SIGNING_ROLES: [u8; 2] = [0x87, 0x89];

/// What signers are judged by.
pub(crate) struct Signers<'a> {
    pub(crate) certificates: &'a (dyn Certificates + Send + Sync),
    pub(crate) trust: &'a Trust,
    pub(crate) directory: &'a Directory,
}

impl<'a> Signers<'a> {
    /// Proves the signature and finds the user, in this order: form of the signature, certificate known, signature value,
    /// certificate neither expired nor revoked and of a signing role, user known with this certificate and not suspended,
    /// originator is the signer.
    pub(crate) fn user(&self, proof: &Proof, originator: Eui64, now: SimInstant) -> Result<&'a User, Denied> {
        let signer = proof
            .verify(self.certificates)
            .map_err(|error| Denied(unproved(&error), said(&error)))?;
        let user = self.directory.user(signer.eui);
        if let Some(certificate) = self.certificates.by_serial(&signer.serial) {
            self.check(certificate, user, now)?;
        }
        let Some(user) = user.filter(|user| !user.roles.is_empty()) else {
            let detail = format!("{} is no user with a role", signer.eui);
            return Err(Denied(Failure::UnknownUser, detail));
        };
        if !user.certificates.is_empty() && !user.certificates.contains(&signer.serial) {
            let detail = format!("certificate {} is not one of user {}", signer.serial, user.eui);
            return Err(Denied(Failure::CertificateUnknown, detail));
        }
        if user.suspended {
            return Err(Denied(Failure::UserStatus, format!("user {} is suspended", user.eui)));
        }
        own(&signer, originator).map(|()| user)
    }

    /// Expired, revoked, of a role that does not sign requests: in this order.
    fn check(&self, certificate: &Certificate, user: Option<&User>, now: SimInstant) -> Result<(), Denied> {
        let (from, until) = certificate.validity();
        let early = self.trust.validity == Validity::Both && now < from;
        let late = self.trust.validity != Validity::Ignored && now > until;
        let serial = certificate.serial();
        if early || late {
            let detail = format!("certificate {serial} is valid from {from} to {until}, the calendar says {now}");
            return Err(Denied(Failure::CertificateExpired, detail));
        }
        if self.trust.revoked.contains(serial) {
            return Err(Denied(Failure::CertificateRevoked, format!("certificate {serial}")));
        }
        // A certificate that the directory names for its user is one, whatever its role: published test material has such.
        let named = user.is_some_and(|user| user.certificates.iter().any(|other| other == serial));
        if named || certificate.role().is_none_or(|role| SIGNING_ROLES.contains(&role)) {
            return Ok(());
        }
        let role = certificate.role().unwrap_or_default();
        let detail = format!("certificate {serial} has role {role}, requests are signed with role 135");
        Err(Denied(Failure::CertificateRole, detail))
    }
}

fn own(signer: &Signer, originator: Eui64) -> Result<(), Denied> {
    if signer.eui == originator {
        return Ok(());
    }
    let detail = format!("signed by {}, sent for {originator}", signer.eui);
    Err(Denied(Failure::OriginatorMismatch, detail))
}

fn unproved(error: &SignatureError) -> Failure {
    match error {
        SignatureError::Missing => Failure::SignatureMissing,
        SignatureError::Profile { .. } => Failure::SignatureForm,
        SignatureError::Issuer { .. } | SignatureError::UnknownSigner { .. } => Failure::CertificateUnknown,
        SignatureError::Read(_) => Failure::Malformed,
        _ => Failure::SignatureBad,
    }
}
