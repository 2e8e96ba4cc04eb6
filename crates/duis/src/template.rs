//! Service elements made from the structure table: as little as the schema permits, plus what is wished for.
//!
//! The table of version 5.1 is used: what it permits version 5.4 permits too.

use std::collections::BTreeMap;

use domain::SimInstant;

use crate::element::{Element, Namespace};
use crate::table::{Group, GroupKind, Particle, Table, Term, TypeRef, Version};

/// Which fuel's alternative is taken where the schema offers both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fuel {
    /// Electricity.
    #[default]
    Electricity,
    /// Gas.
    Gas,
}

/// What a template should have beyond the least the schema asks for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// What dates are when nothing else is said.
    pub at: SimInstant,
    /// Which alternative is taken where the schema offers one for each fuel.
    pub fuel: Fuel,
    /// Elements to include although they are optional, and alternatives to take, by name. With a value, the text they get;
    /// one that the type does not permit is left out by [`body`] and shows in the schema check of the writer.
    pub elements: BTreeMap<String, Option<String>>,
}

/// The service element of this name, for example `ReadSupplyStatus`. None for a name that no request has.
#[must_use]
pub fn body(name: &str, wishes: &Wishes) -> Option<Element> {
    let table = Version::V5_1.table();
    let (namespace, name, kind) = service(table, name)?;
    Some(Maker { table, wishes }.element(namespace, name, kind, (0, 1)))
}

/// The names of all service elements, in the order of the schema: one for each service request, and the signed pre-command.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let table = Version::V5_1.table();
    let all = services(table).into_iter().flat_map(|group| particles(table, group));
    let named = all.filter_map(|particle| match particle.term {
        Term::Element(_, name, _) => Some(name),
        Term::Group(_) => None,
    });
    named.collect()
}

/// Where the service elements stand: the choice in `Body` of `Request`, whose type is the first root.
fn services(table: &Table) -> Option<&Group> {
    let (.., request) = table.roots.first()?;
    let envelope = children(table, *request)?;
    let body = envelope.particles.iter().find_map(|particle| match particle.term {
        Term::Element(_, "Body", kind) => Some(kind),
        _ => None,
    })?;
    children(table, body)
}

fn service(table: &Table, wanted: &str) -> Option<(Namespace, &'static str, TypeRef)> {
    particles(table, services(table)?).find_map(|particle| match particle.term {
        Term::Element(namespace, name, kind) if name == wanted => Some((namespace, name, kind)),
        _ => None,
    })
}

/// The particles of a group, those of groups in it one level down included.
fn particles<'a>(table: &'a Table, group: &'a Group) -> impl Iterator<Item = &'a Particle> {
    group.particles.iter().flat_map(|particle| {
        let inner = match particle.term {
            Term::Group(group) => table.groups.get(group),
            Term::Element(..) => None,
        };
        std::iter::once(particle).chain(inner.into_iter().flat_map(|group| &group.particles))
    })
}

fn children(table: &Table, kind: TypeRef) -> Option<&Group> {
    let TypeRef::Complex(complex) = kind else { return None };
    table.groups.get(table.complexes.get(complex)?.group?)
}

struct Maker<'a> {
    table: &'static Table,
    wishes: &'a Wishes,
}

