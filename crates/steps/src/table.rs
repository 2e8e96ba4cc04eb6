//! The service request table: what is known of each of the 129 service requests, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::operation::{CriticalOperations, OperationKind};
use domain::{Confidence, DeviceKind, Srv, UserRole};

use crate::data::{Cells, TableError};
use crate::errors::Failure;

/// Who answers a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// The DCC alone; the target is the DCC's own EUI-64.
    DccOnly,
    /// A device, through the S1SP.
    Device,
}

/// Who holds a future-dated request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DatedBy {
    /// The DCC.
    Dcc,
    /// The DCC, then the device.
    DccAndDevice,
    /// The device; for SMETS1 probably the DCC or the S1SP in its place (inferred).
    Device,
    /// Cannot be future dated.
    Nobody,
}

/// Whether a request applies to SMETS1 devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Applicability {
    /// It depends on the device model.
    ByModel,
    /// It does not.
    No,
    /// Not established; refused by default.
    Unknown,
    /// It does.
    Yes,
}

/// How far this lab emulates a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// Answered by the mock DCC.
    Dcc,
    /// Runs from the user to the device and back.
    EndToEnd,
    /// Refused, whatever the device: not for SMETS1, or not known to be.
    Refused,
}

/// One service request variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its reference variant.
    pub srv: Srv,
    /// Its name.
    pub name: &'static str,
    /// Whether it is critical.
    pub critical: bool,
    /// Who answers it.
    pub mode: Mode,
    /// Who holds it when future dated.
    pub dated_by: DatedBy,
    /// Whether a DCC schedule may run it.
    pub schedulable: bool,
    /// The roles that may send it; empty for a few that no user role may.
    pub roles: Vec<UserRole>,
    /// The devices it may be sent to; empty for DCC-only requests.
    pub kinds: Vec<DeviceKind>,
    /// The element in the request's body.
    pub body: &'static str,
    /// The payload element of the answer, where there is one.
    pub payload: Option<&'static str>,
    /// Whether it applies to SMETS1 devices.
    pub smets1: Applicability,
    /// How sure that is.
    pub confidence: Confidence,
    /// How far the lab has it.
    pub state: State,
    /// The state-changing device operations it stands for, as far as the lab has them.
    pub acts: Vec<OperationKind>,
    codes: [Vec<u16>; 3],
}

impl Row {
    /// The message codes that an answer from a device of this kind may carry, the usual one first.
    #[must_use]
    pub fn message_codes(&self, kind: DeviceKind) -> &[u16] {
        let [esme, gas, chf] = &self.codes;
        match kind {
            DeviceKind::Chf => chf,
            DeviceKind::Esme => esme,
            DeviceKind::Gpf | DeviceKind::Gsme => gas,
            DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => &[],
        }
    }

    /// Whether a user in this role may send it.
    #[must_use]
    pub fn allows(&self, role: UserRole) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it may be sent to a SMETS1 device of this kind, by type alone.
    ///
    /// # Errors
    /// [`Failure::NotSmets1`] where the request does not apply to SMETS1 at all, [`Failure::NotApplicable`] where it does
    /// not fit the kind, [`Failure::NotEmulated`] where this lab does not have it.
    pub fn applies_to(&self, kind: DeviceKind) -> Result<(), Failure> {
        if self.mode == Mode::DccOnly || matches!(self.smets1, Applicability::No | Applicability::Unknown) {
            return Err(Failure::NotSmets1);
        }
        if !self.kinds.contains(&kind) {
            return Err(Failure::NotApplicable);
        }
        if self.state == State::EndToEnd {
            Ok(())
        } else {
            Err(Failure::NotEmulated)
        }
    }
}

/// The three services of the DCC user interface that take requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ServicePath {
    /// Non-device and local: `serviceD`.
    Dcc,
    /// Send command: `serviceS`.
    Send,
    /// Transform: `serviceT`.
    Transform,
}

impl ServicePath {
    /// Last part of the path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dcc => "serviceD",
            Self::Send => "serviceS",
            Self::Transform => "serviceT",
        }
    }

    /// From a whole path such as `/api/v1/serviceS`, by its last part; `None` for any other.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        let last = path.rsplit('/').next()?;
        [Self::Dcc, Self::Send, Self::Transform]
            .into_iter()
            .find(|service| service.as_str() == last)
    }
}

