//! What the pack reads of a device.

use domain::Srv;
use users::orders;

use super::Turn;

pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(11, 2, 0), |at| orders::read_firmware_version(at.device)),
    (Srv::new(8, 9, 0), |at| orders::read_device_log(at.device)),
    (Srv::new(4, 1, 1), |at| orders::read_import_registers(at.device)),
    (Srv::new(4, 2, 0), |at| orders::read_export_registers(at.device)),
    (Srv::new(4, 3, 0), |at| orders::read_prepay_values(at.device)),
    (Srv::new(4, 6, 1), |at| {
        orders::read_daily_log(at.device, at.three_days())
    }),
    (Srv::new(4, 8, 1), |at| {
        orders::read_import_profile(at.device, at.three_days())
    }),
    (Srv::new(4, 13, 0), |at| {
        orders::read_prepayment_configuration(at.device)
    }),
];
