//! One signed request through the whole chain in process, against the floor of its P-256 operations; then the same
//! messages step by step.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use dialects::{HeadEndEvent, HeadEndSession, MeterSession};
use domain::keys::{Party, Purpose};
use domain::{
    Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, RequestId, SimDuration, SimInstant,
    UserRole,
};
use duis::signature::{self, Certificates, SigningKey};
use duis::{ResponseCode, ResponseHeader, SignedBody, SignedHeader};
use fleet::line::Custody;
use lab::{Config, Lab, Parts};
use proto::{
    ApprovalRequest, Countersigned, CountersignedServiceRequest, DuisDelivery, DuisReply, Envelope, Kind, Message,
    S1spResponse,
};
use steps::{StepOutcome, StepResult, Target};
use tokio::runtime::Runtime;
use users::orders::{self, Period};
use users::{Client, Order};
use world::{MemoryStore, Tape};

use super::house::House;
use super::machine::{Stretch, micros_per_call};
use super::request::{self, Alerts};
use super::table::{Against, Table};

const REQUESTS: u32 = 300;
/// Of so many rounds the best counts.
const ROUNDS: u32 = 5;
const BUDGET: Duration = Duration::from_millis(300);
/// Longer than any connection is kept: the next request has to wake the hub.
const APART: SimDuration = SimDuration::from_mins(5);
const LIMIT: SimDuration = SimDuration::from_hours(3);

pub(crate) fn run(table: &mut Table) -> Result<()> {
    let before = request::floor()?;
    let plain = "P-256 floor: 5 sign, 6 verify (aim ratio 0.5)";
    let critical = "P-256 floor: 5 sign, 8 verify (aim ratio 0.5)";
    let on_open = through(SimDuration::from_millis(1), REQUESTS, &read)?;
    let woken = through(APART, REQUESTS, &read)?;
    let synchronised = through(APART, REQUESTS, &synchronise)?;
    let switched = through(APART, REQUESTS, &switch)?;
    // The machine may have been faster before or after.
    let floor = before.best(request::floor()?);
    floor.show(table);
    let mut row = |what: &str, micros, floor, is| {
        table.row(
            &format!("request in process: {what}"),
            micros,
            "µs",
            Against::AtMost(floor, is),
        );
    };
    row("4.1.1 on an open connection", on_open.micros, floor.plain(), plain);
    row("4.1.1, hub woken for it", woken.micros, floor.plain(), plain);
    row(
        "6.11, hub woken for it",
        synchronised.micros,
        floor.critical(),
        critical,
    );
    let name = format!(
        "7.2 and 7.3 in turn, hub woken for each, {:.1} alerts each",
        switched.alerts.raised
    );
    row(&name, switched.micros, floor.critical(), critical);
    row(
        "the same",
        switched.micros,
        floor.critical_with(switched.alerts),
        "that floor and the alerts': 1 sign, and 1 sign, 2 verify for each user",
    );
    let messages = woken.messages;
    table.row(
        "request in process: 4.1.1, hub woken, messages on links",
        messages,
        "messages",
        Against::Nothing,
    );
    table.row(
        "request in process: between two requests that wake a hub, what the estate does by itself",
        life_between(REQUESTS)?,
        "µs",
        Against::Nothing,
    );
    schema(table)?;
    let total = steps_of(table, false)?;
    rest(table, "4.1.1", "", woken.micros - total);
    let total = steps_of(table, true)?;
    rest(table, "7.2", ", device alerts", switched.micros - total);
    Ok(())
}

fn read(device: Eui64, _: u32, _: SimInstant) -> Order {
    orders::read_import_registers(device)
}

fn switch(device: Eui64, number: u32, _: SimInstant) -> Order {
    if number.is_multiple_of(2) {
        orders::disable_supply(device)
    } else {
        orders::arm_supply(device)
    }
}

fn synchronise(device: Eui64, _: u32, now: SimInstant) -> Order {
    // Within a day: clocks of devices drift, and what is measured is not how far.
    orders::synchronise_clock(device, now, 86_400)
}

/// Prints microseconds of so many reads.
pub(crate) fn reads_here(count: u32) -> Result<()> {
    println!("{}", through(APART, count, &read)?.micros);
    Ok(())
}

