//! What the pack lets a device do: its clock, then its supply, with a look at it after each act.

use domain::Srv;
use users::orders;

use super::Turn;

pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(6, 11, 0), |at| {
        orders::synchronise_clock(at.device, at.now, 10)
    }),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 2, 0), |at| orders::disable_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 3, 0), |at| orders::arm_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 1, 0), |at| orders::enable_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(14, 1, 0), |at| orders::record_network_data(at.device)),
    // Registers once more: they never go back.
    (Srv::new(4, 1, 1), |at| orders::read_import_registers(at.device)),
];
