//! Displays: what they show and how old it is, messages, coming and going, acts at a PPMID, and what survives.

use domain::operation::{HanEntry, Octets, PaymentMode, Token};
use domain::{DeviceKind, Refusal};
use meter::{Acted, DisplayAct};

use super::*;

const PPMID: Eui64 = Eui64(0xD1);
const IHD: Eui64 = Eui64(0xD2);

fn with_displays() -> InstallationConfig {
    let mut config = config();
    config.ppmid = Some(PPMID);
    config.ihd = Some(IHD);
    config
}

fn prepaying() -> InstallationConfig {
    let mut config = with_displays();
    config.payment_mode = PaymentMode::Prepayment;
    config.gas_payment_mode = PaymentMode::Prepayment;
    config
}

fn home(config: InstallationConfig) -> Home {
    Home::new("2019-05-02T08:00:07Z", config)
}

impl Home {
    fn screen(&mut self, slot: DeviceKind) -> meter::Screen {
        self.act(|installation, context| installation.screen(context, slot))
            .expect("a display")
    }

    fn at_ppmid(&mut self, meter: DeviceKind, act: &DisplayAct) -> Result<Acted, Refusal> {
        self.act(|installation, context| installation.act_at_display(context, DeviceKind::Ppmid, meter, act))
    }

    fn say(&mut self, text: &str) {
        let outcome = self.finished(DeviceKind::Esme, S1SP, &Operation::DisplayMessage(text.into()), None);
        assert_eq!(outcome, Ok(Answer::Done));
    }

    fn members(&mut self, slot: DeviceKind) -> Vec<Eui64> {
        match self.value(slot, DataItem::DeviceLog) {
            Value::Devices(devices) => devices.into_iter().map(|known| known.device).collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn token() -> DisplayAct {
    DisplayAct::EnterToken(Token("12345678901234567890".into()))
}

#[test]
fn displays_are_devices_of_the_home() {
    let mut home = home(with_displays());
    assert_eq!(home.installation.device(DeviceKind::Ppmid), Some(PPMID));
    assert_eq!(
        home.members(DeviceKind::Chf),
        [Eui64(0xE0), Eui64(0xF0), Eui64(0x60), PPMID, IHD]
    );
    assert_eq!(home.members(DeviceKind::Esme), [Eui64(0xC0), PPMID, IHD]);
    assert_eq!(home.members(DeviceKind::Ppmid), [Eui64(0xC0), Eui64(0xE0), Eui64(0xF0)]);
    assert!(matches!(
        home.value(DeviceKind::Ppmid, DataItem::SerialNumber),
        Value::Text(_)
    ));
    let write = Operation::ArmSupply;
    let approval = home.approval(DeviceKind::Ppmid, &write);
    assert_eq!(
        home.finished(DeviceKind::Ppmid, S1SP, &write, Some(&approval)),
        Err(Refusal::NotSupported)
    );
}

#[test]
fn what_is_shown_is_as_old_as_the_refresh() {
    let mut home = home(with_displays());
    home.run(SimDuration::from_mins(100));
    let electricity = home.screen(DeviceKind::Ihd).electricity.expect("joined with the meter");
    assert_eq!(electricity.at, at("2019-05-02T09:40:00Z"), "ten seconds, of 09:40:07");
    let shown = electricity.number(DataItem::ActiveImport).expect("a register").value;
    assert!(shown <= home.number(DeviceKind::Esme, DataItem::ActiveImport));
    assert_eq!(home.number(DeviceKind::Ihd, DataItem::ActiveImport), shown);

    // The proxy's copy, as it was at the last half hour.
    let gas = home.screen(DeviceKind::Ihd).gas.expect("joined with the proxy");
    assert!(gas.at <= at("2019-05-02T09:30:00Z") && gas.at > at("2019-05-02T09:00:00Z"));
    let proxy = home.number(DeviceKind::Gpf, DataItem::GasConsumption);
    let shown = gas.number(DataItem::GasConsumption).expect("a register").value;
    assert!(shown <= proxy, "{shown} l on the display, {proxy} l at the proxy");
}

#[test]
fn a_display_shows_only_the_meters_it_is_joined_with() {
    let mut home = home(with_displays());
    let unjoin = Operation::UnjoinListener(IHD);
    assert_eq!(home.finished(DeviceKind::Esme, S1SP, &unjoin, None), Ok(Answer::Done));
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &unjoin, None),
        Err(Refusal::WrongState)
    );
    let screen = home.screen(DeviceKind::Ihd);
    assert!(screen.joined && screen.electricity.is_none() && screen.gas.is_some());
    assert_eq!(home.members(DeviceKind::Esme), [Eui64(0xC0), PPMID]);
    assert_eq!(home.members(DeviceKind::Ihd), [Eui64(0xC0), Eui64(0xF0)]);
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &Operation::Join(IHD), None),
        Err(Refusal::OutOfRange),
        "it only listens"
    );
    let join = Operation::JoinListener(IHD);
    assert_eq!(home.finished(DeviceKind::Esme, S1SP, &join, None), Ok(Answer::Done));
    assert!(home.screen(DeviceKind::Ihd).electricity.is_some());

    let out = Operation::RemoveFromHan(IHD);
    assert_eq!(home.finished(DeviceKind::Chf, S1SP, &out, None), Ok(Answer::Done));
    let screen = home.screen(DeviceKind::Ihd);
    assert!(!screen.joined && screen.electricity.is_none());
    let read = Operation::Read(DataItem::ActiveImport);
    assert_eq!(
        home.finished(DeviceKind::Ihd, S1SP, &read, None),
        Err(Refusal::Unreachable)
    );
}

