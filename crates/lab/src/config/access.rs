//! Users of the DCC and what they are judged by.

use std::path::PathBuf;

use domain::{Eui64, UserRole};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, text};

/// What users are judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// Registration Data, as CSV (`mpxn,role,user,from,until`) or, with the ending `.toml`, as `[[registration]]` tables.
    /// Without a file the estate's metering points are shared out among the users in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<PathBuf>,
    /// Whether a user may only act where it is registered.
    pub enforce_registration: bool,
    /// Which dates of a certificate count against the lab's calendar.
    pub certificate_validity: CertificateValidity,
    /// Serial numbers, decimal, of revoked certificates.
    pub revoked: Vec<String>,
    /// Changes of registration, after those of the file or of the estate.
    #[serde(rename = "change", skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeConfig>,
    /// How many requests are let through; what exceeds one waits in quarantine.
    #[serde(rename = "threshold", skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdConfig>,
    /// What numbers in requests may be; what exceeds one waits in quarantine.
    #[serde(rename = "limit", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitConfig>,
}

/// A metering point changes hands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeConfig {
    /// The metering point.
    pub mpxn: String,
    /// The role, for example `IS`.
    pub role: String,
    /// EUI-64 of the user that has it then.
    pub user: String,
    /// From this date on.
    pub from: String,
}

/// An anomaly detection threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdConfig {
    /// Whose own threshold it is, an EUI-64; without one it is the DCC's, for every user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Service reference variant; without one all that go to devices count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srv: Option<String>,
    /// As many are let through,
    pub count: u32,
    /// in so many seconds.
    pub per_s: u64,
}

/// Limits of a number in requests of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Service reference variant.
    pub srv: String,
    /// Name of the element, at any depth of the body.
    pub element: String,
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// Which dates of a certificate count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateValidity {
    /// Both.
    Both,
    /// Its end alone: the lab's calendar often lies before the day a test certificate was made.
    #[default]
    End,
    /// None.
    Ignored,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            registration: None,
            enforce_registration: true,
            certificate_validity: CertificateValidity::default(),
            revoked: Vec::new(),
            changes: Vec::new(),
            thresholds: Vec::new(),
            limits: Vec::new(),
        }
    }
}

impl AccessConfig {
    /// Thresholds and limits in the words of the DCC.
    ///
    /// # Errors
    /// What is no EUI-64 or no service reference variant, in words.
    pub fn anomaly_detection(&self) -> Result<dcc::Thresholds, String> {
        let wrong = |what: &str, error: domain::ParseError| format!("access.{what}: {error}");
        let srv = |text: &str, what| text.parse::<domain::Srv>().map_err(|error| wrong(what, error));
        let mut all = dcc::Thresholds::default();
        for threshold in &self.thresholds {
            all.volumes.push(dcc::Volume {
                user: threshold
                    .user
                    .as_ref()
                    .map(|user| user.parse().map_err(|error| wrong("threshold.user", error)))
                    .transpose()?,
                srv: threshold
                    .srv
                    .as_ref()
                    .map(|text| srv(text, "threshold.srv"))
                    .transpose()?,
                count: threshold.count,
                per: domain::SimDuration::from_secs(threshold.per_s),
            });
        }
        for limit in &self.limits {
            all.limits.push(dcc::AttributeLimit {
                srv: srv(&limit.srv, "limit.srv")?,
                element: limit.element.clone(),
                min: limit.min,
                max: limit.max,
            });
        }
        Ok(all)
    }

    /// The same in the words of the DCC.
    #[must_use]
    pub fn trust(&self) -> dcc::Trust {
        dcc::Trust {
            validity: match self.certificate_validity {
                CertificateValidity::Both => dcc::Validity::Both,
                CertificateValidity::End => dcc::Validity::End,
                CertificateValidity::Ignored => dcc::Validity::Ignored,
            },
            revoked: self.revoked.iter().cloned().collect(),
        }
    }
}

/// One DCC user of the lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// A plainly fake name.
    pub name: String,
    /// The user's EUI-64.
    #[serde(with = "text")]
    pub eui: Eui64,
    /// Roles it may send in: IS, ES, GS, RSA, ED, GT, OU.
    #[serde(with = "roles")]
    pub roles: Vec<UserRole>,
    /// Where its responses are posted in a lab on sockets; without one the lab takes and keeps them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Which version of the schema it works with; without one whatever its requests say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaConfig>,
    /// Whether it fetches what it is sent (`s1lab duis fetch`) instead of having it posted: it then needs no listener.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fetches: bool,
    /// Whether it is suspended as a user: its requests are then refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

impl Config {
    /// Has the responses and alerts of a user posted to an address.
    ///
    /// # Errors
    /// When the configuration has no such user; in words.
    pub fn set_listener(&mut self, user: &str, listener: &str) -> Result<(), ConfigError> {
        let wrong = |problem: String| ConfigError {
            file: "--listener".to_owned(),
            line: None,
            problem,
            hint: None,
        };
        let eui: Eui64 = user.parse().map_err(|error| wrong(format!("{error}")))?;
        let Some(known) = self.users.iter_mut().find(|known| known.eui == eui) else {
            let all: Vec<String> = self.users.iter().map(|known| known.eui.to_string()).collect();
            return Err(wrong(format!("{user} is no user here; there are {}", all.join(", "))));
        };
        known.listener = Some(listener.to_owned());
        Ok(())
    }
}

/// The version of the schema a user works with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaConfig {
    /// For example `5.1`. What it is sent is held against it; what it does not have is held back, and N57 sent instead.
    pub version: String,
    /// What becomes of its requests of another version: `accept`, `warn` or `refuse`.
    #[serde(default, with = "text")]
    pub others: dcc::OtherVersions,
}

/// The users of a lab that is told of none: one of each role at least, two suppliers of both fuels.
pub(super) fn default_users() -> Vec<UserConfig> {
    use UserRole as R;
    let user = |name: &str, eui, roles: &[UserRole]| UserConfig {
        name: name.into(),
        eui: Eui64(eui),
        roles: roles.to_vec(),
        listener: None,
        schema: None,
        fetches: false,
        suspended: false,
    };
    let supplier = [R::ImportSupplier, R::ExportSupplier, R::GasSupplier];
    vec![
        user("Example Energy", 0x90B3_D51F_3001_0000, &supplier),
        user("Sample Power and Gas", 0x90B3_D51F_3003_0000, &supplier),
        user("Example Networks", 0x90B3_D51F_3002_0000, &[R::ElectricityDistributor]),
        user("Example Gas Transport", 0x90B3_D51F_3004_0000, &[R::GasTransporter]),
        user(
            "Example Meter Agents",
            0x90B3_D51F_3005_0000,
            &[R::RegisteredSupplierAgent],
        ),
        user("Example Price Comparison", 0x00DB_1234_5678_0004, &[R::OtherUser]),
    ]
}

mod roles {
    use domain::UserRole;
    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(roles: &[UserRole], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(roles.iter().map(|role| role.as_str()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<UserRole>, D::Error> {
        Vec::<String>::deserialize(d)?
            .iter()
            .map(|text| text.parse().map_err(de::Error::custom))
            .collect()
    }
}