/// Prints microseconds of so many operations of the supply.
pub(crate) fn switches_here(count: u32) -> Result<()> {
    println!("{}", through(APART, count, &switch)?.micros);
    Ok(())
}

fn rest(table: &mut Table, srv: &str, and: &str, micros: f64) {
    table.row(
        &format!("step, {srv}: all else (tasks, links, tape, WAN, journals, audit{and})"),
        micros,
        "µs",
        Against::Nothing,
    );
}

struct Through {
    micros: f64,
    messages: f64,
    alerts: Alerts,
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?)
}

fn meter(lab: &Lab) -> Result<Eui64> {
    let devices = lab.devices();
    let found = devices
        .values()
        .flatten()
        .find(|device| device.kind == DeviceKind::Esme);
    Ok(found.context("the estate has a meter")?.device)
}

fn supplier(lab: &Lab) -> Result<Client> {
    lab.user_in(UserRole::ImportSupplier)
        .cloned()
        .context("the lab has a supplier")
}

/// Processor time per request, one after the other, in the best of five rounds: as the floor is measured.
fn through(apart: SimDuration, requests: u32, order: &dyn Fn(Eui64, u32, SimInstant) -> Order) -> Result<Through> {
    runtime()?.block_on(async {
        let lab = Lab::start(Config::default())?;
        let (device, client) = (meter(&lab)?, supplier(&lab)?);
        let per_round = (requests / ROUNDS).max(2).next_multiple_of(2);
        let mut best = f64::INFINITY;
        let (mut messages, mut alerts) = (0, Alerts::default());
        // The first round warms up.
        for _ in 0..=ROUNDS {
            let (start, before) = (Stretch::begin(), lab.tape().recorded());
            for number in 0..per_round {
                lab.world().clock.sleep(apart).await;
                let order = order(device, number, client.now());
                let exchange = client.request(&order, LIMIT).await?;
                if exchange.code() != "I0" || !text(&exchange).contains("MessageSuccess=\"true\"") {
                    bail!("{} ended with {}: {}", order.srv, exchange.code(), text(&exchange));
                }
            }
            best = best.min(start.seconds());
            while client.take_unsolicited().is_some() {}
            messages = lab.tape().recorded() - before;
            alerts = alerts_since(lab.tape(), before, per_round)?;
        }
        lab.stop().await;
        let requests = f64::from(per_round);
        Ok(Through {
            micros: best * 1e6 / requests,
            messages: messages as f64 / requests,
            alerts,
        })
    })
}

/// Processor time of the same lab for as long as lies between two requests, when nobody asks for anything.
fn life_between(requests: u32) -> Result<f64> {
    runtime()?.block_on(async {
        let lab = Lab::start(Config::default())?;
        let mut best = f64::INFINITY;
        // The first round warms up.
        for _ in 0..=ROUNDS {
            let start = Stretch::begin();
            for _ in 0..requests / ROUNDS {
                lab.world().clock.sleep(APART).await;
            }
            best = best.min(start.seconds());
        }
        lab.stop().await;
        Ok(best * 1e6 / f64::from(requests / ROUNDS))
    })
}

/// Alerts on the tape from a record on, for each of so many requests.
fn alerts_since(tape: &Tape, first: u64, requests: u32) -> Result<Alerts> {
    let (mut raised, mut delivered) = (0u32, 0u32);
    for record in tape.records().into_iter().filter(|record| record.sequence >= first) {
        match Envelope::decode(record.octets)?.kind() {
            Kind::S1spAlert => raised += 1,
            Kind::DuisDelivery => delivered += 1,
            _ => {}
        }
    }
    let each = |count: u32| f64::from(count) / f64::from(requests);
    Ok(Alerts {
        raised: each(raised),
        delivered: each(delivered) - 1.0,
    })
}

fn text(exchange: &users::Exchange) -> String {
    let xml = exchange
        .outcome
        .as_ref()
        .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
    String::from_utf8_lossy(xml).into_owned()
}

