use domain::{DeviceKind, SimDuration};

/// A family of faces: what the octets on the WAN leg are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// DLMS/COSEM with logical names in HDLC frames over TCP.
    DlmsHdlc,
    /// DLMS/COSEM with logical names, each APDU behind a header by which the hub finds the device. The header is ours.
    DlmsHubTunnel,
    /// DLMS/COSEM with logical names over the TCP wrapper.
    DlmsWrapper,
    /// Numbered registers in the manner of EDMI's command line protocol; the table is ours.
    EdmiRegisters,
    /// Whatever a program outside makes of it ([`crate::external`]).
    External,
    /// Orders and results in an envelope of ours, stored and forwarded by the hub.
    LabEnvelope,
}

impl Family {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 6] = [
        Self::DlmsHdlc,
        Self::DlmsHubTunnel,
        Self::DlmsWrapper,
        Self::EdmiRegisters,
        Self::External,
        Self::LabEnvelope,
    ];

    /// The word files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DlmsHdlc => "dlms-hdlc",
            Self::DlmsHubTunnel => "dlms-hub-tunnel",
            Self::DlmsWrapper => "dlms-wrapper",
            Self::EdmiRegisters => "edmi-registers",
            Self::External => "external",
            Self::LabEnvelope => "lab-envelope",
        }
    }
}

/// The link layer of the HDLC family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hdlc {
    /// Most octets of an information field either way, 32 to 2030.
    pub information_max: u16,
    /// Most frames before an acknowledgement, 1 to 7.
    pub window: u8,
    /// Physical address of the devices' line, 0 to 16 382.
    pub physical: u16,
}

impl Default for Hdlc {
    /// The standard's own defaults, at physical address 17.
    fn default() -> Self {
        Self {
            information_max: 128,
            window: 1,
            physical: 17,
        }
    }
}

/// How the header of the hub tunnel names a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TunnelAddress {
    /// By its server access point.
    AccessPoint,
    /// By its EUI-64.
    Identity,
}

/// The header of the hub tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// How it names a device.
    pub address: TunnelAddress,
    /// Whether a check sequence ends every frame.
    pub check: bool,
}

impl Default for Tunnel {
    /// By identity, with a check sequence.
    fn default() -> Self {
        Self {
            address: TunnelAddress::Identity,
            check: true,
        }
    }
}

/// How a device writes instants into COSEM date-times.
///
/// In all forms UTC = local time + deviation, and the summer flag of the status octet follows the local time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TimeForm {
    /// UK civil time with deviation 0 or -60.
    London,
    /// UTC without a deviation; the reader must know.
    UnspecifiedUtc,
    /// UTC with deviation 0.
    Utc,
}

/// Server access points (logical devices) of the devices of an installation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Saps {
    /// Electricity meter; 1 is the management logical device every client looks for.
    pub esme: u16,
    /// Gas proxy.
    pub gpf: u16,
    /// Gas meter.
    pub gsme: u16,
    /// Communications hub.
    pub chf: u16,
}

impl Saps {
    /// The access point of this slot; `None` for devices without one.
    #[must_use]
    pub fn of(&self, slot: DeviceKind) -> Option<u16> {
        match slot {
            DeviceKind::Esme => Some(self.esme),
            DeviceKind::Gpf => Some(self.gpf),
            DeviceKind::Gsme => Some(self.gsme),
            DeviceKind::Chf => Some(self.chf),
            DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => None,
        }
    }

    /// The slot behind an access point.
    #[must_use]
    pub fn slot(&self, sap: u16) -> Option<DeviceKind> {
        [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme, DeviceKind::Chf]
            .into_iter()
            .find(|slot| self.of(*slot) == Some(sap))
    }
}

impl Default for Saps {
    fn default() -> Self {
        Self {
            esme: 1,
            gpf: 2,
            gsme: 3,
            chf: 4,
        }
    }
}

/// What one family, model or firmware does its own way on the wire. The default is the Honeywell Elster family as we
/// emulate it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaceProfile {
    /// What the octets are.
    pub family: Family,
    /// The three letters that open a logical device name (a FLAG manufacturer id).
    pub flag_id: [u8; 3],
    /// Where the devices sit.
    pub saps: Saps,
    /// Largest APDU the device takes and sends, octets, 64 to 65 535. Also what the head end proposes.
    pub pdu_max: u16,
    /// How instants are written.
    pub time_form: TimeForm,
    /// The link layer of [`Family::DlmsHdlc`].
    pub hdlc: Hdlc,
    /// The header of [`Family::DlmsHubTunnel`].
    pub tunnel: Tunnel,
    /// The name under which the program of [`Family::External`] is attached.
    pub external: String,
    /// Reads of one value and payment codes go as the payload of a text message ([`crate::text_message`]) while there is no
    /// connection.
    pub text_messages: bool,
    /// The hub sends readings by itself so often; zero: it does not.
    pub readings_every: SimDuration,
    /// Most rows of a log fetched from the device at once while a long answer is delivered, 1 to 10 000.
    pub rows_per_fetch: u16,
    /// Defect to inject: one surplus octet after every value. Only for `LAB-` firmware.
    pub surplus_octet: bool,
    /// Defect to inject: the deviation carries the wrong sign. Only for `LAB-` firmware.
    pub deviation_sign_wrong: bool,
}

impl Default for FaceProfile {
    fn default() -> Self {
        Self {
            family: Family::DlmsWrapper,
            flag_id: *b"ELS",
            saps: Saps::default(),
            pdu_max: 1024,
            time_form: TimeForm::London,
            hdlc: Hdlc::default(),
            tunnel: Tunnel::default(),
            external: String::new(),
            text_messages: false,
            readings_every: SimDuration::ZERO,
            rows_per_fetch: 336,
            surplus_octet: false,
            deviation_sign_wrong: false,
        }
    }
}
