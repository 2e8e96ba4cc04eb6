//! What rules cost: loading the catalogue, and one operation at a meter with many rules beside the same at a bare meter.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dmc::Catalogue;
use domain::keys::{Party, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{
    Access, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, Mpan, Operation, Seed, SimDuration,
    SimInstant,
};
use meter::{Context, Installation, InstallationConfig, Profile, Profiles, Relations};

use super::machine::micros_per_call;
use super::table::{Against, Table};

/// The profile with the most rules about what a meter does.
const RICH: &str = "liberty100@pre-dcc";

pub(crate) fn run(table: &mut Table) -> Result<()> {
    let load = micros_per_call(Duration::from_millis(500), || {
        black_box(Catalogue::builtin().is_ok());
    });
    table.row(
        "rules: load the whole catalogue of device profiles",
        load / 1000.0,
        "ms",
        Against::AtMost(200.0, "aim"),
    );
    let catalogue = Catalogue::builtin()?;
    let rich = catalogue.find(RICH).ok().context("a built-in profile")?;
    let (bare_home, rich_home) = (Home::new(Profile::default())?, Home::new(rich.meter.clone())?);
    for (what, operation) in operations(bare_home.now) {
        let (bare, with_rules) = (bare_home.micros(&operation)?, rich_home.micros(&operation)?);
        table.row(
            &format!("rules: {what} at {RICH}"),
            with_rules,
            "µs",
            Against::AtMost(bare * 1.1, "a bare meter and a tenth"),
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred octets")]
    table.row(
        &format!("rules: an idle home with {RICH}, profiles shared"),
        rich_home.installation.memory() as f64,
        "octets",
        Against::AtMost(bare_home.installation.memory() as f64, "a home with a bare meter"),
    );
    Ok(())
}

/// Operations that rules look at, and that come to the same at both meters.
fn operations(now: SimInstant) -> Vec<(&'static str, Operation)> {
    vec![
        ("read a register", Operation::Read(DataItem::ActiveImport)),
        ("read a rate's register", Operation::Read(DataItem::TouRegister(1))),
        ("read the price", Operation::Read(DataItem::ActiveTariffPrice)),
        ("read the supply", Operation::Read(DataItem::SupplyState)),
        (
            "read a day of half-hours",
            Operation::ReadLog {
                log: LogKind::ActiveImport,
                from: now - SimDuration::from_days(1),
                to: now,
            },
        ),
        ("show a message", Operation::DisplayMessage("A message".into())),
    ]
}

/// A home whose electricity meter has a profile.
struct Home {
    esme: Profile,
    others: Profile,
    relations: Relations,
    critical: CriticalOperations,
    installation: Installation,
    now: SimInstant,
}

impl Home {
    fn new(esme: Profile) -> Result<Self> {
        let now = SimInstant::from_utc(2019, 7, 20, 10, 7, 0).context("a moment")?;
        let mpan = Mpan::new(9_900_000_000_001).ok().context("13 digits")?;
        let mut config = InstallationConfig::new(Eui64(1), Eui64(2), mpan, Seed::root(7));
        config.installed_at = now - SimDuration::from_days(400);
        let secret = |octet| RelationSecret::new([octet; 32]);
        let relations = Relations {
            smso: secret(1),
            s1sp: secret(2),
            dco: secret(3),
        };
        let others = Profile::default();
        let critical = CriticalOperations::default();
        let context = context(&esme, &others, &relations, &critical, now);
        let installation = Installation::new(&config, &context);
        Ok(Self {
            esme,
            others,
            relations,
            critical,
            installation,
            now,
        })
    }

    /// Microseconds of one operation, at a home of its own.
    fn micros(&self, operation: &Operation) -> Result<f64> {
        let mut installation = self.installation.clone();
        let context = context(&self.esme, &self.others, &self.relations, &self.critical, self.now);
        let access = Access {
            association: Association::Critical,
            party: Some(Party::S1sp),
        };
        let mut refused = false;
        let micros = micros_per_call(Duration::from_millis(100), || {
            let execution = installation.execute(&context, DeviceKind::Esme, access, operation, None);
            refused |= !matches!(execution, Execution::Finished(Ok(_)));
            black_box(execution);
        });
        if refused {
            bail!("{operation} was refused");
        }
        Ok(micros)
    }
}

fn context<'a>(
    esme: &'a Profile,
    others: &'a Profile,
    relations: &'a Relations,
    critical: &'a CriticalOperations,
    now: SimInstant,
) -> Context<'a> {
    Context {
        now,
        profiles: Profiles {
            chf: others,
            esme,
            gpf: None,
            gsme: None,
            ppmid: None,
            ihd: None,
        },
        relations,
        critical,
    }
}
