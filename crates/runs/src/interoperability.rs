//! The programme's proof of interoperability of November 2018 as a scenario: two suppliers, top-ups of a prepayment home,
//! and a change of supplier between them.
//!
//! That two simulated suppliers were shown in the SIT environment, with the requests that prepayment top-up needs, is
//! sourced (the programme's plan of 2019); which requests, in which order, is not public: this story is ours.

use std::fmt::Write;
use std::sync::Arc;

use domain::operation::{Answer, Value};
use domain::utrn::Utrn;
use domain::{DataItem, DeviceKind, Eui64, Operation, Refusal, SimDuration, SimInstant, SupplyState, UserRole};
use duis::{DccAlert, ResponseBody};
use fleet::{Site, SiteDevice};
use lab::config::ChangeConfig;
use lab::{Config, Lab, Parts};
use users::orders::{self, NewCertificates};
use users::{Client, Delivery, Order};
use world::worlds::{self, WorldContext};

use crate::sit::{SitError, SitRun, checks, installation, merged_check};
use crate::verdict::{Cell, Check, Hop, HopKind, RunResult, Verdict};

/// Name of the pack in results.
pub const PACK: &str = "proof-of-interoperability";

/// How long the losing supplier has the home, from the start.
const BEFORE: SimDuration = SimDuration::from_days(2);
/// How long one request may take.
const LIMIT: SimDuration = SimDuration::from_hours(4);

/// Runs the story to its end on the first enrolled prepayment home of the lab's estate that has both fuels. Blocks the
/// calling thread; must be called outside any runtime.
///
/// # Errors
/// [`SitError`]. What goes otherwise than told is a result, not an error.
pub fn run(mut config: Config) -> Result<SitRun, SitError> {
    config.worlds.count = 1;
    let parts = Parts::build(config.clone())?;
    let home = parts.estate.sites().find(is_home);
    let cast = home.as_ref().and_then(|home| Cast::of(&parts, home));
    let (Some(home), Some(cast)) = (home, cast) else {
        let problem = "the proof of interoperability needs an enrolled dual-fuel prepayment home and two suppliers";
        return Err(SitError::Build(lab::BuildError::Config(lab::ConfigError {
            file: "<configuration>".to_owned(),
            line: None,
            problem: problem.to_owned(),
            hint: None,
        })));
    };
    let day = (config.clock.start + BEFORE).to_string();
    for (kind, role) in SUPPLIERS {
        let point = home
            .devices()
            .iter()
            .find(|device| device.kind == kind)
            .and_then(|device| device.mpxn);
        config.access.changes.extend(point.map(|mpxn| ChangeConfig {
            mpxn: mpxn.to_string(),
            role: role.as_str().to_owned(),
            user: cast.gaining.to_string(),
            from: day.chars().take(10).collect(),
        }));
    }
    let parts = Parts::build(config)?;
    let options = worlds::Options::new(parts.config.clock.start, parts.config.world_seed());
    let run = worlds::run(1, &options, async |context: WorldContext| {
        in_world(context, &parts, &home, cast).await
    })?;
    let (mut cells, mut checks) = (Vec::new(), Vec::new());
    let mut lasted_ms = 0;
    for world in run.results {
        let (findings, lasted) = world?;
        lasted_ms = lasted.as_millis();
        cells.extend(findings.cells);
        checks.extend(findings.checks);
    }
    checks.extend(checks::of_tape(&run.records, &cells, &parts));
    for (position, cell) in (1..).zip(&mut cells) {
        cell.position = position;
    }
    let result = RunResult {
        pack: PACK.into(),
        seed: parts.config.seed,
        worlds: 1,
        clock: "virtual".into(),
        digest: run.digest.to_string(),
        started_at: parts.config.clock.start.to_string(),
        lasted_ms,
        hops: ["user", "dcc", "s1sp", "dco", "wan", "fleet"]
            .map(|role| Hop {
                role: role.into(),
                kind: HopKind::Emulated,
            })
            .to_vec(),
        dropped_invariants: Vec::new(),
        cells,
        checks,
    };
    Ok(SitRun {
        result,
        records: run.records,
    })
}

