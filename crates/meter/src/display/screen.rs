//! What a display shows.

use domain::{Answer, DataItem, DeviceKind, Outcome, Quantity, Refusal, SimInstant, Value};

use super::DISPLAYS;
use crate::calendar::LocalDay;
use crate::installation::{Installation, profile};
use crate::profile::Context;
use crate::readings::View;

/// What a display shows at one moment. It is dark, or shows nothing of a fuel, where it does not take part or is not
/// joined with that meter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Screen {
    /// It takes part in the home area network.
    pub joined: bool,
    /// A message stands before everything else until somebody acknowledges it.
    pub blocked: bool,
    /// Electricity.
    pub electricity: Option<Panel>,
    /// Gas.
    pub gas: Option<Panel>,
    /// The supplier's messages, oldest first.
    pub messages: Vec<Message>,
}

/// What is shown of one fuel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panel {
    /// How things stood then; the account is as the meter, or the gas proxy, last knew it.
    pub at: SimInstant,
    /// What its items show, in the order of [`SHOWN`].
    pub items: Vec<(DataItem, Value)>,
}

/// A message of the supplier on a display.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// When it came.
    pub at: SimInstant,
    /// Its text.
    pub text: String,
    /// Whether somebody has acknowledged it.
    pub acknowledged: bool,
}

impl Panel {
    /// One item of it.
    #[must_use]
    pub fn item(&self, item: DataItem) -> Option<&Value> {
        self.items.iter().find(|(of, _)| *of == item).map(|(_, value)| value)
    }

    /// A number of it.
    #[must_use]
    pub fn number(&self, item: DataItem) -> Option<Quantity> {
        match self.item(item) {
            Some(Value::Quantity(quantity) | Value::Stamped(quantity, _)) => Some(*quantity),
            _ => None,
        }
    }
}

impl Installation {
    /// What the display of a slot shows now; `None` where there is none.
    #[must_use]
    pub fn screen(&self, context: &Context<'_>, slot: DeviceKind) -> Option<Screen> {
        let display = self.display(slot)?;
        // Messages do not say of which meter they are: what any of the meters keeps from the customer is not shown.
        let kept = DISPLAYED
            .map(|meter| self.kept_before(context.now, meter))
            .into_iter()
            .max();
        let kept = kept.unwrap_or_default();
        let messages: Vec<Message> = display
            .messages
            .iter()
            .filter(|message| message.at >= kept)
            .cloned()
            .collect();
        let joined = self.display_takes_part(slot);
        let rules = &profile(context, slot).han;
        let blocked = rules.messages_block && messages.iter().any(|message| !message.acknowledged);
        Some(Screen {
            joined,
            blocked,
            electricity: self.panel(context, slot, DeviceKind::Esme),
            gas: self.panel(context, slot, DeviceKind::Gpf),
            messages,
        })
    }

    /// A read of what a display shows; electricity first, where it shows both fuels.
    pub(crate) fn read_display(&self, context: &Context<'_>, slot: DeviceKind, item: DataItem) -> Outcome {
        let own = profile(context, slot);
        let value = match item {
            DataItem::Manufacturer => Some(Value::Text(own.manufacturer.clone())),
            DataItem::ModelType => Some(Value::Text(own.model.clone())),
            DataItem::SupplierMessage => {
                let screen = self.screen(context, slot).unwrap_or_default();
                Some(Value::Text(
                    screen
                        .messages
                        .last()
                        .map(|message| message.text.clone())
                        .unwrap_or_default(),
                ))
            }
            _ if SHOWN.contains(&item) => DISPLAYED.into_iter().find_map(|meter| {
                let view = self.shown(context, slot, meter)?;
                shown_item(&view, self.kept_before(context.now, meter), item)
            }),
            _ => None,
        };
        value.map(Answer::Value).ok_or(Refusal::NotSupported)
    }

    fn panel(&self, context: &Context<'_>, slot: DeviceKind, meter: DeviceKind) -> Option<Panel> {
        let view = self.shown(context, slot, meter)?;
        let kept = self.kept_before(context.now, meter);
        // How things stood before that is not for whoever lives here now: nothing until the display knows newer.
        if view.at < kept {
            return None;
        }
        let items = SHOWN
            .iter()
            .filter_map(|item| Some((*item, shown_item(&view, kept, *item)?)));
        Some(Panel {
            at: view.at,
            items: items.collect(),
        })
    }

    /// Before when a meter's data is not shown any more, since a change of tenancy that has come (3.2); the first instant
    /// where there was none. What displays do then is ours: the sources have the date, not its effect.
    fn kept_before(&self, now: SimInstant, meter: DeviceKind) -> SimInstant {
        let slot = if meter == DeviceKind::Gpf {
            DeviceKind::Gsme
        } else {
            meter
        };
        let restricted = self.meter(slot).and_then(|meter| meter.restricted_before());
        restricted.filter(|before| *before <= now).unwrap_or_default()
    }

