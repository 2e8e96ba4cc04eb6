//! What surrounds an installation that migrates in a lab: the DCC's inventory and Registration Data, the product lists, and
//! images for its devices.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::{DeviceModel, Eui64, Mpxn, SimInstant};
use lab::{KnownToDcc, Parts};
use migration::day::day_of;
use migration::machine::model::DeviceFacts;
use migration::party::{Image, Images, Registered, Sight, Surroundings};
use migration::planning::gates::{ListedModel, Lists};
use proto::InstallationRecord;

/// The rooms of a lab that answer the commissioning party.
#[derive(Clone)]
pub(crate) struct LabSurroundings {
    /// Inventory and registration.
    pub dcc: KnownToDcc,
    /// EPCL and CPL.
    pub lists: Arc<dyn Lists + Send + Sync>,
}

impl Surroundings for LabSurroundings {
    fn look<'a>(
        &'a self,
        record: &'a InstallationRecord,
        now: SimInstant,
    ) -> Pin<Box<dyn Future<Output = Sight> + Send + 'a>> {
        Box::pin(async move {
            let points = record.points.iter().filter_map(|point| point.mpxn.parse::<Mpxn>().ok());
            let registered = points.filter_map(|mpxn| {
                let supply = self.dcc.supply(mpxn, now)?;
                let next = supply.next.map(|(supplier, from)| (supplier, day_of(from)));
                let supplier = supply.supplier;
                Some((mpxn, Registered { supplier, next }))
            });
            let suppliers = record.points.iter().map(|point| Eui64(point.responsible_supplier));
            Sight {
                uncertified: suppliers
                    .filter(|supplier| !self.dcc.is_certified(*supplier, now))
                    .collect(),
                inventory: self.dcc.statuses(Eui64(record.hub)).await,
                registration: Some(registered.collect()),
                lists: Some(Arc::clone(&self.lists)),
                excluded: None,
            }
        })
    }
}

/// The lab's own images, for want of those that installing suppliers gave.
#[derive(Clone)]
pub(crate) struct LabImages(pub Arc<Parts>);

impl Images for LabImages {
    fn image(&self, device: &DeviceFacts, to: &ListedModel) -> Option<Image> {
        let listed = DeviceModel {
            manufacturer: to.manufacturer.clone(),
            model: to.model.clone(),
            hardware: String::new(),
            firmware: to.firmware.clone(),
        };
        let (octets, profile) = self.0.image_for(&device.profile.parse().ok()?, &listed)?;
        Some(Image {
            octets: octets.into(),
            profile: profile.to_string(),
        })
    }
}
