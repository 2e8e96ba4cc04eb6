//! What an S1SP that lies gets from the DCO: no approval, and a record of the attempt.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod parties;

use dco::{Dco, Denied, Judge, Options, Thresholds, audit};
use domain::keys::{Purpose, RelationSecret};
use domain::{Approval, DataItem, DeviceKind, Eui64, Operation, RequestId, Seed, SimDuration, SimInstant};
use duis::Element;
use proto::{
    ApprovalReply, ApprovalRequest, Countersigned, CountersignedServiceRequest, Envelope, Kind, Message, approval_reply,
};
use tokio_util::sync::CancellationToken;
use world::{MemoryStore, World, semantic};

use parties::{DCC, OTHER_USER, Parties, USER, seal, synchronise_clock};

const ESME: Eui64 = Eui64(0x00DB_0000_0000_0002);
const OTHER_ESME: Eui64 = Eui64(0x00DB_0000_0000_0012);
const HUB: Eui64 = Eui64(0x00DB_0000_0000_0001);

fn noon() -> SimInstant {
    SimInstant::from_utc(2019, 3, 30, 12, 0, 0).unwrap()
}

struct Rig {
    parties: Parties,
    store: MemoryStore,
    judge: Judge,
}

fn relation() -> RelationSecret {
    RelationSecret::new([3; 32])
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let (parties, store) = (Parties::new(), MemoryStore::default());
        let mut options = Options::new(parties.book.clone(), DCC, relation());
        change(&mut options);
        let judge = Judge::open(options, Box::new(store.clone())).unwrap();
        Self { parties, store, judge }
    }

    /// The user's genuine, countersigned request to disable the supply.
    fn disable(&self, counter: u64) -> CountersignedServiceRequest {
        let xml = self.parties.request("7.2", ESME, counter, Element::sr("DisableSupply"));
        self.parties.countersign(xml, ESME, DeviceKind::Esme, HUB, noon())
    }

    fn ask(&mut self, asked: &ApprovalRequest) -> Result<Approval, Denied> {
        self.judge.decide(asked, noon() + SimDuration::from_secs(5))
    }

    fn last_record(&self) -> audit::Record {
        audit::read(&self.store).unwrap().pop().unwrap()
    }

    /// Nothing is approved, and the record says why.
    fn refused(&mut self, asked: &ApprovalRequest, why: fn(&Denied) -> bool) {
        let before = audit::read(&self.store).unwrap().len();
        let denied = self.ask(asked).unwrap_err();
        assert!(why(&denied), "{denied:?}");
        assert_eq!(audit::read(&self.store).unwrap().len(), before + 1);
        let record = self.last_record();
        assert!(!record.approved() && record.refused == denied.to_string(), "{record:?}");
    }
}

fn asked(request: CountersignedServiceRequest, device: Eui64, operation: &Operation, step: u32) -> ApprovalRequest {
    let operation = Some(semantic::operation_to_proto(operation));
    ApprovalRequest {
        request: Some(request),
        device: device.0,
        operation,
        step,
        credentials: false,
    }
}

#[test]
fn a_genuine_step_is_approved_once_for_its_device_only() {
    let mut rig = Rig::new();
    let genuine = asked(rig.disable(1), ESME, &Operation::DisableSupply, 1);
    let approval = rig.ask(&genuine).unwrap();
    assert_eq!(
        approval.request,
        RequestId {
            originator: USER,
            target: ESME,
            counter: 1
        }
    );
    let key = relation().device_key(ESME, 1, Purpose::Approval);
    let at = noon() + SimDuration::from_mins(74);
    assert_eq!(approval.check(&key, ESME, &Operation::DisableSupply, 0, at), Ok(()));
    assert!(
        approval
            .check(
                &key,
                ESME,
                &Operation::DisableSupply,
                0,
                noon() + SimDuration::from_mins(76)
            )
            .is_err()
    );
    let record = rig.last_record();
    assert_eq!((record.counter, record.step, record.device), (1, 1, ESME.0));
    assert!(record.approved() && record.operation == "disable supply");

    // Twice: the same, another step number, and after a restart on the same journal.
    let already: fn(&Denied) -> bool = |denied| matches!(denied, Denied::AlreadyApproved { .. });
    rig.refused(&genuine, already);
    let other_step = ApprovalRequest {
        step: 2,
        ..genuine.clone()
    };
    rig.refused(&other_step, already);
    let options = Options::new(rig.parties.book.clone(), DCC, relation());
    rig.judge = Judge::open(options, Box::new(rig.store.clone())).unwrap();
    rig.refused(&genuine, already);
    let next = asked(rig.disable(2), ESME, &Operation::DisableSupply, 1);
    assert_eq!(rig.ask(&next).unwrap().counter, 2);
}