    /// A meter as a display shows it: electricity as old as its refresh; gas as the proxy had it at the last refresh.
    fn shown<'a>(&'a self, context: &Context<'a>, slot: DeviceKind, meter: DeviceKind) -> Option<View<'a>> {
        let device = self.device(slot)?;
        if !self.display_takes_part(slot) || !self.is_joined(meter, device) || self.is_out(meter) {
            return None;
        }
        let rules = &profile(context, slot).han;
        if meter == DeviceKind::Esme {
            let mut view = self.esme.view(context.now, context.profiles.esme);
            view.at = refreshed(context.now, rules.electricity_refresh.as_millis()).max(self.esme.metering.since);
            return Some(view);
        }
        let (gas, gsme) = (self.gas.as_ref()?, context.profiles.gsme?);
        let gpf = context.profiles.gpf.unwrap_or(context.profiles.chf);
        let mut view = gas.mirrored(gpf, gsme);
        if view.at + gpf.mirror_lag > refreshed(context.now, rules.gas_refresh.as_millis()) {
            // What has come since the last refresh is not shown yet.
            view.at = (view.at - gsme.wake_period).max(gas.gsme.metering.since);
        }
        Some(view)
    }

    /// Displays take the messages that stand on the meters they are joined with, each once.
    pub(crate) fn hear_messages(&mut self, context: &Context<'_>) {
        for slot in DISPLAYS {
            for (place, meter) in [(0, DeviceKind::Esme), (1, DeviceKind::Gsme)] {
                self.hear_message(context, slot, meter, place, false);
            }
        }
    }

    /// A meter has been given a message: the displays joined with it show it.
    pub(crate) fn message_came(&mut self, context: &Context<'_>, meter: DeviceKind) {
        let place = usize::from(meter == DeviceKind::Gsme);
        for slot in DISPLAYS {
            self.hear_message(context, slot, meter, place, true);
        }
    }

    fn hear_message(&mut self, context: &Context<'_>, slot: DeviceKind, meter: DeviceKind, place: usize, again: bool) {
        let Some(device) = self.device(slot) else { return };
        if !self.display_takes_part(slot) || !self.is_joined(meter, device) {
            return;
        }
        let text = match self
            .meter(meter)
            .and_then(|meter| meter.shown_item(DataItem::SupplierMessage))
        {
            Some(Value::Text(text)) if !text.is_empty() => text,
            _ => return,
        };
        let limit = profile(context, slot).han.messages_max;
        if let Some(display) = self.display_mut(slot) {
            let heard = &mut display.heard[place];
            if again || *heard != text {
                heard.clone_from(&text);
                display.take_message(context.now, &text, limit);
            }
        }
    }
}

/// An item as a display shows it: what counts from midnight counts from `kept` where that is later.
fn shown_item(view: &View<'_>, kept: SimInstant, item: DataItem) -> Option<Value> {
    if view.at < kept {
        return None;
    }
    let shown = view.item(item)?;
    let counts_today = matches!(item, DataItem::ActiveImportToday | DataItem::GasConsumptionToday);
    if !counts_today || LocalDay::of(kept) != LocalDay::of(view.at) {
        return Some(shown);
    }
    let before = View { at: kept, ..*view }.item(item)?;
    Some(match (shown, before) {
        (Value::Quantity(shown), Value::Quantity(before)) => {
            Value::Quantity(Quantity::new(shown.value - before.value, shown.unit))
        }
        (shown, _) => shown,
    })
}

/// The meters that displays show, as they are looked at: gas through its proxy.
const DISPLAYED: [DeviceKind; 2] = [DeviceKind::Esme, DeviceKind::Gpf];

/// The last whole multiple of a refresh.
fn refreshed(now: SimInstant, every_ms: u64) -> SimInstant {
    let every = i64::try_from(every_ms.max(1)).unwrap_or(i64::MAX);
    SimInstant(now.0.div_euclid(every) * every)
}

/// What displays show of a meter.
pub const SHOWN: [DataItem; 12] = [
    DataItem::ActiveImport,
    DataItem::ActiveImportToday,
    DataItem::ActivePowerImport,
    DataItem::GasConsumption,
    DataItem::GasConsumptionToday,
    DataItem::ActiveTariffPrice,
    DataItem::ActiveTariffRegister,
    DataItem::PaymentMode,
    DataItem::MeterBalance,
    DataItem::EmergencyCreditBalance,
    DataItem::AccumulatedDebt,
    DataItem::SupplyState,
];
