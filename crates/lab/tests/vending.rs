//! Codes of top-ups, end to end: made for a supplier, sent or keyed in, taken once, by one meter, within its limits.

use domain::operation::{Answer, TokenFault, Value};
use domain::utrn::Utrn;
use domain::{DataItem, DeviceKind, Eui64, Operation, Refusal, SimDuration, UserRole};
use duis::{DccAlert, ResponseBody, S1spAlert, SignedBody};
use lab::config::{UtrnAlert, UtrnOrder};
use lab::{Config, Lab, Role};
use users::{Client, Delivery, orders};

/// One home that pays in advance, of each family; the first two are of one model.
const HOMES: &[(&str, &str, &str)] = &[
    ("am110r@BASE", "as300p@BASE", "vodafone"),
    ("am110r@BASE", "as300p@BASE", "vodafone"),
    ("skyline510@dcc-eligible", "liberty100@dcc-eligible", "telefonica"),
    ("trilliant-dxc@dcc-eligible", "e470-dxc@dcc-eligible", "vodafone"),
    ("aclara-hub@BASE", "sgm1300@BASE", "vodafone"),
    ("itron-hub@BASE", "itron-esme@BASE", "vodafone"),
    ("edmi-hub@BASE", "es10a@BASE", "vodafone"),
];

fn estate() -> String {
    let mut text =
        "[estate]\nname = \"prepaying\"\nsource = \"invented\"\ndirected = [\"MOC-SECURE\", \"FOC-EDMI\"]\n".to_owned();
    for (n, (chf, esme, provider)) in HOMES.iter().enumerate() {
        text.push_str(&format!(
            "[[template]]\nname = \"home{n}\"\ncount = 1\nprovider = \"{provider}\"\nchf = \"{chf}\"\nesme = \"{esme}\"\n\
             payment_mode = \"prepayment\"\nenrolled = true\n"
        ));
    }
    text
}

struct Bench {
    lab: Lab,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("estate.toml");
        std::fs::write(&file, estate()).expect("written");
        let mut config = Config::default();
        config.estate.file = Some(file);
        change(&mut config);
        let lab = Lab::start(config).expect("started");
        Self { lab, _folder: folder }
    }

    /// The meter of a home, in the order of [`HOMES`].
    fn meter(&self, home: usize) -> Eui64 {
        let template = format!("home{home}");
        let mut sites = self.lab.parts().sites(0).into_iter();
        let site = sites.find(|site| site.template().name == template).expect("there");
        site.device(DeviceKind::Esme).expect("it has one")
    }

    fn supplier(&self, meter: Eui64) -> Client {
        self.lab
            .user_for(meter, UserRole::ImportSupplier)
            .expect("registered")
            .clone()
    }

    async fn vend(
        &self,
        user: Eui64,
        device: Eui64,
        pence: u32,
        for_the_keys: bool,
    ) -> Result<domain::RequestId, String> {
        let vended = self.lab.vend(user, device, pence, for_the_keys).await;
        vended.map_err(|error| error.to_string())
    }

    /// A code for the keys of a meter, as its supplier is told it.
    async fn code(&self, meter: Eui64, pence: u32) -> String {
        let supplier = self.supplier(meter);
        let id = self.vend(supplier.eui(), meter, pence, true).await.expect("vended");
        let heard = self.heard(&supplier, SimDuration::from_mins(5)).await;
        let codes: Vec<String> = heard
            .iter()
            .filter_map(s1sp_alert)
            .filter_map(|alert| {
                assert_eq!(alert.request_id, Some(id));
                alert.utrn
            })
            .collect();
        assert_eq!(codes.len(), 1, "{heard:?}");
        codes.into_iter().next().expect("one")
    }

    /// Everything a user hears for so long.
    async fn heard(&self, user: &Client, span: SimDuration) -> Vec<Delivery> {
        self.lab.world().clock.sleep(span).await;
        std::iter::from_fn(|| user.take_unsolicited()).collect()
    }

    async fn key_in(&self, meter: Eui64, code: &str) -> Result<(), TokenFault> {
        match self.lab.fleet().expect("here").enter_code(meter, code).await {
            Ok(()) => Ok(()),
            Err(fleet::AskError::Refused(Refusal::Token(fault))) => Err(fault),
            Err(error) => panic!("{error}"),
        }
    }

    /// Thousandths of a penny.
    async fn balance(&self, meter: Eui64) -> i64 {
        let fleet = self.lab.fleet().expect("here");
        match fleet.true_read(meter, Operation::Read(DataItem::MeterBalance)).await {
            Ok(Ok(Answer::Value(Value::Quantity(balance)))) => balance.value,
            other => panic!("{other:?}"),
        }
    }

    async fn top_up(&self, meter: Eui64, utrn: Utrn) -> (users::Exchange, Vec<Delivery>) {
        let supplier = self.supplier(meter);
        let order = orders::top_up(meter, utrn);
        let exchange = supplier
            .request(&order, SimDuration::from_hours(3))
            .await
            .expect("ended");
        let heard = self.heard(&supplier, SimDuration::from_mins(5)).await;
        (exchange, heard)
    }
}

