//! Who the users are, in which roles, and which of them is registered for which metering point.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use domain::{DeviceKind, Eui64, Mpxn, UserRole};
use serde::{Deserialize, Deserializer};

/// One DCC user.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its EUI-64, the originator of its requests.
    #[serde(deserialize_with = "from_text")]
    pub eui: Eui64,
    /// Its name, for people.
    pub name: String,
    /// The roles it may send in.
    #[serde(deserialize_with = "from_texts")]
    pub roles: Vec<UserRole>,
    /// Serial numbers, decimal, of the certificates it may sign with. Empty: any known certificate that names its EUI-64.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Where its responses go: opaque here, the lab's listener reads it.
    #[serde(default)]
    pub call_back: Option<String>,
    /// Whether it is suspended as a user; its requests are then refused.
    #[serde(default)]
    pub suspended: bool,
}

/// Registration data: who acts in a role at a metering point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The metering point.
    #[serde(deserialize_with = "from_text")]
    pub mpxn: Mpxn,
    /// The role.
    #[serde(deserialize_with = "from_text")]
    pub role: UserRole,
    /// The user.
    #[serde(deserialize_with = "from_text")]
    pub user: Eui64,
}

/// A directory that contradicts itself, or text that is no directory.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The text is not what it should be; the message names line and column.
    #[error("read the user directory: {0}")]
    Text(String),
    /// Two users with one EUI-64.
    #[error("user {0} appears twice")]
    UserTwice(Eui64),
}

/// The user directory and the registration data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    users: BTreeMap<Eui64, User>,
    registered: BTreeMap<(Mpxn, UserRole), Eui64>,
}

impl Directory {
    /// From users and registrations; a later registration of the same metering point and role replaces an earlier one.
    ///
    /// # Errors
    /// When two users have one EUI-64.
    pub fn new(
        users: impl IntoIterator<Item = User>,
        registrations: impl IntoIterator<Item = Registration>,
    ) -> Result<Self, DirectoryError> {
        let mut directory = Self::default();
        for user in users {
            let eui = user.eui;
            if directory.users.insert(eui, user).is_some() {
                return Err(DirectoryError::UserTwice(eui));
            }
        }
        for registration in registrations {
            directory.register(registration);
        }
        Ok(directory)
    }

    /// From TOML: `[[user]]` and `[[registration]]` tables.
    ///
    /// # Errors
    /// When the text is not what it should be, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, DirectoryError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            user: Vec<User>,
            #[serde(default)]
            registration: Vec<Registration>,
        }
        let file: File = toml::from_str(text).map_err(|error| DirectoryError::Text(error.to_string()))?;
        Self::new(file.user, file.registration)
    }

    /// Adds or replaces one registration.
    pub fn register(&mut self, registration: Registration) {
        self.registered
            .insert((registration.mpxn, registration.role), registration.user);
    }

    /// The user with this EUI-64.
    #[must_use]
    pub fn user(&self, eui: Eui64) -> Option<&User> {
        self.users.get(&eui)
    }

    /// All users in order of their EUI-64.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Who is registered in this role at this metering point.
    #[must_use]
    pub fn registered(&self, mpxn: Mpxn, role: UserRole) -> Option<Eui64> {
        self.registered.get(&(mpxn, role)).copied()
    }
}

/// The roles that have to do with this kind of device at all: those of its fuel, and those of both.
///
/// A hub serves both fuels. Source: names of the roles (inferred).
#[must_use]
pub fn role_fits(role: UserRole, kind: DeviceKind) -> bool {
    let electricity = matches!(
        role,
        UserRole::ImportSupplier | UserRole::ExportSupplier | UserRole::ElectricityDistributor
    );
    let gas = matches!(role, UserRole::GasSupplier | UserRole::GasTransporter);
    match kind {
        DeviceKind::Esme => !gas,
        DeviceKind::Gpf | DeviceKind::Gsme => !electricity,
        DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid => true,
    }
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

fn from_texts<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[user]]
        eui = "90-B3-D5-1F-30-01-00-00"
        name = "Example Energy"
        roles = ["IS", "GS"]
        call_back = "http://127.0.0.1:9000/smartdcc/duis"

        [[registration]]
        mpxn = "1200000000001"
        role = "IS"
        user = "90-B3-D5-1F-30-01-00-00"
    "#;

    #[test]
    fn a_directory_reads_from_toml() {
        let directory = Directory::from_toml(TEXT).unwrap();
        let user = directory.users().next().unwrap();
        assert_eq!(user.roles, [UserRole::ImportSupplier, UserRole::GasSupplier]);
        let mpxn = "1200000000001".parse().unwrap();
        assert_eq!(directory.registered(mpxn, UserRole::ImportSupplier), Some(user.eui));
        assert_eq!(directory.registered(mpxn, UserRole::ExportSupplier), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let wrong = TEXT.replace("\"GS\"", "\"XX\"");
        let error = Directory::from_toml(&wrong).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("IS, ES, GS"), "{error}");
        let unknown = TEXT.replace("call_back", "callback");
        assert!(Directory::from_toml(&unknown).is_err());
        let twice = format!("{TEXT}\n{}", &TEXT[..TEXT.find("[[registration]]").unwrap()]);
        assert!(matches!(
            Directory::from_toml(&twice),
            Err(DirectoryError::UserTwice(_))
        ));
    }

    #[test]
    fn roles_fit_the_fuel() {
        assert!(role_fits(UserRole::GasSupplier, DeviceKind::Gpf));
        assert!(!role_fits(UserRole::GasSupplier, DeviceKind::Esme));
        assert!(!role_fits(UserRole::ElectricityDistributor, DeviceKind::Gsme));
        assert!(role_fits(UserRole::OtherUser, DeviceKind::Esme));
        assert!(role_fits(UserRole::GasSupplier, DeviceKind::Chf));
    }
}
