//! Alert payloads as elements of the schema.

use domain::{Eui64, SimInstant};

use super::{AlertPayload, Breach, CertificateUse, HeldBack, MeterPoints, StatusChange, SupplierChange};
use crate::element::Element;

impl Breach {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Attribute => "ADAttributeLimitsBreach",
            Self::DccThreshold => "ADDCCThresholdBreach",
            Self::UserThreshold => "ADUserThresholdBreach",
        }
    }
}

impl AlertPayload {
    /// The one child of `DCCAlert`.
    #[must_use]
    pub fn element(&self) -> Element {
        match self {
            Self::AlcsConfigurationChange {
                device,
                esme_variant,
                gbcs_version,
            } => eui(Element::sr("ALCSHCALCSConfigurationChange"), "ESMEDeviceID", *device)
                .with_optional(leaf("ESMEVariant", esme_variant.as_deref()))
                .with_optional(leaf("DeviceGBCSVersion", gbcs_version.as_deref())),
            Self::ChangeOfSupplier(change) => Element::sr("ChangeOfSupplier").with_all(change.elements()),
            Self::CommandFailure {
                request,
                schedule,
                device,
            } => {
                let schedule = schedule.map(|id| id.to_string());
                let failure = Element::sr("CommandFailure")
                    .with_leaf("CommandRequestID", request.to_string())
                    .with_optional(leaf("DSPScheduleID", schedule.as_deref()));
                eui(failure, "DeviceID", *device)
            }
            Self::CommsHubAlert {
                hub,
                code,
                at,
                transfer,
            } => eui(Element::sr("CommsHubAlert"), "CommsHubDeviceID", *hub)
                .with_leaf("AlertCode", hex(*code))
                .with_optional(instant("TimeStamp", *at))
                .with_optional(transfer.clone()),
            Self::CommsHubFirmwareActivation { hub, firmware } => {
                eui(Element::sr("CommsHubFirmwareActivation"), "DeviceID", *hub)
                    .with_leaf("FirmwareVersion", firmware.as_str())
            }
            Self::CosCertificate { device, serial } => eui(Element::sr("CoSCertificateAlert"), "DeviceID", *device)
                .with_optional(leaf("CertificateSerialNumber", serial.as_deref())),
            Self::CspFirmwareDelivery {
                request,
                hub,
                device,
                firmware,
                at,
                delivered,
            } => {
                let status =
                    Element::sr("CSPFirmwareDeliveryStatus").with_leaf("UpdateFirmwareRequestID", request.to_string());
                let status = eui(eui(status, "CommsHubDeviceID", *hub), "TargetDeviceID", *device);
                status
                    .with_leaf("FirmwareVersion", firmware.as_str())
                    .with_leaf("TimeStamp", at.to_string())
                    .with_leaf("CommsHubTransferStatus", if *delivered { "Success" } else { "Failure" })
            }
            Self::DeviceLogRestored { on, of_proxy, devices } => {
                let [old_hub, new_hub, old_proxy, new_proxy] = *devices;
                let log = Element::sr(if *of_proxy { "GPFDeviceLog" } else { "CHFDeviceLog" });
                let log = eui(eui(log, "OldCHFDeviceID", old_hub), "NewCHFDeviceID", new_hub);
                let log = eui(eui(log, "OldGPFDeviceID", old_proxy), "NewGPFDeviceID", new_proxy);
                Element::sr("DeviceLogRestored")
                    .with_leaf("RestoredDate", on.utc().date().to_string())
                    .with(log)
            }
            Self::DeviceStatusChange { device, change } => {
                eui(Element::sr("DeviceStatusChangeEvent"), "DeviceID", *device)
                    .with(Element::sr("DeviceStatusChange").with(change.element()))
            }
            Self::DualBandHub {
                hub,
                code,
                message_code,
                detail,
            } => {
                let message_code = message_code.map(hex);
                eui(Element::sr("DualBandCHAlert"), "CHFDeviceID", *hub)
                    .with_leaf("DeviceAlertCode", hex(*code))
                    .with_optional(leaf("GBCSHexadecimalMessageCode", message_code.as_deref()))
                    .with_optional(detail.clone())
            }
            Self::DuisVersionMismatch {
                held_back,
                user_version,
            } => Element::sr("DUISVersionMismatch")
                .with(held_back.element())
                .with_leaf("ServiceUserDUISVersion", user_version.as_str()),
            Self::Ecos {
                alert,
                request,
                code,
                device,
                information,
            } => {
                let request = request.map(|id| id.to_string());
                let element = Element::sr("ECoSAlert")
                    .with_leaf("AlertID", alert.to_string())
                    .with_optional(leaf("RequestID", request.as_deref()))
                    .with_leaf("ECoSAlertCode", code.as_str());
                eui(element, "DeviceID", *device).with_optional(leaf("AdditionalInformation", information.as_deref()))
            }
            Self::FirmwareDistributionFailure { request, devices } => Element::sr("FirmwareDistributionFailure")
                .with_leaf("UpdateFirmwareRequestID", request.to_string())
                .with_leaf("MeterIDs", list(devices)),
            Self::FirmwareUpgradeRequested {
                kind,
                firmware,
                devices,
            } => Element::sr("FirmwareUpgradeRequested")
                .with_leaf("DeviceType", kind.as_str())
                .with_leaf("FirmwareVersion", firmware.as_str())
                .with_leaf("DeviceList", list(devices)),
            Self::FirmwareVersionMismatch {
                device,
                kind,
                inventory,
                found,
            } => eui(Element::sr("FirmwareVersionMismatch"), "DeviceID", *device)
                .with_leaf("DeviceType", kind.as_str())
                .with_leaf("FirmwareVersionSMI", inventory.as_str())
                .with_leaf("FirmwareVersionDevice", found.as_str()),
            Self::PowerOutage { hub, since, mpxn } => eui(Element::sr("PowerOutageEvent"), "CommsHubDeviceID", *hub)
                .with_leaf("StartDateTime", since.to_string())
                .with_leaf("MPxN", mpxn.as_str()),
            Self::PpmidAlert {
                device,
                code,
                at,
                upgrade,
            } => {
                let upgrade = upgrade.as_ref().map(|(firmware, succeeded)| {
                    let result = if *succeeded {
                        "ActivationSuccess"
                    } else {
                        "ActivationFailure"
                    };
                    Element::sr("PPMIDFirmwareUpgradeAlert")
                        .with_leaf("FirmwareVersion", firmware.as_str())
                        .with_leaf("ActivateImageResultCode", result)
                });
                eui(Element::sr("PPMIDAlert"), "DeviceID", *device)
                    .with_leaf("DeviceAlertCode", hex(*code))
                    .with_optional(instant("Timestamp", *at))
                    .with_optional(upgrade)
            }
            Self::PpmidRemoval { device, hub } => {
                let removal = eui(Element::sr("PPMIDRemoval"), "PPMIDDeviceID", *device);
                eui(removal, "CHFDeviceID", *hub)
            }
            Self::QuarantinedRequest {
                breach,
                request,
                reference,
            } => Element::sr("QuarantinedRequest").with(
                Element::sr(breach.name())
                    .with_leaf("RequestID", request.to_string())
                    .with_leaf("QuarantineEventRef", reference.to_string()),
            ),
            Self::ScheduleRemoval { device, schedule } => eui(Element::sr("DSPScheduleRemoval"), "DeviceID", *device)
                .with_leaf("DSPScheduleID", schedule.to_string()),
            Self::SecurityCredentialsUpdated {
                device,
                role,
                floors,
                certificates,
            } => {
                let floors = floors.map(|(floor, top_up)| {
                    let top_up = top_up.map(|floor| floor.to_string());
                    Element::sr("RemotePartySeqNumberChange")
                        .with_leaf("RemotePartyFloorSeqNumber", floor.to_string())
                        .with_optional(leaf("RemotePartyPrepaymentTopUpFloorSeqNumber", top_up.as_deref()))
                });
                eui(Element::sr("SecurityCredentialsUpdated"), "DeviceID", *device)
                    .with_leaf("RemotePartyRole", role.as_str())
                    .with_optional(floors)
                    .with_all(certificates.iter().map(|(kind, digest)| {
                        Element::sr("Certificates")
                            .with_leaf("CertificateType", kind.as_str())
                            .with_leaf("CertificateHash", base64(digest))
                    }))
            }
            Self::Smets1HubFirmware { hub, firmware, active } => {
                let status = if *active {
                    "ActivationSuccessful"
                } else {
                    "UpdateRequested"
                };
                eui(Element::sr("SMETS1CHFirmwareNotification"), "DeviceID", *hub)
                    .with_leaf("FirmwareVersion", firmware.as_str())
                    .with_leaf("FirmwareVersionUpdateStatus", status)
            }
            Self::UpdateHubLogResult { request } => Element::sr("UpdateHANDeviceLogResult")
                .with_leaf("UpdateHANDeviceLogServiceRequestID", request.to_string()),
        }
    }
}

