//! A supplier's own system in the shape of xmlsec1 and curl: what they sign the lab takes, what the lab signs they verify.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use duis::signature::Certificate;
use fastxml::schema::{FileFetcher, Schema, Validator};
use s1lab_tests::{Listener, RunningLab, element, post, program, request, run, shared, skip};

const USER: &str = "90-B3-D5-1F-30-01-00-00";

/// Whether a peer can be run at all.
fn there(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok()
}

/// An empty signature, to be filled by xmlsec1, that names its certificate as DUIS has it.
fn template(certificate: &Certificate) -> String {
    let dsig = "http://www.w3.org/2000/09/xmldsig#";
    format!(
        "<ds:Signature xmlns:ds=\"{dsig}\"><ds:SignedInfo>\
         <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"/>\
         <ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"{dsig}enveloped-signature\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509IssuerSerial>\
         <ds:X509IssuerName>CN=L1,OU=07</ds:X509IssuerName><ds:X509SerialNumber>{}</ds:X509SerialNumber>\
         </ds:X509IssuerSerial></ds:X509Data></ds:KeyInfo></ds:Signature>",
        certificate.serial()
    )
}

fn xmlsec1(folder: &Path, arguments: &[&str]) {
    let answer = run(Command::new("xmlsec1").current_dir(folder).args(arguments)).unwrap();
    assert_eq!(answer.code, Some(0), "xmlsec1 {arguments:?}: {answer:?}");
}

/// Verifies `document` with a certificate of the lab's PKI.
fn verify_with_xmlsec1(folder: &Path, document: &str, certificate: &Path) {
    std::fs::write(folder.join("judged.xml"), document).unwrap();
    let certificate = certificate.to_str().unwrap();
    // Without a path xmlsec1 takes the first signature it meets, which in a response is the inner one.
    let own = "/*/*[local-name()='Signature']";
    xmlsec1(
        folder,
        &[
            "--verify",
            "--node-xpath",
            own,
            "--pubkey-cert-pem",
            certificate,
            "judged.xml",
        ],
    );
}

/// The S1SP's part as a document of its own. Exclusive canonical form carries the namespaces it uses itself.
fn inner(response: &str) -> &str {
    let start = response.find(":SMETS1SignedResponse").expect("an S1SP's part");
    let start = response[..start].rfind('<').unwrap();
    let name = response[start + 1..].split([' ', '>']).next().unwrap();
    let end = format!("</{name}>");
    let length = response[start..].find(&end).unwrap() + end.len();
    &response[start..start + length]
}

fn schema_accepts(xml: &str) {
    let Some(shared) = shared() else {
        skip!("no schemas: reference data is absent");
    };
    for version in ["5.1", "5.4"] {
        let folder = shared.join("domain/duis/xsd").join(version).canonicalize().unwrap();
        let schema = Schema::builder()
            .add(
                format!("file://{}/duis.xsd", folder.display()),
                std::fs::read(folder.join("duis.xsd")).unwrap(),
            )
            .resolve_with(&FileFetcher::with_base_dir(&folder))
            .unwrap();
        let report = Validator::from_reader(xml.as_bytes())
            .schema(Arc::new(schema))
            .run()
            .unwrap();
        assert!(report.is_valid(), "{version}: {:?}\n{xml}", report.errors());
    }
}

