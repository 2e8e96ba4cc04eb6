//! Demand files, dormant notices, gates of cohorts, product lists: read and written strictly, and what follows from them.

use std::collections::BTreeMap;

use domain::{CommunicationsProvider, DeviceKind, Eui64, Mpxn};
use jiff::civil::date;
use migration::planning::demand;
use migration::planning::gates::{Closed, Combination, Environment, ListedModel, Lists, cohort_open};
use migration::planning::lists::CsvLists;
use migration::planning::name::{FileKind, FileName};
use migration::planning::notice::{self, FirmwareNotice, MigrationNotice};
use migration::settings::CohortSlug;
use migration::{InstallationType, Settings};

const SUPPLIER: Eui64 = Eui64(0x70B3_D51F_3000_A008);

fn settings() -> Settings {
    Settings::builtin().expect("built-in settings")
}

#[test]
fn demand_goes_there_and_back_and_is_refused_with_its_line() {
    let columns = settings().columns;
    let days = BTreeMap::from([(date(2019, 6, 10), 50), (date(2019, 6, 11), 0)]);
    for kind in [FileKind::DemandCommitment, FileKind::DemandRequest] {
        let text = demand::write(&columns, kind, &days);
        assert_eq!(demand::read(&columns, kind, "d", &text).expect("good"), days);
        let fault = |from: &str, to: &str| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            demand::read(&columns, kind, "d", &changed)
                .expect_err("refused")
                .to_string()
        };
        assert!(fault("2019-06-11", "2019-06-10").starts_with("d:3: 2019-06-10 stands here twice"));
        assert!(fault("2019-06-11", "11 June").starts_with("d:3: "));
        assert!(fault(",50", ",-1").starts_with("d:2: "));
        assert!(fault(",50", ",50,1").starts_with("d:2: 3 values"));
    }
    // Both ways of writing the prefix, whatever the case of the operator's code.
    for name in [
        "DC-AAA123_70-B3-D5-1F-30-00-A0-08_CGI_20190121",
        "DC_AAA123_70-B3-D5-1F-30-00-A0-08_cgI_20190121",
    ] {
        let name = FileName::read(&columns, name).expect("a name");
        let read = (name.kind, name.user, name.smso.as_str(), name.party.as_deref());
        assert_eq!(read, (FileKind::DemandCommitment, SUPPLIER, "CGI", Some("AAA123")));
    }
}

fn firmware_notice() -> FirmwareNotice {
    FirmwareNotice {
        notice: "LAB-N-1".into(),
        cohort: CohortSlug::new("ioc"),
        smso: "CGI".into(),
        mpxn: "9900000000001".parse().expect("an MPAN"),
        device: Eui64(0x021A_B001),
        kind: DeviceKind::Esme,
        model: "M1".into(),
        firmware: "1".into(),
        target: "2".into(),
        epcl: "E1".into(),
        image_source: SUPPLIER,
        from: date(2019, 6, 10),
        to: date(2019, 6, 12),
        supplier: SUPPLIER,
    }
}

fn migration_notice() -> MigrationNotice {
    let mpxn = |text: &str| text.parse::<Mpxn>().expect("a point");
    let (Mpxn::Mpan(mpan), Mpxn::Mprn(mprn)) = (mpxn("9900000000001"), mpxn("990000001")) else {
        unreachable!("an MPAN and an MPRN");
    };
    MigrationNotice {
        notice: "LAB-N-2".into(),
        cohort: CohortSlug::new("ioc"),
        smso: "CGI".into(),
        mpan,
        mprn: Some(mprn),
        hub: Eui64(0x021A_B000),
        day: date(2019, 6, 17),
        supplier_electricity: SUPPLIER,
        supplier_gas: Some(SUPPLIER),
        installation_type: InstallationType::Dormant,
    }
}

#[test]
fn notices_go_there_and_back_and_are_refused_with_their_line() {
    let columns = settings().columns;
    let electricity = MigrationNotice {
        mprn: None,
        supplier_gas: None,
        installation_type: InstallationType::Mixed,
        ..migration_notice()
    };
    let notices = [migration_notice(), electricity];
    let text = notice::write_migration(&columns, &notices);
    assert_eq!(notice::read_migration(&columns, "n", &text).expect("good"), notices);
    let fault = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        notice::read_migration(&columns, "n", &changed)
            .expect_err("refused")
            .to_string()
    };
    assert!(
        fault("9900000000001", "990000001").starts_with("n:2: "),
        "an MPRN for electricity"
    );
    assert!(fault(",990000001,", ",9900000000001,").contains("not an MPRN"));
    assert!(fault("LAB-N-2", "").contains("is empty"));
    let suggested = fault(",dormant", ",dormamt");
    assert!(suggested.contains("did you mean \"dormant\""), "{suggested}");

    let notices = [firmware_notice()];
    let text = notice::write_firmware(&columns, &notices);
    assert_eq!(notice::read_firmware(&columns, "n", &text).expect("good"), notices);
    let fault = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        notice::read_firmware(&columns, "n", &changed)
            .expect_err("refused")
            .to_string()
    };
    assert!(fault("ESME", "TOASTER").starts_with("n:2: "));
    assert!(fault("2019-06-12", "2019-06-32").starts_with("n:2: "));
}

