//! Installations come to a running lab, change and go, and a restart knows it.

use std::net::SocketAddr;
use std::path::Path;

use control::messages as m;
use control::{Client, UpError};
use lab::{ClockMode, Config};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HUB: &str = "02-1A-B0-01-63-00-00-01";
const METER: &str = "02-1A-B0-02-63-00-00-01";
const MPAN: &str = "9990000000003";

/// Two installations: one enrolled with electricity only, and one of dual fuel that its operator still has.
const TABLE: &str = "\
hub,device,kind,profile,mpxn,service,enrolled,provider,payment_mode
02-1A-B0-01-63-00-00-01,02-1A-B0-01-63-00-00-01,CHF,am110r@BASE,,active,true,vodafone,credit
02-1A-B0-01-63-00-00-01,02-1A-B0-02-63-00-00-01,ESME,as300p@BASE,9990000000003,active,true,vodafone,credit
02-1A-B0-01-63-00-00-02,02-1A-B0-01-63-00-00-02,CHF,am110r@BASE,,active,false,vodafone,credit
02-1A-B0-01-63-00-00-02,02-1A-B0-02-63-00-00-02,ESME,as300p@BASE,9990000000012,active,false,vodafone,credit
02-1A-B0-01-63-00-00-02,02-1A-B0-03-63-00-00-02,GPF,am110r-gpf@BASE,9990000001,active,false,vodafone,credit
02-1A-B0-01-63-00-00-02,02-1A-B0-04-63-00-00-02,GSME,bk-g4e@BASE,9990000001,active,false,vodafone,credit
";

/// Where they are.
const REGISTRATION: &str = "\
mpxn,fuel,smets_version,uprn,post_code,address
9990000000003,electricity,S1,999000000001,ZZ9 9ZZ,1 Lab Street
9990000000012,electricity,S1,999000000002,ZZ9 9ZZ,2 Lab Street
9990000001,gas,S1,999000000002,ZZ9 9ZZ,2 Lab Street
";

struct Running {
    client: Client,
    status: m::StatusReply,
    task: JoinHandle<Result<(), UpError>>,
}

impl Running {
    async fn start(state: &Path) -> Self {
        let mut config = Config::default();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        config.clock.mode = ClockMode::Real;
        config.clock.latency = 0.001;
        config.listen.duis = loopback;
        config.lookup.enabled = false;
        config.listen.control = loopback;
        config.folders.state = Some(state.to_owned());
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(control::up(config, CancellationToken::new(), |lab| {
            tell.send(lab.status()).expect("awaited");
        }));
        let status = told.await.expect("ready");
        let client = Client::find(None, state).await.expect("found");
        Self { client, status, task }
    }

    async fn stop(mut self) {
        self.client.stop().await.expect("stopped");
        self.task.await.expect("ended").expect("well");
    }

    async fn add(&mut self, devices: &str) -> Result<Vec<m::DeviceEntry>, String> {
        self.add_with(devices, "").await
    }

    async fn add_with(&mut self, devices: &str, registration: &str) -> Result<Vec<m::DeviceEntry>, String> {
        let request = m::AddDevicesRequest {
            devices_file: "more.csv".into(),
            devices_csv: devices.into(),
            registration_file: "points.csv".into(),
            registration_csv: registration.into(),
        };
        self.client
            .add_devices(request)
            .await
            .map_err(|error| error.to_string())
    }

    async fn patch(&mut self, change: m::PatchDeviceRequest) -> Result<m::DeviceEntry, String> {
        let request = m::PatchDeviceRequest {
            device: if change.device.is_empty() {
                METER.into()
            } else {
                change.device
            },
            ..change
        };
        self.client
            .patch_device(request)
            .await
            .map_err(|error| error.to_string())
    }

    async fn in_inventory(&mut self, device: &str) -> Option<m::InventoryEntry> {
        let all = self.client.inventory().await.expect("listed");
        all.into_iter().find(|entry| entry.device == device)
    }

    async fn listed(&mut self) -> Vec<String> {
        let all = self.client.devices().await.expect("listed");
        all.into_iter().map(|entry| entry.device).collect()
    }

    /// Why the meter does not take a code.
    async fn keyed(&mut self, code: &str) -> String {
        self.client.key_in(METER, code, "").await.expect("tried").refusal
    }

    /// What a user is answered to a read of the import registers.
    async fn read_by(&mut self, user: &str) -> (String, String) {
        let xml = format!(
            r#"<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>{user}:{METER}:1</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>4.1</sr:ServiceReference><sr:ServiceReferenceVariant>4.1.1</sr:ServiceReferenceVariant></sr:Header><sr:Body><sr:ReadInstantaneousImportRegisters/></sr:Body></sr:Request>"#
        );
        let sent = self.client.send(xml.into_bytes(), "", 30_000).await.expect("sent");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (text(&sent.acknowledgement_xml), text(&sent.outcome_xml))
    }

