//! Where metering points are.
//!
//! It is Registration Data: no request of a user says where a device is, in a migration or else. That registration data
//! providers give the DCC property reference and address with each metering point is recalled, not sourced.

mod place;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Mpxn;

use self::place::{AtAddress, AtUprn};
use crate::index::take_out;

/// Where a metering point is, as 8.2 can look it up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Property {
    /// Up to 12 digits.
    pub uprn: Option<String>,
    /// Post code, 6 to 8 characters.
    pub post_code: Option<String>,
    /// Address identifier, up to 30 characters.
    pub address_identifier: Option<String>,
}

/// The properties of all metering points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    of_point: BTreeMap<Mpxn, Arc<Property>>,
    by_uprn: BTreeMap<AtUprn, Vec<Mpxn>>,
    by_address: BTreeMap<AtAddress, Vec<Mpxn>>,
}

impl Properties {
    /// Says where a metering point is, in place of what was said before.
    pub fn put(&mut self, mpxn: Mpxn, property: Arc<Property>) {
        if let Some(old) = self.of_point.insert(mpxn, Arc::clone(&property)) {
            if let Some(place) = AtUprn::of(&old) {
                take_out(&mut self.by_uprn, &place, &mpxn);
            }
            if let Some(place) = AtAddress::of(&old) {
                take_out(&mut self.by_address, &place, &mpxn);
            }
        }
        // Most properties have one point, or one of each fuel.
        let one = || Vec::with_capacity(1);
        if let Some(place) = AtUprn::of(&property) {
            self.by_uprn.entry(place).or_insert_with(one).push(mpxn);
        }
        if let Some(place) = AtAddress::of(&property) {
            self.by_address.entry(place).or_insert_with(one).push(mpxn);
        }
    }

    /// Where a metering point is.
    #[must_use]
    pub fn of(&self, mpxn: Mpxn) -> Option<&Property> {
        self.of_point.get(&mpxn).map(|property| &**property)
    }

    /// The metering points of a property by its number.
    #[must_use]
    pub fn at_uprn(&self, uprn: &str) -> &[Mpxn] {
        self.by_uprn.get(uprn).map(Vec::as_slice).unwrap_or_default()
    }

    /// The metering points of a property by its address.
    #[must_use]
    pub fn at_address(&self, post_code: &str, address_identifier: &str) -> &[Mpxn] {
        let place = AtAddress::new(post_code, address_identifier);
        self.by_address.get(&place).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Extend<(Mpxn, Arc<Property>)> for Properties {
    fn extend<T: IntoIterator<Item = (Mpxn, Arc<Property>)>>(&mut self, more: T) {
        more.into_iter().for_each(|(mpxn, property)| self.put(mpxn, property));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(uprn: &str, address: &str) -> Arc<Property> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Arc::new(Property {
            uprn: given(uprn),
            post_code: Some("ZZ1 1AA".to_owned()),
            address_identifier: given(address),
        })
    }

    #[test]
    fn points_are_where_it_was_said_last() {
        let (electricity, gas) = ("1200000000001".parse().unwrap(), "77".parse().unwrap());
        let mut all = Properties::default();
        all.extend([electricity, gas].map(|mpxn| (mpxn, property("100", "7"))));
        assert_eq!(all.at_uprn("100"), [electricity, gas]);
        assert_eq!(all.at_address("ZZ1 1AA", "7"), [electricity, gas]);
        all.put(gas, property("", "8"));
        assert_eq!(all.at_uprn("100"), [electricity]);
        assert_eq!(all.at_uprn(""), []);
        assert_eq!(all.at_address("ZZ1 1AA", "8"), [gas]);
        all.put(gas, property("", ""));
        assert_eq!(all.at_address("ZZ1 1AA", "8"), []);
        assert_eq!(all.of(gas).unwrap().uprn, None);
    }
}
