//! The words that files use for items, logs and operations: those of `domain`, with a hyphen for each blank.

use domain::operation::OperationKind;
use domain::{DataItem, LogKind};

/// The item of this name, such as `reactive-import` or `time-debt-1`.
#[must_use]
pub fn item_by_name(name: &str) -> Option<DataItem> {
    DataItem::every().find(|item| item.key() == name)
}

/// The log of this name, such as `active-import`.
#[must_use]
pub fn log_by_name(name: &str) -> Option<LogKind> {
    LogKind::ALL.iter().copied().find(|log| log.key() == name)
}

/// The operation of this name, such as `read-reactive-import`, `read reactive-import` or `arm-supply`.
#[must_use]
pub fn operation_by_name(name: &str) -> Option<OperationKind> {
    OperationKind::from_key(&name.replace(' ', "-"))
}

/// The operation of this name that is no read.
pub(crate) fn act_by_name(name: &str) -> Option<OperationKind> {
    operation_by_name(name).filter(|kind| is_act(*kind))
}

/// All names of operations that are no reads.
pub(crate) fn act_names() -> impl Iterator<Item = String> {
    OperationKind::every()
        .filter(|kind| is_act(*kind))
        .map(OperationKind::key)
}

fn is_act(kind: OperationKind) -> bool {
    !matches!(kind, OperationKind::Read(_) | OperationKind::ReadLog(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_hyphens() {
        assert!(DataItem::every().all(|item| item_by_name(&item.key()) == Some(item)));
        assert!(LogKind::ALL.iter().all(|log| log_by_name(&log.key()) == Some(*log)));
        assert_eq!(item_by_name("tou-register-49"), None);
        let read = OperationKind::Read(DataItem::ReactiveImport);
        assert_eq!(operation_by_name("read reactive-import"), Some(read));
        assert_eq!(act_by_name("read-reactive-import"), None);
        assert_eq!(act_by_name("arm-supply"), Some(OperationKind::ArmSupply));
    }
}