    /// What the DCC answers a user who looks for the devices of a property.
    async fn looked_up_by(&mut self, user: &str, uprn: &str, counter: u64) -> String {
        let dcc = Config::default().dcc.eui;
        let xml = format!(
            r#"<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>{user}:{dcc}:{counter}</sr:RequestID><sr:CommandVariant>8</sr:CommandVariant><sr:ServiceReference>8.2</sr:ServiceReference><sr:ServiceReferenceVariant>8.2</sr:ServiceReferenceVariant></sr:Header><sr:Body><sr:ReadInventory><sr:UPRN>{uprn}</sr:UPRN></sr:ReadInventory></sr:Body></sr:Request>"#
        );
        let sent = self.client.send(xml.into_bytes(), "", 30_000).await.expect("sent");
        String::from_utf8_lossy(&sent.acknowledgement_xml).into_owned()
    }

    /// Users with the role of an import supplier.
    fn suppliers(&self) -> Vec<String> {
        let users = self.status.users.iter();
        let with = users.filter(|user| user.roles.iter().any(|role| role == "IS") && user.can_sign);
        with.map(|user| user.eui.clone()).collect()
    }
}

fn reads(answer: &(String, String)) -> bool {
    answer.1.contains("ActiveImportRegister")
}

#[tokio::test]
async fn installations_come_change_and_go_and_a_restart_knows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Running::start(folder.path()).await;
    let before = lab.listed().await;
    let added = lab.add_with(TABLE, REGISTRATION).await.expect("added");
    assert_eq!(added.len(), 6);
    assert_eq!(lab.listed().await.len(), before.len() + 6);
    let known = lab.in_inventory(METER).await.expect("enrolled: in the inventory");
    assert_eq!((known.status.as_str(), known.mpxn.as_str()), ("Commissioned", MPAN));
    assert!(
        lab.in_inventory("02-1A-B0-02-63-00-00-02").await.is_none(),
        "not enrolled"
    );
    let suppliers = lab.suppliers();
    let answer = lab.read_by(&suppliers[0]).await;
    assert!(reads(&answer), "{answer:?}");
    let found = lab.looked_up_by(&suppliers[0], "999000000001", 1).await;
    assert!(found.contains(METER) && found.contains("1 Lab Street"), "{found}");

    // Another firmware: the device has it, and the DCC goes by what it last read.
    let profile = Some("as300p@LAB-E001".to_owned());
    let patched = lab
        .patch(m::PatchDeviceRequest {
            profile,
            payment_mode: Some("prepayment".into()),
            ..m::PatchDeviceRequest::default()
        })
        .await
        .expect("patched");
    assert_eq!(patched.profile, "as300p@LAB-E001");
    assert_eq!(lab.in_inventory(METER).await.expect("there").firmware, known.firmware);
    let code = "0".repeat(20);
    let refusal = lab.keyed(&code).await;
    assert!(
        refusal.contains("token"),
        "a meter in prepayment mode looks at the code: {refusal}"
    );

    // Another supplier: who was registered is refused from now on, and who is can read.
    let supplier = Some(suppliers[1].clone());
    lab.patch(m::PatchDeviceRequest {
        supplier,
        ..m::PatchDeviceRequest::default()
    })
    .await
    .expect("patched");
    let refused = lab.read_by(&suppliers[0]).await;
    assert!(refused.0.contains(">E4<"), "{refused:?}");
    assert!(reads(&lab.read_by(&suppliers[1]).await));

    // Mains off, as nothing in the home answers; then on again, but the network is gone: no key is taken without power.
    let faults = |names: &[&str]| m::PatchDeviceRequest {
        faults: Some(m::Faults {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }),
        ..m::PatchDeviceRequest::default()
    };
    lab.patch(faults(&["mains-off"])).await.expect("patched");
    assert!(!lab.keyed(&code).await.contains("token"));
    let both = m::PatchDeviceRequest {
        payment_mode: Some("credit".into()),
        ..faults(&[])
    };
    let refused = lab.patch(both).await.expect_err("no power");
    assert!(refused.contains("has no mains"), "{refused}");
    assert!(!lab.keyed(&code).await.contains("token"), "nothing was changed");
    lab.patch(faults(&["no-coverage"])).await.expect("patched");
    assert!(lab.keyed(&code).await.contains("token"));
    let gone = lab
        .client
        .remove_device("02-1A-B0-01-63-00-00-02")
        .await
        .expect("removed");
    assert_eq!(gone.len(), 4);
    let first = before.first().expect("a hub").clone();
    lab.client.remove_device(&first).await.expect("removed");
    assert!(lab.in_inventory(&first).await.is_none());
    let listed = lab.listed().await;
    lab.stop().await;

    let mut lab = Running::start(folder.path()).await;
    assert_eq!(lab.listed().await, listed);
    assert!(lab.in_inventory(&first).await.is_none(), "gone for good");
    assert_eq!(lab.in_inventory(METER).await, Some(known));
    let found = lab.looked_up_by(&suppliers[0], "999000000001", 2).await;
    assert!(found.contains(METER), "{found}");
    let shown = lab.client.device(METER, false).await.expect("shown");
    assert_eq!(shown.entry.expect("an entry").profile, "as300p@LAB-E001");
    assert_eq!(shown.state.expect("here").connected_to, "", "no network reaches it");
    lab.patch(faults(&[])).await.expect("patched");
    assert!(reads(&lab.read_by(&suppliers[1]).await), "and the registration is kept");
    assert!(lab.keyed(&code).await.contains("token"), "still prepayment");
    // What went may come again, and is new.
    lab.client.remove_device(HUB).await.expect("removed");
    lab.add(&TABLE.lines().take(3).collect::<Vec<_>>().join("\n"))
        .await
        .expect("added");
    let shown = lab.client.device(METER, false).await.expect("shown");
    assert_eq!(shown.entry.expect("an entry").profile, "as300p@BASE");
    let supplier = lab.suppliers()[0].clone();
    let _not_yet = lab.read_by(&supplier).await;
    lab.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_place_and_remedy_and_nothing_is_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Running::start(folder.path()).await;
    let before = lab.listed().await;
    let first = before.first().expect("a hub").clone();
    let replaced = |from: &str, to: &str| TABLE.replacen(from, to, 1);
    for (table, expected) in [
        (
            replaced("as300p@BASE", "as300q@BASE"),
            "more.csv:3: there is no device profile as300q@BASE",
        ),
        (
            replaced("as300p@BASE", "am110r@BASE"),
            "more.csv:3: am110r@BASE is of kind CHF, expected ESME",
        ),
        (
            replaced("02-63-00-00-01,ESME", "02-63-00-00-zz,ESME"),
            "more.csv:3: device: ",
        ),
        (replaced("service", "servise"), "more.csv:1: "),
        (
            replaced("9990000000003", "9901000000008"),
            "more.csv:3: metering point 9901000000008 is in the estate already",
        ),
        (
            TABLE.replace(HUB, &first),
            &format!("more.csv:2: device {first} is in the estate already") as &str,
        ),
        (
            replaced("02-1A-B0-02-63-00-00-02,ESME", "02-1A-B0-02-63-00-00-01,ESME"),
            "more.csv:5: device 02-1A-B0-02-63-00-00-01 stands already in line 3",
        ),
        (
            replaced("9990000000012", "9990000000003"),
            "more.csv:5: metering point 9990000000003",
        ),
        (TABLE.lines().take(2).collect::<Vec<_>>().join("\n"), "has no ESME"),
        (
            TABLE.lines().take(1).collect::<Vec<_>>().join("\n"),
            "there is no device in it",
        ),
    ] {
        let refused = lab.add(&table).await.expect_err(expected);
        assert!(refused.contains(expected), "{refused}\nexpected {expected}");
    }
    assert_eq!(lab.listed().await, before, "all or none");
    let refused = lab.add(&TABLE.replace(HUB, &first)).await.expect_err("there");
    assert!(refused.contains(&format!("s1lab device remove {first}")), "{refused}");

    lab.add(TABLE).await.expect("added");
    let none = m::PatchDeviceRequest::default;
    let some = |text: &str| Some(text.to_owned());
    for (change, expected) in [
        (none(), "nothing to change was named"),
        (
            m::PatchDeviceRequest {
                profile: some("as300p@BASF"),
                ..none()
            },
            "did you mean as300p@BASE?",
        ),
        (
            m::PatchDeviceRequest {
                profile: some("am110r@BASE"),
                ..none()
            },
            "another model is another device",
        ),
        (
            m::PatchDeviceRequest {
                payment_mode: some("cash"),
                ..none()
            },
            "expected credit or prepayment",
        ),
        (
            m::PatchDeviceRequest {
                supplier: some("00-00-00-00-00-00-00-01"),
                ..none()
            },
            "there is no user",
        ),
        (
            m::PatchDeviceRequest {
                device: HUB.into(),
                supplier: some(&lab.suppliers()[0]),
                ..none()
            },
            "no metering point",
        ),
        (
            m::PatchDeviceRequest {
                faults: Some(m::Faults {
                    names: vec!["fire".into()],
                }),
                ..none()
            },
            "there are mains-off, no-coverage, no-master-keys",
        ),
        (
            m::PatchDeviceRequest {
                device: "00-00-00-00-00-00-00-01".into(),
                ..none()
            },
            "there is no device",
        ),
    ] {
        let refused = lab.patch(change).await.expect_err(expected);
        assert!(refused.contains(expected), "{refused}\nexpected {expected}");
    }
    let shown = lab.client.device(METER, false).await.expect("shown");
    assert_eq!(shown.entry.expect("an entry").profile, "as300p@BASE");
    let refused = lab.client.remove_device(METER).await.expect_err("no hub").to_string();
    assert!(refused.contains(&format!("s1lab device remove {HUB}")), "{refused}");
    lab.stop().await;
}
