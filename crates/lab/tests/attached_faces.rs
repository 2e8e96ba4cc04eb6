//! A program outside speaks for devices and to them: a toy protocol at both ends, driven by service requests. And what a
//! display is on a running lab.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "on_sockets/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod on_sockets;

use std::collections::BTreeMap;
use std::future::poll_fn;

use domain::DeviceKind;
use lab::faces::{Faces, Program};
use on_sockets::{Up, config, start};
use prost::Message;
use proto::v1 as m;
use proto::v1::from_face::Said;
use proto::v1::to_face::Told;
use tokio_util::sync::CancellationToken;

const PROFILES: &str = include_str!("../../../fixtures/toy/profiles.toml");
const ESTATE: &str = include_str!("../../../fixtures/toy/estate.toml");

/// The toy protocol at both ends: a line of a word and hexadecimal octets of the messages that the other end needs.
#[derive(Default)]
struct Toy {
    ends: BTreeMap<u64, m::FaceEnd>,
    heard: BTreeMap<u64, Vec<u8>>,
    lines: Vec<String>,
}

impl Toy {
    /// What it says to what it is told.
    fn answer(&mut self, message: m::ToFace) -> Vec<Said> {
        let session = message.session;
        match message.told.unwrap() {
            Told::Opened(opened) => {
                self.ends.insert(session, opened.end());
                match opened.end() {
                    m::FaceEnd::Device => vec![line("HELLO", opened.hub.as_bytes())],
                    _ => Vec::new(),
                }
            }
            Told::Octets(octets) => {
                let heard = self.heard.entry(session).or_default();
                heard.extend_from_slice(&octets);
                let mut said = Vec::new();
                while let Some(end) = self.heard[&session].iter().position(|octet| *octet == b'\n') {
                    let rest = self.heard.get_mut(&session).unwrap().split_off(end + 1);
                    let heard = std::mem::replace(self.heard.get_mut(&session).unwrap(), rest);
                    said.extend(self.read(session, std::str::from_utf8(&heard).unwrap().trim()));
                }
                said
            }
            Told::Start(start) => vec![line("DO", &start.encode_to_vec())],
            Told::Executed(executed) => vec![line("IS", &executed.encode_to_vec())],
            Told::Notify(notification) => vec![line("SAY", &notification.encode_to_vec())],
            Told::Release(_) => vec![line("BYE", b""), Said::Released(true)],
            Told::Attached(_) | Told::Closed(_) | Told::Key(_) => Vec::new(),
        }
    }

    fn read(&mut self, session: u64, text: &str) -> Option<Said> {
        let device = self.ends[&session] == m::FaceEnd::Device;
        self.lines.push(text.split(' ').next().unwrap().to_owned());
        let (word, octets) = text.split_once(' ').unwrap();
        let octets = hex::decode(octets).unwrap();
        match (word, device) {
            ("HELLO", false) => Some(Said::Identified(String::from_utf8(octets).unwrap())),
            ("DO", true) => {
                let start = m::FaceStart::decode(octets.as_slice()).unwrap();
                Some(Said::Operate(m::FaceOperate {
                    call: 1,
                    device: start.device,
                    operation: start.operation,
                    association: start.association,
                    approval: start.approval,
                }))
            }
            ("IS", false) => match m::FaceExecuted::decode(octets.as_slice()).unwrap().result.unwrap() {
                m::face_executed::Result::Outcome(outcome) => Some(Said::Finished(outcome)),
                m::face_executed::Result::Ticket(ticket) => Some(Said::Queued(ticket)),
            },
            ("SAY", false) => Some(Said::Notified(m::FaceNotification::decode(octets.as_slice()).unwrap())),
            ("BYE", true) => None,
            other => panic!("{other:?} in the wrong place"),
        }
    }

    async fn run(mut self, mut program: Program, stop: CancellationToken) -> Vec<String> {
        loop {
            let told = tokio::select! {
                biased;
                () = stop.cancelled() => return self.lines,
                told = poll_fn(|context| program.poll_told(context)) => told,
            };
            let Some(told) = told else { return self.lines };
            let session = told.session;
            for said in self.answer(told) {
                program
                    .hear(m::FromFace {
                        session,
                        said: Some(said),
                    })
                    .unwrap();
            }
        }
    }
}

fn line(word: &str, octets: &[u8]) -> Said {
    Said::Send(format!("{word} {}\n", hex::encode(octets)).into())
}

fn attach(faces: &Faces) -> Result<Program, lab::ViewError> {
    faces.attach(&m::AttachFace {
        name: "toy".into(),
        ends: vec![m::FaceEnd::Device.into(), m::FaceEnd::HeadEnd.into()],
    })
}