/// What becomes of one command variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variant {
    /// The service it belongs to.
    pub path: ServicePath,
    /// The failure that refuses it; `None` where it is accepted.
    pub refusal: Option<Failure>,
    /// How sure.
    pub confidence: Confidence,
    /// Why.
    pub text: &'static str,
}

/// The whole table.
#[derive(Debug)]
pub struct Table {
    rows: BTreeMap<Srv, Row>,
    variants: BTreeMap<(Mode, u8), Variant>,
}

impl Table {
    /// The row of a variant, if there is such a service request.
    #[must_use]
    pub fn row(&self, srv: Srv) -> Option<&Row> {
        self.rows.get(&srv)
    }

    /// All rows in order of their reference.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The rule for a command variant.
    #[must_use]
    pub fn variant(&self, mode: Mode, command_variant: u8) -> Option<&Variant> {
        self.variants.get(&(mode, command_variant))
    }

    /// Whether a request of this row may come with this command variant on this service.
    ///
    /// # Errors
    /// [`Failure::WrongPath`] when the variant belongs to another service, else what refuses the variant.
    pub fn check_variant(&self, row: &Row, command_variant: u8, path: ServicePath) -> Result<(), Failure> {
        let rule = self
            .variant(row.mode, command_variant)
            .ok_or(Failure::VariantNotAllowed)?;
        match rule.refusal {
            _ if rule.path != path => Err(Failure::WrongPath),
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn read(requests: &'static str, variants: &'static str, commissioning: &'static str) -> Result<Self, TableError> {
        let mut rows = BTreeMap::new();
        for cells in Cells::rows("requests.tsv", requests)? {
            let row = read_row(&cells)?;
            if let Some(twice) = rows.insert(row.srv, row) {
                return Err(cells.error("srv", format!("{} stands here twice", twice.srv)));
            }
        }
        // The role of the commissioning party is the lab's own: it stands apart from the sourced matrix.
        for cells in Cells::rows("commissioning_party.tsv", commissioning)? {
            let srv: Srv = cells.parse("srv")?;
            let row = rows.get_mut(&srv);
            let row: &mut Row = row.ok_or_else(|| cells.error("srv", format!("requests.tsv has no {srv}")))?;
            row.roles.push(UserRole::CommissioningParty);
        }
        let mut by_mode = BTreeMap::new();
        for cells in Cells::rows("variants.tsv", variants)? {
            let variant = Variant {
                path: ServicePath::from_path(cells.text("path")?)
                    .ok_or_else(|| cells.error("path", "expected serviceD, serviceS or serviceT"))?,
                refusal: match cells.text("verdict")? {
                    "accept" => None,
                    _ => Some(cells.parse("verdict")?),
                },
                confidence: cells.parse("confidence")?,
                text: cells.text("text")?,
            };
            by_mode.insert((read_mode(&cells)?, cells.parse("cv")?), variant);
        }
        Ok(Self {
            rows,
            variants: by_mode,
        })
    }
}

/// The table compiled into the program.
///
/// # Panics
/// Never: that the compiled-in text reads is proved by the tests.
#[must_use]
pub fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        Table::read(
            include_str!("../data/requests.tsv"),
            include_str!("../data/variants.tsv"),
            include_str!("../data/commissioning_party.tsv"),
        )
        .expect("the compiled-in tables read, which the tests prove")
    });
    &TABLE
}

/// The operations that need a DCO approval on an enrolled device: the acts of the critical requests.
#[must_use]
pub fn critical_operations() -> CriticalOperations {
    CriticalOperations::new(
        table()
            .rows()
            .filter(|row| row.critical)
            .flat_map(|row| row.acts.iter().copied()),
    )
}

fn read_mode(cells: &Cells) -> Result<Mode, TableError> {
    cells.choice("mode", &[("dcc", Mode::DccOnly), ("device", Mode::Device)])
}

