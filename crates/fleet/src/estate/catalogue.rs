//! The estate of a whole catalogue: every profile in installations of every type.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmc::{Catalogue, DeviceProfile};
use domain::operation::PaymentMode;
use domain::{CommunicationsProvider, DeviceKind, Dmc, InstallationType, ProfileId, Seed};

use super::deal::Spread;
use super::{Combination, Dealt, Estate, EstateError, Service, Shares, TEMPLATES_MAX, Template};

impl Estate {
    /// Every profile of the catalogue in at least one enrolled installation of each type, groups that are in scope only if
    /// directed with the others; of each route one prepayment installation; and one installation of each type that is not
    /// enrolled. A route has as many combinations as its commonest kind of device has profiles.
    ///
    /// A profile that could not be enrolled in a real programme (one without dual control) is enrolled all the same: what
    /// is asked is how its devices answer.
    ///
    /// # Errors
    /// When the catalogue has more routes than an estate can have templates for.
    pub fn of_catalogue(catalogue: &Catalogue) -> Result<Self, EstateError> {
        let mut templates = Vec::new();
        let mut add = |name: String, what: What| {
            let number = u8::try_from(templates.len() + 1).unwrap_or(u8::MAX);
            templates.push(Arc::new(template(name, number, what)));
        };
        let mut first = None;
        for (route, profiles) in by_route(catalogue) {
            let combinations = combinations(&profiles);
            let Some(plainest) = combinations.first().cloned() else {
                continue;
            };
            first.get_or_insert_with(|| plainest.clone());
            for kind in InstallationType::ALL {
                add(format!("{route}-{kind}"), What::enrolled(combinations.clone(), kind));
            }
            let prepayment = What {
                payment: PaymentMode::Prepayment,
                ..What::enrolled(vec![plainest], InstallationType::Active)
            };
            add(format!("{route}-prepayment"), prepayment);
        }
        for kind in InstallationType::ALL {
            let what = What {
                enrolled: false,
                ..What::enrolled(first.iter().cloned().collect(), kind)
            };
            add(format!("before-enrolment-{kind}"), what);
        }
        templates.retain(|template| template.count > 0);
        if templates.len() > TEMPLATES_MAX {
            return Err(EstateError {
                file: "catalogue".to_owned(),
                line: 0,
                problem: format!("{} templates for all routes, at most {TEMPLATES_MAX}", templates.len()),
                hint: Some("write an estate with the routes of interest".to_owned()),
            });
        }
        Ok(Self::of_templates("catalogue".to_owned(), templates))
    }
}

/// A combination, and whether its meter measures a second element.
type Member = (Combination, bool);

/// What a template is made of.
struct What {
    members: Vec<Member>,
    kind: InstallationType,
    payment: PaymentMode,
    enrolled: bool,
}

impl What {
    fn enrolled(members: Vec<Member>, kind: InstallationType) -> Self {
        Self {
            members,
            kind,
            payment: PaymentMode::Credit,
            enrolled: true,
        }
    }
}

/// Each member once, in order.
fn template(name: String, number: u8, what: What) -> Template {
    let count = u32::try_from(what.members.len()).unwrap_or(u32::MAX);
    let services = Service::of(what.kind);
    let in_turn: Vec<Service> = services.iter().copied().cycle().take(what.members.len()).collect();
    let shares = Shares {
        combinations: (0..).zip(&what.members).map(|(at, _)| (at, 1)).collect(),
        services: services.map(|service| (service, 1)).to_vec(),
        payment: vec![(what.payment, 1)],
        two_suppliers: vec![(false, 1)],
        faults: Vec::new(),
        second_element: false,
        enrolled: what.enrolled,
        seed: Seed::root(1).child(&name),
    };
    let (combinations, second): (Vec<Combination>, Vec<bool>) = what.members.into_iter().unzip();
    let dealt = Dealt {
        combination: Spread::Each((0..).take(combinations.len()).collect()),
        service: Spread::Each(in_turn),
        payment: Spread::All(what.payment),
        two_suppliers: Spread::All(false),
        second_element: Spread::Each(second),
        enrolled: Spread::All(what.enrolled),
        faults: Spread::All(0),
    };
    Template {
        name,
        number,
        count,
        combinations,
        shares,
        dealt,
        head_end: None,
        identities: Vec::new(),
    }
}

/// The profiles of each route, by kind, in the order of their names.
fn by_route(catalogue: &Catalogue) -> BTreeMap<&str, Vec<&DeviceProfile>> {
    let mut routes: BTreeMap<&str, Vec<&DeviceProfile>> = BTreeMap::new();
    for profile in catalogue.profiles() {
        routes.entry(&profile.route).or_default().push(profile);
    }
    routes
}

/// Combinations in which every profile of a route stands at least once; none for a route without hub or electricity meter.
fn combinations(profiles: &[&DeviceProfile]) -> Vec<Member> {
    let of = |kind: DeviceKind| -> Vec<&DeviceProfile> {
        profiles
            .iter()
            .copied()
            .filter(|profile| profile.kind == kind)
            .collect()
    };
    let [chf, esme, gpf, gsme, ppmid, ihd] = [
        DeviceKind::Chf,
        DeviceKind::Esme,
        DeviceKind::Gpf,
        DeviceKind::Gsme,
        DeviceKind::Ppmid,
        DeviceKind::Ihd,
    ]
    .map(of);
    let most = [&chf, &esme, &gpf, &gsme, &ppmid, &ihd].into_iter().map(Vec::len).max();
    let nth = |all: &[&DeviceProfile], turn: usize| -> Option<ProfileId> {
        all.get(turn.checked_rem(all.len())?).map(|profile| profile.id.clone())
    };
    let gas = !gpf.is_empty() && !gsme.is_empty();
    let member = |turn: usize| {
        let meter = esme.get(turn.checked_rem(esme.len())?)?;
        let dmc = Dmc {
            provider: profiles
                .first()
                .map_or(CommunicationsProvider::Vodafone, |p| p.provider),
            chf: nth(&chf, turn)?,
            esme: meter.id.clone(),
            gpf: nth(&gpf, turn).filter(|_| gas),
            gsme: nth(&gsme, turn).filter(|_| gas),
            ppmid: nth(&ppmid, turn),
            ihd: nth(&ihd, turn),
        };
        let combination = Combination {
            dmc,
            cohort: meter.slug.clone(),
            smso: meter.smso_code.clone(),
        };
        Some((combination, meter.second_element))
    };
    (0..most.unwrap_or(0)).filter_map(member).collect()
}
