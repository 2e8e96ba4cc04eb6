//! What a user may do: its roles, and the Registration Data at the date a request is for.
//!
//! The commissioning party of a migration is no supplier and in no Registration Data: it may act on what it announced
//! itself, for a limited time. The rule is the lab's own.

use domain::{SimDuration, SimInstant, UserRole};
use steps::{Failure, Row};

use crate::directory::{User, role_fits};
use crate::front_door::Denied;
use crate::inventory::{Device, SmiStatus};
use crate::{Directory, Inventory};

/// What rights are judged by.
pub(crate) struct Access<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) inventory: &'a Inventory,
    /// Whether registrations count at all.
    pub(crate) enforce_registration: bool,
    /// For how long after 12.2 a commissioning party may act on a device.
    pub(crate) commissioning_max: SimDuration,
}

impl Access<'_> {
    /// E2: some role of the user may send this.
    pub(crate) fn role(user: &User, row: &Row) -> Result<(), Denied> {
        if user.roles.iter().any(|role| row.allows(*role)) {
            return Ok(());
        }
        let detail = format!("no role of user {} may send {}", user.eui, row.srv);
        Err(Denied(Failure::WrongRole, detail))
    }

    /// E4: a role that has to do with the device, in which the user is registered at that date.
    ///
    /// Of the user's roles those count that fit the device's fuel and may send the request. Where none does both, those
    /// that fit the device count: whether the request fits it is a later check.
    pub(crate) fn authority(&self, user: &User, row: &Row, device: &Device, at: SimInstant) -> Result<(), Denied> {
        if user.roles.contains(&UserRole::CommissioningParty) {
            return self.commissions(user, device, at);
        }
        let fitting = |role: &&UserRole| role_fits(**role, device.kind);
        let fit: Vec<UserRole> = user.roles.iter().filter(fitting).copied().collect();
        if fit.is_empty() {
            let detail = format!("no role of user {} has to do with a {}", user.eui, device.kind);
            return Err(Denied(Failure::NoAuthority, detail));
        }
        if !self.enforce_registration {
            return Ok(());
        }
        let able: Vec<UserRole> = fit.iter().copied().filter(|role| row.allows(*role)).collect();
        let roles = if able.is_empty() { fit } else { able };
        let points = self.inventory.metering_points(device);
        let may = |role: UserRole| {
            points.is_empty()
                || points
                    .iter()
                    .any(|mpxn| self.directory.may_act(user.eui, role, *mpxn, at))
        };
        if roles.iter().any(|role| may(*role)) {
            return Ok(());
        }
        let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let detail = format!(
            "user {} is not registered as {} for device {} at {at}",
            user.eui,
            words.join(" or "),
            device.id
        );
        Err(Denied(Failure::NoAuthority, detail))
    }

    /// The commissioning party's authority: over what it announced, until its time is over.
    fn commissions(&self, user: &User, device: &Device, at: SimInstant) -> Result<(), Denied> {
        let denied = |detail: String| Err(Denied(Failure::NoAuthority, detail));
        if device.more().commissioned_by != Some(user.eui) {
            return denied(format!("device {} was not announced by {}", device.id, user.eui));
        }
        let announced = device
            .history
            .iter()
            .rev()
            .find(|(_, status)| *status == SmiStatus::Pending);
        match announced {
            Some((since, _)) if *since + self.commissioning_max < at => denied(format!(
                "device {} was announced at {since}: commissioning is over",
                device.id
            )),
            _ => Ok(()),
        }
    }
}
