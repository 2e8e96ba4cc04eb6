//! What the pack reads of a device.

use domain::{SimDuration, Srv};
use users::orders::{self, EventLog, Period};

use super::{At, Turn};

/// Everything a meter can be asked, logs with the last three days, which every daily log reaches.
pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(11, 2, 0), |at| orders::read_firmware_version(at.device)),
    (Srv::new(8, 9, 0), |at| orders::read_device_log(at.device)),
    (Srv::new(4, 1, 1), |at| orders::read_import_registers(at.device)),
    (Srv::new(4, 1, 2), |at| orders::read_tou_matrices(at.device)),
    (Srv::new(4, 1, 3), |at| orders::read_block_matrices(at.device)),
    (Srv::new(4, 1, 4), |at| orders::read_block_counters(at.device)),
    (Srv::new(4, 2, 0), |at| orders::read_export_registers(at.device)),
    (Srv::new(4, 3, 0), |at| orders::read_prepay_values(at.device)),
    (Srv::new(4, 4, 2), |at| orders::read_change_log(at.device, year(at))),
    (Srv::new(4, 4, 3), |at| orders::read_billing_log(at.device, year(at))),
    (Srv::new(4, 4, 4), |at| orders::read_debt_payments(at.device, year(at))),
    (Srv::new(4, 4, 5), |at| orders::read_credits(at.device, year(at))),
    (Srv::new(4, 6, 1), |at| {
        orders::read_daily_log(at.device, at.three_days())
    }),
    (Srv::new(4, 6, 2), |at| {
        orders::read_export_daily_log(at.device, at.three_days())
    }),
    (Srv::new(4, 8, 1), |at| {
        orders::read_import_profile(at.device, at.three_days())
    }),
    (Srv::new(4, 8, 2), |at| {
        orders::read_reactive_profile(at.device, at.three_days())
    }),
    (Srv::new(4, 8, 3), |at| {
        orders::read_export_profile(at.device, at.three_days())
    }),
    (Srv::new(4, 10, 0), |at| {
        orders::read_network_data(at.device, at.three_days())
    }),
    (Srv::new(4, 11, 1), |at| orders::read_tariff(at.device)),
    (Srv::new(4, 11, 2), |at| orders::read_secondary_tariff(at.device)),
    (Srv::new(4, 12, 1), |at| orders::read_import_demand(at.device)),
    (Srv::new(4, 12, 2), |at| orders::read_export_demand(at.device)),
    (Srv::new(4, 13, 0), |at| {
        orders::read_prepayment_configuration(at.device)
    }),
    (Srv::new(4, 14, 0), |at| {
        orders::read_prepayment_daily_log(at.device, at.three_days())
    }),
    (Srv::new(4, 15, 0), |at| orders::read_load_limit(at.device)),
    (Srv::new(4, 16, 0), |at| orders::read_active_power(at.device)),
    (Srv::new(4, 17, 0), |at| {
        orders::read_daily_consumption(at.device, at.three_days())
    }),
    (Srv::new(4, 18, 0), |at| orders::read_meter_balance(at.device)),
    (Srv::new(6, 2, 1), |at| orders::read_voltage_settings(at.device)),
    (Srv::new(6, 2, 2), |at| orders::read_randomisation(at.device)),
    (Srv::new(6, 2, 3), |at| orders::read_billing_calendar(at.device)),
    (Srv::new(6, 2, 4), |at| orders::read_identity(at.device)),
    (Srv::new(6, 2, 5), |at| orders::read_power_thresholds(at.device)),
    (Srv::new(6, 2, 7), |at| orders::read_metering_points(at.device)),
    (Srv::new(6, 2, 8), |at| orders::read_gas_settings(at.device)),
    (Srv::new(6, 2, 9), |at| orders::read_payment_mode(at.device)),
    (Srv::new(6, 2, 10), |at| orders::read_alert_behaviour(at.device)),
    (Srv::new(7, 7, 0), |at| orders::read_auxiliary_loads(at.device)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::Event)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::Security)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::PowerEvent)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::AuxiliaryLoad)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::GasMeterEvent)),
    (Srv::new(6, 13, 0), |at| event_log(at, EventLog::GasMeterSecurity)),
];

fn event_log(at: &At, log: EventLog) -> users::Order {
    orders::read_event_log(at.device, year(at), log)
}

/// The last year, for logs of what happens now and then.
fn year(at: &At) -> Period {
    Period {
        from: at.now - SimDuration::from_days(365),
        to: at.now,
    }
}
