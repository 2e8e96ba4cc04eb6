//! The commissioning party as a user of the DCC: its client, and the certificates it hands devices over to.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{DeviceKind, Eui64, SimDuration};
use users::orders::NewCertificates;
use users::{Client, ClientTask};
use world::{LinkEnd, World};

use crate::parts::{BuildError, Parts};
use crate::pki::{CP_EUI, base64_of};

/// How long the commissioning party waits for the reply to a request.
const REPLY_LIMIT: SimDuration = SimDuration::from_secs(30);

impl Parts {
    /// The commissioning party's client on its end of its link with the DCC; somebody must run the task.
    ///
    /// # Errors
    /// When its key or certificate is not what signatures need.
    pub fn commissioning_client(&self, world: &World, link: LinkEnd) -> Result<(Client, ClientTask), BuildError> {
        let options = users::Options {
            eui: CP_EUI,
            dcc: self.config.dcc.eui,
            key: Arc::new(self.signing_key("the CP", &self.pki.cp)?),
            certificates: Arc::clone(&self.certificates) as _,
            reply_limit: REPLY_LIMIT,
        };
        Ok(Client::new(world, link, options))
    }

    /// The certificates of an organisation as requests carry them; none for users without, and for revoked ones.
    #[must_use]
    pub fn organisation_certificates(&self, user: Eui64) -> Option<NewCertificates> {
        let user = self.pki.users.iter().find(|known| known.eui == user)?;
        let organisation = user.organisation.as_ref()?;
        let serial = duis::signature::Certificate::from_pem(&organisation.signing).ok()?;
        if self
            .config
            .access
            .revoked
            .iter()
            .any(|revoked| revoked == serial.serial())
        {
            return None;
        }
        Some(NewCertificates {
            signing: base64_of(&organisation.signing),
            agreement: Some(base64_of(&organisation.agreement)),
            path: vec![base64_of(&self.pki.issuer.certificate_pem)],
        })
    }

    /// The variants of electricity meters: `B` with a second element, else `A`.
    pub fn esme_variants(&self) -> impl Fn(Eui64) -> String + Send + Sync + use<> {
        let second = self.estate.sites().filter(|site| site.second_element());
        let second: BTreeSet<Eui64> = second.filter_map(|site| site.device(DeviceKind::Esme)).collect();
        move |meter| if second.contains(&meter) { "B" } else { "A" }.to_owned()
    }
}
