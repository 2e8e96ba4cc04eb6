//! The requests the DCC answers by itself: what each comes to, without changing anything yet.

mod coverage;
mod firmware;
mod inventory;
mod pre_notification;
mod scheduling;
mod update;

use domain::{Eui64, RequestId, SimInstant, Srv};
use duis::{Element, Request, ResponseCode};
use steps::{Failure, Row};

use crate::access::Access;
use crate::directory::User;
use crate::front_door::Denied;
use crate::images::{Distribution, Images, Known};
use crate::inventory::{Device, SmiStatus};
use crate::schedules::{Schedule, Schedules};
use crate::{Inventory, Limits, Products, WanMatrix};

/// 5.1 Create Schedule.
pub(crate) const CREATE_SCHEDULE: Srv = Srv::new(5, 1, 0);
/// 5.2 Read Schedule.
pub(crate) const READ_SCHEDULE: Srv = Srv::new(5, 2, 0);
/// 5.3 Delete Schedule.
pub(crate) const DELETE_SCHEDULE: Srv = Srv::new(5, 3, 0);
/// 8.2 Read Inventory.
pub(crate) const READ_INVENTORY: Srv = Srv::new(8, 2, 0);
/// 8.3 Decommission Device.
pub(crate) const DECOMMISSION: Srv = Srv::new(8, 3, 0);
/// 8.4 Update Inventory.
pub(crate) const UPDATE_INVENTORY: Srv = Srv::new(8, 4, 0);
/// 11.1 Update Firmware.
pub(crate) const UPDATE_FIRMWARE: Srv = Srv::new(11, 1, 0);
/// 12.1 Request WAN Matrix.
pub(crate) const WAN_MATRIX: Srv = Srv::new(12, 1, 0);
/// 12.2 Device Pre-notification.
pub(crate) const PRE_NOTIFICATION: Srv = Srv::new(12, 2, 0);

/// What a request is judged by.
pub(crate) struct Scene<'a> {
    pub(crate) request: &'a Request,
    pub(crate) user: &'a User,
    pub(crate) row: &'a Row,
    pub(crate) access: Access<'a>,
    pub(crate) inventory: &'a Inventory,
    pub(crate) products: &'a Products,
    pub(crate) wan: &'a WanMatrix,
    pub(crate) schedules: &'a Schedules,
    pub(crate) images: &'a Images,
    pub(crate) limits: &'a Limits,
    pub(crate) now: SimInstant,
}

/// What a request to the DCC itself comes to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// I0, or a warning.
    pub(crate) code: ResponseCode,
    pub(crate) payload: Option<Element>,
    /// Version of the schema the payload is of, where that matters.
    pub(crate) schema_version: Option<String>,
    pub(crate) changes: Vec<Change>,
    /// The device it is about, for audit.
    pub(crate) subject: Option<Eui64>,
    pub(crate) detail: String,
}

/// What is to change with an answer.
#[derive(Debug)]
pub(crate) enum Change {
    /// A device as it is from now on; its status is the one it had, or its first.
    Device(Box<Device>),
    /// An image goes out.
    Image(Box<(Distribution, Known)>),
    /// A device leaves the inventory.
    Removed(Eui64),
    /// A new schedule.
    Schedule(Box<Schedule>),
    /// A schedule its owner deletes.
    ScheduleDeleted(u64),
    /// A device comes to another status.
    Status(Eui64, SmiStatus),
}

impl Answer {
    /// Success without payload.
    fn done(detail: impl Into<String>) -> Self {
        Self {
            code: ResponseCode::I0,
            payload: None,
            schema_version: None,
            changes: Vec::new(),
            subject: None,
            detail: detail.into(),
        }
    }

    fn with(mut self, payload: Element) -> Self {
        self.payload = Some(payload);
        self
    }

    fn changing(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    fn about(mut self, device: Eui64) -> Self {
        self.subject = Some(device);
        self
    }

    /// With a warning of the list. What the list does not have stays success, which a test excludes.
    fn warning(mut self, code: &str) -> Self {
        self.code = ResponseCode::new(code).unwrap_or(self.code);
        self
    }
}

/// Answers a request to the DCC itself.
pub(crate) fn answer(scene: &Scene<'_>) -> Result<Answer, Denied> {
    match scene.request.srv {
        CREATE_SCHEDULE => scheduling::create(scene),
        READ_SCHEDULE => scheduling::read(scene),
        DELETE_SCHEDULE => scheduling::delete(scene),
        READ_INVENTORY => inventory::read(scene),
        DECOMMISSION => update::decommission(scene),
        UPDATE_INVENTORY => update::update(scene),
        UPDATE_FIRMWARE => firmware::update(scene),
        WAN_MATRIX => coverage::read(scene),
        PRE_NOTIFICATION => pre_notification::notify(scene),
        srv => Err(Denied(Failure::NotEmulated, format!("{srv} is not answered here"))),
    }
}

impl<'a> Scene<'a> {
    fn body(&self) -> &'a Element {
        &self.request.body
    }

    fn id(&self) -> RequestId {
        self.request.id
    }

    /// An EUI-64 of the body. The schema has held it to its form already.
    fn eui(&self, name: &str) -> Result<Eui64, Denied> {
        let text = self.body().child_text(name).unwrap_or_default();
        text.parse()
            .map_err(|_| Denied(Failure::Schema, format!("{name}: {text:?}")))
    }

    /// The device the body names, which the user must have authority over.
    fn own_device(&self, unknown: Failure) -> Result<&'a Device, Denied> {
        let id = self.eui("DeviceID")?;
        let Some(device) = self.inventory.device(id) else {
            return Err(Denied(unknown, format!("the inventory has no device {id}")));
        };
        self.access.authority(self.user, self.row, device, self.now)?;
        Ok(device)
    }
}
