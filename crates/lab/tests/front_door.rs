//! The front door as real clients meet it: mutual TLS, call-backs over TLS, certificate look-up, another system behind it.

mod on_sockets;

use std::net::SocketAddr;
use std::sync::Arc;

use domain::{Eui64, RequestId};
use duis::signature::Scheme;
use lab::config::ClientCertificates;
use lab::pki::{Identity, base64_of};
use lab::{Config, Pki, tls};
use on_sockets::{LOOPBACK, config, plain, post, start};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use users::Order;

/// The body of one POST, answered with 204.
async fn take(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &str) -> String {
    let mut text = String::new();
    let mut octets = vec![0; 16 << 10];
    loop {
        let n = stream.read(&mut octets).await.expect("read");
        text.push_str(&String::from_utf8_lossy(&octets[..n]));
        let length = text
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        let body = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        if n == 0 || length.is_some_and(|length| body >= length) {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await.expect("answered");
    let _ = stream.shutdown().await;
    text
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// A listener on plain HTTP that keeps what it is sent and gives one answer.
async fn listener(answer: String) -> (SocketAddr, mpsc::Receiver<String>, JoinHandle<()>) {
    let socket = TcpListener::bind(LOOPBACK).await.expect("bound");
    let address = socket.local_addr().expect("bound");
    let (sender, receiver) = mpsc::channel(16);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let text = take(&mut stream, &answer).await;
            if sender.send(text).await.is_err() {
                return;
            }
        }
    });
    (address, receiver, task)
}

/// In a lab whose results say that it has no asymmetric signatures, what was altered is refused all the same.
#[tokio::test]
async fn without_asymmetric_signatures_the_front_door_refuses_what_was_altered() {
    let state = tempfile::tempdir().expect("a folder");
    let mut config = config(state.path());
    config.signatures = Scheme::None;
    assert!(!config.to_toml().contains("signatures"), "no file has it");
    let up = start(config).await;
    let (address, path) = (up.address("duis"), "/api/v1/serviceS");
    let order = users::orders::read_import_registers(up.meter());
    let xml = String::from_utf8(up.signed(&order, 1)).expect("text");
    let altered = xml.replace(":1</sr:RequestID>", ":2</sr:RequestID>");
    assert_ne!(altered, xml);
    let refused = post(plain(&address).await, path, altered.as_bytes()).await;
    assert!(!refused.contains("<sr:ResponseCode>I99<"), "{refused}");
    let taken = post(plain(&address).await, path, xml.as_bytes()).await;
    assert!(taken.contains("<sr:ResponseCode>I99<"), "{taken}");
    up.stop().await;
}