/// Schema check alone, of a request and of the response to a profile read of usual length.
fn schema(table: &mut Table) -> Result<()> {
    let (sent, back) = runtime()?.block_on(async {
        let lab = Lab::start(Config::default())?;
        let (device, client) = (meter(&lab)?, supplier(&lab)?);
        let now = lab.world().clock.now();
        let period = Period {
            from: now - SimDuration::from_mins(11 * 30),
            to: now,
        };
        let signed = client.sign(&orders::read_import_profile(device, period))?;
        let sent = signed.xml.clone();
        let exchange = client.send(signed, LIMIT).await?;
        let back = exchange.outcome.context("the profile was read")?.xml;
        lab.stop().await;
        anyhow::Ok((sent, back))
    })?;
    for (what, xml) in [
        ("request 4.8.1", &sent),
        ("response 4.8.1 with an inner document", &back),
    ] {
        duis::check(xml)?;
        let micros = micros_per_call(BUDGET, || {
            black_box(duis::check(black_box(xml)).is_ok());
        });
        table.row(
            &format!("duis: schema check of a {what}, {} octets", xml.len()),
            micros,
            "µs",
            Against::Nothing,
        );
    }
    Ok(())
}

/// The messages of one request, as they stood on the links.
struct Messages {
    parts: Arc<Parts>,
    order: Order,
    id: RequestId,
    countersigned: CountersignedServiceRequest,
    acknowledgement: DuisReply,
    approval: Option<ApprovalRequest>,
    s1sp: S1spResponse,
    delivery: DuisDelivery,
}

fn messages(critical: bool) -> Result<Messages> {
    runtime()?.block_on(async {
        let lab = Lab::start(Config::default())?;
        let (device, client) = (meter(&lab)?, supplier(&lab)?);
        let order = if critical {
            orders::disable_supply(device)
        } else {
            orders::read_import_registers(device)
        };
        let exchange = client.request(&order, LIMIT).await?;
        let parts = Arc::clone(lab.parts());
        let tape = lab.tape();
        let messages = Messages {
            parts,
            order,
            id: exchange.id,
            countersigned: on_tape(tape, Kind::CountersignedRequest)?,
            acknowledgement: on_tape(tape, Kind::DuisReply)?,
            approval: critical.then(|| on_tape(tape, Kind::ApprovalRequest)).transpose()?,
            s1sp: on_tape(tape, Kind::S1spResponse)?,
            delivery: on_tape(tape, Kind::DuisDelivery)?,
        };
        lab.stop().await;
        Ok(messages)
    })
}

fn on_tape<M: Message + Default>(tape: &Tape, kind: Kind) -> Result<M> {
    for record in tape.records() {
        let envelope = Envelope::decode(record.octets)?;
        if envelope.kind() == kind {
            return Ok(M::decode(envelope.body)?);
        }
    }
    Err(anyhow!("no {kind:?} on the tape"))
}