#[test]
fn a_cohort_is_open_when_every_gate_is() {
    let mut settings = settings();
    let ioc = CohortSlug::new("ioc");
    let open = |settings: &Settings, cohort: &CohortSlug, environment, day| {
        cohort_open(settings, cohort, environment, day)
            .err()
            .unwrap_or_default()
    };
    let (live, dust) = (Environment::Live, Environment::Dust);
    let day = date(2019, 6, 10);
    assert!(open(&settings, &ioc, live, day).is_empty() && open(&settings, &ioc, dust, day).is_empty());
    // Before its milestone, not directed, unknown: each reason is given.
    let early = open(&settings, &ioc, live, date(2019, 5, 25));
    assert!(
        matches!(
            early[..],
            [Closed::NotYet {
                milestone: "live",
                day: Some(_)
            }]
        ),
        "{early:?}"
    );
    let secure = open(&settings, &CohortSlug::new("moc-secure"), live, day);
    assert!(
        matches!(secure[..], [Closed::NotDirected, Closed::NotYet { .. }]),
        "{secure:?}"
    );
    assert_eq!(
        open(&settings, &CohortSlug::new("nobody"), live, day),
        [Closed::Unknown]
    );
    // Criteria hold the live system back, and not the test environment; that can be closed for one cohort alone.
    let criteria = settings.criteria.values_mut().next().expect("criteria");
    criteria[3].met = false;
    let unmet = open(&settings, &ioc, live, day);
    assert!(
        matches!(&unmet[..], [Closed::Criterion { id, .. }] if id == "LAB-LSC-04"),
        "{unmet:?}"
    );
    assert!(unmet[0].to_string().contains("LAB-LSC-04"));
    assert!(open(&settings, &ioc, dust, day).is_empty());
    settings.cohorts[0].dust_closed = true;
    assert_eq!(open(&settings, &ioc, dust, day), [Closed::DustClosed]);
    let other = open(&settings, &CohortSlug::new("moc-mds"), dust, date(2019, 8, 30));
    assert!(other.is_empty(), "the others are open: {other:?}");
    // DUST opens with its own milestone, the live system with that of the release.
    let foc = CohortSlug::new("foc-bg");
    assert!(open(&settings, &foc, dust, date(2019, 11, 15)).is_empty());
    assert!(matches!(
        open(&settings, &foc, dust, date(2019, 11, 14))[..],
        [Closed::NotYet { .. }]
    ));
}

const EPCL: &str = "epcl_id,comms_provider,esme_maker,esme_model,esme_fw,gsme_maker,gsme_model,gsme_fw,ch_maker,ch_model,ch_fw,\
    first_added,removed,source,report,decision,approved_by\n\
    E1,vodafone,Example,M1,1,Example,G1,1,Example,H1,1,2019-05-01,,SIT,R1,approved,board\n\
    E2,vodafone,Example,M1,2,Example,G1,1,Example,H1,1,2019-07-01,2019-09-01,PPCT,R2,approved,board\n\
    E3,,Example,M1,1,Example,G1,1,Example,H1,1,2019-08-01,,PPCT,R3,refused,board\n";
const CPL: &str = "device_type,maker,model,fw,status\nESME,Example,M1,1,Active\nESME,Example,M1,2,Active\nESME,Example,M1,2,Withdrawn\n";

#[test]
fn the_lists_say_what_may_be_enrolled_and_where_firmware_leads() {
    let lists = CsvLists::read(("epcl.csv", EPCL), ("cpl.csv", CPL), None).expect("good");
    let model = |model: &str, firmware: &str| ListedModel {
        manufacturer: "Example".into(),
        model: model.into(),
        firmware: firmware.into(),
    };
    let combination = |firmware: &str| Combination {
        provider: CommunicationsProvider::Vodafone,
        hub: model("H1", "1"),
        esme: model("M1", firmware),
        gsme: Some(model("G1", "1")),
        ppmid: None,
    };
    let epcl = |firmware: &str, month, day| lists.epcl(&combination(firmware), date(2019, month, day));
    assert_eq!(epcl("1", 4, 30), None);
    assert_eq!(epcl("1", 5, 1).as_deref(), Some("E1"));
    assert_eq!(epcl("1", 8, 1), None, "a later report refused it");
    assert_eq!(
        (epcl("2", 8, 31).as_deref(), epcl("2", 9, 1)),
        (Some("E2"), None),
        "removed"
    );
    let telefonica = Combination {
        provider: CommunicationsProvider::Telefonica,
        ..combination("1")
    };
    assert_eq!(
        lists.epcl(&telefonica, date(2019, 6, 1)),
        None,
        "an entry is about one carrier"
    );
    let electricity = Combination {
        gsme: None,
        ..combination("1")
    };
    assert_eq!(
        lists.epcl(&electricity, date(2019, 6, 1)),
        None,
        "and about all its models"
    );

    assert!(lists.cpl_active(DeviceKind::Esme, &model("M1", "1")));
    assert!(
        !lists.cpl_active(DeviceKind::Esme, &model("M1", "2")),
        "the later row holds"
    );
    assert!(!lists.cpl_active(DeviceKind::Gsme, &model("M1", "1")));

    let target = |firmware: &str, month| {
        let target = lists.upgrade_target(&combination(firmware), date(2019, month, 2));
        target.map(|(epcl, combination)| (epcl, combination.esme.firmware))
    };
    assert_eq!(target("0", 6), Some(("E1".into(), "1".into())));
    assert_eq!(
        target("0", 8),
        Some(("E2".into(), "2".into())),
        "the latest approval leads"
    );
    assert_eq!(target("0", 9), None, "one is refused, the other gone");
    assert_eq!(lists.entry_facts("E2"), Some(("2019-07-01".into(), "PPCT".into())));
}