impl Maker<'_> {
    /// `depth`, and the place among its like, from 1: what an index counts.
    fn element(
        &self,
        namespace: Namespace,
        name: &'static str,
        kind: TypeRef,
        (depth, place): (usize, u32),
    ) -> Element {
        let mut element = Element::new(namespace, name);
        let complex = match kind {
            TypeRef::Simple(simple) => {
                element.text = self.text(name, simple);
                return element;
            }
            TypeRef::Complex(complex) => self.table.complexes.get(complex),
        };
        let Some(complex) = complex else { return element };
        for attribute in complex.attributes.iter().filter(|attribute| attribute.required) {
            let value = match attribute.name {
                "index" => place.to_string(),
                name => self.text(name, attribute.simple),
            };
            element.attributes.push((attribute.name, value));
        }
        if let Some(simple) = complex.text {
            element.text = self.text(name, simple);
        }
        if let Some(group) = complex.group.and_then(|group| self.table.groups.get(group)) {
            self.group(group, &mut element, depth + 1);
        }
        element
    }

    fn text(&self, name: &str, simple: usize) -> String {
        let wished = self.wishes.elements.get(name).cloned().flatten();
        let simple = self.table.simples.get(simple);
        wished
            .or_else(|| simple.and_then(|simple| simple.example(self.wishes.at)))
            .unwrap_or_default()
    }

    fn group(&self, group: &Group, into: &mut Element, depth: usize) {
        // The table has no recursion; the limit is for a table that gets one.
        if depth > DEPTH_MAX {
            return;
        }
        match group.kind {
            GroupKind::Choice => {
                // Of equals the first, as the schema lists them.
                let best = group
                    .particles
                    .iter()
                    .rev()
                    .max_by_key(|particle| self.liking(particle));
                if let Some(particle) = best {
                    self.particle(particle, into, depth);
                }
            }
            GroupKind::Sequence => {
                for particle in &group.particles {
                    self.particle(particle, into, depth);
                }
            }
        }
    }

    fn particle(&self, particle: &Particle, into: &mut Element, depth: usize) {
        let wished = self.names(particle).iter().any(|name| self.wished(name));
        let times = particle.min.max(u32::from(wished)).min(particle.max);
        for place in 1..=times {
            match particle.term {
                Term::Element(namespace, name, kind) => {
                    into.children.push(self.element(namespace, name, kind, (depth, place)));
                }
                Term::Group(group) => {
                    if let Some(group) = self.table.groups.get(group) {
                        self.group(group, into, depth + 1);
                    }
                }
            }
        }
    }

    /// The names a particle can begin with.
    fn names(&self, particle: &Particle) -> Vec<&'static str> {
        match particle.term {
            Term::Element(_, name, _) => vec![name],
            Term::Group(group) => {
                let group = self.table.groups.get(group);
                let first = group.map(|group| group.first.as_slice()).unwrap_or_default();
                first.iter().map(|(_, name, _)| *name).collect()
            }
        }
    }

    fn wished(&self, name: &str) -> bool {
        self.wishes.elements.contains_key(name)
    }

    /// Wished for by name, then of the right fuel, then of none.
    fn liking(&self, particle: &Particle) -> u8 {
        let names = self.names(particle);
        let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
        if any(&|name| self.wished(name)) {
            return 3;
        }
        match (any(&is_gas), any(&is_electricity)) {
            (true, true) | (false, false) => 1,
            (gas, _) if gas == (self.wishes.fuel == Fuel::Gas) => 2,
            _ => 0,
        }
    }
}

fn is_gas(name: &str) -> bool {
    name.starts_with("Gas") || name.contains("Gas") || name.contains("MPRN")
}

fn is_electricity(name: &str) -> bool {
    name.starts_with("Elec") || name.contains("Elec") || name.contains("MPAN")
}

const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, fuel: Fuel, elements: &[(&str, Option<&str>)], expected: &[&str]) {
        let wishes = Wishes {
            fuel,
            elements: elements
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
            ..Wishes::default()
        };
        let body = body(name, &wishes).expect(name);
        let names: Vec<&str> = body.children.iter().map(|child| child.name).collect();
        assert_eq!(names, expected, "{name}");
    }

    #[test]
    fn alternatives_and_optional_elements_follow_the_wishes() {
        let dated = ("ExecutionDateTime", Some("2020-07-01T00:00:00.00Z"));
        check("ReadMeterBalance", Fuel::Gas, &[], &[]);
        check("ReadMeterBalance", Fuel::Gas, &[dated], &["ExecutionDateTime"]);
        check("UpdateMeterBalance", Fuel::Gas, &[], &["PrepaymentMode"]);
        check(
            "UpdateMeterBalance",
            Fuel::Gas,
            &[("CreditMode", None)],
            &["CreditMode"],
        );
        let (electricity, gas) = ("ElectricityBillingCalendar", "GasBillingCalendar");
        let name = "UpdateDeviceConfigurationBillingCalendar";
        check(name, Fuel::Electricity, &[], &[electricity]);
        check(name, Fuel::Gas, &[], &[gas]);
        check("ReadInventory", Fuel::Electricity, &[], &["UPRN"]);
        check("ReadInventory", Fuel::Electricity, &[("DeviceID", None)], &["DeviceID"]);
        assert_eq!(body("NoSuchElement", &Wishes::default()), None);
        let tariff = body("UpdateImportTariffPrimaryElement", &Wishes::default()).expect("made");
        let mut places = Vec::new();
        gather(&tariff, "Thresholds", &mut places);
        assert_eq!(
            places,
            ["1", "2", "3", "4", "5", "6", "7", "8"],
            "each has a place of its own"
        );
    }

    fn gather<'a>(element: &'a Element, name: &str, places: &mut Vec<&'a str>) {
        if element.name == name {
            places.extend(element.attribute("index"));
        }
        element.children.iter().for_each(|child| gather(child, name, places));
    }
}
