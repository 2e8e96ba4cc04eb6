//! The client of the `users` crate over HTTP, against a lab on sockets: plain, over TLS, over mutual TLS; by call-back and
//! fetched.

#[expect(dead_code, reason = "of the simplest client this suite needs only the lab")]
mod on_sockets;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use domain::SimDuration;
use lab::config::ClientCertificates;
use lab::listen::Listener;
use lab::user_http::{self, Files, Inbox, UserError};
use lab::{Config, Pki, tls};
use on_sockets::{LOOPBACK, Up, config, start};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use users::{Client, ClientError, orders};
use world::Clock;

const PATH: &str = "/smartdcc/duis";
const MINUTE: SimDuration = SimDuration::from_mins(1);

/// A lab, and its first user with everything that user has.
struct Bench {
    lab: Up,
    pki: Pki,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    client: Client,
    inbox: Inbox,
    _state: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Plain,
    Tls,
    Mutual,
}

fn files(config: &Config, pki: &Pki, front_door: SocketAddr, way: Way) -> Files {
    let user = &pki.users[0];
    let identity = user.identity.as_ref().expect("a key");
    let trusted = [("dcc", &pki.dcc), ("s1sp", &pki.s1sp)];
    let scheme = if way == Way::Plain { "http" } else { "https" };
    let tls = pki.tls_client.as_ref().expect("made");
    Files {
        // The certificate names the host.
        front_door: format!("{scheme}://localhost:{}", front_door.port()),
        dcc: config.dcc.eui.to_string(),
        key: identity.expose_key_pem().to_owned(),
        certificate: identity.certificate_pem.clone(),
        trusted: trusted
            .map(|(name, identity)| (name.to_owned(), identity.certificate_pem.clone()))
            .into(),
        tls: (way == Way::Mutual).then(|| (tls.certificate_pem.clone(), tls.expose_key_pem().to_owned())),
        authorities: (way != Way::Plain).then(|| pki.tunnel_ca.certificate_pem.clone()),
    }
}

impl Bench {
    /// With call-backs to the client's own listener, or with a user that fetches.
    async fn start(way: Way, call_backs: bool) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let mut config = config(state.path());
        config.lookup.enabled = false;
        config.tls.enabled = way != Way::Plain;
        config.tls.clients = match way {
            Way::Mutual => ClientCertificates::Required,
            _ => ClientCertificates::None,
        };
        let mut config = lab::up::prepare(config).expect("prepared");
        let pki = Pki::load(config.folders.pki.as_deref().expect("filled in")).expect("read");
        let socket = TcpListener::bind(LOOPBACK).await.expect("bound");
        let scheme = if way == Way::Plain { "http" } else { "https" };
        if call_backs {
            let port = socket.local_addr().expect("bound").port();
            config.users[0].listener = Some(format!("{scheme}://localhost:{port}{PATH}"));
        } else {
            config.users[0].fetches = true;
        }
        let lab = start(config.clone()).await;
        let front_door = lab.address("duis").parse().expect("an address");
        let (client, inbox, task) = user_http::user_of(&files(&config, &pki, front_door, way)).expect("a user");
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(task.run(stop.clone()));
        let (mut listener, _) = Listener::for_user_on(socket, PATH, inbox.clone());
        if let Some(server) = tls::of_front_door(&config, &pki).expect("usable") {
            listener = listener.over_tls(server, Clock::new(config.clock.start, 1.0, 1.0));
        }
        let until = stop.clone();
        tasks.spawn(async move { listener.run(until).await.expect("served") });
        Self {
            lab,
            pki,
            tasks,
            stop,
            client,
            inbox,
            _state: state,
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.lab.stop().await;
    }
}

#[tokio::test]
async fn requests_and_call_backs_go_over_each_way() {
    for way in [Way::Plain, Way::Tls, Way::Mutual] {
        let bench = Bench::start(way, true).await;
        let meter = bench.lab.meter();
        let order = orders::read_inventory(bench.client.dcc(), meter);
        let exchange = bench.client.request(&order, MINUTE).await.expect("answered");
        assert_eq!((exchange.code(), exchange.outcome.is_none()), ("I0", true), "{way:?}");
        let order = orders::read_import_registers(meter);
        let exchange = bench.client.request(&order, MINUTE).await.expect("an outcome");
        let outcome = exchange.outcome.expect("delivered");
        assert_eq!(outcome.message.response.header.code.as_str(), "I0", "{way:?}");
        assert!(outcome.message.s1sp.is_some(), "{way:?}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_was_fetched_ends_the_request_like_a_call_back_and_counts_once() {
    let bench = Bench::start(Way::Plain, false).await;
    let order = orders::read_import_registers(bench.lab.meter());
    let fetch = async {
        let user = bench.client.eui().to_string();
        loop {
            let fetched = bench.lab.handle.fetch(&user, 10).await.expect("fetched");
            if let Some(one) = fetched.first() {
                let statuses = [
                    bench.inbox.take(one.xml.clone()).await,
                    bench.inbox.take(one.xml.clone()).await,
                    bench.inbox.take(b"<x/>".as_slice().into()).await,
                ];
                return statuses;
            }
            bench.lab.handle.world().clock.sleep(SimDuration::from_millis(20)).await;
        }
    };
    let (exchange, statuses) = tokio::join!(bench.client.request(&order, MINUTE), fetch);
    assert_eq!(exchange.expect("an outcome").code(), "I0");
    assert_eq!(statuses, [204, 204, 400]);
    assert!(bench.client.take_unsolicited().is_none());
    bench.stop().await;
}

#[tokio::test]
async fn what_cannot_be_reached_or_believed_is_an_error_with_its_cause() {
    let bench = Bench::start(Way::Mutual, true).await;
    let order = orders::read_inventory(bench.client.dcc(), bench.lab.meter());
    let config = &bench.lab.handle.parts().config;
    let front_door: SocketAddr = bench.lab.address("duis").parse().expect("an address");
    let ask = async |files: &Files| {
        let (client, _, task) = user_http::user_of(files).expect("a user");
        let stop = CancellationToken::new();
        let running = tokio::spawn(task.run(stop.clone()));
        let result = client.request(&order, MINUTE).await;
        stop.cancel();
        running.await.expect("ended");
        result
    };
    // No certificate shown where one is asked for.
    let without = Files {
        tls: None,
        ..files(config, &bench.pki, front_door, Way::Mutual)
    };
    assert!(matches!(ask(&without).await, Err(ClientError::Call { .. })));
    // Another DCC is believed than the one that answers.
    let stranger = Files {
        trusted: BTreeMap::new(),
        ..files(config, &bench.pki, front_door, Way::Mutual)
    };
    assert!(matches!(ask(&stranger).await, Err(ClientError::BadReply { .. })));
    let nowhere = Files {
        front_door: "localhost".into(),
        ..stranger
    };
    assert!(matches!(user_http::user_of(&nowhere), Err(UserError::FrontDoor(_))));
    bench.stop().await;
}