fn read_row(cells: &Cells) -> Result<Row, TableError> {
    Ok(Row {
        srv: cells.parse("srv")?,
        name: cells.text("name")?,
        critical: cells.choice("critical", &[("-", false), ("critical", true)])?,
        mode: read_mode(cells)?,
        dated_by: cells.choice(
            "dated_by",
            &[
                ("-", DatedBy::Nobody),
                ("dcc", DatedBy::Dcc),
                ("dcc+device", DatedBy::DccAndDevice),
                ("device", DatedBy::Device),
            ],
        )?,
        schedulable: cells.choice("schedule", &[("-", false), ("schedulable", true)])?,
        roles: cells.list("roles")?,
        kinds: cells.list("kinds")?,
        body: cells.text("body")?,
        payload: cells.optional("payload")?,
        codes: [
            cells.codes("code_esme")?,
            cells.codes("code_gas")?,
            cells.codes("code_chf")?,
        ],
        smets1: cells.choice(
            "smets1",
            &[
                ("model", Applicability::ByModel),
                ("no", Applicability::No),
                ("unknown", Applicability::Unknown),
                ("yes", Applicability::Yes),
            ],
        )?,
        confidence: cells.parse("confidence")?,
        state: cells.choice(
            "state",
            &[
                ("dcc", State::Dcc),
                ("end-to-end", State::EndToEnd),
                ("refused", State::Refused),
            ],
        )?,
        acts: cells
            .optional("act")?
            .unwrap_or_default()
            .split_whitespace()
            .map(|key| {
                OperationKind::from_key(key)
                    .ok_or_else(|| cells.error("act", format!("{key:?} is no device operation such as arm-supply")))
            })
            .collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(srv: &str) -> &'static Row {
        table().row(srv.parse().unwrap()).unwrap()
    }

    #[test]
    fn all_requests_are_known() {
        assert_eq!(table().rows().count(), 129);
        for row in table().rows() {
            assert_eq!(row.mode == Mode::DccOnly, row.kinds.is_empty(), "{}", row.srv);
            assert!(row.acts.is_empty() || row.mode == Mode::Device, "{}", row.srv);
            let applies = matches!(row.smets1, Applicability::ByModel | Applicability::Yes);
            if applies || row.mode == Mode::Device {
                assert_eq!(row.state == State::Refused, !applies, "{}", row.srv);
            }
        }
    }

    #[test]
    fn what_is_critical_comes_from_the_table() {
        let critical: Vec<_> = critical_operations().iter().collect();
        for row in table().rows() {
            for act in &row.acts {
                // What two requests stand for is critical with both or with neither.
                assert_eq!(critical.contains(act), row.critical, "{} {act}", row.srv);
            }
        }
        for kind in [
            OperationKind::ArmSupply,
            OperationKind::ChangeDebt,
            OperationKind::EnableSupply,
            OperationKind::SynchroniseClock,
        ] {
            assert!(critical.contains(&kind), "{kind}");
        }
        assert!(!row("2.2").critical, "a token authenticates itself");
        assert!(row("6.11").critical);
    }

    #[test]
    fn command_variants_of_smets1_requests() {
        let check = |srv: &str, cv, path| table().check_variant(row(srv), cv, path);
        assert_eq!(check("4.1.1", 1, ServicePath::Send), Ok(()));
        assert_eq!(check("7.2", 1, ServicePath::Send), Ok(()), "critical too");
        assert_eq!(check("7.2", 4, ServicePath::Transform), Err(Failure::VariantNotAllowed));
        assert_eq!(check("7.2", 5, ServicePath::Send), Err(Failure::VariantNotAllowed));
        assert_eq!(check("7.2", 1, ServicePath::Dcc), Err(Failure::WrongPath));
        assert_eq!(check("8.2", 8, ServicePath::Dcc), Ok(()));
        assert_eq!(check("8.2", 8, ServicePath::Transform), Err(Failure::WrongPath));
        assert_eq!(check("8.2", 1, ServicePath::Send), Err(Failure::VariantNotAllowed));
        assert_eq!(check("8.2", 9, ServicePath::Dcc), Err(Failure::VariantNotAllowed));
    }

    #[test]
    fn requests_fit_kinds_of_device() {
        assert_eq!(row("7.1").applies_to(DeviceKind::Esme), Ok(()));
        assert_eq!(row("7.1").applies_to(DeviceKind::Gsme), Err(Failure::NotApplicable));
        assert_eq!(row("4.2").applies_to(DeviceKind::Gpf), Err(Failure::NotApplicable));
        assert_eq!(row("6.28").applies_to(DeviceKind::Chf), Err(Failure::NotSmets1));
        assert_eq!(row("6.17").applies_to(DeviceKind::Esme), Err(Failure::NotSmets1));
        assert_eq!(row("4.1.1").message_codes(DeviceKind::Gpf), [0x0074]);
        assert_eq!(row("8.9").message_codes(DeviceKind::Chf).first(), Some(&0x00FE));
    }
}