#[test]
fn another_operation_device_or_argument_is_refused() {
    let mut rig = Rig::new();
    let request = rig.disable(1);
    rig.refused(&asked(request.clone(), ESME, &Operation::EnableSupply, 1), |d| {
        matches!(d, Denied::NotPermitted(_))
    });
    rig.refused(&asked(request.clone(), OTHER_ESME, &Operation::DisableSupply, 1), |d| {
        matches!(d, Denied::Device { .. })
    });
    let read = Operation::Read(DataItem::SupplyState);
    rig.refused(&asked(request.clone(), ESME, &read, 1), |d| {
        matches!(d, Denied::NotCritical(_))
    });
    rig.refused(&asked(request.clone(), ESME, &Operation::DisableSupply, 0), |d| {
        matches!(d, Denied::Malformed(_))
    });

    let xml = rig.parties.request("6.11", ESME, 2, synchronise_clock(noon(), 10));
    let clock = rig.parties.countersign(xml, ESME, DeviceKind::Esme, HUB, noon());
    for operation in [
        Operation::SynchroniseClock {
            time: noon(),
            tolerance_s: 11,
        },
        Operation::SynchroniseClock {
            time: noon() + SimDuration::from_secs(1),
            tolerance_s: 10,
        },
    ] {
        rig.refused(&asked(clock.clone(), ESME, &operation, 1), |d| {
            matches!(d, Denied::NotPermitted(_))
        });
    }
    let genuine = Operation::SynchroniseClock {
        time: noon(),
        tolerance_s: 10,
    };
    assert!(
        rig.ask(&asked(clock, ESME, &genuine, 1)).is_ok(),
        "refusals use nothing up"
    );
    assert!(rig.ask(&asked(request, ESME, &Operation::DisableSupply, 1)).is_ok());
}

#[test]
fn a_request_that_is_not_fresh_is_refused() {
    let mut rig = Rig::new();
    for at in [noon() - SimDuration::from_mins(91), noon() + SimDuration::from_mins(2)] {
        let xml = rig.parties.request("7.2", ESME, 1, Element::sr("DisableSupply"));
        let request = rig.parties.countersign(xml, ESME, DeviceKind::Esme, HUB, at);
        rig.refused(&asked(request, ESME, &Operation::DisableSupply, 1), |d| {
            matches!(d, Denied::NotFresh(_))
        });
    }
}

#[test]
fn a_forged_countersignature_is_refused() {
    let mut rig = Rig::new();
    let genuine = rig.disable(1);
    let countersignature: fn(&Denied) -> bool = |denied| matches!(denied, Denied::Countersignature(_));
    let forgeries = [
        // By the S1SP itself, under its own name and under the DCC's.
        seal(genuine.countersigned.to_vec(), &rig.parties.s1sp.key()),
        CountersignedServiceRequest {
            signer_serial: genuine.signer_serial.clone(),
            ..seal(genuine.countersigned.to_vec(), &rig.parties.s1sp.key())
        },
        CountersignedServiceRequest {
            signature: vec![0; 64].into(),
            ..genuine.clone()
        },
        CountersignedServiceRequest {
            signature: Vec::new().into(),
            ..genuine.clone()
        },
        CountersignedServiceRequest {
            signer_serial: "77".into(),
            ..genuine.clone()
        },
    ];
    for forged in forgeries {
        rig.refused(&asked(forged, ESME, &Operation::DisableSupply, 1), countersignature);
    }
    // The facts about the target are under the signature too.
    let mut facts = Countersigned::decode(genuine.countersigned.clone()).unwrap();
    facts.target.as_mut().unwrap().device_kind = "GSME".into();
    let altered = CountersignedServiceRequest {
        countersigned: facts.encode_to_vec().into(),
        ..genuine
    };
    rig.refused(&asked(altered, ESME, &Operation::DisableSupply, 1), countersignature);
}