fn s1sp_alert(delivery: &Delivery) -> Option<S1spAlert> {
    match &delivery.message.response.body {
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp { content, .. },
            ..
        } => Some(content.clone()),
        _ => None,
    }
}

/// Codes of the device's own alerts among these.
fn device_alerts(heard: &[Delivery]) -> Vec<u16> {
    let codes = heard
        .iter()
        .filter_map(|delivery| match &delivery.message.response.body {
            ResponseBody::Smets1 { content, .. } => match &content.body {
                SignedBody::Alert(alert) => alert.code,
                SignedBody::Response { .. } => None,
            },
            _ => None,
        });
    codes.collect()
}

/// Refused as no code at all, in whichever words the model has for that.
fn no_code(entered: Result<(), TokenFault>) -> bool {
    use TokenFault::{Format, Incomplete, NotAuthentic};
    matches!(entered, Err(Format | Incomplete | NotAuthentic))
}

fn succeeded(exchange: &users::Exchange) -> bool {
    let xml = exchange.outcome.as_ref().map(|outcome| &outcome.xml);
    xml.is_some_and(|xml| String::from_utf8_lossy(xml).contains("MessageSuccess=\"true\""))
}

fn utrn(pence: u32, mac: u32) -> Utrn {
    Utrn::of_pence(pence, 1, mac).expect("an amount")
}