/// Measures the steps of one request one by one and gives their sum.
fn steps_of(table: &mut Table, critical: bool) -> Result<f64> {
    let messages = messages(critical)?;
    let srv = messages.order.srv;
    let mut sum = 0.0;
    let mut step = |what: &str, work: &mut dyn FnMut()| {
        let micros = micros_per_call(BUDGET, work);
        sum += micros;
        table.row(&format!("step, {srv}: {what}"), micros, "µs", Against::Nothing);
    };
    let parts = &messages.parts;
    let certificates = &*parts.certificates;
    let supplier = parts
        .pki
        .users
        .first()
        .and_then(|user| user.identity.as_ref())
        .context("a user with keys")?;
    let user = parts.signing_key("the user", supplier)?;
    let dcc = parts.signing_key("the DCC", &parts.pki.dcc)?;
    let s1sp = parts.signing_key("the S1SP", &parts.pki.s1sp)?;
    let countersigned = Countersigned::decode(messages.countersigned.countersigned.clone())?;
    let xml = &countersigned.request_xml;
    let request = duis::read_request(xml)?;

    let written = || duis::write::request(&duis::Request::new(messages.id, srv).with_body(messages.order.body.clone()));
    let unsigned = written()?;
    step("user: write the request", &mut || drop(black_box(written())));
    step("user: sign it (canonical form, digest, sign 1)", &mut || {
        drop(black_box(signature::sign(&unsigned, &user)))
    });
    step("dcc: read and check the request", &mut || {
        drop(black_box(duis::read_request(xml)))
    });
    step("dcc: verify the user (verify 1)", &mut || verify(xml, certificates));
    let code = ResponseCode::new("I99").context("I99")?;
    let header = ResponseHeader::replying(messages.id, code, countersigned_at(&countersigned));
    step("dcc: write and sign the acknowledgement (sign 2)", &mut || {
        let xml = duis::write::response(&header, srv, None).unwrap_or_default();
        drop(black_box(signature::sign(&xml, &dcc)));
    });
    step("dcc: countersign (sign 3)", &mut || {
        drop(black_box(signature::sign_octets(
            &messages.countersigned.countersigned,
            &dcc,
        )));
    });
    judging(&messages, &mut step, &dcc)?;
    if let Some(asked) = &messages.approval {
        let now = countersigned_at(&countersigned);
        step(
            "dco: decide (verify 7 and 8, read, permit, approve, journal)",
            &mut || {
                let options = dco::Options::new(
                    Arc::clone(&parts.certificates) as _,
                    parts.config.dcc.eui,
                    parts.custody.dco.clone(),
                );
                let judge = dco::Judge::open(options, Box::new(MemoryStore::default()));
                black_box(judge.ok().and_then(|mut judge| judge.decide(asked, now).ok()).is_some());
            },
        );
    }
    device(&messages, &request, &mut step, &s1sp)?;

    let signed = &messages.s1sp.signed_response_xml;
    let header = ResponseHeader::answering(messages.id, ResponseCode::new("I0").context("I0")?, header.at);
    step("dcc: check and wrap the S1SP's response", &mut || {
        drop(black_box(duis::write::smets1_response(
            &header,
            Some(srv),
            None,
            None,
            signed,
        )));
    });
    let wrapped = duis::write::smets1_response(&header, Some(srv), None, None, signed)?;
    step("dcc: sign it (sign 5)", &mut || {
        drop(black_box(signature::sign(&wrapped, &dcc)))
    });
    step("user: read and verify the acknowledgement (verify 4)", &mut || {
        drop(black_box(duis::read_response(&messages.acknowledgement.xml)));
        verify(&messages.acknowledgement.xml, certificates);
    });
    step("user: read the response", &mut || {
        drop(black_box(duis::read_response(&messages.delivery.xml)))
    });
    step("user: verify outer and inner signature (verify 5 and 6)", &mut || {
        verify(&messages.delivery.xml, certificates);
        verify(signed, certificates);
    });
    Ok(sum)
}

fn countersigned_at(countersigned: &Countersigned) -> SimInstant {
    SimInstant(countersigned.countersigned_at_ms)
}

fn verify(xml: &[u8], certificates: &dyn Certificates) {
    black_box(signature::verify(xml, certificates).is_ok());
}

type Measure<'a> = dyn FnMut(&str, &mut dyn FnMut()) + 'a;

/// What the S1SP does before it speaks to a device.
fn judging(messages: &Messages, step: &mut Measure<'_>, dcc: &SigningKey) -> Result<()> {
    let certificates = &*messages.parts.certificates;
    let countersigned = Countersigned::decode(messages.countersigned.countersigned.clone())?;
    step("s1sp: verify countersignature and user (verify 2 and 3)", &mut || {
        let message = &messages.countersigned;
        black_box(signature::verify_octets(
            &message.countersigned,
            &message.signature,
            dcc.certificate(),
        ));
        verify(&countersigned.request_xml, certificates);
    });
    step("s1sp: read the request", &mut || {
        drop(black_box(duis::read_request(&countersigned.request_xml)))
    });
    Ok(())
}

