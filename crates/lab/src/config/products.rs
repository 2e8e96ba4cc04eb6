//! What may be in service, and what is known of coverage.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Lists the DCC judges devices by, beside the ones that are built in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductsConfig {
    /// More rows of the Central Products List, as CSV (`device_type,maker,model,fw,status,image_sha256`); a row replaces an
    /// earlier one of the same firmware. The models of all device profiles are listed as active to begin with.
    pub cpl: Vec<PathBuf>,
    /// More rows of the list of eligible combinations, as CSV.
    pub epcl: Vec<PathBuf>,
    /// Whether a meter comes into service only where an entry of that list approves its installation. What an entry refuses
    /// never does.
    pub require_combination: bool,
    /// Coverage that 12.1 answers from, as CSV, in place of the built-in table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wan_matrix: Option<PathBuf>,
}
