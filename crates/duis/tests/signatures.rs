//! Signatures: ours and those of other implementations, and everything that must not count as one.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use std::path::Path;
use std::process::Command;

use bergshamra::{DsigContext, KeysManager};
use common::{Own, files, shared};
use duis::signature::{
    Certificate, CertificateBook, CertificateError, KeyError, Scheme, SignatureError, SigningKey, sign, sign_octets,
    verify, verify_octets,
};
use duis::{Element, Request};

fn own() -> Own {
    Own::new(
        "90-B3-D5-1F-30-01-00-00",
        &[
            0x7d, 0xac, 0x72, 0x83, 0xaa, 0xd2, 0x9b, 0xdd, 0x23, 0xc9, 1, 2, 3, 4, 5, 6,
        ],
    )
}

fn request() -> Vec<u8> {
    let id = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000".parse().unwrap();
    let request = Request::new(id, "4.1.1".parse().unwrap());
    duis::write::request(&request.with_body(Element::sr("ReadInstantaneousImportRegisters"))).unwrap()
}

/// Documents that try the canonical forms: order and repetition of declarations, a default namespace, references, CDATA,
/// comments, white space, attributes of several namespaces. None is a DUIS message, which a signature does not mind.
const AWKWARD: [&str; 6] = [
    "<?xml version=\"1.0\"?>\r\n<!-- before -->\r\n<a  b='1'\r\n   a=\"2\">x &lt;&amp;&gt;&#xD;&#65; \"quoted\" 'so'\r\n<c/></a>\n<!-- after -->\n",
    "<z:a xmlns:z='urn:z' xmlns:b='urn:b' xmlns='urn:d' xmlns:unused='urn:u'><b:c xmlns:b='urn:b'><d xmlns=''/><d xmlns='urn:d'/></b:c></z:a>",
    "<a xmlns:p='urn:p' xmlns:o='urn:o' z='1' p:a='2' o:b='3' p:b='&quot;&#9;&#10;&#13;'>t<![CDATA[<&>]]>t<!-- x -->t</a>",
    "<a xmlns='urn:1'><b xmlns='urn:2'><c xmlns='urn:1'/><d/></b><e xmlns:q='urn:q' q:x=' a  b '/></a>",
    "<a>\u{e9}\u{1F600}<b xml:space='preserve'> </b></a>",
    "<a xmlns:s='urn:s'><s:b xmlns:s='urn:t'><s:c xmlns:s='urn:s'/></s:b></a>",
];

#[test]
fn what_we_sign_verifies_here_and_by_another_library() {
    let own = own();
    let mut keys = KeysManager::new();
    keys.add_key(bergshamra::keys::loader::load_x509_cert_pem(own.certificate_pem.as_bytes()).unwrap());
    let context = DsigContext::new(keys);
    let documents = AWKWARD.iter().map(|text| text.as_bytes().to_vec()).chain([request()]);
    for document in documents {
        let signed = sign(&document, &own.key).unwrap();
        let text = String::from_utf8(signed.clone()).unwrap();
        assert_eq!(
            verify(&signed, own.key.certificate()).map(|signer| signer.eui),
            Ok(own.key.certificate().eui())
        );
        let theirs = bergshamra::verify(&context, &text).unwrap();
        assert!(theirs.is_valid(), "{theirs:?}\n{text}");
    }
}

#[test]
fn signing_again_replaces_the_signature() {
    let own = own();
    let once = sign(&request(), &own.key).unwrap();
    let twice = sign(&once, &own.key).unwrap();
    assert_eq!(once.len(), twice.len());
    assert!(verify(&twice, own.key.certificate()).is_ok());
    let Some(folder) = shared("the templates") else { return };
    for (name, xml) in files(&folder.join("templates")) {
        let signed = sign(&xml, &own.key).unwrap();
        assert!(verify(&signed, own.key.certificate()).is_ok(), "{name}");
        assert_eq!(duis::read_request(&signed), duis::read_request(&xml), "{name}");
    }
}

