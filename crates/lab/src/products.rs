//! The product lists of a lab: the models of its device profiles, the built-in files, and those of the configuration.

use std::path::Path;

use dcc::{Products, WanMatrix};
use dmc::{Catalogue, FileError};
use domain::image;

use crate::config::{ConfigError, ProductsConfig};
use crate::files::read_text;
use crate::parts::BuildError;

/// Both lists.
///
/// # Errors
/// When a file cannot be read or is no list.
pub(crate) fn products(config: &ProductsConfig, catalogue: &Catalogue) -> Result<Products, BuildError> {
    let mut products = Products::default();
    for profile in catalogue.profiles() {
        // The image that `s1lab image make` makes when it is told no length.
        let image = image::hash(&profile.image_head().image(image::USUAL_OCTETS));
        products.list_image(profile.kind, &profile.model, image.0);
    }
    let builtin = |error: FileError| problem(Path::new("<built in>"), &error);
    products
        .add_cpl(include_str!("../../../fixtures/products/cpl.csv"))
        .map_err(builtin)?;
    products
        .add_combinations(include_str!("../../../fixtures/products/epcl.csv"), Some(catalogue))
        .map_err(builtin)?;
    for path in &config.cpl {
        products
            .add_cpl(&read_text(path)?)
            .map_err(|error| problem(path, &error))?;
    }
    for path in &config.epcl {
        products
            .add_combinations(&read_text(path)?, Some(catalogue))
            .map_err(|error| problem(path, &error))?;
    }
    Ok(products)
}

/// Coverage.
///
/// # Errors
/// When the file cannot be read or is no table.
pub(crate) fn wan_matrix(config: &ProductsConfig) -> Result<WanMatrix, BuildError> {
    match &config.wan_matrix {
        None => Ok(WanMatrix::builtin()),
        Some(path) => Ok(WanMatrix::from_csv(&read_text(path)?).map_err(|error| problem(path, &error))?),
    }
}

fn problem(path: &Path, error: &FileError) -> ConfigError {
    ConfigError {
        file: path.display().to_string(),
        line: Some(error.line),
        problem: error.reason.clone(),
        hint: error
            .suggestion
            .as_ref()
            .map(|meant| format!("did you mean {meant:?}?")),
    }
}

#[cfg(test)]
mod tests {
    use domain::{DeviceKind, DeviceModel};

    use super::*;

    #[test]
    fn the_models_of_all_profiles_and_the_built_in_rows_are_listed() {
        let catalogue = Catalogue::builtin().unwrap();
        let products = products(&ProductsConfig::default(), &catalogue).unwrap();
        for profile in catalogue.profiles() {
            assert!(products.permits(profile.kind, &profile.model), "{}", profile.id);
        }
        let old = DeviceModel {
            manufacturer: "LAB".into(),
            model: "LAB-OLD".into(),
            hardware: String::new(),
            firmware: "LAB-0001".into(),
        };
        assert!(!products.permits(DeviceKind::Esme, &old));
        assert_eq!(products.combinations().len(), 2);
        let missing = ProductsConfig {
            cpl: vec!["no-such-file.csv".into()],
            ..ProductsConfig::default()
        };
        assert!(super::products(&missing, &catalogue).is_err());
    }
}
