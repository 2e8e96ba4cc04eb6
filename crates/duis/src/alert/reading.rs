//! Alert payloads read from elements of the schema: the inverse of writing them.

use std::str::FromStr;

use domain::{Eui64, SimInstant};

use super::{AlertPayload, Breach, CertificateUse, HeldBack, MeterPoints, StatusChange, SupplierChange};
use crate::element::Element;

/// A payload that is none of those this program knows, or whose parts do not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{element} of a DCC alert: {problem}")]
pub struct AlertError {
    /// The payload element, or the one inside it that does not fit.
    pub element: String,
    /// What is wrong.
    pub problem: String,
}

type Read<T> = Result<T, AlertError>;

impl TryFrom<&Element> for AlertPayload {
    type Error = AlertError;

    /// Reads the one child of `DCCAlert`. An element that came through the reader of messages has all it needs.
    fn try_from(element: &Element) -> Read<Self> {
        let of = Parts(element);
        Ok(match element.name {
            "ALCSHCALCSConfigurationChange" => Self::AlcsConfigurationChange {
                device: of.parsed("ESMEDeviceID")?,
                esme_variant: of.optional_text("ESMEVariant"),
                gbcs_version: of.optional_text("DeviceGBCSVersion"),
            },
            "ChangeOfSupplier" => Self::ChangeOfSupplier(of.supplier_change()?),
            "CommandFailure" => Self::CommandFailure {
                request: of.parsed("CommandRequestID")?,
                schedule: of.optional("DSPScheduleID")?,
                device: of.parsed("DeviceID")?,
            },
            "CommsHubAlert" => Self::CommsHubAlert {
                hub: of.parsed("CommsHubDeviceID")?,
                code: of.code("AlertCode")?,
                at: of.optional("TimeStamp")?,
                transfer: element.child("FirmwareTransferAlert").cloned(),
            },
            "CommsHubFirmwareActivation" => Self::CommsHubFirmwareActivation {
                hub: of.parsed("DeviceID")?,
                firmware: of.text("FirmwareVersion")?,
            },
            "CoSCertificateAlert" => Self::CosCertificate {
                device: of.parsed("DeviceID")?,
                serial: of.optional_text("CertificateSerialNumber"),
            },
            "CSPFirmwareDeliveryStatus" => Self::CspFirmwareDelivery {
                request: of.parsed("UpdateFirmwareRequestID")?,
                hub: of.parsed("CommsHubDeviceID")?,
                device: of.parsed("TargetDeviceID")?,
                firmware: of.text("FirmwareVersion")?,
                at: of.parsed("TimeStamp")?,
                delivered: of.text("CommsHubTransferStatus")? == "Success",
            },
            "DeviceLogRestored" => of.log_restored()?,
            "DeviceStatusChangeEvent" => Self::DeviceStatusChange {
                device: of.parsed("DeviceID")?,
                change: of.part("DeviceStatusChange")?.only_child()?.status_change()?,
            },
            "DualBandCHAlert" => Self::DualBandHub {
                hub: of.parsed("CHFDeviceID")?,
                code: of.code("DeviceAlertCode")?,
                message_code: match element.child("GBCSHexadecimalMessageCode") {
                    Some(_) => Some(of.code("GBCSHexadecimalMessageCode")?),
                    None => None,
                },
                detail: of.after(&["CHFDeviceID", "DeviceAlertCode", "GBCSHexadecimalMessageCode"]),
            },
            "DUISVersionMismatch" => Self::DuisVersionMismatch {
                held_back: of.held_back()?,
                user_version: of.text("ServiceUserDUISVersion")?,
            },
            "ECoSAlert" => Self::Ecos {
                alert: of.parsed("AlertID")?,
                request: of.optional("RequestID")?,
                code: of.text("ECoSAlertCode")?,
                device: of.parsed("DeviceID")?,
                information: of.optional_text("AdditionalInformation"),
            },
            "FirmwareDistributionFailure" => Self::FirmwareDistributionFailure {
                request: of.parsed("UpdateFirmwareRequestID")?,
                devices: of.list("MeterIDs")?,
            },
            "FirmwareUpgradeRequested" => Self::FirmwareUpgradeRequested {
                kind: of.parsed("DeviceType")?,
                firmware: of.text("FirmwareVersion")?,
                devices: of.list("DeviceList")?,
            },
            "FirmwareVersionMismatch" => Self::FirmwareVersionMismatch {
                device: of.parsed("DeviceID")?,
                kind: of.parsed("DeviceType")?,
                inventory: of.text("FirmwareVersionSMI")?,
                found: of.text("FirmwareVersionDevice")?,
            },
            "PowerOutageEvent" => Self::PowerOutage {
                hub: of.parsed("CommsHubDeviceID")?,
                since: of.parsed("StartDateTime")?,
                mpxn: of.text("MPxN")?,
            },
            "PPMIDAlert" => of.ppmid_alert()?,
            "PPMIDRemoval" => Self::PpmidRemoval {
                device: of.parsed("PPMIDDeviceID")?,
                hub: of.parsed("CHFDeviceID")?,
            },
            "QuarantinedRequest" => of.only_child()?.quarantined()?,
            "DSPScheduleRemoval" => Self::ScheduleRemoval {
                device: of.parsed("DeviceID")?,
                schedule: of.parsed("DSPScheduleID")?,
            },
            "SecurityCredentialsUpdated" => of.credentials()?,
            "SMETS1CHFirmwareNotification" => Self::Smets1HubFirmware {
                hub: of.parsed("DeviceID")?,
                firmware: of.text("FirmwareVersion")?,
                active: of.text("FirmwareVersionUpdateStatus")? == "ActivationSuccessful",
            },
            "UpdateHANDeviceLogResult" => Self::UpdateHubLogResult {
                request: of.parsed("UpdateHANDeviceLogServiceRequestID")?,
            },
            _ => return Err(of.error("not a payload this program knows")),
        })
    }
}