/// Posts a file and gives status and body: with curl where there is one.
fn deliver(folder: &Path, address: &str, path: &str, file: &str) -> (u16, String) {
    if !there("curl") {
        eprintln!("no curl: posted by the test itself");
        return post(address, path, &std::fs::read(folder.join(file)).unwrap()).unwrap();
    }
    let url = format!("http://{address}{path}");
    let answer = run(Command::new("curl").current_dir(folder).args([
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        "--noproxy",
        "*",
        "--header",
        "Content-Type: application/xml",
        "--data-binary",
        &format!("@{file}"),
        "--write-out",
        "\n%{http_code}",
        &url,
    ]))
    .unwrap();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let (body, status) = answer.out.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn a_request_signed_by_xmlsec1_is_answered_with_what_xmlsec1_verifies() {
    if !there("xmlsec1") {
        skip!("xmlsec1 (Debian package xmlsec1) cannot be run");
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listener = Listener::start().unwrap();
    let config = config_with_listener(folder, &listener.url());
    let pki = folder.join("state/pki");
    let made = run(Command::new(program()).args(["pki", "init"]).arg(&pki)).unwrap();
    assert_eq!(made.code, Some(0), "{made:?}");
    let lab = RunningLab::start(
        &folder.join("state"),
        &[
            "--config",
            config.to_str().unwrap(),
            "--clock",
            "x60",
            "--latency",
            "x0.01",
        ],
    )
    .unwrap();

    let id = format!("{USER}:{}:1000", lab.device("ESME").unwrap());
    let unsigned = request(&id, "4.1", "4.1.1", "<sr:ReadInstantaneousImportRegisters/>");
    let key = pki.join(format!("user-{USER}.key.pem"));
    let certificate = std::fs::read_to_string(pki.join(format!("user-{USER}.crt.pem"))).unwrap();
    let certificate = Certificate::from_pem(&certificate).unwrap();
    let filled = unsigned.replace("</sr:Request>", &format!("{}</sr:Request>", template(&certificate)));
    std::fs::write(folder.join("template.xml"), filled).unwrap();
    let key = key.to_str().unwrap();
    xmlsec1(
        folder,
        &[
            "--sign",
            "--enabled-key-data",
            "key-name",
            "--privkey-pem",
            key,
            "--output",
            "signed.xml",
            "template.xml",
        ],
    );

    let front_door = lab.address("duis").unwrap();
    let (status, acknowledgement) = deliver(folder, front_door, "/api/v1/serviceS", "signed.xml");
    assert_eq!(status, 200, "{acknowledgement}");
    assert_eq!(element(&acknowledgement, "ResponseCode").unwrap(), "I99");
    assert_eq!(element(&acknowledgement, "RequestID").unwrap(), id);
    verify_with_xmlsec1(folder, &acknowledgement, &pki.join("dcc.crt.pem"));
    schema_accepts(&acknowledgement);

    let response = listener.next().unwrap();
    assert_eq!(element(&response, "RequestID").unwrap(), id);
    assert_eq!(element(&response, "ResponseCode").unwrap(), "I0", "{response}");
    assert!(response.contains("ActiveImportRegister"), "{response}");
    verify_with_xmlsec1(folder, &response, &pki.join("dcc.crt.pem"));
    verify_with_xmlsec1(folder, inner(&response), &pki.join("s1sp.crt.pem"));
    schema_accepts(&response);

    std::fs::write(folder.join("response.xml"), &response).unwrap();
    let judged = run(Command::new(program())
        .current_dir(folder)
        .args(["duis", "verify", "response.xml", "--cert"])
        .arg(pki.join("dcc.crt.pem"))
        .arg("--cert")
        .arg(pki.join("s1sp.crt.pem")))
    .unwrap();
    assert_eq!(judged.code, Some(0), "{judged:?}");
    assert!(judged.out.contains("inner signature good"), "{judged:?}");

    // The same octets again: refused, signed, and nothing more is delivered.
    let (status, again) = deliver(folder, front_door, "/api/v1/serviceS", "signed.xml");
    assert!(
        element(&again, "ResponseCode").unwrap().starts_with('E'),
        "{status} {again}"
    );
    verify_with_xmlsec1(folder, &again, &pki.join("dcc.crt.pem"));
    assert_eq!(lab.terminate().unwrap(), Some(0));
    let more = listener.rest();
    assert!(more.is_empty(), "{more:?}");
}

fn config_with_listener(folder: &Path, url: &str) -> PathBuf {
    let config = folder.join("lab.toml");
    let text = format!(
        "[[user]]\nname = \"Example Energy\"\neui = \"{USER}\"\nroles = [\"IS\", \"GS\"]\nlistener = \"{url}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn samples_verify_or_fail_on_the_command_line() {
    let Some(shared) = shared() else {
        skip!("no samples: reference data is absent");
    };
    let duis = shared.join("domain/duis");
    let check = |sample: &str, certificates: &[&str], code: i32| {
        let mut command = Command::new(program());
        command.args(["duis", "verify"]).arg(duis.join("samples").join(sample));
        for certificate in certificates {
            command.arg("--cert").arg(duis.join("certs").join(certificate));
        }
        let answer = run(&mut command).unwrap();
        assert_eq!(answer.code, Some(code), "{sample}: {answer:?}");
    };
    let (dcc, s1sp, user) = (
        "dsp-xml-sign-90B3D51F30000002-ds.pem",
        "xml-sign-90B3D51F30020000-ds.pem",
        "xml-sign-90B3D51F30010000-ds.pem",
    );
    check("request-4.1.1-signed.xml", &[user], 0);
    check("request-4.1.1-signed.xml", &[dcc], 1);
    check("request-12.2-unsigned.xml", &[user], 1);
    check("ack-i99-signed.xml", &[dcc], 0);
    check("smets1-response-4.1.1-signed.xml", &[dcc, s1sp], 0);
    check("smets1-response-4.1.1-signed.xml", &[dcc], 1);
    check("smets1-response-4.1.1-outer-unsigned.xml", &[dcc, s1sp], 1);
}
