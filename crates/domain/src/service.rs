//! Service reference variants and the roles of DCC users.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A service reference variant: `4.1.1` or, where a service has one variant only, `7.4`.
///
/// Which of them exist is the service request table's business (room `steps`), not this type's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Srv {
    major: u8,
    minor: u8,
    variant: u8,
}

impl Srv {
    /// From its parts; a `variant` of zero means there is none.
    #[must_use]
    pub const fn new(major: u8, minor: u8, variant: u8) -> Self {
        Self { major, minor, variant }
    }

    /// The service reference it belongs to: `4.1.1` belongs to `4.1`, `7.4` to itself.
    #[must_use]
    pub const fn reference(self) -> Self {
        Self { variant: 0, ..self }
    }
}

impl fmt::Display for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.variant > 0 {
            write!(f, ".{}", self.variant)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Srv {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let err = || ParseError::new("a service reference variant such as 4.1.1 or 7.4", text);
        let mut parts = [0u8; 3];
        let mut count = 0;
        for part in text.split('.') {
            let plain = !part.is_empty() && !part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
            *parts.get_mut(count).filter(|_| plain).ok_or_else(err)? = part.parse().map_err(|_| err())?;
            count += 1;
        }
        if count < 2 {
            Err(err())
        } else {
            Ok(Self::new(parts[0], parts[1], parts[2]))
        }
    }
}

/// The role in which a DCC user sends a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UserRole {
    /// IS.
    ImportSupplier,
    /// ES.
    ExportSupplier,
    /// GS.
    GasSupplier,
    /// RSA.
    RegisteredSupplierAgent,
    /// ED.
    ElectricityDistributor,
    /// GT.
    GasTransporter,
    /// OU.
    OtherUser,
    /// CP: the commissioning party of a migration. The lab's own, in no request matrix, and no supplier.
    CommissioningParty,
}

impl UserRole {
    /// The roles of the request matrix, in its order: those that a user of the lab may be given.
    pub const ALL: [Self; 7] = [
        Self::ImportSupplier,
        Self::ExportSupplier,
        Self::GasSupplier,
        Self::RegisteredSupplierAgent,
        Self::ElectricityDistributor,
        Self::GasTransporter,
        Self::OtherUser,
    ];

    /// Whether it is one of a supplier.
    #[must_use]
    pub fn is_supplier(self) -> bool {
        matches!(self, Self::ImportSupplier | Self::ExportSupplier | Self::GasSupplier)
    }

    /// Whether it is one of a network operator.
    #[must_use]
    pub fn is_network_operator(self) -> bool {
        matches!(self, Self::ElectricityDistributor | Self::GasTransporter)
    }

    /// The abbreviation the request matrix uses, or the lab's own.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImportSupplier => "IS",
            Self::ExportSupplier => "ES",
            Self::GasSupplier => "GS",
            Self::RegisteredSupplierAgent => "RSA",
            Self::ElectricityDistributor => "ED",
            Self::GasTransporter => "GT",
            Self::OtherUser => "OU",
            Self::CommissioningParty => "CP",
        }
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserRole {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| ParseError::new("one of IS, ES, GS, RSA, ED, GT, OU", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_read_as_they_write() {
        for text in ["4.1.1", "7.4", "6.15.1", "12.2", "6.2.10"] {
            assert_eq!(text.parse::<Srv>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "4", "4.", "4.01", "4.1.1.1", "4.x", "4.1.0", "999.1"] {
            assert!(text.parse::<Srv>().is_err(), "{text}");
        }
        assert_eq!(Srv::new(4, 1, 1).reference().to_string(), "4.1");
    }
}