/// An element, to be taken apart.
#[derive(Clone, Copy)]
struct Parts<'a>(&'a Element);

impl<'a> Parts<'a> {
    fn error(self, problem: impl Into<String>) -> AlertError {
        AlertError {
            element: self.0.name.to_owned(),
            problem: problem.into(),
        }
    }

    fn part(self, name: &str) -> Read<Self> {
        let part = self.0.child(name);
        part.map(Self).ok_or_else(|| self.error(format!("no {name}")))
    }

    fn only_child(self) -> Read<Self> {
        let child = self.0.children.first();
        child.map(Self).ok_or_else(|| self.error("nothing in it"))
    }

    /// The first child behind these.
    fn after(self, names: &[&str]) -> Option<Element> {
        let child = self.0.children.iter().find(|child| !names.contains(&child.name));
        child.cloned()
    }

    fn text(self, name: &str) -> Read<String> {
        self.optional_text(name).ok_or_else(|| self.error(format!("no {name}")))
    }

    fn optional_text(self, name: &str) -> Option<String> {
        self.0.child_text(name).map(|text| text.trim().to_owned())
    }

    fn parsed<T: FromStr>(self, name: &str) -> Read<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.error(format!("{name}: {text:?}")))
    }

    fn optional<T: FromStr>(self, name: &str) -> Read<Option<T>> {
        match self.0.child(name) {
            Some(_) => self.parsed(name).map(Some),
            None => Ok(None),
        }
    }

    /// Four hexadecimal digits.
    fn code(self, name: &str) -> Read<u16> {
        let text = self.text(name)?;
        u16::from_str_radix(&text, 16).map_err(|_| self.error(format!("{name}: {text:?}")))
    }

    fn list(self, name: &str) -> Read<Vec<Eui64>> {
        let text = self.text(name)?;
        let ids: Result<Vec<Eui64>, _> = text.split(',').map(|id| id.trim().parse()).collect();
        ids.map_err(|error| self.error(format!("{name}: {error}")))
    }

    fn points(self, name: &str) -> Read<MeterPoints> {
        let points = self.part(name)?;
        Ok(MeterPoints {
            import: points.text("ImportMPxN")?,
            secondary_import: points.optional_text("SecondaryImportMPAN"),
            export: points.optional_text("ExportMPAN"),
        })
    }

    fn uses(self, name: &str) -> Read<Vec<CertificateUse>> {
        let of = self.0.children_named(name);
        of.map(|child| self.certificate_use(&child.text)).collect()
    }

    fn certificate_use(self, text: &str) -> Read<CertificateUse> {
        let all = [
            CertificateUse::DigitalSigning,
            CertificateUse::KeyAgreement,
            CertificateUse::KeyAgreementTopUp,
        ];
        let found = all.into_iter().find(|one| one.as_str() == text.trim());
        found.ok_or_else(|| self.error(format!("{text:?} is no use of a certificate")))
    }

    fn supplier_change(self) -> Read<SupplierChange> {
        if let Some(change) = self.0.child("DeviceChangeOfSupplier").map(Parts) {
            return Ok(SupplierChange::Device {
                device: change.parsed("DeviceID")?,
                kind: change.parsed("DeviceType")?,
                points: change.points("MPxNs")?,
            });
        }
        Ok(SupplierChange::Request {
            request: self.parsed("ChangeOfSupplierServiceRequestID")?,
            ecos_error: self.optional_text("ECoSErrorCode"),
        })
    }

    fn log_restored(self) -> Read<AlertPayload> {
        let of_proxy = self.0.child("GPFDeviceLog").is_some();
        let log = self.part(if of_proxy { "GPFDeviceLog" } else { "CHFDeviceLog" })?;
        let day = self.text("RestoredDate")?;
        // A day without an hour; a zone may stand behind it.
        let midnight = format!("{}T00:00:00Z", day.get(..10).unwrap_or(&day));
        let on: SimInstant = midnight
            .parse()
            .map_err(|_| self.error(format!("RestoredDate: {day:?}")))?;
        Ok(AlertPayload::DeviceLogRestored {
            on,
            of_proxy,
            devices: [
                log.parsed("OldCHFDeviceID")?,
                log.parsed("NewCHFDeviceID")?,
                log.parsed("OldGPFDeviceID")?,
                log.parsed("NewGPFDeviceID")?,
            ],
        })
    }

    fn status_change(self) -> Read<StatusChange> {
        Ok(match self.0.name {
            "CHFDecommissioning" => StatusChange::HubDecommissioned,
            "MeterIdentity" => StatusChange::MeterIdentity {
                points: self.points("MeterMPxNs")?,
                esme_variant: self.optional_text("ESMEVariant"),
            },
            "MeterDecommissioningOrWithdrawal" => StatusChange::MeterLeft {
                points: self.points("MeterDecommissionOrWithdrawal")?,
                associated: {
                    let devices = self.0.children_named("AssociatedType1Device").map(Parts);
                    devices
                        .map(|device| Ok((device.parsed("DeviceID")?, device.parsed("DeviceType")?)))
                        .collect::<Read<_>>()?
                },
            },
            "RecoveryCompleteACBCredentials" => StatusChange::RecoveryCompleteAcb(
                self.uses("SupplierCertificateType")?,
                self.uses("NetworkOperatorCertificateType")?,
            ),
            "RecoveryComplete" => StatusChange::RecoveryComplete,
            "DeviceRemovedFromInventory" => StatusChange::Removed,
            "DeviceRestored" => StatusChange::Restored,
            "DeviceSuspended" => StatusChange::Suspended,
            _ => return Err(self.error("no change of status this program knows")),
        })
    }

    fn held_back(self) -> Read<HeldBack> {
        if let Some(alert) = self.0.child("DCCAlertVersionMismatch").map(Parts) {
            return Ok(HeldBack::Alert {
                code: alert.text("DCCAlertCode")?,
                device: alert.optional("DeviceID")?,
                request: alert.optional("RequestID")?,
            });
        }
        let response = self.part("ServiceResponseVersionMismatch")?;
        Ok(HeldBack::Response {
            request: response.parsed("RequestID")?,
            srv: response.parsed("ServiceReferenceVariant")?,
            request_version: response.text("ServiceRequestDUISVersion")?,
        })
    }

    fn ppmid_alert(self) -> Read<AlertPayload> {
        let upgrade = self.0.child("PPMIDFirmwareUpgradeAlert").map(Parts);
        let upgrade = upgrade.map(|upgrade| {
            let succeeded = upgrade.text("ActivateImageResultCode")? == "ActivationSuccess";
            Ok((upgrade.text("FirmwareVersion")?, succeeded))
        });
        Ok(AlertPayload::PpmidAlert {
            device: self.parsed("DeviceID")?,
            code: self.code("DeviceAlertCode")?,
            at: self.optional("Timestamp")?,
            upgrade: upgrade.transpose()?,
        })
    }

    fn quarantined(self) -> Read<AlertPayload> {
        let all = [Breach::Attribute, Breach::DccThreshold, Breach::UserThreshold];
        let breach = all.into_iter().find(|breach| breach.name() == self.0.name);
        Ok(AlertPayload::QuarantinedRequest {
            breach: breach.ok_or_else(|| self.error("no limit this program knows"))?,
            request: self.parsed("RequestID")?,
            reference: self.parsed("QuarantineEventRef")?,
        })
    }

    fn credentials(self) -> Read<AlertPayload> {
        let floors = self.0.child("RemotePartySeqNumberChange").map(Parts);
        let floors = floors.map(|floors| {
            let top_up = floors.optional("RemotePartyPrepaymentTopUpFloorSeqNumber")?;
            Ok((floors.parsed("RemotePartyFloorSeqNumber")?, top_up))
        });
        let certificates = self.0.children_named("Certificates").map(Parts).map(|certificate| {
            let kind = certificate.certificate_use(&certificate.text("CertificateType")?)?;
            Ok((kind, certificate.digest("CertificateHash")?))
        });
        Ok(AlertPayload::SecurityCredentialsUpdated {
            device: self.parsed("DeviceID")?,
            role: self.text("RemotePartyRole")?,
            floors: floors.transpose()?,
            certificates: certificates.collect::<Read<_>>()?,
        })
    }

    /// Base64 of 20 octets.
    fn digest(self, name: &str) -> Read<[u8; 20]> {
        use base64::Engine as _;
        let text = self.text(name)?;
        let octets = base64::engine::general_purpose::STANDARD.decode(&text).ok();
        let octets = octets.and_then(|octets| octets.try_into().ok());
        octets.ok_or_else(|| self.error(format!("{name}: {text:?} is no base64 of 20 octets")))
    }
}
