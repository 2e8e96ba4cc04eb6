//! The record of notified certificates: read, changed by the supplier, by the operator, and by a change of supplier.

use domain::{DeviceKind, Eui64, Mpxn, SimDuration, UserRole};
use lab::pki::{Organisation, base64_of};
use lab::{Config, Lab};
use users::orders::{self, NewCertificates};
use users::{Client, Exchange, Order};

const OLD: Eui64 = Eui64(0x90B3_D51F_3001_0000);
const NEW: Eui64 = Eui64(0x90B3_D51F_3003_0000);

fn meter(lab: &Lab) -> (Eui64, Mpxn) {
    let devices = lab.devices();
    let found = devices
        .values()
        .flatten()
        .find(|device| device.kind == DeviceKind::Esme && device.enrolled);
    let found = found.expect("the built-in estate has one");
    (found.device, found.mpxn.expect("a meter has one"))
}

fn user(lab: &Lab, eui: Eui64) -> Client {
    let found = lab.users().iter().find(|user| user.eui() == eui);
    found.expect("a user of the lab").clone()
}

fn certificates_of(lab: &Lab, eui: Eui64) -> NewCertificates {
    let pki = &lab.parts().pki;
    let user = pki.users.iter().find(|user| user.eui == eui).expect("a user");
    let Organisation { signing, agreement } = user.organisation.as_ref().expect("an organisation");
    NewCertificates {
        signing: base64_of(signing),
        agreement: Some(base64_of(agreement)),
        path: vec![base64_of(&pki.issuer.certificate_pem)],
    }
}

async fn ask(client: &Client, order: &Order) -> Exchange {
    let exchange = client.request(order, SimDuration::from_hours(3)).await;
    exchange.unwrap_or_else(|error| panic!("{}: {error:?}", order.srv))
}

fn text(exchange: &Exchange) -> String {
    let xml = exchange
        .outcome
        .as_ref()
        .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
    String::from_utf8_lossy(xml).into_owned()
}

fn worked(exchange: &Exchange) -> bool {
    exchange.code() == "I0" && text(exchange).contains("MessageSuccess=\"true\"")
}

/// A lab whose first meter changes supplier two days after the start.
fn lab_with_a_change(folder: &std::path::Path) -> Lab {
    let parts = lab::Parts::build(Config::default()).expect("built");
    let (_, mpxn) = {
        let site = parts.estate.sites().next().expect("an installation");
        (site.hub(), Mpxn::Mpan(site.mpan()))
    };
    let file = folder.join("registration.csv");
    let csv = format!(
        "{}{mpxn},IS,{NEW},2020-06-03,\n",
        parts.directory.registrations().to_csv()
    );
    std::fs::write(&file, csv).expect("written");
    let mut config = Config::default();
    config.access.registration = Some(file);
    Lab::start(config).expect("started")
}