/// The story as it went, a line per request, then what else was looked at.
#[must_use]
pub fn text(result: &RunResult) -> String {
    let mut out = String::from("Proof of interoperability: two suppliers, prepayment top-up, change of supplier\n\n");
    // Writing to a String cannot fail.
    for cell in &result.cells {
        let mark = if cell.verdict == Verdict::Passed {
            "ok  "
        } else {
            "FAIL"
        };
        let _ = writeln!(
            out,
            "{:>3}  {mark}  {:6} {:4}  {}\n           came to {} after {}",
            cell.position,
            cell.srv,
            cell.device_kind,
            cell.expected,
            cell.observed,
            crate::report::duration(cell.took_ms),
        );
    }
    out.push('\n');
    for check in &result.checks {
        let word = if check.verdict == Verdict::Passed {
            "holds "
        } else {
            "BROKEN"
        };
        let _ = writeln!(out, "{word} {}: {}", check.name, check.detail);
    }
    let (passed, all) = result.counts();
    let confidence = result
        .weakest_confidence()
        .map_or("none", |confidence| confidence.as_str());
    let _ = writeln!(
        out,
        "\n{passed} of {all} requests as told\nweakest confidence: {confidence}\nseed {}  from {}  lasted {}\ndigest {}",
        result.seed,
        result.started_at,
        crate::report::duration(result.lasted_ms),
        result.digest
    );
    out
}

fn is_home(site: &Site) -> bool {
    site.enrolled()
        && site.payment_mode() == domain::operation::PaymentMode::Prepayment
        && site.device(DeviceKind::Gsme).is_some()
}

/// The two suppliers.
#[derive(Clone, Copy)]
struct Cast {
    losing: Eui64,
    gaining: Eui64,
}

impl Cast {
    /// The supplier registered for the home's electricity, and the first other one that supplies both fuels.
    fn of(parts: &Parts, home: &Site) -> Option<Self> {
        let devices = home.devices();
        let meter = devices.iter().find(|device| device.kind == DeviceKind::Esme)?;
        let start = parts.config.clock.start;
        let losing = parts
            .directory
            .registered(meter.mpxn?, UserRole::ImportSupplier, start)?;
        let both = |roles: &[UserRole]| SUPPLIERS.iter().all(|(_, role)| roles.contains(role));
        let mut users = parts.pki.users.iter();
        let gaining = users.find(|user| user.eui != losing && user.identity.is_some() && both(&user.roles))?;
        Some(Self {
            losing,
            gaining: gaining.eui,
        })
    }
}

const SUPPLIERS: [(DeviceKind, UserRole); 2] = [
    (DeviceKind::Esme, UserRole::ImportSupplier),
    (DeviceKind::Gsme, UserRole::GasSupplier),
];

async fn in_world(
    context: WorldContext,
    parts: &Arc<Parts>,
    home: &Site,
    cast: Cast,
) -> Result<(installation::Findings, SimDuration), lab::BuildError> {
    let started = context.world.clock.now();
    let lab = Lab::start_in(context.world.clone(), Arc::clone(parts))?;
    let mut findings = installation::Findings::default();
    let users = |eui: Eui64| lab.users().iter().find(|user| user.eui() == eui).cloned();
    if let (Some(losing), Some(gaining)) = (users(cast.losing), users(cast.gaining)) {
        let mut story = Story {
            lab: &lab,
            devices: home.devices(),
            losing,
            gaining,
            cells: Vec::new(),
            checks: Vec::new(),
            credited: 0,
        };
        story.tell(started).await;
        findings.cells = story.cells;
        findings.checks = story.checks;
    }
    findings.checks.extend(checks::of_lab(&lab).await);
    let lasted = context.world.clock.now().since(started);
    lab.stop().await;
    Ok((findings, lasted))
}

