//! A lab on sockets and its control service, asked as the commands ask them.

use std::net::SocketAddr;

use control::{Client, StateFile};
use lab::{ClockMode, Config};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

fn config(state: &std::path::Path) -> Config {
    let mut config = Config::default();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    config.clock.mode = ClockMode::Real;
    config.clock.latency = 0.001;
    config.listen.duis = loopback;
    config.lookup.enabled = false;
    config.listen.control = loopback;
    config.folders.state = Some(state.to_owned());
    config
}

#[tokio::test]
async fn commands_find_the_lab_and_ask_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tell, told) = oneshot::channel();
    let config = config(folder.path());
    let running = tokio::spawn(control::up(config, CancellationToken::new(), |lab| {
        tell.send(lab.status()).expect("awaited");
    }));
    let status = told.await.expect("ready");
    assert!(status.addresses.contains_key("duis"));

    let mut client = Client::find(None, folder.path()).await.expect("found");
    let devices = client.devices().await.expect("listed");
    let meter = devices
        .iter()
        .find(|device| device.kind == "ESME" && device.enrolled)
        .expect("a meter");
    let shown = client.device(&meter.device, false).await.expect("shown");
    assert!(
        shown
            .associations
            .iter()
            .all(|a| a.authentication_key.is_empty() && a.password.is_empty())
    );
    assert!(shown.approval_key.is_empty());
    let shown = client.device(&meter.device, true).await.expect("shown");
    assert_eq!(shown.associations[2].encryption_key.len(), 32);
    let address = client.expose(&meter.device, "127.0.0.1:0").await.expect("exposed");
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    let enrolled = devices.iter().filter(|device| device.enrolled).count();
    assert_eq!(client.inventory().await.expect("listed").len(), enrolled);
    assert!(client.dead_letters().await.expect("listed").is_empty());

    let refused = client
        .device("00-00-00-00-00-00-00-01", false)
        .await
        .expect_err("not there")
        .to_string();
    assert_eq!(refused, "there is no device 00-00-00-00-00-00-00-01 in this lab");
    let refused = client.audit("nonsense").await.expect_err("no id").to_string();
    assert!(refused.starts_with("expected a RequestID"), "{refused}");

    let xml = format!(
        r#"<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>{}:{}:1</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>4.1</sr:ServiceReference><sr:ServiceReferenceVariant>4.1.1</sr:ServiceReferenceVariant></sr:Header><sr:Body><sr:ReadInstantaneousImportRegisters/></sr:Body></sr:Request>"#,
        status.users[0].eui, meter.device
    );
    let sent = client.send(xml.into_bytes(), "", 20_000).await.expect("sent");
    let outcome = String::from_utf8_lossy(&sent.outcome_xml);
    let trail = client.audit(&sent.request_id).await.expect("audited");
    assert!(outcome.contains("ActiveImportRegister"), "{sent:?}\n{trail:?}");
    // By time, and the DCC's records before messages of the same instant: here the clock runs, so that the message that
    // brought the request may stand before what the DCC wrote of it, or behind.
    assert!(trail.is_sorted_by_key(|entry| entry.at_ms), "{trail:?}");
    let at = |event: &str| trail.iter().find(|entry| entry.event == event).map(|entry| entry.at_ms);
    assert!(
        at("duis-request").is_some() && at("duis-request") <= at("acknowledged"),
        "{trail:?}"
    );
    let of_dcc = trail.iter().find(|entry| entry.role == "dcc");
    assert_eq!(
        of_dcc.map(|entry| entry.event.as_str()),
        Some("acknowledged"),
        "{trail:?}"
    );

    let vend = control::messages::VendRequest {
        user: status.users[0].eui.clone(),
        device: meter.device.clone(),
        pence: 1_000,
        for_the_keys: true,
        wait_ms: 20_000,
    };
    let vended = client.vend(vend.clone()).await.expect("vended");
    assert_eq!(vended.utrn.len(), 20, "{vended:?}");
    let refusal = client
        .key_in(&meter.device, &vended.utrn, "")
        .await
        .expect("tried")
        .refusal;
    assert!(!refusal.is_empty(), "a meter in credit mode takes no code");
    let other = control::messages::VendRequest {
        user: status.users[2].eui.clone(),
        ..vend
    };
    let refused = client.vend(other).await.expect_err("no supplier").to_string();
    assert!(refused.starts_with("E2: "), "{refused}");

    client.reset_counters(&status.users[0].eui).await.expect("reset");
    let unknown = client
        .reset_counters(&meter.device)
        .await
        .expect_err("no user")
        .to_string();
    assert!(unknown.starts_with("there is no user"), "{unknown}");

    client.stop().await.expect("stopped");
    running.await.expect("ended").expect("well");
    assert!(StateFile::address(folder.path()).is_err());
}
