//! Properties as keys of an index: the shared property itself, seen by one of its two names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::Property;

/// A property that has a number, ordered by it.
#[derive(Clone, Debug)]
pub(super) struct AtUprn(Arc<Property>);

/// A property that has a whole address, ordered by post code and address identifier.
#[derive(Clone, Debug)]
pub(super) struct AtAddress(Arc<Property>);

impl AtUprn {
    pub(super) fn of(property: &Arc<Property>) -> Option<Self> {
        property.uprn.is_some().then(|| Self(Arc::clone(property)))
    }

    fn name(&self) -> &str {
        self.0.uprn.as_deref().unwrap_or_default()
    }
}

impl AtAddress {
    pub(super) fn of(property: &Arc<Property>) -> Option<Self> {
        let whole = property.post_code.is_some() && property.address_identifier.is_some();
        whole.then(|| Self(Arc::clone(property)))
    }

    /// For a look-up.
    pub(super) fn new(post_code: &str, address_identifier: &str) -> Self {
        Self(Arc::new(Property {
            uprn: None,
            post_code: Some(post_code.to_owned()),
            address_identifier: Some(address_identifier.to_owned()),
        }))
    }

    fn name(&self) -> (Option<&str>, Option<&str>) {
        (self.0.post_code.as_deref(), self.0.address_identifier.as_deref())
    }
}

impl Borrow<str> for AtUprn {
    fn borrow(&self) -> &str {
        self.name()
    }
}

impl Ord for AtUprn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for AtUprn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AtUprn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AtUprn {}

impl Ord for AtAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl PartialOrd for AtAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AtAddress {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AtAddress {}
