//! Looks at the home area network and at displays.

use domain::operation::{HanEntry, Octets, Token};
use domain::{DataItem, DeviceKind, Eui64, Operation};
use meter::{Acted, DisplayAct, Panel};

use super::Bench;
use super::words::{outcome_words, value_words};

impl Bench {
    /// Has the hub let a device in, of its own manufacturer or of another.
    pub(super) fn let_in(&mut self, own: bool) -> String {
        self.guests += 1;
        let prefix = if own { 0 } else { FOREIGN };
        let entry = HanEntry {
            device: Eui64((prefix << 40) | (0x100 + self.guests)),
            kind: Some(DeviceKind::Ihd),
            install_code: Octets(vec![1; 8]),
            join_within_s: 600,
        };
        let operation = Operation::AddToHan(Box::new(entry));
        outcome_words(&self.execute(DeviceKind::Chf, &operation).0)
    }

    /// Has a meter show a message of the supplier.
    pub(super) fn message(&mut self, meter: DeviceKind, text: &str) -> Result<(), String> {
        let operation = Operation::DisplayMessage(text.to_owned());
        let outcome = self.execute(meter, &operation).0;
        outcome.map(|_| ()).map_err(|refusal| refusal.to_string())
    }

    /// What somebody at the display achieves at a meter.
    pub(super) fn keypad(&mut self, slot: DeviceKind, meter: DeviceKind, act: &[&str]) -> Result<String, String> {
        let act = match act {
            ["emergency"] => DisplayAct::ActivateEmergencyCredit,
            ["restore"] => DisplayAct::RestoreSupply,
            ["token", digits] => DisplayAct::EnterToken(Token((*digits).to_owned())),
            _ => return Err("no such act at a display".to_owned()),
        };
        let acted = self.with(|installation, context| installation.act_at_display(context, slot, meter, &act));
        Ok(match acted {
            Ok(Acted::Done) => "done".to_owned(),
            Ok(Acted::Waits) => "waits for the gas meter".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        })
    }

    /// What a display shows: whether it takes part, its messages, or one item of a fuel with its time.
    pub(super) fn show(&mut self, slot: DeviceKind, what: &[&str]) -> Result<String, String> {
        let screen = self.with(|installation, context| installation.screen(context, slot));
        let screen = screen.ok_or_else(|| "there is no such display".to_owned())?;
        let of = |panel: Option<&Panel>, item: DataItem| match panel {
            None => "nothing".to_owned(),
            Some(panel) => {
                let value = panel.item(item).map_or_else(|| "nothing".to_owned(), value_words);
                format!("{value} at {}", panel.at)
            }
        };
        match what {
            [] => Ok(match (screen.joined, screen.blocked) {
                (false, _) => "away",
                (true, true) => "blocked by a message",
                (true, false) => "figures",
            }
            .to_owned()),
            ["messages"] => Ok(format!("{} messages", screen.messages.len())),
            ["electricity"] => Ok(of(screen.electricity.as_ref(), DataItem::ActiveImport)),
            ["gas"] => Ok(of(screen.gas.as_ref(), DataItem::GasConsumption)),
            ["balance"] => Ok(of(screen.electricity.as_ref(), DataItem::MeterBalance)),
            ["price"] => Ok(of(screen.electricity.as_ref(), DataItem::ActiveTariffPrice)),
            _ => Err("a display shows electricity, gas, balance, price or messages".to_owned()),
        }
    }
}

/// Begins the identities of devices that are not of the hub's manufacturer.
const FOREIGN: u64 = 0x02_1AB1;
