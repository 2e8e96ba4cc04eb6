//! What every device has: an identity, a security core and logs; and how it records and raises what happens.

use domain::keys::Party;
use domain::operation::AlertBehaviour;
use domain::{
    Access, Answer, Approval, DataItem, DeviceKind, Eui64, LogKind, Operation, Outcome, Quantity, Refusal,
    SecurityEvent, SimInstant, Unit, Value,
};

use crate::acts::says;
use crate::alerts::{self, AlertCode};
use crate::effects::{Effect, Outbox};
use crate::logs::Logs;
use crate::profile::{Context, Profile};
use crate::quirks::needs_dual_control;
use crate::security::{LetThrough, Security};

/// The common part of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Device {
    pub(crate) id: Eui64,
    pub(crate) security: Security,
    pub(crate) logs: Logs,
}

/// What surrounds a device while something happens to it.
pub(crate) struct Around<'a> {
    pub(crate) kind: DeviceKind,
    pub(crate) profile: &'a Profile,
    /// By the device's clock.
    pub(crate) time: SimInstant,
    /// Where its alerts go.
    pub(crate) out: &'a mut Outbox,
    /// What a supplier has switched of its alerts and log entries.
    pub(crate) behaviour: Option<&'a AlertBehaviour>,
}

impl Device {
    pub(crate) fn new(id: Eui64, party: Party, epoch: u32) -> Self {
        Self {
            id,
            security: Security::new(party, epoch),
            logs: Logs::default(),
        }
    }

    /// Logs what happened and, where it is a matter for the operator, raises an alert.
    pub(crate) fn note(&mut self, around: &mut Around<'_>, alert: AlertCode) {
        let profile = around.profile;
        let code = profile.alerts.own_code(alert.code);
        let switched = |list: fn(&AlertBehaviour) -> &Vec<(u16, bool)>| {
            around.behaviour.and_then(|behaviour| says(list(behaviour), alert.code))
        };
        let logged = switched(|behaviour| &behaviour.logged).unwrap_or(true);
        let pushed =
            switched(|behaviour| &behaviour.wan).unwrap_or_else(|| profile.alerts.pushes(alert.code, alert.pushed));
        if logged && !profile.unlogged_events.contains(&alert.code) {
            let limit = match alert.log {
                LogKind::PowerEvent => profile.power_log_entries,
                LogKind::Security => profile.security_log_entries,
                _ => profile.event_log_entries,
            };
            self.logs.push(alert.log, limit, around.time, code);
        }
        if !pushed || profile.suppressed_alerts.contains(&alert.code) {
            return;
        }
        if alert.log == LogKind::Security {
            let last = self.security.alerted_at;
            if last <= around.time && around.time.since(last) < profile.security_alert_gap {
                return;
            }
            self.security.alerted_at = around.time;
        }
        let effect = Effect::Alert {
            slot: around.kind,
            code,
            description: alert.description,
            at: around.time,
        };
        if profile.alerts.doubled.contains(&alert.code) {
            around.out.push(effect.clone());
        }
        around.out.push(effect);
    }

    /// Records what a face noticed.
    pub(crate) fn security_event(&mut self, around: &mut Around<'_>, event: SecurityEvent) {
        let alert = match event {
            SecurityEvent::AuthenticationFailed => alerts::AUTHENTICATION_FAILED,
            SecurityEvent::MalformedMessage | SecurityEvent::OversizedMessage => alerts::MALFORMED,
            SecurityEvent::Replay => alerts::REPLAY,
        };
        self.note(around, alert);
    }

    /// Whether these keys carry this operation here; refusals are security events.
    pub(crate) fn check_rights(
        &mut self,
        context: &Context<'_>,
        around: &mut Around<'_>,
        access: Access,
        operation: &Operation,
    ) -> Result<(), Refusal> {
        if !self.security.permits(context, access, operation) {
            self.note(around, alerts::NO_AUTHORITY);
            return Err(Refusal::NotPermitted);
        }
        if needs_dual_control(operation) && !around.profile.dual_control {
            return Err(Refusal::NotSupported);
        }
        if !supports(around.kind, operation) || around.profile.unsupported.contains(&operation.kind()) {
            return Err(Refusal::NotSupported);
        }
        Ok(())
    }