impl StatusChange {
    fn element(&self) -> Element {
        match self {
            Self::HubDecommissioned => Element::sr("CHFDecommissioning"),
            Self::MeterIdentity { points, esme_variant } => Element::sr("MeterIdentity")
                .with(points.element("MeterMPxNs"))
                .with_optional(leaf("ESMEVariant", esme_variant.as_deref())),
            Self::MeterLeft { points, associated } => Element::sr("MeterDecommissioningOrWithdrawal")
                .with(points.element("MeterDecommissionOrWithdrawal"))
                .with_all(associated.iter().map(|(device, kind)| {
                    eui(Element::sr("AssociatedType1Device"), "DeviceID", *device)
                        .with_leaf("DeviceType", kind.as_str())
                })),
            Self::RecoveryCompleteAcb(supplier, operator) => {
                let of = |name: &'static str, uses: &[CertificateUse]| {
                    uses.iter()
                        .map(|kind| Element::sr(name).with_text(kind.as_str()))
                        .collect::<Vec<_>>()
                };
                Element::sr("RecoveryCompleteACBCredentials")
                    .with_all(of("SupplierCertificateType", supplier))
                    .with_all(of("NetworkOperatorCertificateType", operator))
            }
            Self::RecoveryComplete => Element::sr("RecoveryComplete"),
            Self::Removed => Element::sr("DeviceRemovedFromInventory"),
            Self::Restored => Element::sr("DeviceRestored"),
            Self::Suspended => Element::sr("DeviceSuspended"),
        }
    }
}

