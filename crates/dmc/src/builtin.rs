//! The files compiled into the program, by the names faults are reported under.

macro_rules! files {
    ($($name:literal,)+) => {
        &[$((
            $name,
            include_str!(concat!("../../../", $name)),
        ),)+]
    };
}

/// The built-in profile files.
pub(crate) const BUILTIN: &[(&str, &str)] = files![
    "fixtures/dmc/smets1.toml",
    "fixtures/dmc/aclara/cgi-ie.toml",
    "fixtures/dmc/edmi/edmi.toml",
    "fixtures/dmc/elster/cgi-ie.toml",
    "fixtures/dmc/elster/mds.toml",
    "fixtures/dmc/itron/cgi-ie.toml",
    "fixtures/dmc/landis-gyr/bg-smso.toml",
    "fixtures/dmc/landis-gyr/cgi-ie.toml",
    "fixtures/dmc/landis-gyr/common.toml",
    "fixtures/dmc/secure/secure.toml",
];