async fn lab() -> (tempfile::TempDir, Up) {
    let folder = tempfile::tempdir().unwrap();
    let dmc = folder.path().join("dmc");
    std::fs::create_dir(&dmc).unwrap();
    std::fs::write(dmc.join("toy.toml"), PROFILES).unwrap();
    std::fs::write(folder.path().join("estate.toml"), ESTATE).unwrap();
    let mut config = config(&folder.path().join("state"));
    config.dmc.folders = vec![dmc];
    config.estate.file = Some(folder.path().join("estate.toml"));
    config.lookup.enabled = false;
    config.head_end.wake_up_timeout_s = 20;
    (folder, start(config).await)
}

fn device(up: &Up, kind: DeviceKind) -> String {
    let estate = &up.handle.parts().estate;
    let found = estate.devices().find(|device| device.kind == kind);
    found.unwrap().device.to_string()
}

async fn send(up: &Up, target: &str, srv: &str, body: &str) -> String {
    let user = &up.handle.parts().pki.users[0];
    let service = srv
        .rsplit_once('.')
        .filter(|(base, _)| base.contains('.'))
        .map_or(srv, |(base, _)| base);
    let xml = format!(
        r#"<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>{}:{target}:1</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>{service}</sr:ServiceReference><sr:ServiceReferenceVariant>{srv}</sr:ServiceReferenceVariant></sr:Header><sr:Body>{body}</sr:Body></sr:Request>"#,
        user.eui
    );
    let sent = up.handle.send(xml.as_bytes(), "", 120_000).await.unwrap();
    String::from_utf8(sent.outcome_xml.to_vec()).unwrap()
}

#[tokio::test]
async fn a_toy_protocol_carries_service_requests_to_the_meter() {
    let (_folder, up) = lab().await;
    let program = attach(&up.handle.parts().faces).unwrap();
    assert!(attach(&up.handle.parts().faces).is_err(), "one program under one name");
    let stop = CancellationToken::new();
    let running = tokio::spawn(Toy::default().run(program, stop.clone()));

    let meter = device(&up, DeviceKind::Esme);
    let read = send(&up, &meter, "4.1.1", "<sr:ReadInstantaneousImportRegisters/>").await;
    assert!(read.contains("MessageSuccess=\"true\""), "{read}");
    // A critical one needs the DCO's approval, which the toy carries and the meter checks.
    let supply = send(&up, &meter, "7.2", "<sr:DisableSupply/>").await;
    assert!(supply.contains("MessageSuccess=\"true\""), "{supply}");
    let truth = up.handle.fleet().unwrap().truth(meter.parse().unwrap()).await.unwrap();
    assert_eq!(truth.supply, Some(domain::SupplyState::Disabled));

    stop.cancel();
    let lines = running.await.unwrap();
    for word in ["HELLO", "DO", "IS"] {
        assert!(lines.iter().any(|line| line == word), "{word} in {lines:?}");
    }
    up.stop().await;
}

#[tokio::test]
async fn a_display_is_in_the_inventory_and_shows_what_the_meters_say() {
    let (_folder, up) = lab().await;
    let (ppmid, ihd) = (device(&up, DeviceKind::Ppmid), device(&up, DeviceKind::Ihd));
    let listed = up.handle.inventory().await.unwrap();
    let status = |id: &str| listed.iter().find(|entry| entry.device == id).unwrap().status.clone();
    assert_eq!((status(&ppmid).as_str(), status(&ihd).as_str()), ("Commissioned", ""));

    let state = up.handle.state(&ppmid).await.unwrap().unwrap();
    let screen = state.screen.unwrap();
    let shows = |fuel: &str, item: &str| {
        screen
            .items
            .iter()
            .any(|shown| shown.fuel == fuel && shown.item == item)
    };
    assert!(screen.joined && shows("electricity", "MeterBalance") && shows("gas", "GasConsumption"));

    let read = |device: &str, item: &str| m::OperateRequest {
        device: device.to_owned(),
        operation: Some(m::Operation {
            operation: Some(m::operation::Operation::Read(item.to_owned())),
        }),
        ..m::OperateRequest::default()
    };
    let reply = up.handle.operate(read(&ppmid, "PaymentMode")).await.unwrap();
    assert!(format!("{reply:?}").contains("Prepayment"), "{reply:?}");

    let act = |act| m::ActRequest {
        device: ppmid.clone(),
        meter: "ESME".into(),
        act: Some(act),
    };
    use m::act_reply::Result as Acted;
    use m::act_request::Act;
    let token = act(Act::EnterToken("12345678901234567890".into()));
    let refused = up.handle.act(token).await.unwrap().result.unwrap();
    assert!(
        matches!(&refused, Acted::Refusal(refusal) if refusal.starts_with("Token.")),
        "{refused:?}"
    );
    let off = up.handle.act(act(Act::SwitchDisplay(false))).await.unwrap();
    assert_eq!(off.result, Some(Acted::Done(true)));
    let dark = up.handle.state(&ppmid).await.unwrap().unwrap().screen.unwrap();
    assert!(!dark.joined && dark.items.is_empty());
    up.stop().await;
}
