//! All device profiles of a lab, and where they are read from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::ProfileId;

use crate::builtin::BUILTIN;
use crate::error::{Error, FileError};
use crate::layer::read_file;
use crate::layers::Layers;
use crate::otherwise::Otherwise;
use crate::profile::DeviceProfile;

/// All device profiles of a lab.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    profiles: BTreeMap<ProfileId, Arc<DeviceProfile>>,
}

impl Catalogue {
    /// The profiles compiled into the program.
    ///
    /// # Errors
    /// A fault in one of the files; the tests prove that there is none.
    pub fn builtin() -> Result<Self, Error> {
        Ok(Self::from_files(BUILTIN.iter().copied())?)
    }

    /// The built-in profiles and those of the `.toml` files in these directories, which may add firmware to built-in
    /// models. Directories are read in the order given, files in the order of their names; subdirectories are read too.
    ///
    /// # Errors
    /// A directory or file that cannot be read, or the first fault found. Nothing is then loaded.
    pub fn load(extra: &[PathBuf]) -> Result<Self, Error> {
        let mut files = Vec::new();
        for directory in extra {
            collect_files(directory, 0, &mut files)?;
        }
        let builtin = BUILTIN.iter().copied();
        let extra = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(Self::from_files(builtin.chain(extra))?)
    }

    /// A catalogue of exactly these files, each with the name that faults are reported under.
    ///
    /// # Errors
    /// The first fault found.
    pub fn from_files<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, FileError> {
        Self::of_layers(&read_layers(files)?)
    }

    /// The profiles compiled into the program as they would be if rules or the plain device were otherwise: what shows that
    /// a rule does something.
    ///
    /// # Errors
    /// For a rule or a setting that does not exist, and for a value it does not take.
    pub fn builtin_otherwise(otherwise: &Otherwise) -> Result<Self, Error> {
        let mut layers = read_layers(BUILTIN.iter().copied())?;
        otherwise.apply(&mut layers)?;
        Ok(Self::of_layers(&layers)?)
    }

    fn of_layers(layers: &Layers) -> Result<Self, FileError> {
        let profiles = layers.build()?.into_iter();
        Ok(Self {
            profiles: profiles
                .map(|profile| (profile.id.clone(), Arc::new(profile)))
                .collect(),
        })
    }

    /// The profile of this name.
    #[must_use]
    pub fn profile(&self, id: &ProfileId) -> Option<&Arc<DeviceProfile>> {
        self.profiles.get(id)
    }

    /// All profiles in order of their names.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<DeviceProfile>> {
        self.profiles.values()
    }

    /// The plainest profile of this kind on a route: not made up for the lab, and able to be enrolled where one is.
    #[must_use]
    pub fn companion(&self, route: &str, kind: domain::DeviceKind) -> Option<&Arc<DeviceProfile>> {
        let fitting = self
            .profiles()
            .filter(|profile| profile.route == route && profile.kind == kind);
        // Booleans order false before true: real before made up, enrollable before not.
        fitting.min_by_key(|profile| (profile.is_lab(), !profile.meter.dual_control))
    }

    /// The profile a name stands for, or what was probably meant.
    ///
    /// # Errors
    /// The nearest known name, if any is near.
    pub fn find(&self, name: &str) -> Result<&Arc<DeviceProfile>, Option<String>> {
        let exact = name.parse().ok().and_then(|id| self.profiles.get(&id));
        exact.ok_or_else(|| {
            let names = self.profiles.keys().map(ToString::to_string);
            let near = names.map(|known| (strsim::jaro_winkler(name, &known), known));
            near.filter(|(likeness, _)| *likeness >= 0.8)
                .max_by(|(a, _), (b, _)| a.total_cmp(b))
                .map(|(_, known)| known)
        })
    }
}

fn read_layers<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Layers, FileError> {
    let mut layers = Layers::default();
    for (name, text) in files {
        for layer in read_file(name, text)? {
            layers.insert(layer)?;
        }
    }
    Ok(layers)
}

/// Deepest nesting of directories that is read.
const DEPTH_MAX: usize = 8;

fn collect_files(directory: &Path, depth: usize, files: &mut Vec<(String, String)>) -> Result<(), Error> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let entries = std::fs::read_dir(directory).map_err(fault(directory))?;
    let mut paths = entries
        .map(|entry| Ok(entry.map_err(fault(directory))?.path()))
        .collect::<Result<Vec<PathBuf>, Error>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < DEPTH_MAX {
                collect_files(&path, depth + 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(fault(&path))?;
            files.push((path.display().to_string(), text));
        }
    }
    Ok(())
}
