//! One payload of a DCC alert of each kind, with the code it may go with.

use domain::{DeviceKind, Eui64, RequestId, SimInstant, Srv};
use duis::Element;
use duis::alert::{AlertPayload as P, Breach, CertificateUse, HeldBack, MeterPoints, StatusChange, SupplierChange};

pub(crate) const HUB: Eui64 = Eui64(0x00DB_1234_5678_90A1);
pub(crate) const ESME: Eui64 = Eui64(0x00DB_1234_5678_90A0);
pub(crate) const PPMID: Eui64 = Eui64(0x00DB_1234_5678_90A5);
pub(crate) const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);

pub(crate) fn at() -> SimInstant {
    "2019-03-30T12:00:00.000Z".parse().unwrap()
}

pub(crate) fn id() -> RequestId {
    RequestId {
        originator: USER,
        target: ESME,
        counter: 1000,
    }
}

pub(crate) fn points() -> MeterPoints {
    MeterPoints {
        import: "1200000000001".into(),
        secondary_import: Some("1200000000002".into()),
        export: Some("1200000000003".into()),
    }
}

pub(crate) fn status(change: StatusChange) -> P {
    P::DeviceStatusChange { device: ESME, change }
}

/// One of each, with the parts that are optional; those only the later edition has apart.
pub(crate) fn payloads() -> Vec<(&'static str, P)> {
    use CertificateUse::{DigitalSigning, KeyAgreement, KeyAgreementTopUp};
    let firmware = || "00000002".to_owned();
    vec![
        (
            "AD1",
            P::PowerOutage {
                hub: HUB,
                since: at(),
                mpxn: "1200000000001".into(),
            },
        ),
        (
            "N1",
            status(StatusChange::MeterLeft {
                points: points(),
                associated: vec![(PPMID, DeviceKind::Ppmid)],
            }),
        ),
        ("N8", status(StatusChange::Removed)),
        ("N9", status(StatusChange::HubDecommissioned)),
        (
            "N16",
            status(StatusChange::MeterIdentity {
                points: points(),
                esme_variant: Some("A".into()),
            }),
        ),
        ("N28", status(StatusChange::Suspended)),
        ("N29", status(StatusChange::Restored)),
        (
            "N44",
            status(StatusChange::RecoveryCompleteAcb(
                vec![DigitalSigning, KeyAgreementTopUp],
                vec![KeyAgreement],
            )),
        ),
        ("N45", status(StatusChange::RecoveryComplete)),
        (
            "N4",
            P::ScheduleRemoval {
                device: ESME,
                schedule: 17,
            },
        ),
        (
            "N13",
            P::CommandFailure {
                request: id(),
                schedule: Some(17),
                device: ESME,
            },
        ),
        (
            "N18",
            P::FirmwareDistributionFailure {
                request: id(),
                devices: vec![ESME, PPMID],
            },
        ),
        ("N24", P::UpdateHubLogResult { request: id() }),
        (
            "N26",
            P::ChangeOfSupplier(SupplierChange::Device {
                device: ESME,
                kind: DeviceKind::Esme,
                points: points(),
            }),
        ),
        (
            "N27",
            P::ChangeOfSupplier(SupplierChange::Request {
                request: id(),
                ecos_error: None,
            }),
        ),
        (
            "N30",
            P::DeviceLogRestored {
                on: at(),
                of_proxy: false,
                devices: [HUB, ESME, HUB, ESME],
            },
        ),
        (
            "N31",
            P::DeviceLogRestored {
                on: at(),
                of_proxy: true,
                devices: [HUB, ESME, HUB, ESME],
            },
        ),
        (
            "N39",
            P::PpmidAlert {
                device: PPMID,
                code: 0x8F1C,
                at: Some(at()),
                upgrade: Some((firmware(), true)),
            },
        ),
        (
            "N42",
            P::SecurityCredentialsUpdated {
                device: ESME,
                role: "Supplier".into(),
                floors: Some((5, Some(7))),
                certificates: vec![(DigitalSigning, [7; 20])],
            },
        ),
        (
            "N43",
            P::PpmidRemoval {
                device: PPMID,
                hub: HUB,
            },
        ),
        (
            "N46",
            P::QuarantinedRequest {
                breach: Breach::UserThreshold,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N47",
            P::QuarantinedRequest {
                breach: Breach::DccThreshold,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N48",
            P::QuarantinedRequest {
                breach: Breach::Attribute,
                request: id(),
                reference: 9,
            },
        ),
        (
            "N49",
            P::FirmwareVersionMismatch {
                device: ESME,
                kind: DeviceKind::Esme,
                inventory: "00000001".into(),
                found: firmware(),
            },
        ),
        (
            "N54",
            P::DualBandHub {
                hub: HUB,
                code: 0x8F20,
                message_code: Some(0x010B),
                detail: Some(
                    Element::sr("LimitedDutyCycleActionTaken").with_leaf("DeviceIDToSuspend", ESME.to_string()),
                ),
            },
        ),
        (
            "N56",
            P::Smets1HubFirmware {
                hub: HUB,
                firmware: firmware(),
                active: false,
            },
        ),
        (
            "N57",
            P::DuisVersionMismatch {
                held_back: HeldBack::Alert {
                    code: "N63".into(),
                    device: Some(ESME),
                    request: Some(id()),
                },
                user_version: "5.0".into(),
            },
        ),
        (
            "N999",
            P::DuisVersionMismatch {
                held_back: HeldBack::Response {
                    request: id(),
                    srv: Srv::new(4, 1, 1),
                    request_version: "5.4".into(),
                },
                user_version: "5.1".into(),
            },
        ),
        (
            "N58",
            P::AlcsConfigurationChange {
                device: ESME,
                esme_variant: Some("B".into()),
                gbcs_version: Some("4.1".into()),
            },
        ),
        (
            "N59",
            P::FirmwareUpgradeRequested {
                kind: DeviceKind::Ppmid,
                firmware: firmware(),
                devices: vec![PPMID],
            },
        ),
        (
            "N60",
            P::CspFirmwareDelivery {
                request: id(),
                hub: HUB,
                device: ESME,
                firmware: firmware(),
                at: at(),
                delivered: false,
            },
        ),
        (
            "N61",
            P::CommsHubAlert {
                hub: HUB,
                code: 0x8F70,
                at: Some(at()),
                transfer: Some(
                    Element::sr("FirmwareTransferAlert")
                        .with_leaf("OtherDeviceID", PPMID.to_string())
                        .with_leaf("FirmwareVersion", "00000002")
                        .with_leaf("TransferResponseCode", "FileTransferSuccess"),
                ),
            },
        ),
        (
            "N63",
            P::Ecos {
                alert: id(),
                request: Some(id()),
                code: "C1".into(),
                device: ESME,
                information: Some("late".into()),
            },
        ),
        (
            "N64",
            P::CommsHubFirmwareActivation {
                hub: HUB,
                firmware: firmware(),
            },
        ),
        (
            "N65",
            P::CosCertificate {
                device: ESME,
                serial: Some("12345678901234567890123".into()),
            },
        ),
    ]
}
