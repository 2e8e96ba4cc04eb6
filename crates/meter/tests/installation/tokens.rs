//! Payment tokens: taken once, for one meter, within limits; wrong ones lock entry.

use super::*;
use domain::operation::{PaymentMode, Token, TokenFault};
use domain::utrn::{CodeForm, CodeUse, LongCode, NativeToken};
use domain::{Refusal, SupplyState};
use meter::{AccountSettings, TokenAction, TokenKind};

const ESME: DeviceKind = DeviceKind::Esme;

fn prepaying(change: impl FnOnce([&mut Profile; 4])) -> Home {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        balance_mp: 1_000_000,
        emergency_limit_mp: 0,
        maximum_credit_mp: 20_000_000,
        maximum_balance_mp: 30_000_000,
        ..AccountSettings::default()
    };
    Home::with("2019-05-02T08:00:00Z", config, change)
}

impl Home {
    /// A code as whoever operates the meter makes it.
    fn code(&mut self, slot: DeviceKind, pence: u32, counter: u16) -> String {
        let device = self.installation.device(slot).expect("there");
        let epoch = self.installation.epoch(slot);
        let key = self.relations.s1sp.device_key(device, epoch, Purpose::Token);
        NativeToken { pence, counter }.digits(CodeForm::default(), &key, device)
    }

    fn send(&mut self, code: &str) -> Outcome {
        self.finished(ESME, S1SP, &Operation::EnterToken(Token(code.into())), None)
    }

    fn key_in(&mut self, code: &str) -> Result<(), Refusal> {
        self.act(|installation, context| installation.enter_token(context, ESME, code))
    }
}

fn refused(fault: TokenFault) -> Refusal {
    Refusal::Token(fault)
}

#[test]
fn a_code_is_taken_once_however_it_comes() {
    let mut home = prepaying(|_| {});
    let code = home.code(ESME, 1_000, 1);
    assert_eq!(home.send(&code), Ok(Answer::Done));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 2_000_000);
    assert_eq!(home.send(&code), Err(refused(TokenFault::Duplicate)));
    assert_eq!(home.key_in(&code), Err(refused(TokenFault::Duplicate)));
    assert_eq!(home.alerts().iter().filter(|alert| alert.1 == 0x8F51).count(), 2);
    let (config, octets) = (home.config.clone(), home.installation.durable());
    home.installation = home
        .act(|_, context| Installation::restore(&config, context, &octets))
        .expect("ours");
    assert_eq!(
        home.send(&code),
        Err(refused(TokenFault::Duplicate)),
        "a restart forgets none"
    );
    let next = home.code(ESME, 1_000, 2);
    assert_eq!(home.key_in(&next), Ok(()));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 3_000_000);
}

#[test]
fn each_wrong_code_has_its_reason() {
    let mut home = prepaying(|_| {});
    let for_gas = home.code(DeviceKind::Gsme, 1_000, 1);
    let device = home.installation.device(ESME).expect("there");
    let elsewhere = home.relations.smso.device_key(device, 1, Purpose::Token);
    let forged = NativeToken {
        pence: 1_000,
        counter: 1,
    }
    .digits(CodeForm::default(), &elsewhere, device);
    let (much, more) = (home.code(ESME, 20_001, 3), home.code(ESME, 19_900, 4));
    let more_still = home.code(ESME, 19_900, 5);
    assert_eq!(home.send(&for_gas), Err(refused(TokenFault::OtherDevice)));
    assert_eq!(home.send(&forged), Err(refused(TokenFault::NotAuthentic)));
    assert_eq!(home.send("12345678901234567890"), Err(refused(TokenFault::Format)));
    assert_eq!(home.send("123"), Err(refused(TokenFault::Format)));
    assert_eq!(home.send(&much), Err(refused(TokenFault::OverCredit)));
    assert_eq!(home.send(&more), Ok(Answer::Done));
    assert_eq!(home.send(&more_still), Err(refused(TokenFault::OverBalance)));
    let codes: Vec<u16> = home.alerts().iter().map(|alert| alert.1).collect();
    assert_eq!(codes, [0x8F64, 0x8F63, 0x8F63, 0x8F63, 0x8F5B, 0x8F47]);
    let mut credit = Home::new("2019-05-02T08:00:00Z", config());
    let code = credit.code(ESME, 1_000, 1);
    assert_eq!(credit.send(&code), Err(refused(TokenFault::NotPrepayment)));
}

