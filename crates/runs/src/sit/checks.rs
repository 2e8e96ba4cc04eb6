//! What must never be true, looked for in every run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::{DeviceKind, Eui64};
use duis::{ResponseBody, ResponseCode};
use lab::{Lab, Parts};
use prost::Message;
use proto::{ApprovalReply, Envelope, Kind, approval_reply};
use world::TapeRecord;

use super::merged_check;
use crate::verdict::{Cell, Check, Verdict};

/// One row per name: the first failure and how many more there are, or how many times it held.
pub(crate) fn merged(checks: Vec<Check>) -> Vec<Check> {
    let mut by_name: BTreeMap<String, (usize, Vec<Check>)> = BTreeMap::new();
    for check in checks {
        let entry = by_name.entry(check.name.clone()).or_default();
        entry.0 += 1;
        if check.verdict == Verdict::Failed {
            entry.1.push(check);
        }
    }
    let row = |(name, (times, failed)): (String, (usize, Vec<Check>))| match failed.as_slice() {
        [] => merged_check(&name, true, format!("{times} looked at")),
        [one] => one.clone(),
        [first, more @ ..] => merged_check(
            &name,
            false,
            format!("{} (and {} more of {times})", first.detail, more.len()),
        ),
    };
    by_name.into_iter().map(row).collect()
}

/// What a running lab shows: outcomes, alerts, supply.
pub(crate) async fn of_lab(lab: &Lab) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(dcc) = lab.dcc() {
        let open = dcc.in_hand().await;
        let nothing_open = open.as_ref().is_ok_and(|open| open.open_requests == 0);
        checks.push(merged_check(
            "no acknowledged request is without outcome",
            nothing_open,
            format!("{open:?}"),
        ));
        let letters = dcc.dead_letters().await.unwrap_or_default();
        checks.push(merged_check(
            "no delivery became a dead letter",
            letters.is_empty(),
            format!("{} dead letters", letters.len()),
        ));
    }
    for user in lab.users() {
        let (mut alerts, mut outcomes) = (0, Vec::new());
        while let Some(delivery) = user.take_unsolicited() {
            match delivery.message.response.header.request_id {
                None => alerts += 1,
                Some(id) => outcomes.push(id),
            }
        }
        checks.push(merged_check(
            "nothing comes unasked but alerts",
            outcomes.is_empty(),
            format!(
                "{}: {alerts} alerts, outcomes nobody waited for: {outcomes:?}",
                user.eui()
            ),
        ));
    }
    checks
}

/// What the tape shows, over all worlds.
pub(crate) fn of_tape(records: &[TapeRecord], cells: &[Cell], parts: &Parts) -> Vec<Check> {
    let envelopes: Vec<Envelope> = records
        .iter()
        .filter_map(|r| Envelope::decode(r.octets.clone()).ok())
        .collect();
    vec![
        one_outcome_each(&envelopes),
        approvals(&envelopes, cells),
        no_secret(records, parts),
        hub_counters(parts, &envelopes),
    ]
}

/// Every request that was acknowledged has exactly one outcome among the deliveries, however often delivered.
fn one_outcome_each(envelopes: &[Envelope]) -> Check {
    let mut acknowledged = BTreeSet::new();
    let mut outcomes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for envelope in envelopes {
        match envelope.kind() {
            Kind::DuisReply if acknowledges(&envelope.body) => {
                acknowledged.insert(envelope.trace_id.clone());
            }
            Kind::DuisDelivery => {
                // What the DCC tells about a request beside its outcome (N24 and others) is an alert.
                if let Ok(delivery) = proto::DuisDelivery::decode(envelope.body.clone())
                    && !is_dcc_alert(&delivery.xml)
                {
                    outcomes
                        .entry(envelope.trace_id.clone())
                        .or_default()
                        .insert(delivery.delivery_id);
                }
            }
            _ => {}
        }
    }
    let wrong = acknowledged
        .iter()
        .find(|id| outcomes.get(*id).map_or(0, BTreeSet::len) != 1);
    merged_check(
        "every acknowledged request has exactly one outcome",
        wrong.is_none(),
        wrong.map_or_else(
            || format!("{} requests", acknowledged.len()),
            |id| format!("{id} has {:?}", outcomes.get(id)),
        ),
    )
}

/// No approval of the DCO is given twice or unasked, and no critical request worked without one.
fn approvals(envelopes: &[Envelope], cells: &[Cell]) -> Check {
    let mut asked = BTreeSet::new();
    let mut given = BTreeSet::new();
    let mut approved = BTreeSet::new();
    let mut wrong = None;
    for envelope in envelopes {
        match envelope.kind() {
            Kind::ApprovalRequest => {
                asked.insert(envelope.trace_id.clone());
            }
            Kind::ApprovalReply => {
                let reply = ApprovalReply::decode(envelope.body.clone())
                    .ok()
                    .and_then(|reply| reply.result);
                if let Some(approval_reply::Result::Noted(true)) = &reply {
                    // A change of certificates: nothing goes to the device, and the DCO keeps a note of it.
                    approved.insert(envelope.trace_id.clone());
                }
                if let Some(approval_reply::Result::Approval(octets)) = reply {
                    if !given.insert(octets) || !asked.contains(&envelope.trace_id) {
                        wrong = Some(format!("given twice or unasked: {}", envelope.trace_id));
                    }
                    approved.insert(envelope.trace_id.clone());
                }
            }
            _ => {}
        }
    }
    let critical = |cell: &&Cell| {
        let srv = cell.srv.parse().ok();
        srv.and_then(|srv| steps::table().row(srv))
            .is_some_and(|row| row.critical)
    };
    let done = cells
        .iter()
        .filter(critical)
        .filter(|cell| cell.observed.starts_with("I0, success"));
    for cell in done {
        if !approved.contains(&cell.request_id) {
            wrong = Some(format!("worked without approval: {}", cell.request_id));
        }
    }
    merged_check(
        "no critical request works without an approval of its own",
        wrong.is_none(),
        wrong.unwrap_or_else(|| format!("{} approvals", given.len())),
    )
}

