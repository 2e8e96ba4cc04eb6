//! What the DCC looks up by something that several things share.

use std::collections::BTreeMap;

/// Takes a value out from under a key; a key with none left is gone.
pub(crate) fn take_out<K: Ord, V: PartialEq>(index: &mut BTreeMap<K, Vec<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.retain(|other| other != value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
