//! How each error is made.

use domain::DeviceKind;

/// Where and how an error is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By somebody's act, which is for whoever runs the campaign.
    Act(Act),
    /// The answer to this work, from this role, finds the condition instead.
    Answer(&'static str, &'static str),
    /// Something in the messages of this work is changed.
    Change(&'static str),
    /// In the authorisation that a supplier sends.
    Draft,
    /// In the gates: the cohort is not live.
    Gate,
    /// What this role sends about this work comes when nobody waits for it any more.
    Late(&'static str, &'static str),
    /// WAN links are cut, all at once.
    Links,
    /// What this role sends to that one about this work is lost.
    Lost(&'static str, &'static str, &'static str),
    /// The answer to this work says that the condition was found and put right.
    Mended(&'static str, &'static str),
    /// No WAN to the hub from the command of this work until its answer; only for this kind of device where one is named.
    NoWan(&'static str, Option<DeviceKind>),
    /// This service request finds the condition.
    Request(&'static str),
    /// The S1SP takes ten times as long.
    Slow,
    /// The answer to the files of this work is lost, and in place of those that are made anew the old ones come again.
    Old(&'static str),
}

/// An act of somebody beside the migration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Act {
    /// A supplier commits to three times the capacity.
    Demand,
    /// A supplier commits to nothing, and authorises all the same.
    DemandNothing,
    /// The MCC excludes the installation before its authorisation comes.
    Exclude,
    /// The DCC is restarted while the installation is being commissioned.
    RestartDcc,
    /// A change of supplier takes effect while it is being commissioned.
    SupplierChange,
    /// A customer tops up while it is frozen.
    TopUp,
    /// A customer tops up just after the migration, while the DCC is down.
    Vend,
}

/// The way of an error, by its code; none for a code that is not one of the sixty.
#[must_use]
pub fn way(code: &str) -> Option<Way> {
    use Way::{Answer, Change, Late, Lost, Mended, NoWan, Request};
    Some(match code {
        "LAB-MA-08" => Way::Gate,
        "LAB-MA-10" => Way::Act(Act::DemandNothing),
        "LAB-MA-12" => Way::Act(Act::Exclude),
        "LAB-MA-01" | "LAB-MA-02" | "LAB-MA-03" | "LAB-MA-04" | "LAB-MA-05" | "LAB-MA-06" | "LAB-MA-07"
        | "LAB-MA-09" | "LAB-MA-11" => Way::Draft,
        "LAB-PR-01" | "LAB-PR-02" | "LAB-PR-08" => Change("extract"),
        "LAB-PR-03" | "LAB-PR-05" => Answer("upgrade", "smso"),
        "LAB-PR-04" | "LAB-PR-06" => Change("upgrade"),
        "LAB-PR-07" => Answer("configure", "smso"),
        "LAB-DV-01" => Change("deliver"),
        "LAB-DV-02" => Way::Old("deliver"),
        "LAB-DV-03" | "LAB-DV-04" | "LAB-DV-05" | "LAB-DV-06" | "LAB-DV-07" | "LAB-DV-08" | "LAB-DV-09" => {
            Answer("deliver", "cp")
        }
        "LAB-SD-01" | "LAB-SD-02" => Answer("secrets", "s1sp"),
        "LAB-SD-03" => Late("secrets", "dco"),
        "LAB-SD-04" => Answer("secrets", "dco"),
        "LAB-VI-01" => NoWan("viability", None),
        "LAB-VI-02" | "LAB-VI-03" => Answer("viability", "s1sp"),
        "LAB-VI-04" | "LAB-VI-05" | "LAB-VI-06" => Mended("viability", "s1sp"),
        "LAB-VI-07" => Lost("probe", "cp", "dco"),
        "LAB-VI-08" => Change("probe"),
        "LAB-KR-01" => Lost("rotate", "s1sp", "cp"),
        "LAB-KR-02" => Lost("rotate", "cp", "s1sp"),
        "LAB-KR-03" => NoWan("rotate", Some(DeviceKind::Chf)),
        "LAB-KR-04" => NoWan("rotate", Some(DeviceKind::Esme)),
        "LAB-CO-01" => Request("12.2"),
        "LAB-CO-02" => Request("8.1.1"),
        "LAB-CO-03" => Request("8.11"),
        "LAB-CO-04" => Request("8.7.2"),
        "LAB-CO-05" => Request("6.21"),
        "LAB-CO-06" => Way::Act(Act::RestartDcc),
        "LAB-CO-07" => Way::Act(Act::SupplierChange),
        "LAB-CF-01" => Lost("outcome", "cp", "rp"),
        "LAB-CF-02" | "LAB-CF-03" => Answer("decommission", "smso"),
        "LAB-LD-01" => Way::Act(Act::Demand),
        "LAB-LD-02" => Way::Links,
        "LAB-LD-03" => Way::Slow,
        "LAB-TU-01" => Way::Act(Act::TopUp),
        "LAB-TU-02" => Way::Act(Act::Vend),
        _ => return None,
    })
}