#[tokio::test(start_paused = true)]
async fn a_vend_gives_the_supplier_alone_the_code_and_the_meter_the_credit() {
    let bench = Bench::start(|_| {});
    let meter = bench.meter(0);
    let supplier = bench.supplier(meter);
    let others: Vec<Client> = bench
        .lab
        .users()
        .iter()
        .filter(|user| user.eui() != supplier.eui())
        .cloned()
        .collect();
    let before = bench.balance(meter).await;
    let id = bench.vend(supplier.eui(), meter, 1_000, false).await.expect("vended");
    let heard = bench.heard(&supplier, SimDuration::from_mins(10)).await;
    let told = heard
        .iter()
        .position(|one| s1sp_alert(one).is_some_and(|alert| alert.request_id == Some(id) && alert.utrn.is_some()));
    let ended = heard
        .iter()
        .position(|one| one.message.response.header.request_id == Some(id));
    assert!(told.is_some() && ended.is_some() && told < ended, "{heard:?}");
    let credited = bench.balance(meter).await - before;
    assert!(
        (990_000..=1_000_000).contains(&credited),
        "ten pounds less some use: {credited}"
    );
    for other in &others {
        assert!(
            bench.heard(other, SimDuration::from_secs(1)).await.is_empty(),
            "{}",
            other.eui()
        );
    }
    let code = s1sp_alert(&heard[told.expect("told")])
        .and_then(|alert| alert.utrn)
        .expect("a code");
    assert_eq!(bench.key_in(meter, &code).await, Err(TokenFault::Duplicate));
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_familys_meter_takes_its_own_code_at_its_keys_once_and_nobody_elses() {
    let bench = Bench::start(|_| {});
    for home in 0..HOMES.len() {
        let meter = bench.meter(home);
        let before = bench.balance(meter).await;
        let code = bench.code(meter, 500).await;
        assert!(
            code.len() == 20 && code.bytes().all(|octet| octet.is_ascii_digit()),
            "{home}: {code}"
        );
        let mut wrong = code.clone();
        let last = wrong.pop().expect("a digit");
        wrong.push(if last == '0' { '1' } else { '0' });
        assert!(no_code(bench.key_in(meter, &wrong).await), "{home}: the check digit");
        assert!(
            no_code(bench.key_in(meter, &code[..19]).await),
            "{home}: a digit is missing"
        );
        let other = bench.meter((home + 1) % HOMES.len());
        let elsewhere = bench.key_in(other, &code).await;
        assert!(
            matches!(
                elsewhere,
                Err(TokenFault::OtherDevice | TokenFault::NotAuthentic | TokenFault::Format)
            ),
            "{home}: {elsewhere:?}"
        );
        assert_eq!(bench.key_in(meter, &code).await, Ok(()), "{home}");
        assert_eq!(bench.key_in(meter, &code).await, Err(TokenFault::Duplicate), "{home}");
        let credited = bench.balance(meter).await - before;
        assert!((450_000..=500_000).contains(&credited), "{home}: {credited}");
    }
    let heard = bench
        .heard(&bench.supplier(bench.meter(0)), SimDuration::from_hours(1))
        .await;
    assert!(
        device_alerts(&heard).contains(&0x8F51),
        "the duplicate is told: {:?}",
        device_alerts(&heard)
    );
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_not_top_up_may_not_vend() {
    let bench = Bench::start(|config| {
        config.access.thresholds = vec![lab::config::ThresholdConfig {
            user: None,
            srv: Some("2.2".into()),
            count: 2,
            per_s: 3_600,
        }];
    });
    let meter = bench.meter(0);
    let supplier = bench.supplier(meter).eui();
    let may = |user: &&Client| {
        bench
            .lab
            .parts()
            .directory
            .user(user.eui())
            .is_some_and(|user| user.roles.contains(&UserRole::ImportSupplier))
    };
    let mut suppliers = bench.lab.users().iter().filter(may).map(Client::eui);
    let other = suppliers.find(|user| *user != supplier).expect("a second one");
    let network = bench.lab.user_in(UserRole::ElectricityDistributor).expect("one").eui();
    let hub = bench.lab.devices().keys().copied().next().expect("one");
    for (user, device, pence, code) in [
        (other, meter, 1_000, "E4"),
        (network, meter, 1_000, "E2"),
        (Eui64(1), meter, 1_000, "E1"),
        (supplier, Eui64(1), 1_000, "E19"),
        (supplier, hub, 1_000, "E11"),
        (supplier, meter, 8_195, "E100"),
    ] {
        let refused = bench.vend(user, device, pence, true).await.expect_err("refused");
        assert!(
            refused.starts_with(&format!("{code}: ")),
            "{user} {device} {pence}: {refused}"
        );
    }
    for _ in 0..2 {
        bench.vend(supplier, meter, 1_000, true).await.expect("vended");
    }
    let refused = bench.vend(supplier, meter, 1_000, true).await.expect_err("too many");
    assert!(refused.contains("more than 2 of 2.2"), "{refused}");
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_suppliers_code_is_taken_once_and_within_the_limits() {
    let bench = Bench::start(|_| {});
    let meter = bench.meter(0);
    let (first, told) = bench.top_up(meter, utrn(1_000, 7)).await;
    assert!(succeeded(&first));
    assert_eq!(
        told.iter()
            .filter_map(s1sp_alert)
            .filter(|alert| alert.utrn.is_some())
            .count(),
        1
    );
    let (again, _) = bench.top_up(meter, utrn(1_000, 7)).await;
    assert!(again.code() == "I0" && !succeeded(&again), "taken already");
    let (much, heard) = bench.top_up(meter, utrn(800_000, 8)).await;
    assert!(much.code() == "I0" && !succeeded(&much), "eight thousand pounds");
    assert!(device_alerts(&heard).contains(&0x8F5B), "{:?}", device_alerts(&heard));
    // The front door reads only digits; that the last one fits is seen by who knows codes.
    let supplier = bench.supplier(meter);
    let mut order = orders::top_up(meter, utrn(1_000, 9));
    let digits = utrn(1_000, 9).to_string();
    let last = if digits.ends_with('0') { "1" } else { "0" };
    order.body = duis::Element::sr("TopUpDevice").with_leaf("UTRN", format!("{}{last}", &digits[..19]));
    let wrong = supplier
        .request(&order, SimDuration::from_hours(1))
        .await
        .expect("ended");
    assert!(wrong.code().starts_with('E'), "{}", wrong.code());
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_codes_lock_the_keys_but_not_the_air() {
    let bench = Bench::start(|_| {});
    // Landis+Gyr: five wrong ones within ten minutes lock for an hour.
    let meter = bench.meter(3);
    let code = bench.code(meter, 500).await;
    for _ in 0..5 {
        assert!(no_code(bench.key_in(meter, "12345678901234567890").await));
    }
    assert_eq!(bench.key_in(meter, &code).await, Err(TokenFault::Locked));
    let (by_air, heard) = bench.top_up(meter, utrn(1_000, 5)).await;
    assert!(succeeded(&by_air));
    assert!(device_alerts(&heard).contains(&0x81C5), "{:?}", device_alerts(&heard));
    bench.lab.world().clock.sleep(SimDuration::from_hours(1)).await;
    assert_eq!(bench.key_in(meter, &code).await, Ok(()));
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_policy_says_when_a_code_is_told() {
    use UtrnAlert::{Always, Never, OnFailure};
    for (alert, order, reached, told) in [
        (Always, UtrnOrder::AfterResponse, true, true),
        (OnFailure, UtrnOrder::BeforeResponse, true, false),
        (OnFailure, UtrnOrder::AfterResponse, false, true),
        (Never, UtrnOrder::BeforeResponse, false, false),
    ] {
        let bench = Bench::start(|config| {
            config.vending.utrn_alert = alert;
            config.vending.utrn_order = order;
        });
        let meter = bench.meter(0);
        if !reached {
            bench.lab.cut("wan", "fleet");
        }
        let (exchange, heard) = bench.top_up(meter, utrn(1_000, 3)).await;
        assert_eq!(succeeded(&exchange), reached, "{alert:?}");
        let codes: Vec<String> = heard
            .iter()
            .filter_map(s1sp_alert)
            .filter_map(|alert| alert.utrn)
            .collect();
        assert_eq!(codes.len(), usize::from(told), "{alert:?} {order:?}");
        bench.lab.mend();
        if let Some(code) = codes.first() {
            let expected = if reached { Err(TokenFault::Duplicate) } else { Ok(()) };
            assert_eq!(bench.key_in(meter, code).await, expected, "{alert:?}");
        }
        bench.lab.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_vend_survives_the_roles_that_carry_it() {
    for role in [Role::Dcc, Role::S1sp] {
        let mut bench = Bench::start(|_| {});
        let meter = bench.meter(0);
        let supplier = bench.supplier(meter);
        let before = bench.balance(meter).await;
        let id = bench.vend(supplier.eui(), meter, 1_000, false).await.expect("vended");
        bench.lab.world().clock.sleep(SimDuration::from_millis(10)).await;
        bench.lab.restart(role).await.expect("started again");
        let heard = bench.heard(&supplier, SimDuration::from_hours(1)).await;
        let ended = heard
            .iter()
            .filter(|one| one.message.response.header.request_id == Some(id))
            .count();
        assert_eq!(ended, 1, "{role}: {heard:?}");
        let codes: std::collections::BTreeSet<String> = heard
            .iter()
            .filter_map(s1sp_alert)
            .filter_map(|alert| alert.utrn)
            .collect();
        assert_eq!(codes.len(), 1, "{role}: one code, however often it is told");
        // The S1SP does not repeat what it had begun: then the customer enters the code. Never is it credited twice.
        let code = codes.first().expect("one");
        let entered = bench.key_in(meter, code).await;
        assert!(
            matches!(entered, Ok(()) | Err(TokenFault::Duplicate)),
            "{role}: {entered:?}"
        );
        let credited = bench.balance(meter).await - before;
        assert!((900_000..=1_000_000).contains(&credited), "{role}: {credited}");
        bench.lab.stop().await;
    }
}