#[tokio::test(start_paused = true)]
async fn a_change_of_supplier_moves_rights_and_alerts_to_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = lab_with_a_change(folder.path());
    let (device, mpxn) = meter(&lab);
    let (old, new) = (user(&lab, OLD), user(&lab, NEW));
    let change = orders::change_of_supplier(device, mpxn, 0, &certificates_of(&lab, NEW));
    let record = |exchange: &Exchange| {
        let of_old = text(exchange).contains(&format!("<ra:ExistingRemotePartyID>{OLD}<"));
        let of_new = text(exchange).contains(&format!("<ra:ExistingRemotePartyID>{NEW}<"));
        (of_old, of_new)
    };
    let retrieve = orders::retrieve_credentials(device, &["Supplier", "NetworkOperator", "LoadController"]);
    let read = ask(&old, &retrieve).await;
    assert!(worked(&read), "{}", text(&read));
    assert_eq!(record(&read), (true, false), "{}", text(&read));
    assert!(text(&read).contains("trustAnchorNotFound"), "no load controller");
    assert_eq!(ask(&new, &change).await.code(), "E4", "not before its day");
    assert!(worked(&ask(&old, &orders::disable_supply(device)).await));
    assert!(worked(&ask(&old, &orders::arm_supply(device)).await));

    lab.world().clock.sleep(SimDuration::from_days(3)).await;
    assert_eq!(
        ask(&old, &orders::disable_supply(device)).await.code(),
        "E4",
        "no longer registered"
    );
    assert_eq!(
        ask(&new, &orders::disable_supply(device)).await.code(),
        "E4",
        "registered, not yet notified"
    );
    assert!(
        worked(&ask(&new, &orders::read_supply_status(device)).await),
        "not critical"
    );
    while old.take_unsolicited().is_some() {}
    // Out of reach: nothing goes to the device, so that it need not be there.
    lab.cut("s1sp", "wan");
    let changed = ask(&new, &change).await;
    assert!(worked(&changed), "{}", text(&changed));
    lab.mend();
    let told = old.next_unsolicited().await;
    assert!(
        String::from_utf8_lossy(&told.xml).contains("<sr:DCCAlertCode>N26<"),
        "{told:?}"
    );
    assert_eq!(record(&ask(&new, &retrieve).await), (false, true));
    assert!(worked(&ask(&new, &orders::disable_supply(device)).await));
    let trail = lab.audit(changed.id).await.expect("audited");
    assert!(
        trail.iter().any(|entry| entry.role == "dco" && entry.event == "noted"),
        "{trail:?}"
    );
    lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_supplier_renews_its_own_certificates_and_hands_over_to_an_operator() {
    let mut lab = Lab::start(Config::default()).expect("started");
    let (device, _) = meter(&lab);
    let supplier = user(&lab, OLD);
    let operator = lab
        .user_in(UserRole::ElectricityDistributor)
        .expect("an operator")
        .clone();
    let own = certificates_of(&lab, OLD);
    let renewed = ask(&supplier, &orders::update_credentials(device, "Supplier", &own)).await;
    assert!(worked(&renewed), "{}", text(&renewed));
    let foreign = orders::update_credentials(device, "NetworkOperator", &own);
    assert_eq!(ask(&supplier, &foreign).await.code(), "E4", "the operator's to change");
    let controller = orders::update_credentials(device, "LoadController", &own);
    assert_eq!(ask(&supplier, &controller).await.code(), "E11", "no such party here");
    let mut none = own.clone();
    none.signing = "AAAA".into();
    let refused = ask(&supplier, &orders::update_credentials(device, "Supplier", &none)).await;
    assert!(
        !worked(&refused) && text(&refused).contains("badCertificate"),
        "{}",
        text(&refused)
    );

    // A wrong operator's certificate is taken; the right operator then has no say in it any more.
    let gas = certificates_of(&lab, lab.user_in(UserRole::GasTransporter).expect("one").eui());
    let handed = ask(&supplier, &orders::hand_over(device, "NetworkOperator", &gas)).await;
    assert!(worked(&handed), "{}", text(&handed));
    let transporter = lab.user_in(UserRole::GasTransporter).expect("one").clone();
    let told = transporter.next_unsolicited().await;
    assert!(
        String::from_utf8_lossy(&told.xml).contains("<sr:DCCAlertCode>N42<"),
        "{told:?}"
    );
    let by_operator = orders::update_credentials(device, "NetworkOperator", &gas);
    assert_eq!(ask(&operator, &by_operator).await.code(), "E4");

    // What was changed outlives the roles.
    for role in [lab::Role::Dcc, lab::Role::S1sp, lab::Role::Dco] {
        lab.restart(role).await.expect("started again");
    }
    assert_eq!(ask(&operator, &by_operator).await.code(), "E4");
    assert!(worked(&ask(&supplier, &orders::disable_supply(device)).await));
    lab.stop().await;
}

#[test]
fn every_enrolled_device_is_found_by_property_reference_and_address() {
    let parts = lab::Parts::build(Config::default()).expect("built");
    let inventory = parts.inventory(0);
    let enrolled = parts.estate.sites().filter(fleet::Site::enrolled);
    for site in enrolled {
        let devices: Vec<_> = site.devices().into_iter().map(|device| device.device).collect();
        let by = |lookup: dcc::Lookup| -> Vec<_> {
            inventory
                .look_up(&lookup, parts.directory.properties())
                .iter()
                .map(|found| found.id)
                .collect()
        };
        assert_eq!(by(dcc::Lookup::Uprn(site.uprn())), devices);
        let address = dcc::Lookup::Property {
            post_code: site.post_code(),
            address_identifier: site.address(),
        };
        assert_eq!(by(address), devices);
        // The schema's limits.
        assert!(site.uprn().len() <= 12 && (6..=8).contains(&site.post_code().len()) && site.address().len() <= 30);
    }
}

#[test]
fn two_suppliers_of_dual_fuel_are_two_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("two.toml");
    let text = "[estate]\nname = \"two\"\nsource = \"invented\"\n\n[[template]]\nname = \"two\"\ncount = 4\n\
                provider = \"vodafone\"\nchf = \"am110r@BASE\"\nesme = \"as300p@BASE\"\ngpf = \"am110r-gpf@BASE\"\n\
                gsme = \"bk-g4e@BASE\"\nenrolled = true\nsuppliers = { one = 1, two = 1 }\n";
    std::fs::write(&file, text).expect("written");
    let mut config = Config::default();
    config.estate.file = Some(file);
    let parts = lab::Parts::build(config).expect("built");
    let at = parts.config.clock.start;
    let holder = |mpxn, role| parts.directory.registered(mpxn, role, at).expect("a supplier");
    let mut two = 0;
    for site in parts.estate.sites() {
        let electricity = holder(Mpxn::Mpan(site.mpan()), UserRole::ImportSupplier);
        let gas = holder(Mpxn::Mprn(site.mprn().expect("gas")), UserRole::GasSupplier);
        assert_eq!(electricity != gas, site.two_suppliers(), "{site}");
        two += usize::from(site.two_suppliers());
    }
    assert_eq!(two, 2);
}