    /// Lets an operation through at a true time, or not: rights, and an approval where one is needed, which is used up by it.
    /// Refusals are security events.
    pub(crate) fn accept(
        &mut self,
        context: &Context<'_>,
        around: &mut Around<'_>,
        (access, operation): (Access, &Operation),
        approval: Option<&Approval>,
        at: SimInstant,
    ) -> Result<(), Refusal> {
        self.check_rights(context, around, access, operation)?;
        let checked =
            self.security
                .check_approval(context, self.id, access.association, operation, approval, around.time);
        match checked {
            Ok(Some(counter)) => self.security.approval_counter = counter,
            Ok(None) => {}
            Err(fault) => {
                self.note(around, alerts::APPROVAL_REFUSED);
                return Err(Refusal::Approval(fault));
            }
        }
        if let Some(party) = access.party.filter(|_| operation.changes_state()) {
            let epoch = self.security.epoch_of(access.association);
            self.security.accepted.note(party, LetThrough { at, epoch });
        }
        Ok(())
    }
}

impl Device {
    /// Carries out what every device can do, whatever it is; rights and approval are checked. `None` for the rest.
    pub(crate) fn operate(&mut self, around: &mut Around<'_>, operation: &Operation) -> Option<Outcome> {
        if let Operation::Read(DataItem::ImageStatus) = operation {
            let status = self.image_status(around.profile);
            return Some(Ok(Answer::Value(Value::Image(status))));
        }
        if let Operation::Read(item) = operation {
            return self.item(*item).map(|value| Ok(Answer::Value(value)));
        }
        let party = self.security.active.party;
        let outcome = self.security.operate(operation)?;
        if self.security.active.party != party {
            self.note(around, alerts::CREDENTIALS_UPDATED);
        }
        Some(outcome)
    }

    /// What every device can tell of itself and its keys.
    fn item(&self, item: DataItem) -> Option<Value> {
        let security = &self.security;
        let count = match item {
            DataItem::SerialNumber => return Some(Value::Text(serial_number(self.id))),
            DataItem::KeyEpoch => security.active.number,
            DataItem::StagedKeyEpoch => security.staged.as_ref().map_or(0, |staged| staged.number),
            DataItem::ApprovalCounter => security.approval_counter,
            _ => return None,
        };
        Some(Value::Quantity(Quantity::new(count.into(), Unit::Count)))
    }
}

/// The serial number printed on a device: invented, and as little a secret as its identity.
fn serial_number(device: Eui64) -> String {
    format!("LAB{:012}", device.0 % 1_000_000_000_000)
}

/// What a kind of device has at all; reads are decided where the items are.
fn supports(kind: DeviceKind, operation: &Operation) -> bool {
    let meter = matches!(kind, DeviceKind::Esme | DeviceKind::Gsme);
    match operation {
        Operation::ArmSupply | Operation::DisableSupply => meter,
        // A gas valve is never opened from afar.
        Operation::EnableSupply => kind == DeviceKind::Esme,
        Operation::Read(_) | Operation::ReadLog { .. } => true,
        Operation::SynchroniseClock { .. } => meter || kind == DeviceKind::Chf,
        Operation::AdjustBalance(_)
        | Operation::ResetBalance
        | Operation::ChangeDebt(_)
        | Operation::ActivateEmergencyCredit
        | Operation::DisplayMessage(_)
        | Operation::EnterToken(_)
        | Operation::RestrictAccess { .. }
        | Operation::DisablePrivacyPin
        | Operation::ShowCustomerIdentification(_) => meter,
        Operation::ClearLog(_) => meter,
        Operation::ResetCounters(_) | Operation::SwitchAuxiliaryLoad { .. } => kind == DeviceKind::Esme,
        Operation::RecordNetworkData => kind == DeviceKind::Gsme,
        Operation::Write(setting) => crate::settings::has(kind, setting.kind()),
        Operation::Join(_) | Operation::Unjoin(_) | Operation::JoinListener(_) | Operation::UnjoinListener(_) => {
            kind != DeviceKind::Chf
        }
        Operation::AddToHan(_) | Operation::RemoveFromHan(_) => kind == DeviceKind::Chf,
        Operation::RestoreDeviceLog(_) => matches!(kind, DeviceKind::Chf | DeviceKind::Gpf),
        // What sleeps or has no keys gets its image through the hub.
        Operation::BeginImage { .. } | Operation::ImageBlock { .. } | Operation::VerifyImage => {
            matches!(kind, DeviceKind::Chf | DeviceKind::Esme)
        }
        Operation::ActivateImage { .. } => meter,
        Operation::StageKeys { .. }
        | Operation::CancelStagedKeys
        | Operation::ProbeDualControl { .. }
        | Operation::ActivateKeys { .. } => true,
    }
}
