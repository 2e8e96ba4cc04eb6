//! A lab on sockets whose fleet is elsewhere: the tunnel carries the devices' octets, and a fleet may come again.

use std::net::SocketAddr;

use lab::up::{self, FleetRole};
use lab::{ClockMode, Config};
use tokio_util::sync::CancellationToken;

fn config() -> Config {
    let mut config = Config::default();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    config.clock.mode = ClockMode::Real;
    config.clock.latency = 0.001;
    config.listen.duis = loopback;
    config.lookup.enabled = false;
    config.listen.tunnel = loopback;
    config.tunnel.reconnect_ms = 1;
    config
}

#[tokio::test]
async fn a_meter_behind_the_tunnel_answers() {
    let state = tempfile::tempdir().expect("a folder");
    let mut core = config();
    core.tunnel.remote_fleet = true;
    core.folders.state = Some(state.path().to_owned());
    let running = up::start(core).await.expect("started");
    let lab = running.handle().clone();
    let shutdown = CancellationToken::new();
    let core = tokio::spawn(running.run(shutdown.clone()));
    let status = lab.status();
    let meter = lab
        .devices()
        .into_iter()
        .find(|device| device.kind == "ESME" && device.enrolled)
        .expect("a meter");
    assert!(
        lab.expose(&meter.device, SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .is_err(),
        "the fleet is elsewhere"
    );

    for round in 1..=2 {
        let mut config = config();
        config.tunnel.core = status.addresses["tunnel"].clone();
        let fleet = FleetRole::build(config, &state.path().join("fleet")).expect("built");
        let stop = CancellationToken::new();
        let devices = fleet.handle().clone();
        let fleet = tokio::spawn(fleet.run(stop.clone()));
        // A text message that is sent before is lost, and the next one follows after two minutes.
        lab.fleets_connected(round).await.expect("connected");
        let xml = format!(
            r#"<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>{}:{}:1</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>7.2</sr:ServiceReference><sr:ServiceReferenceVariant>7.2</sr:ServiceReferenceVariant></sr:Header><sr:Body><sr:DisableSupply/></sr:Body></sr:Request>"#,
            status.users[0].eui, meter.device
        );
        let sent = lab.send(xml.as_bytes(), "", 60_000).await.expect("sent");
        let trail = lab.audit(&sent.request_id).await.expect("audited");
        let outcome = String::from_utf8_lossy(&sent.outcome_xml);
        assert!(outcome.contains("MessageSuccess=\"true\""), "{trail:?} {outcome}");
        // The head-end keeps the connection for a moment: a fleet that is born again would not know it.
        let id = meter.device.parse().expect("an identity");
        while devices.status(id).await.expect("there").connected_to.is_some() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        fleet.await.expect("ended");
    }
    shutdown.cancel();
    core.await.expect("ended").expect("well");
}
