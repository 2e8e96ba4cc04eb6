//! What the parties of a migration have of a lab: the commissioning party's client as a user of the DCC and the certificates
//! it hands devices over to, the requesting party's images.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::image::USUAL_OCTETS;
use domain::{DeviceKind, DeviceModel, Eui64, ProfileId, SimDuration, SimInstant};
use duis::signature::Certificate;
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
        let serial = Certificate::from_pem(&organisation.signing).ok()?;
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

    /// Whether an organisation has certificates that are good at an instant: there, not revoked, and in date.
    #[must_use]
    pub fn is_certified(&self, user: Eui64, at: SimInstant) -> bool {
        let known = self.pki.users.iter().find(|known| known.eui == user);
        let Some(own) = known.and_then(|known| known.organisation.as_ref()) else {
            return false;
        };
        let in_date = |pem: &String| {
            Certificate::from_pem(pem).is_ok_and(|certificate| {
                let (from, to) = certificate.validity();
                from <= at && at <= to
            })
        };
        self.organisation_certificates(user).is_some() && in_date(&own.signing) && in_date(&own.agreement)
    }

    /// The image that brings devices of the model behind `profile` (`model@firmware`) to another firmware, as product lists
    /// name both, with the profile it makes; none when the catalogue has no such firmware of that model.
    #[must_use]
    pub fn image_for(&self, profile: &ProfileId, listed: &DeviceModel) -> Option<(Vec<u8>, ProfileId)> {
        let target = self.catalogue.profiles().find(|known| {
            let model = &known.model;
            known.id.model == profile.model
                && (&model.manufacturer, &model.model) == (&listed.manufacturer, &listed.model)
                && model.firmware == listed.firmware
        })?;
        Some((target.image_head().image(USUAL_OCTETS), target.id.clone()))
    }

    /// The variants of electricity meters: `B` with a second element, else `A`.
    pub fn esme_variants(&self) -> impl Fn(Eui64) -> String + Send + Sync + use<> {
        let second = self.estate.sites().filter(|site| site.second_element());
        let second: BTreeSet<Eui64> = second.filter_map(|site| site.device(DeviceKind::Esme)).collect();
        move |meter| if second.contains(&meter) { "B" } else { "A" }.to_owned()
    }
}
