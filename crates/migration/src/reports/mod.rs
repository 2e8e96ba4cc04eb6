//! The reports of a migration.

mod form;

pub use form::ReportForm;
pub(crate) use form::read_forms;