fn xmlsec1(folder: &Path, arguments: &[&str]) -> Option<std::process::Output> {
    match Command::new("xmlsec1").args(arguments).current_dir(folder).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: xmlsec1 (Debian package xmlsec1) cannot be run: {error}");
            None
        }
    }
}

#[test]
fn xmlsec1_verifies_what_we_sign() {
    let own = own();
    let folder = tempfile();
    std::fs::write(folder.join("c.pem"), &own.certificate_pem).unwrap();
    let documents = AWKWARD.iter().map(|text| text.as_bytes().to_vec()).chain([request()]);
    for document in documents {
        std::fs::write(folder.join("signed.xml"), sign(&document, &own.key).unwrap()).unwrap();
        let Some(output) = xmlsec1(&folder, &["--verify", "--pubkey-cert-pem", "c.pem", "signed.xml"]) else {
            break;
        };
        assert!(
            output.status.success(),
            "{}\n{output:?}",
            String::from_utf8_lossy(&document)
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn we_verify_what_xmlsec1_signs() {
    let own = own();
    let folder = tempfile();
    std::fs::write(folder.join("k.pem"), &own.key_pem).unwrap();
    for (at, document) in AWKWARD
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .chain([request()])
        .enumerate()
    {
        let text = String::from_utf8(sign(&document, &own.key).unwrap()).unwrap();
        let emptied = emptied(&emptied(&text, "ds:DigestValue"), "ds:SignatureValue");
        std::fs::write(
            folder.join("t.xml"),
            emptied.replace("><", ">\n<").replace(">\n</ds:D", "></ds:D"),
        )
        .unwrap();
        let arguments = [
            "--sign",
            "--enabled-key-data",
            "key-name",
            "--privkey-pem",
            "k.pem",
            "--output",
            "s.xml",
            "t.xml",
        ];
        let Some(output) = xmlsec1(&folder, &arguments) else {
            break;
        };
        assert!(output.status.success(), "{at}: {output:?}");
        let signed = std::fs::read(folder.join("s.xml")).unwrap();
        let signer = verify(&signed, own.key.certificate());
        assert_eq!(
            signer.map(|s| s.eui),
            Ok(own.key.certificate().eui()),
            "{}",
            String::from_utf8_lossy(&signed)
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn emptied(text: &str, name: &str) -> String {
    let (before, rest) = text.split_once(&format!("<{name}>")).unwrap();
    let (_, after) = rest.split_once(&format!("</{name}>")).unwrap();
    format!("{before}<{name}></{name}>{after}")
}

fn tempfile() -> std::path::PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("duis-signatures-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Verifies a signed request after a change to its text.
fn changed(change: impl Fn(String) -> String) -> Result<String, SignatureError> {
    let own = own();
    let signed = String::from_utf8(sign(&request(), &own.key).unwrap()).unwrap();
    let text = change(signed.clone());
    assert_ne!(text, signed, "the change changes something");
    verify(text.as_bytes(), own.key.certificate()).map(|signer| signer.serial)
}

fn profile_fault(result: Result<String, SignatureError>) -> (&'static str, &'static str) {
    match result {
        Err(SignatureError::Profile { place, expected, .. }) => (place, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tampering_is_found() {
    assert_eq!(changed(|t| t.replace(":1000<", ":1001<")), Err(SignatureError::Digest));
    assert_eq!(
        changed(|t| t.replace("<sr:Body>", "<sr:Body> ")),
        Err(SignatureError::Digest)
    );
    assert_eq!(
        changed(|t| t.replace("schemaVersion=\"5.1\"", "schemaVersion=\"5.10\"")),
        Err(SignatureError::Digest)
    );
    let unused = "xmlns:x=\"urn:x\" schemaVersion";
    assert_eq!(
        changed(|t| t.replace("schemaVersion", unused)),
        Err(SignatureError::Digest),
        "declarations count"
    );
    let value = |t: String| {
        let (before, rest) = t.split_once("<ds:SignatureValue>").unwrap();
        let flipped = if rest.starts_with('A') { 'B' } else { 'A' };
        format!("{before}<ds:SignatureValue>{flipped}{}", &rest[1..])
    };
    assert!(matches!(changed(value), Err(SignatureError::Value { .. })));
    let digest = |t: String| {
        let (before, rest) = t.split_once("<ds:DigestValue>").unwrap();
        let flipped = if rest.starts_with('A') { 'B' } else { 'A' };
        format!("{before}<ds:DigestValue>{flipped}{}", &rest[1..])
    };
    assert!(matches!(changed(digest), Err(SignatureError::Value { .. })));
    // What the canonical form does not see may change: comments, quotes, line breaks in the value.
    assert!(changed(|t| t.replace("<sr:Body>", "<!-- x --><sr:Body>")).is_ok());
    assert!(changed(|t| t.replace("schemaVersion=\"5.1\"", "schemaVersion='5.1' ")).is_ok());
    assert!(changed(|t| t.replace("</ds:SignatureValue>", "&#13;\n</ds:SignatureValue>")).is_ok());
}

#[test]
fn only_the_one_profile_counts() {
    let algorithms = [
        (
            "2001/10/xml-exc-c14n#\"",
            "TR/2001/REC-xml-c14n-20010315\"",
            "CanonicalizationMethod",
        ),
        (
            "2001/10/xml-exc-c14n#\"",
            "2001/10/xml-exc-c14n#WithComments\"",
            "CanonicalizationMethod",
        ),
        (
            "xmldsig-more#ecdsa-sha256\"",
            "xmldsig-more#ecdsa-sha384\"",
            "SignatureMethod",
        ),
        (
            "xmldsig-more#ecdsa-sha256\"",
            "xmldsig-more#hmac-sha256\"",
            "SignatureMethod",
        ),
        ("xmldsig#enveloped-signature\"", "xmldsig#base64\"", "Transform"),
        ("xmlenc#sha256\"", "xmldsig#sha1\"", "DigestMethod"),
        ("URI=\"\"", "URI=\"#part\"", "Reference"),
        ("URI=\"\"", "", "Reference"),
        ("URI=\"\"", "Id=\"r\" URI=\"\"", "Reference"),
    ];
    for (from, to, place) in algorithms {
        assert_eq!(profile_fault(changed(|t| t.replacen(from, to, 1))).0, place, "{to}");
    }
    let transform =
        "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>";
    assert_eq!(
        profile_fault(changed(|t| t.replace("</ds:Transforms>", transform))),
        ("Signature", "DigestMethod")
    );
    let object = "</ds:KeyInfo><ds:Object/>";
    assert_eq!(
        profile_fault(changed(|t| t.replace("</ds:KeyInfo>", object))),
        ("Signature", "nothing more")
    );
    let reference = |t: String| {
        let (before, rest) = t.split_once("<ds:Reference").unwrap();
        let (inner, after) = rest.split_once("</ds:Reference>").unwrap();
        format!("{before}<ds:Reference{inner}</ds:Reference><ds:Reference{inner}</ds:Reference>{after}")
    };
    assert_eq!(profile_fault(changed(reference)), ("Signature", "SignatureValue"));
    let emptied_info = |t: String| {
        let (before, rest) = t.split_once("<ds:KeyInfo>").unwrap();
        format!("{before}{}", rest.split_once("</ds:KeyInfo>").unwrap().1)
    };
    assert_eq!(profile_fault(changed(emptied_info)), ("Signature", "KeyInfo"));
    assert_eq!(
        profile_fault(changed(|t| t.replace("<ds:KeyInfo>", "x<ds:KeyInfo>"))),
        ("Signature", "no text here")
    );
}

#[test]
fn wrapping_gets_nowhere() {
    let signature = |t: &str| {
        let from = t.find("<ds:Signature ").unwrap();
        let to = t.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        (t[..from].to_owned(), t[from..to].to_owned(), t[to..].to_owned())
    };
    // Two signatures; a signature that is not last; one that hides deeper; none.
    let twice = |t: String| {
        let (before, signature, after) = signature(&t);
        format!("{before}{signature}{signature}{after}")
    };
    assert_eq!(profile_fault(changed(twice)).0, "Signature");
    let first = |t: String| {
        let (before, signature, after) = signature(&t);
        before.replace("<sr:Header>", &format!("{signature}<sr:Header>")) + &after
    };
    assert_eq!(profile_fault(changed(first)).0, "Signature");
    let deeper = |t: String| {
        let (before, signature, after) = signature(&t);
        before.replace("</sr:Body>", &format!("{signature}</sr:Body>")) + &after
    };
    assert_eq!(changed(deeper), Err(SignatureError::Missing));
    // The signed document inside another one: the inner signature is content and proves nothing of the outer root.
    let wrapped = |t: String| {
        format!(
            "<sr:Request xmlns:sr=\"urn:other\">{}</sr:Request>",
            t.split_once('\n').unwrap().1
        )
    };
    assert_eq!(changed(wrapped), Err(SignatureError::Missing));
    let own = own();
    assert_eq!(verify(&request(), own.key.certificate()), Err(SignatureError::Missing));
    let more = |t: String| format!("{t}<sr:Request/>");
    assert!(matches!(changed(more), Err(SignatureError::Read(_))));
    let doctype = |t: String| t.replacen('\n', "<!DOCTYPE x [<!ENTITY e 'v'>]>", 1);
    assert!(matches!(changed(doctype), Err(SignatureError::Read(_))));
}

#[test]
fn the_signer_must_be_known_by_serial_number_and_issuer() {
    let (one, two) = (own(), Own::new("90-B3-D5-1F-30-03-00-00", &[9]));
    let signed = sign(&request(), &one.key).unwrap();
    assert!(matches!(
        verify(&signed, two.key.certificate()),
        Err(SignatureError::UnknownSigner { .. })
    ));
    let mut book = CertificateBook::new();
    book.add(two.key.certificate().clone()).unwrap();
    book.add(one.key.certificate().clone()).unwrap();
    book.add(one.key.certificate().clone()).unwrap();
    assert_eq!(
        verify(&signed, &book).map(|signer| signer.eui),
        Ok(one.key.certificate().eui())
    );
    let again = own();
    let clash = book.add(again.key.certificate().clone());
    assert!(
        matches!(clash, Err(CertificateError::Serial { .. })),
        "one serial number, two keys"
    );
    // A stranger's signature that names a known serial number.
    let text = String::from_utf8(sign(&request(), &two.key).unwrap()).unwrap();
    let text = text.replace(
        ">9</ds:X509SerialNumber>",
        &format!(">{}</ds:X509SerialNumber>", one.key.certificate().serial()),
    );
    let result = verify(text.as_bytes(), &book);
    assert!(
        matches!(
            result,
            Err(SignatureError::Issuer { .. } | SignatureError::Value { .. })
        ),
        "{result:?}"
    );
    assert_eq!(
        changed(|t| t.replace("CN=90-B3", "CN=Z2,CN=90-B3")).map_err(|e| matches!(e, SignatureError::Issuer { .. })),
        Err(true)
    );
}

#[test]
fn octets_are_signed_and_proved() {
    let own = own();
    let signature = sign_octets(b"countersigned", &own.key).unwrap();
    assert!(verify_octets(b"countersigned", &signature, own.key.certificate()));
    assert!(!verify_octets(b"countersigneD", &signature, own.key.certificate()));
    assert!(!verify_octets(
        b"countersigned",
        &signature[..63],
        own.key.certificate()
    ));
}

/// Who measures what everything but signatures costs has stand-ins made: of the same form, and as good against accidents.
#[test]
fn stand_ins_have_the_form_of_signatures_and_prove_what_was_not_altered() {
    let (own, other) = (own(), Own::new("90-B3-D5-1F-30-03-00-00", &[9]));
    let key = SigningKey::from_pem(&own.key_pem, &own.certificate_pem).unwrap();
    assert_eq!(
        key.certificate().scheme(),
        Scheme::P256,
        "nobody gets stand-ins unasked"
    );
    let key = key.with_scheme(Scheme::None);
    let certificate = own.key.certificate();
    let unsigned = certificate.clone().with_scheme(Scheme::None);
    let (signed, stood_in) = (sign(&request(), &own.key).unwrap(), sign(&request(), &key).unwrap());
    assert_eq!(signed.len(), stood_in.len());
    assert_eq!(verify(&stood_in, &unsigned), verify(&signed, certificate));
    assert_eq!(sign(&request(), &key).unwrap(), stood_in, "no randomness in it");

    let text = String::from_utf8(stood_in.clone()).unwrap();
    let altered = text.replace("ReadInstantaneousImportRegisters", "ReadInstantaneousImportTOUMatrices");
    assert_ne!(altered, text);
    assert_eq!(verify(altered.as_bytes(), &unsigned), Err(SignatureError::Digest));
    let digest = text.find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
    let mut redigested = stood_in.clone();
    redigested[digest] = if redigested[digest] == b'A' { b'B' } else { b'A' };
    let value = |verified| matches!(verified, Err(SignatureError::Value { .. }));
    assert!(value(verify(&redigested, &unsigned)));
    // Neither is good where the other is expected.
    assert!(value(verify(&stood_in, certificate)));
    assert!(value(verify(&signed, &unsigned)));

    let octets = sign_octets(b"countersigned", &key).unwrap();
    assert!(verify_octets(b"countersigned", &octets, &unsigned));
    assert!(!verify_octets(b"countersigneD", &octets, &unsigned));
    assert!(!verify_octets(b"countersigned", &octets[..63], &unsigned));
    let another = other.key.certificate().clone().with_scheme(Scheme::None);
    assert!(
        !verify_octets(b"countersigned", &octets, &another),
        "of another certificate"
    );
}

#[test]
fn keys_do_not_show_themselves_and_must_fit() {
    let (one, two) = (own(), Own::new("90-B3-D5-1F-30-03-00-00", &[9]));
    let shown = format!("{:?}", one.key);
    assert!(
        shown.contains("<redacted>") && !shown.contains(&one.key_pem[40..60]),
        "{shown}"
    );
    let pair = SigningKey::from_pem(&one.key_pem, &two.certificate_pem).map(drop);
    assert!(matches!(pair, Err(KeyError::Pair { .. })));
    let wrong = SigningKey::from_pem(&one.certificate_pem, &one.certificate_pem).map(drop);
    assert!(matches!(wrong, Err(KeyError::Pem { .. })));
    assert!(matches!(Certificate::from_pem("no"), Err(CertificateError::Pem { .. })));
    assert!(matches!(
        Certificate::from_der(&[0x30, 0]),
        Err(CertificateError::Der { .. })
    ));
}

/// What one pass gathers proves exactly what a pass of its own would.
#[test]
fn reading_and_proving_in_one_pass_judges_as_two_do() {
    let own = own();
    let signed = String::from_utf8(sign(&request(), &own.key).unwrap()).unwrap();
    let first = signed.find("<ds:SignatureValue>").unwrap() + "<ds:SignatureValue>".len();
    let mut other_value = signed.clone().into_bytes();
    other_value[first] = if other_value[first] == b'A' { b'B' } else { b'A' };
    let variants = [
        signed.clone().into_bytes(),
        signed.replace("<ds:DigestValue>", "<ds:DigestValue> ").into_bytes(),
        signed.replace(":1000<", ":1001<").into_bytes(),
        signed.replace("enveloped-signature", "other").into_bytes(),
        signed.replace(own.key.certificate().serial(), "5").into_bytes(),
        other_value,
        request(),
    ];
    let mut outcomes = Vec::new();
    for xml in variants {
        let apart = verify(&xml, own.key.certificate());
        match duis::read_request_and_proof(&xml) {
            Ok((read, proof)) => {
                assert_eq!(Ok(read), duis::read_request(&xml));
                assert_eq!(proof.verify(own.key.certificate()), apart);
                outcomes.push(apart.is_ok());
            }
            Err(error) => assert_eq!(duis::read_request(&xml), Err(error)),
        }
    }
    assert_eq!(
        outcomes.iter().filter(|held| **held).count(),
        1,
        "the document itself only"
    );
    assert!(outcomes.len() > 3, "most of the others read, and prove nothing");
}