#[tokio::test]
async fn requests_and_call_backs_go_over_mutual_tls() {
    let state = tempfile::tempdir().expect("a folder");
    let mut config = config(state.path());
    config.tls.enabled = true;
    config.tls.clients = ClientCertificates::Required;
    config.lookup.enabled = false;
    // The PKI must be there before the user's listener can show a certificate of it.
    let config = lab::up::prepare(config).expect("prepared");
    let pki = Pki::load(config.folders.pki.as_deref().expect("filled in")).expect("read");
    let socket = TcpListener::bind(LOOPBACK).await.expect("bound");
    let url = format!(
        "https://localhost:{}/smartdcc/duis",
        socket.local_addr().expect("bound").port()
    );
    let mut config = config;
    config.users[0].listener = Some(url);

    // The listener takes only who shows a certificate of the lab's authority.
    let asking = Config {
        tls: config.tls.clone(),
        ..Config::default()
    };
    let acceptor = TlsAcceptor::from(Arc::new(
        tls::of_front_door(&asking, &pki).expect("usable").expect("enabled"),
    ));
    let delivered = tokio::spawn(async move {
        let (tcp, _) = socket.accept().await.expect("called back");
        let mut stream = acceptor.accept(tcp).await.expect("with a certificate");
        take(&mut stream, NO_CONTENT).await
    });

    let lab = start(config.clone()).await;
    let address = lab.address("duis");
    let order = users::orders::read_inventory(config.dcc.eui, lab.meter());
    let connect = async |client: rustls::ClientConfig| {
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(client))
            .connect(name, plain(&address).await)
            .await
    };
    let with = tls::of_call_backs(&config.call_back, &pki).expect("usable");
    let answer = post(
        connect(with.clone()).await.expect("TLS"),
        "/api/v1/serviceD",
        &lab.signed(&order, 1),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("<sr:ResponseCode>I0<"), "{answer}");

    let mut without = Pki::clone(&pki);
    without.tls_client = None;
    let without = tls::of_call_backs(&config.call_back, &without).expect("usable");
    let refused = match connect(without).await {
        Err(_) => String::new(),
        // With TLS 1.3 the client hears of it only when it reads.
        Ok(stream) => post(stream, "/api/v1/serviceD", &lab.signed(&order, 2)).await,
    };
    assert_eq!(refused, "", "no certificate, no answer");
    assert_eq!(
        post(plain(&address).await, "/api/v1/serviceD", b"<x/>")
            .await
            .find("200 OK"),
        None
    );

    let order = users::orders::read_import_registers(lab.meter());
    let answer = post(
        connect(with).await.expect("TLS"),
        "/api/v1/serviceS",
        &lab.signed(&order, 3),
    )
    .await;
    assert!(answer.contains("<sr:ResponseCode>I99<"), "{answer}");
    let delivered = delivered.await.expect("delivered");
    assert!(delivered.starts_with("POST /smartdcc/duis"), "{delivered}");
    assert!(delivered.contains("SMETS1ResponseMessage"), "{delivered}");
    lab.stop().await;
}

