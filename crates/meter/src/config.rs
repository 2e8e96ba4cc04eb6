//! What an installation is born with.

use std::sync::Arc;

use domain::operation::PaymentMode;
use domain::{Eui64, Mpan, Mprn, Seed, SimInstant};

use crate::prepayment::AccountSettings;
use crate::tariff::Tariff;

/// Identities, settings and start values of one installation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstallationConfig {
    /// The hub.
    pub chf: Eui64,
    /// The electricity meter.
    pub esme: Eui64,
    /// Gas proxy and gas meter, where there is gas.
    pub gas: Option<(Eui64, Eui64)>,
    /// The prepayment interface, where there is one.
    pub ppmid: Option<Eui64>,
    /// The in-home display, where there is one.
    pub ihd: Option<Eui64>,
    /// Electricity metering point.
    pub mpan: Mpan,
    /// Gas metering point.
    pub mprn: Option<Mprn>,
    /// Whether the electricity meter measures a second element.
    pub second_element: bool,
    /// Whether the home exports.
    pub generation: bool,
    /// How the customer pays for electricity.
    pub payment_mode: PaymentMode,
    /// How the customer pays for gas.
    pub gas_payment_mode: PaymentMode,
    /// Operated by the S1SP with approvals of the DCO, else by the SMSO without.
    pub enrolled: bool,
    /// Key epoch of all devices at the start.
    pub epoch: u32,
    /// Node of the seed tree of this installation.
    pub seed: Seed,
    /// When the meters were fitted; no log reaches further back.
    pub installed_at: SimInstant,
    /// Import register when fitted, Wh.
    pub start_import_wh: u32,
    /// Gas register when fitted, litres.
    pub start_gas_litres: u32,
    /// Mean consumption of a year in kWh; `None` draws one from the seed.
    pub annual_import_kwh: Option<u32>,
    /// Mean consumption of gas in a year in cubic metres; `None` draws one from the seed.
    pub annual_gas_m3: Option<u32>,
    /// Electricity tariff.
    pub tariff: Arc<Tariff>,
    /// Gas tariff.
    pub gas_tariff: Arc<Tariff>,
    /// Prepayment settings and start balances of electricity.
    pub account: AccountSettings,
    /// Prepayment settings and start balances of gas.
    pub gas_account: AccountSettings,
}

impl InstallationConfig {
    /// An enrolled electricity-only home in credit mode, fitted on 1 January 2017; the rest is for the caller to set.
    #[must_use]
    pub fn new(chf: Eui64, esme: Eui64, mpan: Mpan, seed: Seed) -> Self {
        Self {
            chf,
            esme,
            gas: None,
            ppmid: None,
            ihd: None,
            mpan,
            mprn: None,
            second_element: false,
            generation: false,
            payment_mode: PaymentMode::Credit,
            gas_payment_mode: PaymentMode::Credit,
            enrolled: true,
            epoch: 1,
            seed,
            // 2017-01-01T00:00:00Z.
            installed_at: SimInstant(1_483_228_800_000),
            start_import_wh: 0,
            start_gas_litres: 0,
            annual_import_kwh: None,
            annual_gas_m3: None,
            tariff: Arc::new(Tariff::single_rate()),
            gas_tariff: Arc::new(Tariff::gas_single_rate()),
            account: AccountSettings::default(),
            gas_account: AccountSettings::default(),
        }
    }
}
