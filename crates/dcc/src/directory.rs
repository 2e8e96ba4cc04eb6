//! Who the users are, in which roles, and with which certificates.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use domain::{DeviceKind, Eui64, Mpxn, SimInstant, UserRole};
use serde::{Deserialize, Deserializer};

use crate::properties::{Properties, Property};
use crate::registration::{Registration, Registrations};
use crate::schema_policy::SchemaPolicy;

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
    /// Which version of the schema it works with; none: whatever a request says, and 5.1 for what it is sent.
    #[serde(default)]
    pub schema: Option<SchemaPolicy>,
    /// Whether it fetches what it is sent, instead of having it posted.
    #[serde(default)]
    pub fetches: bool,
    /// Whether it is suspended as a user; its requests are then refused.
    #[serde(default)]
    pub suspended: bool,
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
    registrations: Registrations,
    properties: Properties,
}

impl Directory {
    /// From users and registrations; of two registrations that begin at the same instant the later one counts.
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
        directory.registrations.extend(registrations);
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
        self.registrations.add(registration);
    }

    /// Says where metering points are, in place of what was said before.
    pub fn locate(&mut self, properties: impl IntoIterator<Item = (Mpxn, Arc<Property>)>) {
        self.properties.extend(properties);
    }

    /// Where metering points are.
    #[must_use]
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Who is registered where.
    #[must_use]
    pub fn registrations(&self) -> &Registrations {
        &self.registrations
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

    /// Who is registered in this role at this metering point at an instant.
    #[must_use]
    pub fn registered(&self, mpxn: Mpxn, role: UserRole, at: SimInstant) -> Option<Eui64> {
        self.registrations.holder(mpxn, role, at)
    }

    /// Whether the user may act in this role at this metering point at an instant.
    ///
    /// Other users act on the consumer's behalf, which no registration shows: they always may. At a metering point of which
    /// the registration data says nothing at all everybody may.
    #[must_use]
    pub fn may_act(&self, user: Eui64, role: UserRole, mpxn: Mpxn, at: SimInstant) -> bool {
        role == UserRole::OtherUser || !self.registrations.knows(mpxn) || self.registered(mpxn, role, at) == Some(user)
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
        DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => true,
    }
}

pub(crate) fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
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
        let (mpxn, at) = ("1200000000001".parse().unwrap(), SimInstant(0));
        assert_eq!(directory.registered(mpxn, UserRole::ImportSupplier, at), Some(user.eui));
        assert_eq!(directory.registered(mpxn, UserRole::ExportSupplier, at), None);
        assert!(directory.may_act(user.eui, UserRole::ImportSupplier, mpxn, at));
        assert!(
            !directory.may_act(user.eui, UserRole::ExportSupplier, mpxn, at),
            "nobody is"
        );
        assert!(directory.may_act(Eui64(1), UserRole::OtherUser, mpxn, at));
        let unknown = "1200000000002".parse().unwrap();
        assert!(directory.may_act(Eui64(1), UserRole::ExportSupplier, unknown, at));
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