#[test]
fn long_codes_do_what_the_profile_knows() {
    let everything = |esme: &mut Profile| {
        esme.tokens.lengths = [20, 40, 60].into();
        esme.tokens.kinds = [
            TokenKind::Engineering,
            TokenKind::RetainCredit,
            TokenKind::Switch,
            TokenKind::Tariff,
        ]
        .into();
        esme.tokens.actions = [TokenAction::Deduct, TokenAction::Overwrite].into();
        esme.prepayment.default_mode = true;
    };
    let mut home = prepaying(|[_, esme, ..]| everything(esme));
    let mut counter = 0;
    let mut enter = |home: &mut Home, what| {
        counter += 1;
        let device = home.installation.device(ESME).expect("there");
        let key = home.relations.s1sp.device_key(device, 1, Purpose::Token);
        let code = LongCode { what, counter }.digits(&key, device);
        assert_eq!(home.key_in(&code), Ok(()), "{what:?}");
        assert_eq!(home.key_in(&code), Err(refused(TokenFault::Duplicate)), "{what:?}");
    };
    enter(&mut home, CodeUse::Disable);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    enter(&mut home, CodeUse::Arm);
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
    enter(&mut home, CodeUse::Deduct(400));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 600_000);
    enter(&mut home, CodeUse::Overwrite(250));
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 250_000);
    enter(
        &mut home,
        CodeUse::Tariff {
            standing_charge_mp: 30_000,
            tou_mp: [21_000, 9_000],
        },
    );
    assert_eq!(home.number(ESME, DataItem::ActiveTariffPrice), 21_000);
    enter(&mut home, CodeUse::ClearLogs);
    enter(&mut home, CodeUse::RetainCredit);
    assert_eq!(home.number(ESME, DataItem::MeterBalance), 0);

    let mut plain = prepaying(|_| {});
    let device = plain.installation.device(ESME).expect("there");
    let key = plain.relations.s1sp.device_key(device, 1, Purpose::Token);
    let code = LongCode {
        what: CodeUse::Disable,
        counter: 1,
    };
    assert_eq!(
        plain.key_in(&code.digits(&key, device)),
        Err(refused(TokenFault::Format))
    );
    let mut more = prepaying(|[_, esme, ..]| esme.tokens.lengths = [20, 40].into());
    assert_eq!(
        more.key_in(&code.digits(&key, device)),
        Err(refused(TokenFault::Format))
    );
}

#[test]
fn too_many_wrong_codes_lock_the_keys_for_a_while() {
    let mut home = prepaying(|[_, esme, ..]| {
        esme.tokens.lock_attempts = 5;
        esme.tokens.lock_window = Some(SimDuration::from_mins(10));
        esme.tokens.lock_for = SimDuration::from_hours(1);
    });
    let wrong = "12345678901234567890";
    // Five, but too far apart.
    for _ in 0..5 {
        assert_eq!(home.key_in(wrong), Err(refused(TokenFault::Format)));
        home.run(SimDuration::from_mins(5));
    }
    home.run(SimDuration::from_mins(10));
    home.alerts();
    for _ in 0..5 {
        assert_eq!(home.key_in(wrong), Err(refused(TokenFault::Format)));
    }
    assert_eq!(home.alerts().last().map(|alert| alert.1), Some(0x81C5));
    let code = home.code(ESME, 500, 9);
    assert_eq!(home.key_in(&code), Err(refused(TokenFault::Locked)));
    assert_eq!(home.alerts().last().map(|alert| alert.1), Some(0x81C4));
    let remote = home.code(ESME, 500, 10);
    assert_eq!(home.send(&remote), Ok(Answer::Done), "the lock is on the keys");
    home.run(SimDuration::from_hours(1));
    assert_eq!(home.key_in(&code), Ok(()));
}

#[test]
fn a_code_brings_supply_back_to_where_the_consumer_can_close_it() {
    let mut home = prepaying(|_| {});
    home.finished(ESME, S1SP, &Operation::ResetBalance, None).expect("done");
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Disabled));
    let code = home.code(ESME, 500, 1);
    assert_eq!(home.key_in(&code), Ok(()));
    assert_eq!(home.installation.supply(ESME), Some(SupplyState::Armed));
    let gas = home.code(DeviceKind::Gsme, 700, 1);
    assert_eq!(
        home.ask_gas(&Operation::EnterToken(Token(gas.clone()))),
        Ok(Answer::Done)
    );
    let again = home.ask_gas(&Operation::EnterToken(Token(gas)));
    assert_eq!(again, Err(refused(TokenFault::Duplicate)));
}
