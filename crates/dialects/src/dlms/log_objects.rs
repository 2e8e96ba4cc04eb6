//! The profile objects that show logs.

use cosem::Obis;
use domain::{DataItem, DeviceKind, LogKind};

use super::objects::METERS;

/// Names of the profile that shows a log, the one the head end uses first; further ones show the same rows.
pub(crate) fn log_objects(slot: DeviceKind, log: LogKind) -> &'static [Obis] {
    const IMPORT: &[Obis] = &[Obis::new(0, 0, 99, 1, 0, 255), Obis::new(1, 0, 99, 1, 0, 255)];
    const GAS_USE: &[Obis] = &[Obis::new(7, 0, 99, 1, 0, 255), Obis::new(0, 0, 99, 1, 0, 255)];
    const EXPORT: &[Obis] = &[Obis::new(0, 0, 99, 1, 1, 255)];
    const REACTIVE: &[Obis] = &[Obis::new(0, 0, 99, 1, 2, 255)];
    const DAILY: &[Obis] = &[Obis::new(0, 0, 98, 1, 9, 255)];
    const BILLING: &[Obis] = &[Obis::new(0, 0, 98, 1, 0, 255), Obis::new(0, 0, 98, 1, 1, 255)];
    const MODE_OR_TARIFF: &[Obis] = &[Obis::new(0, 0, 98, 1, 2, 255)];
    const PREPAYMENT_DAILY: &[Obis] = &[Obis::new(0, 0, 98, 1, 8, 255)];
    const EXPORT_DAILY: &[Obis] = &[Obis::new(0, 0, 98, 1, 10, 255)];
    const EVENT: &[Obis] = &[Obis::new(0, 0, 99, 98, 0, 255)];
    const SECURITY: &[Obis] = &[Obis::new(0, 0, 99, 98, 1, 255)];
    let meter = METERS.contains(&slot);
    match log {
        LogKind::ActiveImport if slot.is_gas() => GAS_USE,
        LogKind::ActiveImport if meter => IMPORT,
        LogKind::ActiveExport if slot == DeviceKind::Esme => EXPORT,
        LogKind::ReactiveImport if slot == DeviceKind::Esme => REACTIVE,
        LogKind::DailyRead if meter => DAILY,
        LogKind::Billing if meter => BILLING,
        LogKind::BillingModeOrTariff if meter => MODE_OR_TARIFF,
        LogKind::PrepaymentDailyRead if meter => PREPAYMENT_DAILY,
        LogKind::ExportDailyRead if slot == DeviceKind::Esme => EXPORT_DAILY,
        LogKind::Event => EVENT,
        LogKind::Security => SECURITY,
        _ => &[],
    }
}

pub(crate) const LOGS: [LogKind; 10] = [
    LogKind::ActiveExport,
    LogKind::ActiveImport,
    LogKind::Billing,
    LogKind::BillingModeOrTariff,
    LogKind::DailyRead,
    LogKind::Event,
    LogKind::ExportDailyRead,
    LogKind::PrepaymentDailyRead,
    LogKind::ReactiveImport,
    LogKind::Security,
];

/// The log that a profile of this slot shows.
pub(crate) fn log_at(slot: DeviceKind, object: Obis) -> Option<LogKind> {
    LOGS.into_iter().find(|log| log_objects(slot, *log).contains(&object))
}

/// The item whose use a half-hourly log records; `None` for other logs.
pub(crate) fn half_hourly(slot: DeviceKind, log: LogKind) -> Option<DataItem> {
    match log {
        LogKind::ActiveExport => Some(DataItem::ActiveExport),
        LogKind::ActiveImport if slot.is_gas() => Some(DataItem::GasConsumption),
        LogKind::ActiveImport => Some(DataItem::ActiveImport),
        LogKind::ReactiveImport => Some(DataItem::ReactiveImport),
        _ => None,
    }
}