/// Plan, device and response: what stands between the S1SP's verification and its signature.
fn device(messages: &Messages, request: &duis::Request, step: &mut Measure<'_>, s1sp: &SigningKey) -> Result<()> {
    let mut house = House::new()?;
    let profile = messages
        .parts
        .catalogue
        .profile(house.site.profile(DeviceKind::Esme).context("a meter")?);
    let profile = profile.context("the meter's profile")?;
    let target = Target {
        device: request.id.target,
        kind: DeviceKind::Esme,
        hub: house.site.hub(),
        profile,
        asked_by: steps::AskedBy::Supplier,
    };
    let plan = steps::plan(request, &target).map_err(|refused| anyhow!("{refused}"))?;
    step("s1sp: plan", &mut || drop(black_box(steps::plan(request, &target))));
    let mut custody = house.custody();
    let mut number = 0;
    let operations: Vec<(Operation, bool)> = plan
        .steps
        .iter()
        .filter(|s| s.answered.is_none())
        .map(|s| (s.operation.clone(), s.critical))
        .collect();
    let mut execute = || session(&mut house, &mut custody, &operations, &mut number);
    execute()?;
    step(
        "device: connection with all steps of the plan, both ends (associate, operate, release)",
        &mut || {
            drop(black_box(execute()));
        },
    );
    let outcomes: Vec<StepOutcome> = plan
        .steps
        .iter()
        .filter(|each| each.answered.is_none())
        .map(|each| {
            let access = Access {
                association: Association::Management,
                party: Some(Party::S1sp),
            };
            let result = if each.critical {
                StepResult::Device(Ok(domain::Answer::Done))
            } else {
                match dialects::Host::execute(&mut house.face(), each.kind, access, &each.operation, None) {
                    Execution::Finished(outcome) => StepResult::Device(outcome),
                    Execution::Queued(_) => StepResult::NotTried,
                }
            };
            StepOutcome {
                position: each.position,
                result,
                at: Some(house.now),
            }
        })
        .collect();
    let now = house.now;
    let write = || {
        let payload = steps::respond(request, &target, &plan, &outcomes, now);
        let header = SignedHeader {
            message_code: payload.message_code,
            ..SignedHeader::answering(request, payload.at)
        };
        let body = SignedBody::Response {
            payload: payload.payload,
            debug: payload.debug,
        };
        duis::write::smets1_signed_response(&header, &body)
    };
    let unsigned = write()?;
    step("s1sp: make and write the response", &mut || drop(black_box(write())));
    step("s1sp: sign it (sign 4)", &mut || {
        drop(black_box(signature::sign(&unsigned, s1sp)))
    });
    Ok(())
}

/// One connection, from the hub's first word to the release. Gives the number of frames that passed.
pub(super) fn session(
    house: &mut House,
    custody: &mut Custody,
    operations: &[(Operation, bool)],
    number: &mut u32,
) -> Result<u32> {
    let mut frames = 1;
    let devices = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];
    let devices = devices.into_iter().map(|slot| (slot, house.device(slot))).collect();
    let mut meter = MeterSession::new(&house.face_profile().clone());
    let mut head_end = HeadEndSession::new(house.face_profile(), devices);
    let hello = meter.open(&mut house.face());
    head_end.input(custody, &hello)?;
    for (operation, critical) in operations {
        let esme = house.device(DeviceKind::Esme);
        let approval = critical.then(|| {
            *number += 1;
            let key = house.dco_key(DeviceKind::Esme, Purpose::Approval);
            let request = RequestId {
                originator: Eui64(1),
                target: esme,
                counter: u64::from(*number),
            };
            Approval::make(
                &key,
                esme,
                operation,
                request,
                *number,
                house.now + SimDuration::from_hours(1),
            )
        });
        let association = if *critical {
            Association::Critical
        } else {
            Association::Management
        };
        let mut octets = head_end.start(custody, DeviceKind::Esme, association, operation, approval.as_ref())?;
        let mut finished = false;
        while !octets.is_empty() {
            let answer = meter.input(&octets, &mut house.face()).octets;
            frames += 2;
            octets.clear();
            for event in head_end.input(custody, &answer)? {
                match event {
                    HeadEndEvent::Send(more) => octets.extend_from_slice(&more),
                    HeadEndEvent::Finished(outcome) => {
                        finished = true;
                        outcome.map_err(|refusal| anyhow!("{operation}: {refusal:?}"))?;
                    }
                    _ => {}
                }
            }
        }
        if !finished {
            bail!("{operation} did not end");
        }
    }
    let last = head_end.release(custody);
    let answer = meter.input(&last, &mut house.face()).octets;
    head_end.input(custody, &answer)?;
    Ok(frames + 2)
}
