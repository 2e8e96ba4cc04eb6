//! The codes that meters take for suppliers' codes: which were made, and what a supplier is told of them.

use std::collections::{BTreeMap, VecDeque};

use domain::keys::Purpose;
use domain::utrn::{CodeForm, NATIVE_PENCE_MAX, NativeToken, Utrn};
use domain::{DeviceKind, Eui64};
use proto::S1spAlert;
use world::StoreError;

use crate::options::{UtrnAlert, UtrnOrder};
use crate::verify::Verified;
use crate::work::{Context, Outcome};

/// Suppliers' codes of one meter remembered; one that comes again later is a new code to the meter too.
const REMEMBERED: usize = 256;

/// Code of the S1SP alert that carries the meter's own code of a top-up (ours).
pub const TOP_UP_CODE: &str = "LAB-UTRN";

/// Command variant of a top-up that the DCC asks for and that is to be given away only, for the keys of the meter (the
/// schema's number for local delivery; that a vend uses it is ours).
pub(crate) const FOR_THE_KEYS: u8 = 2;

/// Which counters were used for which suppliers' codes, by meter.
#[derive(Debug, Default)]
pub(crate) struct Codes(BTreeMap<Eui64, OfMeter>);

#[derive(Debug, Default)]
struct OfMeter {
    last: u32,
    known: VecDeque<(u64, u32)>,
}

impl Codes {
    pub(crate) fn counter(&self, meter: Eui64, utrn: u64) -> Option<u32> {
        let known = &self.0.get(&meter)?.known;
        known
            .iter()
            .find(|(other, _)| *other == utrn)
            .map(|(_, counter)| *counter)
    }

    pub(crate) fn next(&self, meter: Eui64) -> u32 {
        self.0.get(&meter).map_or(0, |of| of.last).wrapping_add(1)
    }

    /// Meter, supplier's code and counter of all that are remembered, each meter's in the order they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Eui64, u64, u32)> {
        let all = self.0.iter();
        all.flat_map(|(meter, of)| of.known.iter().map(move |(utrn, counter)| (*meter, *utrn, *counter)))
    }

    pub(crate) fn put(&mut self, meter: Eui64, utrn: u64, counter: u32) {
        let of = self.0.entry(meter).or_default();
        of.last = counter;
        of.known.push_back((utrn, counter));
        if of.known.len() > REMEMBERED {
            of.known.pop_front();
        }
    }
}

impl Context {
    /// The code that the meter takes for the one in a top-up request. None for other requests, and where the meter or the
    /// code is none.
    pub(crate) fn code(&self, verified: &Verified) -> Result<Option<String>, StoreError> {
        let digits = verified.request.body.child_text("UTRN").map(str::trim);
        let Some(utrn) = digits.and_then(|digits| digits.parse::<Utrn>().ok()) else {
            return Ok(None);
        };
        let id = verified.request.id;
        let site = self.directory.site(verified.hub);
        let device = site.as_ref().and_then(|site| site.device(id.target));
        let Some(device) = device.filter(|device| matches!(device.slot, DeviceKind::Esme | DeviceKind::Gsme)) else {
            return Ok(None);
        };
        let token = NativeToken {
            pence: (utrn.milli_pence / 1_000).min(NATIVE_PENCE_MAX),
            counter: self.journal().code_counter(id.target, fingerprint(&utrn))?,
        };
        let key = self.custody.key(id.target, &device.keys, Purpose::Token);
        let form = CodeForm::of_family(&device.profile.family);
        Ok(Some(token.digits(form, &key, id.target)))
    }

    /// Whether the supplier is told at once: before the meter is tried.
    pub(crate) fn told_first(&self, verified: &Verified) -> bool {
        let policy = (self.vending.alert, self.vending.order);
        verified.request.command_variant != FOR_THE_KEYS && policy == (UtrnAlert::Always, UtrnOrder::BeforeResponse)
    }

    /// Adds to the outcome of a top-up what the supplier is told of its code, as the policy has it.
    pub(crate) fn tell_code(&self, verified: &Verified, code: String, outcome: &mut Outcome) {
        let for_the_keys = verified.request.command_variant == FOR_THE_KEYS;
        let wanted = match self.vending.alert {
            UtrnAlert::Always => !self.told_first(verified),
            UtrnAlert::Never => false,
            UtrnAlert::OnFailure => !outcome.worked,
        };
        // What was made to be given away is given away, else nobody would have it.
        if !(wanted || for_the_keys) {
            return;
        }
        let text = match (for_the_keys, outcome.worked) {
            (true, _) => "to be entered at the meter",
            (false, true) => "the meter has taken this code",
            (false, false) => "the meter has not taken this code: the customer can enter it",
        };
        if let Some(alert) = self.code_alert(verified, code, text) {
            outcome.alert = Some(alert);
            outcome.alert_first = self.vending.order == UtrnOrder::BeforeResponse;
        }
    }

    /// The alert that gives the supplier the code, and nobody else: it is money.
    pub(crate) fn code_alert(&self, verified: &Verified, code: String, text: &str) -> Option<S1spAlert> {
        let alert = self.signed_alert(verified, TOP_UP_CODE, text, Some(code))?;
        Some(S1spAlert {
            user: verified.remote_party.0,
            ..alert
        })
    }
}

/// What tells a supplier's code from every other one in this lab.
fn fingerprint(utrn: &Utrn) -> u64 {
    // Nineteen digits without the check digit are the number, and it is below 2^63.
    let digits = utrn.to_string();
    digits
        .get(..19)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}