/// No relation secret or device key of the run is in any octets of the tape.
fn no_secret(records: &[TapeRecord], parts: &Parts) -> Check {
    let relations = parts.custody.relations();
    let mut secrets: BTreeSet<[u8; 16]> = BTreeSet::new();
    for relation in [&relations.smso, &relations.s1sp, &relations.dco] {
        for half in relation.expose().as_chunks::<16>().0 {
            secrets.insert(*half);
        }
    }
    for device in parts.estate.devices().filter(|device| device.kind != DeviceKind::Chf) {
        for key in keys_of(parts, device.device) {
            secrets.insert(key);
        }
    }
    // Most octets are the beginning of no secret: looking at four of them is enough to tell.
    let mut begins = vec![false; 1 << 16];
    let place = |octets: &[u8; 4]| (u32::from_le_bytes(*octets).wrapping_mul(0x9E37_79B1) >> 16) as usize;
    for secret in &secrets {
        if let Some((first, _)) = secret.split_first_chunk() {
            begins[place(first)] = true;
        }
    }
    let is_secret = |window: &[u8]| {
        let first = window.first_chunk();
        first.is_some_and(|first| begins[place(first)]) && secrets.contains(window)
    };
    let found = records.iter().find(|record| record.octets.windows(16).any(is_secret));
    merged_check(
        "no secret is on the tape",
        found.is_none(),
        found.map_or_else(
            || format!("{} secrets in {} records", secrets.len(), records.len()),
            |record| format!("in record {} on {}", record.sequence, record.link),
        ),
    )
}

fn keys_of(parts: &Parts, device: Eui64) -> Vec<[u8; 16]> {
    use domain::keys::Purpose as P;
    let relations = parts.custody.relations();
    let sessions = [
        P::CriticalAuthentication,
        P::CriticalEncryption,
        P::ManagementAuthentication,
        P::ManagementEncryption,
    ];
    let of_operator = [&relations.smso, &relations.s1sp]
        .into_iter()
        .flat_map(|relation| sessions.map(|purpose| *relation.device_key(device, 1, purpose).expose()));
    of_operator
        .chain([*relations.dco.device_key(device, 1, P::Approval).expose()])
        .collect()
}

/// Hubs number their connections upwards: a connection number seen again would let an old session be taken for a new one.
fn hub_counters(parts: &Parts, envelopes: &[Envelope]) -> Check {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut wrong = None;
    for envelope in envelopes
        .iter()
        .filter(|e| e.kind() == Kind::WanOpen && e.from == "fleet")
    {
        if let Ok(open) = proto::WanOpen::decode(envelope.body.clone()) {
            let before = last.insert(open.hub, open.session);
            if before.is_some_and(|before| open.session <= before) {
                wrong = Some(Eui64(open.hub));
            }
        }
    }
    merged_check(
        "connection numbers of a hub only rise",
        wrong.is_none(),
        wrong.map_or_else(
            || format!("{} of {} hubs", last.len(), parts.estate.len()),
            |hub| hub.to_string(),
        ),
    )
}

/// Whether a reply on the tape says that the request was taken.
fn acknowledges(octets: &Bytes) -> bool {
    let reply = proto::DuisReply::decode(octets.clone());
    let response = reply.ok().and_then(|reply| duis::read_response(&reply.xml).ok());
    response.is_some_and(|response| response.header.code == ResponseCode::I99)
}

/// Whether a delivery is an alert of the DCC. One that cannot be read counts as an outcome.
fn is_dcc_alert(xml: &[u8]) -> bool {
    duis::read_response(xml).is_ok_and(|response| matches!(response.body, ResponseBody::DccAlert { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_known_by_what_it_is_and_not_by_its_letters() {
        // An outcome whose text mentions the element is none; what cannot be read is none.
        for xml in ["<a>DCCAlertMessage></a>", "", "DCCAlertMessage>"] {
            assert!(!is_dcc_alert(xml.as_bytes()), "{xml}");
        }
    }

    #[test]
    fn a_critical_request_that_worked_without_approval_is_found() {
        let cell = |srv: &str, observed: &str| Cell {
            request_id: "id".into(),
            observed: observed.into(),
            ..Cell::new(
                Eui64(1),
                DeviceKind::Esme,
                "p@f".into(),
                srv.parse().expect("a variant"),
            )
        };
        let verdict = |cell: Cell| approvals(&[], &[cell]).verdict;
        assert_eq!(verdict(cell("7.2", "I0, success")), Verdict::Failed);
        assert_eq!(verdict(cell("7.2", "E57")), Verdict::Passed);
        assert_eq!(verdict(cell("7.4", "I0, success")), Verdict::Passed);
    }
}