#[tokio::test]
async fn certificates_are_found_by_eui_and_given_by_serial_number() {
    let state = tempfile::tempdir().expect("a folder");
    let mut config = config(state.path());
    config.lookup.key = Some("example".into());
    let lab = start(config).await;
    let address = lab.address("lookup");
    let parts = lab.handle.parts();
    let user = &parts.pki.users[0];
    let ask = async |path: &str, question: String| post(plain(&address).await, path, question.as_bytes()).await;
    let search = |eui: &str| {
        format!(
            "<CertificateSearchRequest><CertificateSubjectName>{eui}</CertificateSubjectName></CertificateSearchRequest>"
        )
    };
    let retrieve = |serial: &str| {
        format!("<CertificateDataRequest><CertificateSerial>{serial}</CertificateSerial></CertificateDataRequest>")
    };
    let path = "/services/certificatesearch?apikey=example";
    let found = ask(path, search(&user.eui.to_string())).await;
    assert!(
        found.starts_with("HTTP/1.1 200") && found.contains("application/xml"),
        "{found}"
    );
    for part in [
        "<CertificateUsage>DS<",
        "<CertificateUsage>KA<",
        "<CertificateStatus>I<",
        "<CertificateRole>135<",
        "<CertificateRole>2<",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    let serial = found
        .split("<CertificateSerial>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .expect("a serial number");
    let given = ask("/services/retrievecertificate?apikey=example", retrieve(serial)).await;
    assert!(given.contains(&base64_of(&user.certificate_pem)), "{given}");
    assert!(given.contains("<CertificateSubjectName>"), "{given}");
    let nobody = search("00-00-00-00-00-00-00-01");
    for (path, question, expected) in [
        (path, nobody, "HTTP/1.1 402"),
        (
            "/services/retrievecertificate?apikey=example",
            retrieve("1"),
            "HTTP/1.1 402",
        ),
        (path, search("nobody"), "HTTP/1.1 401"),
        (path, "?".to_owned(), "HTTP/1.1 401"),
        ("/services/certificatesearch", search("1"), "HTTP/1.1 403"),
    ] {
        let answer = ask(path, question.clone()).await;
        assert!(answer.starts_with(expected), "{question}: {answer}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn requests_for_unknown_devices_go_to_the_other_system_and_back() {
    let answer = "<sr:Response/>";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let (elsewhere, mut forwarded, other) = listener(head).await;
    let (own, mut delivered, user) = listener(NO_CONTENT.to_owned()).await;
    let state = tempfile::tempdir().expect("a folder");
    let mut config = config(state.path());
    config.lookup.enabled = false;
    config.forward.address = Some(format!("http://{elsewhere}"));
    config.forward.receive = "/from-elsewhere".into();
    config.users[0].listener = Some(format!("http://{own}/smartdcc/duis"));
    let lab = start(config).await;
    let address = lab.address("duis");
    let elsewhere = Eui64(0x00DB_1234_5678_90A0);
    // A critical one for transformation: whether that may be is the other system's to say.
    let order = Order {
        command_variant: 4,
        ..users::orders::disable_supply(elsewhere)
    };
    let signed = lab.signed(&order, 1);
    let got = post(plain(&address).await, "/api/v1/serviceT", &signed).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with(answer), "{got}");
    let seen = forwarded.recv().await.expect("forwarded");
    assert!(seen.starts_with("POST /api/v1/serviceT"), "{seen}");
    assert!(seen.as_bytes().ends_with(&signed), "unchanged");

    // What comes later goes to the listener of the user it answers.
    let id: RequestId = format!("{}:{elsewhere}:1", lab.handle.parts().pki.users[0].eui)
        .parse()
        .expect("an id");
    let header = duis::ResponseHeader::answering(id, duis::ResponseCode::I0, domain::SimInstant(0));
    let later = duis::write::response(&header, order.srv, None).expect("written");
    let got = post(plain(&address).await, "/from-elsewhere", &later).await;
    assert!(got.starts_with("HTTP/1.1 204"), "{got}");
    assert!(delivered.recv().await.expect("passed on").as_bytes().ends_with(&later));

    // Without the other system the user hears so from the DCC. Its own devices stay its own.
    other.abort();
    let _ = other.await;
    let got = post(plain(&address).await, "/api/v1/serviceT", &lab.signed(&order, 2)).await;
    assert!(got.contains("<sr:ResponseCode>E1008<"), "{got}");
    let order = users::orders::read_inventory(lab.handle.parts().config.dcc.eui, lab.meter());
    let got = post(plain(&address).await, "/api/v1/serviceD", &lab.signed(&order, 1)).await;
    assert!(got.contains("<sr:ResponseCode>I0<"), "{got}");
    lab.stop().await;
    user.abort();
}

#[tokio::test]
async fn the_dcc_signs_with_the_key_it_is_given() {
    // A PKI made elsewhere: its DCC's key and certificate are given to a lab with a PKI of its own.
    let folder = tempfile::tempdir().expect("a folder");
    let other = Pki::generate(&Config {
        seed: 99,
        ..Config::default()
    })
    .expect("made");
    let (certificate, key) = (folder.path().join("dsp.crt.pem"), folder.path().join("dsp.key.pem"));
    let write = |identity: &Identity| {
        std::fs::write(&certificate, &identity.certificate_pem).expect("written");
        std::fs::write(&key, identity.expose_key_pem()).expect("written");
    };
    write(&other.dcc);
    let mut config = config(&folder.path().join("state"));
    config.lookup.enabled = false;
    (config.dcc.certificate, config.dcc.key) = (Some(certificate.clone()), Some(key.clone()));
    let lab = start(config.clone()).await;
    let order = users::orders::read_inventory(config.dcc.eui, lab.meter());
    let answer = post(
        plain(&lab.address("duis")).await,
        "/api/v1/serviceD",
        &lab.signed(&order, 1),
    )
    .await;
    let (_, xml) = answer.split_once("\r\n\r\n").expect("a body");
    let own = duis::signature::Certificate::from_pem(&other.dcc.certificate_pem).expect("read");
    let signer = duis::signature::verify(xml.as_bytes(), &own).expect("signed with it");
    assert_eq!(signer.serial, own.serial());
    lab.stop().await;

    // A certificate of somebody else would be believed by nobody.
    write(&other.s1sp);
    let refused = lab::Parts::build(config).expect_err("not the DCC's").to_string();
    assert!(refused.contains("set dcc.eui"), "{refused}");
}
