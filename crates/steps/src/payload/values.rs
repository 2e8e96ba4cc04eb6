//! What the steps of a plan brought, by item and log.

use std::collections::BTreeMap;

use dmc::Derivation;
use domain::operation::{Answer, ImageFault, PaymentMode, Quantity, Setting, SettingKind, SupplyState, Unit, Value};
use domain::{DataItem, LogKind, LogRow, Operation, SimInstant};

use crate::plan::Derived;

/// What the steps brought.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(super) items: BTreeMap<DataItem, Value>,
    logs: BTreeMap<LogKind, Vec<LogRow>>,
    /// What the device said to the activation of its firmware.
    pub(crate) activation: Option<Result<(), ImageFault>>,
}

impl Values {
    /// Keeps an answer; false when it does not fit the operation.
    pub(crate) fn take(&mut self, operation: &Operation, answer: &Answer) -> bool {
        match (operation, answer) {
            (Operation::Read(item), Answer::Value(value)) => {
                let fits = fits(*item, value);
                if fits {
                    self.items.insert(*item, value.clone());
                }
                fits
            }
            (Operation::ReadLog { log, .. }, Answer::Log(rows)) => {
                self.logs.insert(*log, rows.clone());
                true
            }
            (Operation::Read(_) | Operation::ReadLog { .. }, _) | (_, Answer::Log(_)) => false,
            (Operation::ActivateImage { .. }, Answer::Done) => {
                self.activation = Some(Ok(()));
                true
            }
            (_, Answer::Done | Answer::Value(_)) => true,
        }
    }

    /// Computes an item from others; where one of them is missing, or they do not go together, it stays missing.
    pub(crate) fn derive(&mut self, derived: &Derived) {
        let found: Option<Vec<Quantity>> = derived.from.iter().map(|item| self.quantity(*item)).collect();
        let Some((first, rest)) = found.as_deref().and_then(<[Quantity]>::split_first) else {
            return;
        };
        if rest.iter().any(|other| other.unit != first.unit) {
            return;
        }
        let others: i64 = rest.iter().fold(0, |sum: i64, other| sum.saturating_add(other.value));
        let value = match derived.how {
            Derivation::Difference => first.value.saturating_sub(others),
            Derivation::Sum => first.value.saturating_add(others),
        };
        self.items
            .insert(derived.item, Value::Quantity(Quantity::new(value, first.unit)));
    }

    /// The mode of payment, if it was read.
    pub(crate) fn payment_mode(&self) -> Option<PaymentMode> {
        match self.items.get(&DataItem::PaymentMode) {
            Some(Value::PaymentMode(mode)) => Some(*mode),
            _ => None,
        }
    }

    /// The supply state, if it was read.
    pub(crate) fn supply(&self) -> Option<SupplyState> {
        match self.items.get(&DataItem::SupplyState) {
            Some(Value::Supply(state)) => Some(*state),
            _ => None,
        }
    }

    pub(super) fn quantity(&self, item: DataItem) -> Option<Quantity> {
        match self.items.get(&item) {
            Some(Value::Quantity(quantity)) => Some(*quantity),
            _ => None,
        }
    }

    /// A whole number as text.
    pub(super) fn integer(&self, item: DataItem) -> Option<String> {
        self.quantity(item).map(|quantity| quantity.value.to_string())
    }

    pub(super) fn flag(&self, item: DataItem) -> Option<String> {
        match self.items.get(&item) {
            Some(Value::Flag(flag)) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// The registers of a matrix.
    pub(super) fn table(&self, item: DataItem) -> &[(DataItem, Quantity)] {
        match self.items.get(&item) {
            Some(Value::Table(table)) => table,
            _ => &[],
        }
    }

    /// A number and when it was so.
    pub(super) fn stamped(&self, item: DataItem) -> Option<(Quantity, SimInstant)> {
        match self.items.get(&item) {
            Some(Value::Stamped(quantity, at)) => Some((*quantity, *at)),
            _ => None,
        }
    }

    /// A setting as the device has it.
    pub(super) fn setting(&self, kind: SettingKind) -> Option<&Setting> {
        match self.items.get(&DataItem::Setting(kind)) {
            Some(Value::Setting(setting)) => Some(setting),
            _ => None,
        }
    }

    pub(super) fn text(&self, item: DataItem) -> Option<&str> {
        match self.items.get(&item) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The rows of a log; `None` where it was not read.
    pub(super) fn log(&self, log: LogKind) -> Option<&[LogRow]> {
        self.logs.get(&log).map(Vec::as_slice)
    }

    pub(super) fn rows(&self, log: LogKind) -> &[LogRow] {
        self.logs.get(&log).map_or(&[], Vec::as_slice)
    }
}

/// Whether a value is of the kind that an item has.
fn fits(item: DataItem, value: &Value) -> bool {
    use DataItem as I;
    match item {
        I::Clock => matches!(value, Value::Clock(..)),
        I::DeviceLog => matches!(value, Value::Devices(_)),
        I::FirmwareVersion | I::Manufacturer | I::ModelType | I::MeterVariant => matches!(value, Value::Text(_)),
        I::PaymentMode => matches!(value, Value::PaymentMode(_)),
        I::SupplyState => matches!(value, Value::Supply(_)),
        I::SuspendDebtDisabled | I::SuspendDebtEmergency | I::AuxiliaryLoadSwitch(_) | I::DebtRecoveryHourly(_) => {
            matches!(value, Value::Flag(_))
        }
        I::TouRegisters | I::SecondaryTouRegisters | I::BlockTouRegisters | I::BlockTouCounters | I::BlockCounters => {
            matches!(value, Value::Table(_))
        }
        I::MaximumDemandExport | I::MaximumDemandImport | I::MaximumDemandImportInPeriod => {
            matches!(value, Value::Stamped(..))
        }
        I::Setting(kind) => matches!(value, Value::Setting(setting) if setting.kind() == kind),
        I::GasConsumption => matches!(value, Value::Quantity(quantity) if quantity.unit == Unit::Litre),
        _ => matches!(value, Value::Quantity(_)),
    }
}
