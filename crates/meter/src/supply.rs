//! The supply of one fuel: its state, and the set of causes that keep it off.

use domain::{Refusal, SupplyState};

/// Why a supply is off. Several may hold at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A remote command.
    Command = 1,
    /// No credit.
    Credit = 2,
    /// Too much power for too long.
    Load = 4,
    /// Something that happened at the meter, such as tampering.
    Event = 8,
    /// A code of the supplier's, entered at the meter.
    Token = 16,
}

/// Load switch or valve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Supply {
    pub(crate) state: SupplyState,
    pub(crate) causes: u8,
}

impl Supply {
    pub(crate) fn enabled() -> Self {
        Self {
            state: SupplyState::Enabled,
            causes: 0,
        }
    }

    /// Turns it off. True when that changed its state.
    pub(crate) fn disable(&mut self, cause: Cause) -> bool {
        self.causes |= cause as u8;
        std::mem::replace(&mut self.state, SupplyState::Disabled) != SupplyState::Disabled
    }

    /// Leaves the rest to the consumer. True when that changed its state.
    ///
    /// # Errors
    /// While there is no credit, and for an enabled supply where the profile refuses that.
    pub(crate) fn arm(&mut self, needs_disabled: bool) -> Result<bool, Refusal> {
        if self.has(Cause::Credit) || (needs_disabled && self.state != SupplyState::Disabled) {
            return Err(Refusal::WrongState);
        }
        if self.state == SupplyState::Enabled {
            return Ok(false);
        }
        self.causes = 0;
        Ok(std::mem::replace(&mut self.state, SupplyState::Armed) != SupplyState::Armed)
    }

    /// Turns it on. True when that changed its state.
    ///
    /// # Errors
    /// While there is no credit.
    pub(crate) fn enable(&mut self) -> Result<bool, Refusal> {
        if self.has(Cause::Credit) {
            return Err(Refusal::WrongState);
        }
        self.causes = 0;
        Ok(std::mem::replace(&mut self.state, SupplyState::Enabled) != SupplyState::Enabled)
    }

    /// The consumer acts at the meter.
    ///
    /// # Errors
    /// Unless it is armed.
    pub(crate) fn restore_locally(&mut self) -> Result<(), Refusal> {
        if self.state != SupplyState::Armed {
            return Err(Refusal::WrongState);
        }
        self.state = SupplyState::Enabled;
        Ok(())
    }

    /// There is credit again. True when that was the last cause and the supply is now in state `to`.
    pub(crate) fn credit_returns(&mut self, to: SupplyState) -> bool {
        let was_cause = self.has(Cause::Credit);
        self.causes &= !(Cause::Credit as u8);
        if was_cause && self.causes == 0 && self.state == SupplyState::Disabled {
            self.state = to;
            return to != SupplyState::Disabled;
        }
        false
    }

    /// The load limit no longer keeps it off. True when that was the last cause and the supply is now on.
    pub(crate) fn limit_ends(&mut self) -> bool {
        let was_cause = self.has(Cause::Load);
        self.causes &= !(Cause::Load as u8);
        let on = was_cause && self.causes == 0 && self.state == SupplyState::Disabled;
        if on {
            self.state = SupplyState::Enabled;
        }
        on
    }

    pub(crate) fn has(&self, cause: Cause) -> bool {
        self.causes & cause as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_consumer_completes_an_armed_supply() {
        let mut supply = Supply::enabled();
        assert_eq!(supply.arm(true), Err(Refusal::WrongState));
        assert_eq!(supply.arm(false), Ok(false));
        assert!(supply.disable(Cause::Command));
        assert!(!supply.disable(Cause::Command));
        assert_eq!(supply.restore_locally(), Err(Refusal::WrongState));
        assert_eq!(supply.arm(true), Ok(true));
        assert_eq!(supply.restore_locally(), Ok(()));
        assert_eq!(supply.state, SupplyState::Enabled);
    }

    #[test]
    fn every_cause_must_go() {
        let mut supply = Supply::enabled();
        supply.disable(Cause::Command);
        supply.disable(Cause::Credit);
        assert_eq!(supply.enable(), Err(Refusal::WrongState));
        assert!(!supply.credit_returns(SupplyState::Armed));
        assert_eq!(supply.state, SupplyState::Disabled);
        assert_eq!(supply.enable(), Ok(true));
        supply.disable(Cause::Credit);
        assert!(supply.credit_returns(SupplyState::Armed));
        assert_eq!(supply.state, SupplyState::Armed);
    }
}
