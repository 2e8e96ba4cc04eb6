//! What surrounds an installation that migrates in a lab: the DCC's inventory and Registration Data, and the product lists.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::{Eui64, Mpxn, SimInstant};
use lab::KnownToDcc;
use migration::day::day_of;
use migration::party::{Registered, Sight, Surroundings};
use migration::planning::gates::Lists;
use proto::InstallationRecord;

/// The rooms of a lab that answer the commissioning party.
#[derive(Clone)]
pub struct LabSurroundings {
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