#[test]
fn altered_or_foreign_xml_is_refused_even_with_a_genuine_countersignature() {
    let mut rig = Rig::new();
    let signature: fn(&Denied) -> bool = |denied| matches!(denied, Denied::UserSignature(_));
    let xml = String::from_utf8(rig.parties.request("7.2", ESME, 1, Element::sr("DisableSupply"))).unwrap();
    let altered = xml.replace("DisableSupply", "EnableSupply").replace("7.2", "7.1");
    assert_ne!(altered, xml);
    let foreign = rig.parties.request_by(
        &rig.parties.other_user,
        USER,
        "7.2",
        ESME,
        1,
        Element::sr("DisableSupply"),
    );
    let start = xml.find("<ds:Signature").unwrap();
    let end = xml.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let unsigned = format!("{}{}", &xml[..start], &xml[end..]);
    // What is no request at all is refused as that, before anybody looks for a signature.
    let unreadable: fn(&Denied) -> bool = |denied| matches!(denied, Denied::Request(_));
    for (bad, why) in [
        (altered.into_bytes(), signature),
        (foreign, signature),
        (unsigned.into_bytes(), signature),
        (b"<nothing/>".to_vec(), unreadable),
        (Vec::new(), unreadable),
    ] {
        let request = rig.parties.countersign(bad, ESME, DeviceKind::Esme, HUB, noon());
        for operation in [Operation::EnableSupply, Operation::DisableSupply] {
            rig.refused(&asked(request.clone(), ESME, &operation, 1), why);
        }
    }
    let own = rig.parties.request_by(
        &rig.parties.other_user,
        OTHER_USER,
        "7.2",
        ESME,
        1,
        Element::sr("DisableSupply"),
    );
    let request = rig.parties.countersign(own, ESME, DeviceKind::Esme, HUB, noon());
    assert!(
        rig.ask(&asked(request, ESME, &Operation::DisableSupply, 1)).is_ok(),
        "whose device it is, the DCC knows"
    );
}

#[test]
fn a_dcc_that_names_another_target_is_refused() {
    let mut rig = Rig::new();
    let xml = rig.parties.request("7.2", ESME, 1, Element::sr("DisableSupply"));
    let request = rig.parties.countersign(xml, OTHER_ESME, DeviceKind::Esme, HUB, noon());
    for device in [ESME, OTHER_ESME] {
        rig.refused(&asked(request.clone(), device, &Operation::DisableSupply, 1), |d| {
            matches!(d, Denied::Device { .. })
        });
    }
}

#[test]
fn thresholds_hold_within_an_hour_and_over_a_restart() {
    let thresholds = Thresholds {
        per_user_and_hour: Some(2),
        per_device_and_hour: None,
    };
    let mut rig = Rig::with(|options| options.thresholds = thresholds);
    for counter in 1..=2 {
        let request = asked(rig.disable(counter), ESME, &Operation::DisableSupply, 1);
        rig.ask(&request).unwrap();
    }
    let third = asked(rig.disable(3), ESME, &Operation::DisableSupply, 1);
    rig.refused(&third, |d| matches!(d, Denied::Threshold(_)));
    let options = Options {
        thresholds,
        ..Options::new(rig.parties.book.clone(), DCC, relation())
    };
    rig.judge = Judge::open(options, Box::new(rig.store.clone())).unwrap();
    rig.refused(&third, |d| matches!(d, Denied::Threshold(_)));
    assert!(rig.judge.decide(&third, noon() + SimDuration::from_mins(61)).is_ok());
}

#[test]
fn the_role_replies_on_its_link_and_to_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(noon(), Seed::root(1));
        let (mut s1sp, dco) = world.link("s1sp", "dco");
        let rig = Rig::new();
        let options = Options::new(rig.parties.book.clone(), DCC, relation());
        let role = Dco::new(world.clone(), dco, options, Box::new(MemoryStore::default())).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(role.run(stop.clone()));
        s1sp.send(Envelope::default(), Kind::Accepted, b"").await.unwrap();
        let genuine = asked(rig.disable(1), ESME, &Operation::DisableSupply, 1);
        let mut replies = Vec::new();
        for body in [b"\xff\xff".to_vec(), genuine.encode_to_vec(), genuine.encode_to_vec()] {
            let id = s1sp
                .send(Envelope::default(), Kind::ApprovalRequest, &body)
                .await
                .unwrap();
            let reply = s1sp.recv().await.unwrap();
            assert_eq!((reply.kind(), reply.in_reply_to), (Kind::ApprovalReply, id));
            replies.push(ApprovalReply::decode(reply.body).unwrap().result.unwrap());
        }
        let approved: Vec<bool> = replies
            .iter()
            .map(|reply| matches!(reply, approval_reply::Result::Approval(_)))
            .collect();
        assert_eq!(approved, [false, true, false]);
        stop.cancel();
        running.await.unwrap();
    });
}