#[test]
fn messages_come_once_and_the_oldest_goes() {
    let mut home = home(with_displays());
    home.ihd.han.messages_max = 2;
    home.ihd.han.messages_block = true;
    for text in ["one", "two", "two"] {
        home.say(text);
    }
    let texts = |screen: meter::Screen| {
        screen
            .messages
            .into_iter()
            .map(|message| message.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(home.screen(DeviceKind::Ppmid)), ["one", "two", "two"]);
    assert_eq!(texts(home.screen(DeviceKind::Ihd)), ["two", "two"]);
    assert!(home.screen(DeviceKind::Ihd).blocked && !home.screen(DeviceKind::Ppmid).blocked);
    home.installation
        .acknowledge_messages(DeviceKind::Ihd)
        .expect("a display");
    assert!(!home.screen(DeviceKind::Ihd).blocked);

    // One that is away hears the last message when it is back.
    home.act(|installation, context| installation.switch_display(context, DeviceKind::Ihd, false))
        .expect("a display");
    home.say("three");
    assert!(!home.screen(DeviceKind::Ihd).joined);
    home.act(|installation, context| installation.switch_display(context, DeviceKind::Ihd, true))
        .expect("a display");
    home.run(SimDuration::from_mins(61));
    assert_eq!(texts(home.screen(DeviceKind::Ihd)), ["two", "three"]);
}

#[test]
fn a_display_joins_again_within_its_time_or_waits_to_be_let_in() {
    let mut home = home(with_displays());
    home.chf.han.reports_connection = true;
    home.ppmid.han.rejoin_within = Some(SimDuration::from_mins(10));
    home.ihd.han.rejoin_within = None;
    home.act(|installation, context| installation.cut_power(context));
    home.run(SimDuration::from_mins(5));
    home.act(|installation, context| installation.restore_power(context));
    assert!(!home.screen(DeviceKind::Ppmid).joined);
    home.effects();
    home.run(SimDuration::from_mins(11));
    assert!(home.screen(DeviceKind::Ppmid).joined && !home.screen(DeviceKind::Ihd).joined);
    let codes: Vec<u16> = home.alerts().into_iter().map(|(_, code, _)| code).collect();
    assert_eq!(codes, [0x81F5], "the hub tells that the prepayment interface is back");
    let heard = match home.value(DeviceKind::Chf, DataItem::DeviceLog) {
        Value::Devices(devices) => devices.into_iter().find(|known| known.device == IHD),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        heard.and_then(|known| known.last_heard),
        Some(at("2019-05-02T08:00:07Z"))
    );
    let entry = HanEntry {
        device: IHD,
        kind: None,
        install_code: Octets(vec![1; 8]),
        join_within_s: 60,
    };
    let let_in = Operation::AddToHan(Box::new(entry));
    assert_eq!(home.finished(DeviceKind::Chf, S1SP, &let_in, None), Ok(Answer::Done));
    assert!(home.screen(DeviceKind::Ihd).joined);
}

#[test]
fn a_person_at_the_ppmid_reaches_the_electricity_meter_at_once() {
    let mut home = home(prepaying());
    home.esme.tokens.lock_attempts = 5;
    assert_eq!(
        home.act(|i, context| i.act_at_display(context, DeviceKind::Ihd, DeviceKind::Esme, &token())),
        Err(Refusal::NotSupported),
        "an in-home display only shows"
    );
    assert!(matches!(
        home.at_ppmid(DeviceKind::Esme, &token()),
        Err(Refusal::Token(_))
    ));
    assert_eq!(home.number(DeviceKind::Esme, DataItem::TokensRefused), 1);
    assert_eq!(
        home.at_ppmid(DeviceKind::Esme, &DisplayAct::ActivateEmergencyCredit),
        Err(Refusal::WrongState),
        "not on offer"
    );
    home.approved(&Operation::DisableSupply).expect("off");
    home.approved(&Operation::ArmSupply).expect("armed");
    assert_eq!(
        home.at_ppmid(DeviceKind::Esme, &DisplayAct::RestoreSupply),
        Ok(Acted::Done)
    );
    assert_eq!(
        home.value(DeviceKind::Ppmid, DataItem::SupplyState),
        Value::Supply(domain::SupplyState::Enabled)
    );
    home.ppmid.han.takes_tokens = false;
    assert_eq!(home.at_ppmid(DeviceKind::Esme, &token()), Err(Refusal::NotSupported));
    home.ppmid.han.takes_tokens = true;
    home.finished(DeviceKind::Esme, S1SP, &Operation::Unjoin(PPMID), None)
        .expect("parted");
    assert_eq!(home.at_ppmid(DeviceKind::Esme, &token()), Err(Refusal::WrongState));
}

#[test]
fn the_gas_meter_hears_of_it_when_it_wakes() {
    let mut home = home(prepaying());
    home.gsme.tokens.lock_attempts = 5;
    assert_eq!(home.at_ppmid(DeviceKind::Gsme, &token()), Ok(Acted::Waits));
    let refused = |home: &mut Home| {
        home.act(|installation, context| installation.truth(context, DeviceKind::Gsme, DataItem::TokensRefused))
    };
    let count = |value| Some(Value::Quantity(Quantity::new(value, domain::Unit::Count)));
    assert_eq!(refused(&mut home), count(0));
    let octets = home.installation.durable();
    let config = home.config.clone();
    let again = home.act(|_, context| Installation::restore(&config, context, &octets));
    assert_eq!(again.expect("restores"), home.installation);
    home.run(SimDuration::from_mins(31));
    assert_eq!(refused(&mut home), count(1));
    home.chf.han.relays = [meter::Relay::Clock].into();
    assert_eq!(
        home.at_ppmid(DeviceKind::Gsme, &token()),
        Err(Refusal::NotSupported),
        "this hub does not hand credit on"
    );
}

#[test]
fn a_hub_has_room_for_so_many_and_knows_its_own() {
    let mut home = Home::with("2019-05-02T08:00:00Z", with_displays(), |[chf, ..]| {
        chf.han.devices_max = 3;
        chf.han.own_devices_only = true;
    });
    assert_eq!(
        home.members(DeviceKind::Chf),
        [Eui64(0xE0), Eui64(0xF0), Eui64(0x60), PPMID],
        "three, the gas proxy not counted"
    );
    let let_in = |device| {
        Operation::AddToHan(Box::new(HanEntry {
            device,
            kind: Some(DeviceKind::Ihd),
            install_code: Octets(vec![1; 8]),
            join_within_s: 60,
        }))
    };
    let outcome = home.finished(DeviceKind::Chf, S1SP, &let_in(IHD), None);
    assert_eq!(outcome, Err(Refusal::OutOfRange), "full");
    home.finished(DeviceKind::Chf, S1SP, &Operation::RemoveFromHan(PPMID), None)
        .expect("put out");
    let foreign = let_in(Eui64(0x0100_0000_0000));
    let outcome = home.finished(DeviceKind::Chf, S1SP, &foreign, None);
    assert_eq!(outcome, Err(Refusal::OutOfRange), "of another manufacturer");
    assert_eq!(
        home.finished(DeviceKind::Chf, S1SP, &let_in(IHD), None),
        Ok(Answer::Done)
    );
    assert!(home.screen(DeviceKind::Ihd).joined);
}

#[test]
fn after_a_change_of_tenancy_displays_show_nothing_from_before_it() {
    let mut home = home(with_displays());
    home.say("for the old tenant");
    home.run(SimDuration::from_hours(4));
    let today = |screen: &meter::Screen| {
        let panel = screen.electricity.as_ref();
        panel
            .and_then(|panel| panel.number(DataItem::ActiveImportToday))
            .map(|number| number.value)
    };
    for slot in [DeviceKind::Ppmid, DeviceKind::Ihd] {
        let screen = home.screen(slot);
        assert!(today(&screen).is_some_and(|used| used > 0), "{slot}");
        assert!(screen.gas.is_some() && screen.messages.len() == 1, "{slot}");
    }
    // A date to come hides nothing until it comes.
    let moves_in = home.now + SimDuration::from_hours(1);
    for slot in [DeviceKind::Esme, DeviceKind::Gsme] {
        home.execute(slot, S1SP, &Operation::RestrictAccess { before: moves_in }, None);
    }
    home.run(SimDuration::from_mins(59));
    let before = home.screen(DeviceKind::Ihd);
    assert!(before.gas.is_some() && before.messages.len() == 1);
    let used = today(&before).expect("shown");
    home.run_to(moves_in);
    // The gas figures are older than that until the meter reports anew.
    for slot in [DeviceKind::Ppmid, DeviceKind::Ihd] {
        let screen = home.screen(slot);
        assert!(screen.gas.is_none() && screen.messages.is_empty(), "{slot}: {screen:?}");
        assert_eq!(
            home.finished(slot, S1SP, &Operation::Read(DataItem::GasConsumption), None),
            Err(Refusal::NotSupported)
        );
        assert_eq!(home.value(slot, DataItem::SupplierMessage), Value::Text(String::new()));
    }
    home.say("for the new one");
    home.run(SimDuration::from_mins(75));
    let screen = home.screen(DeviceKind::Ihd);
    assert_eq!(screen.messages.len(), 1);
    assert!(
        screen.gas.as_ref().is_some_and(|panel| panel.at >= moves_in),
        "{screen:?}"
    );
    let since = today(&screen).expect("shown");
    assert!(since > 0 && since < used, "{since} of {used}");
    // The meter itself keeps all: what a supplier may read is another matter.
    assert!(home.number(DeviceKind::Esme, DataItem::ActiveImportToday) > since);
}