impl MeterPoints {
    fn element(&self, name: &'static str) -> Element {
        Element::sr(name)
            .with_leaf("ImportMPxN", self.import.as_str())
            .with_optional(leaf("SecondaryImportMPAN", self.secondary_import.as_deref()))
            .with_optional(leaf("ExportMPAN", self.export.as_deref()))
    }
}

impl SupplierChange {
    fn elements(&self) -> Vec<Element> {
        match self {
            Self::Device { device, kind, points } => {
                let change = eui(Element::sr("DeviceChangeOfSupplier"), "DeviceID", *device);
                vec![
                    change
                        .with_leaf("DeviceType", kind.as_str())
                        .with(points.element("MPxNs")),
                ]
            }
            Self::Request { request, ecos_error } => {
                let id = Element::sr("ChangeOfSupplierServiceRequestID").with_text(request.to_string());
                std::iter::once(id)
                    .chain(leaf("ECoSErrorCode", ecos_error.as_deref()))
                    .collect()
            }
        }
    }
}

impl HeldBack {
    fn element(&self) -> Element {
        match self {
            Self::Alert { code, device, request } => {
                let (device, request) = (device.map(|id| id.to_string()), request.map(|id| id.to_string()));
                Element::sr("DCCAlertVersionMismatch")
                    .with_leaf("DCCAlertCode", code.as_str())
                    .with_optional(leaf("DeviceID", device.as_deref()))
                    .with_optional(leaf("RequestID", request.as_deref()))
            }
            Self::Response {
                request,
                srv,
                request_version,
            } => Element::sr("ServiceResponseVersionMismatch")
                .with_leaf("RequestID", request.to_string())
                .with_leaf("ServiceReference", srv.reference().to_string())
                .with_leaf("ServiceReferenceVariant", srv.to_string())
                .with_leaf("ServiceRequestDUISVersion", request_version.as_str()),
        }
    }
}

fn leaf(name: &'static str, text: Option<&str>) -> Option<Element> {
    text.map(|text| Element::sr(name).with_text(text))
}

fn eui(element: Element, name: &'static str, id: Eui64) -> Element {
    element.with_leaf(name, id.to_string())
}

fn instant(name: &'static str, at: Option<SimInstant>) -> Option<Element> {
    at.map(|at| Element::sr(name).with_text(at.to_string()))
}

fn hex(code: u16) -> String {
    format!("{code:04X}")
}

/// A list as the schema has it: identities with commas between them.
fn list(devices: &[Eui64]) -> String {
    let texts: Vec<_> = devices.iter().map(Eui64::to_string).collect();
    texts.join(",")
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}