/// What a request is to come to.
#[derive(Clone, Copy)]
enum Expect {
    Works,
    Refused(&'static str),
}

struct Story<'a> {
    lab: &'a Lab,
    devices: Vec<SiteDevice>,
    losing: Client,
    gaining: Client,
    cells: Vec<Cell>,
    checks: Vec<Check>,
    /// Thousandths of a penny that the electricity meter was given.
    credited: i64,
}

impl Story<'_> {
    async fn tell(&mut self, started: SimInstant) {
        use DeviceKind::{Esme, Gpf, Gsme};
        use Expect::{Refused, Works};
        let (losing, gaining) = (self.losing.clone(), self.gaining.clone());
        let [esme, gpf, gsme] = [Esme, Gpf, Gsme].map(|kind| self.device(kind));
        let before = self.balance(esme).await;
        let supply = self.supply().await;

        // The first supplier has the home, the second has nothing to say there.
        self.ask(
            &losing,
            Esme,
            &orders::read_import_registers(esme),
            Works,
            "reads the registers",
        )
        .await;
        self.ask(
            &losing,
            Gpf,
            &orders::read_import_registers(gpf),
            Works,
            "reads the gas registers",
        )
        .await;
        self.ask(
            &gaining,
            Esme,
            &orders::read_import_registers(esme),
            Refused("E4"),
            "may not read",
        )
        .await;
        self.ask(
            &gaining,
            Esme,
            &orders::top_up(esme, utrn(1)),
            Refused("E4"),
            "may not top up",
        )
        .await;
        let no_code = self.vend(&gaining, esme, 500).await;
        self.check(
            "who does not supply a home gets no code for it",
            no_code.is_err(),
            format!("{no_code:?}"),
        );
        self.top_up(&losing, Esme, 2).await;
        self.top_up(&losing, Gsme, 3).await;
        self.ask(
            &losing,
            Esme,
            &orders::read_meter_balance(esme),
            Works,
            "reads the balance",
        )
        .await;
        let kept = self.vend(&losing, esme, 500).await;
        self.check(
            "the supplier is told the code it had made",
            kept.is_ok(),
            "a code for the keys, not used yet".to_owned(),
        );

        // The day of the change.
        self.lab
            .world()
            .clock
            .sleep_until(started + BEFORE + SimDuration::from_hours(1))
            .await;
        self.ask(
            &losing,
            Esme,
            &orders::top_up(esme, utrn(4)),
            Refused("E4"),
            "may not top up any more",
        )
        .await;
        self.ask(
            &losing,
            Esme,
            &orders::read_import_registers(esme),
            Refused("E4"),
            "may not read any more",
        )
        .await;
        self.ask(
            &gaining,
            Esme,
            &orders::read_import_registers(esme),
            Works,
            "reads the opening registers",
        )
        .await;
        self.ask(
            &gaining,
            Gpf,
            &orders::read_import_registers(gpf),
            Works,
            "reads the opening gas registers",
        )
        .await;
        self.ask(
            &gaining,
            Esme,
            &orders::arm_supply(esme),
            Refused("E4"),
            "is not notified yet: nothing critical",
        )
        .await;
        while losing.take_unsolicited().is_some() {}
        for (kind, device) in [(Esme, esme), (Gpf, gpf), (Gsme, gsme)] {
            self.change(&gaining, kind, device).await;
        }
        let told = self.heard(&losing).await;
        let told = told
            .iter()
            .filter(|one| alert_code(one).as_deref() == Some("N26"))
            .count();
        self.check(
            "the old supplier is told of the change",
            told > 0,
            format!("{told} alerts N26"),
        );
        let read = orders::retrieve_credentials(esme, &["Supplier"]);
        self.ask(&gaining, Esme, &read, Works, "finds its own certificates on record")
            .await;

        // The second supplier has the home.
        self.top_up(&gaining, Esme, 5).await;
        self.top_up(&gaining, Gsme, 6).await;
        if let Ok(code) = kept {
            self.key_in(
                esme,
                &code,
                500,
                "a code of the old supplier stays good until it is used",
            )
            .await;
        }
        match self.vend(&gaining, esme, 500).await {
            Ok(code) => {
                self.key_in(esme, &code, 500, "the meter takes the new supplier's code")
                    .await;
                let again = self.lab_key_in(esme, &code).await;
                let duplicate = matches!(again, Err(fleet::AskError::Refused(Refusal::Token(_))));
                self.check("no code is taken twice", duplicate, format!("{again:?}"));
            }
            Err(error) => self.check("the new supplier has a code made", false, error),
        }
        self.ask(
            &gaining,
            Esme,
            &orders::read_meter_balance(esme),
            Works,
            "reads the balance",
        )
        .await;
        self.ask(
            &gaining,
            Gpf,
            &orders::read_meter_balance(gpf),
            Works,
            "reads the gas balance",
        )
        .await;
        let after = self.balance(esme).await;
        let spent = self.credited - (after - before);
        let few_pounds = (0..=1_000_000).contains(&spent);
        let detail = format!("credited {} p, spent {} p", self.credited / 1_000, spent / 1_000);
        self.check(
            "the balance went up by what was credited, less what was used",
            few_pounds,
            detail,
        );
        let unchanged = self.supply().await == supply;
        self.check("nothing of this touched the supply", unchanged, format!("{supply:?}"));
        for user in [losing, gaining] {
            while user.take_unsolicited().is_some() {}
        }
    }

    fn device(&self, kind: DeviceKind) -> Eui64 {
        let found = self.devices.iter().find(|device| device.kind == kind);
        found.map(|device| device.device).unwrap_or_default()
    }

    fn name(&self, user: &Client) -> String {
        let users = &self.lab.parts().pki.users;
        let found = users.iter().find(|known| known.eui == user.eui());
        found.map_or_else(|| user.eui().to_string(), |known| known.name.clone())
    }

    fn check(&mut self, name: &str, holds: bool, detail: impl Into<String>) {
        self.checks.push(merged_check(name, holds, detail));
    }

    /// Sends an order; a line of the story.
    async fn ask(&mut self, user: &Client, kind: DeviceKind, order: &Order, expect: Expect, words: &str) -> bool {
        let listed = self.devices.iter().find(|device| device.kind == kind);
        let profile = listed.map(|device| device.profile.to_string()).unwrap_or_default();
        let mut cell = Cell::new(order.target, kind, profile, order.srv);
        let to = match expect {
            Expect::Works => "works".to_owned(),
            Expect::Refused(code) => format!("refused with {code}"),
        };
        cell.expected = format!("{} {words}: {to}", self.name(user));
        let begun = self.lab.world().clock.now();
        let result = user.request(order, LIMIT).await;
        cell.took_ms = self.lab.world().clock.now().since(begun).as_millis();
        let worked = match result {
            Ok(exchange) => {
                cell.request_id = exchange.id.to_string();
                let success = installation::success(&exchange);
                cell.observed = match success {
                    Some(true) => format!("{}, success", exchange.code()),
                    Some(false) => format!("{} without success", exchange.code()),
                    None => exchange.code().to_owned(),
                };
                let worked = exchange.code() == "I0" && success != Some(false);
                let agrees = match expect {
                    Expect::Works => worked,
                    Expect::Refused(code) => exchange.code() == code,
                };
                if agrees {
                    cell.verdict = Verdict::Passed;
                }
                worked
            }
            Err(error) => {
                cell.observed = error.to_string();
                false
            }
        };
        installation::explain(self.lab, std::slice::from_mut(&mut cell)).await;
        self.cells.push(cell);
        worked
    }

    /// Ten pounds; the supplier must be told the meter's code.
    async fn top_up(&mut self, user: &Client, kind: DeviceKind, number: u32) {
        let device = self.device(kind);
        while user.take_unsolicited().is_some() {}
        let order = orders::top_up(device, utrn(number));
        let worked = self.ask(user, kind, &order, Expect::Works, "tops up ten pounds").await;
        if worked && kind == DeviceKind::Esme {
            self.credited += 1_000_000;
        }
        let heard = self.heard(user).await;
        let codes = heard.iter().filter_map(code_in).count();
        self.check(
            "each top-up brings its supplier one code",
            codes == 1,
            format!("{kind}: {codes}"),
        );
    }

    async fn change(&mut self, gaining: &Client, kind: DeviceKind, device: Eui64) {
        let parts = self.lab.parts();
        let point = match kind {
            DeviceKind::Esme => DeviceKind::Esme,
            _ => DeviceKind::Gsme,
        };
        let mpxn = self
            .devices
            .iter()
            .find(|device| device.kind == point)
            .and_then(|device| device.mpxn);
        let user = parts.pki.users.iter().find(|user| user.eui == gaining.eui());
        let organisation = user.and_then(|user| user.organisation.as_ref());
        let (Some(mpxn), Some(organisation)) = (mpxn, organisation) else {
            return self.check("the new supplier has certificates", false, gaining.eui().to_string());
        };
        let certificates = NewCertificates {
            signing: lab::pki::base64_of(&organisation.signing),
            agreement: Some(lab::pki::base64_of(&organisation.agreement)),
            path: vec![lab::pki::base64_of(&parts.pki.issuer.certificate_pem)],
        };
        let order = orders::change_of_supplier(device, mpxn, 0, &certificates);
        self.ask(gaining, kind, &order, Expect::Works, "takes over").await;
    }

    /// A code for the keys of a meter, as its supplier is told it.
    async fn vend(&self, user: &Client, device: Eui64, pence: u32) -> Result<String, String> {
        let vended = self.lab.vend(user.eui(), device, pence, true).await;
        vended.map_err(|error| error.to_string())?;
        let heard = self.heard(user).await;
        let code = heard.iter().find_map(code_in);
        code.ok_or_else(|| "no code was told".to_owned())
    }

    async fn lab_key_in(&self, device: Eui64, code: &str) -> Result<(), fleet::AskError> {
        match self.lab.fleet() {
            Some(fleet) => fleet.enter_code(device, code).await,
            None => Err(fleet::AskError::NoSuchDevice(device)),
        }
    }

    async fn key_in(&mut self, device: Eui64, code: &str, pence: i64, name: &str) {
        let entered = self.lab_key_in(device, code).await;
        if entered.is_ok() {
            self.credited += pence * 1_000;
        }
        self.check(name, entered.is_ok(), format!("{entered:?}"));
    }

    /// What a user hears by itself in the next minutes.
    async fn heard(&self, user: &Client) -> Vec<Delivery> {
        self.lab.world().clock.sleep(SimDuration::from_mins(2)).await;
        std::iter::from_fn(|| user.take_unsolicited()).collect()
    }

    /// Thousandths of a penny on the electricity meter, as they truly are.
    async fn balance(&self, meter: Eui64) -> i64 {
        let Some(fleet) = self.lab.fleet() else { return 0 };
        match fleet.true_read(meter, Operation::Read(DataItem::MeterBalance)).await {
            Ok(Ok(Answer::Value(Value::Quantity(balance)))) => balance.value,
            _ => 0,
        }
    }

    async fn supply(&self) -> Vec<Option<SupplyState>> {
        let mut states = Vec::new();
        for (kind, _) in SUPPLIERS {
            if let Some(fleet) = self.lab.fleet() {
                let truth = fleet.truth(self.device(kind)).await;
                states.push(truth.ok().and_then(|truth| truth.supply));
            }
        }
        states
    }
}

/// Ten pounds, each another code.
fn utrn(number: u32) -> Utrn {
    Utrn::of_pence(1_000, 0, number).expect("few enough pence for a code")
}

fn alert_code(delivery: &Delivery) -> Option<String> {
    match &delivery.message.response.body {
        ResponseBody::DccAlert { code, .. } => Some(code.to_string()),
        _ => None,
    }
}

fn code_in(delivery: &Delivery) -> Option<String> {
    match &delivery.message.response.body {
        ResponseBody::DccAlert {
            alert: DccAlert::S1sp { content, .. },
            ..
        } => content.utrn.clone(),
        _ => None,
    }
}
