//! EPCL, CPL, DPL and annexes: read whole, or refused with line and suggestion.

use dmc::{Catalogue, CplStatus, eligible, read_annex, read_cpl, read_dpl, read_epcl, select, stable};
use std::collections::BTreeMap;

use domain::{DeviceKind, DeviceModel, Dmc};

const DMC: &str = "vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE";
const OTHER: &str = "telefonica/am110r-mds@BASE/as300p-mds@BASE";

fn catalogue() -> Catalogue {
    Catalogue::builtin().expect("the built-in catalogue loads")
}

#[test]
fn combinations_are_named_with_their_carrier() {
    let dmc: Dmc = DMC.parse().unwrap();
    assert_eq!(dmc.to_string(), format!("{DMC}/-/-"));
    assert!("as300p@BASE".parse::<Dmc>().is_err());
}

#[test]
fn an_epcl_knows_what_is_eligible() {
    let catalogue = catalogue();
    let text = format!(
        "dmc,report,date,decision,approved_by\n{DMC},22,2021-11-01,approved,Secretary of State\n\
         {OTHER},22,2021-11-01,approved,Secretary of State\n{OTHER},23,2022-01-11,refused,Secretary of State\n"
    );
    let epcl = read_epcl(Some(&catalogue), "epcl.csv", &text).unwrap();
    assert_eq!(
        (epcl.len(), epcl[0].report.as_str(), epcl[2].approved),
        (3, "22", false)
    );
    let live = "2022-06-01T00:00:00Z".parse().unwrap();
    let check = |dmc: &str| eligible(&catalogue, &epcl, &dmc.parse().unwrap(), live);
    assert_eq!(check(DMC), Ok(()));
    assert!(check(OTHER).unwrap_err().contains("report 23 refused"));
    assert!(
        check("vodafone/itron-hub@BASE/itron-esme@BASE")
            .unwrap_err()
            .contains("in no EPCL report")
    );
}

#[test]
fn an_epcl_is_read_whole_or_not_at_all() {
    let head = "dmc,report,date,decision,approved_by";
    let fault = |text: &str| read_epcl(Some(&catalogue()), "epcl.csv", text).unwrap_err().to_string();
    assert_eq!(
        fault(&format!(
            "{head}\n{DMC},22,2021-11-01,approved,x\n{},22,2021-11-01,approved,x\n",
            OTHER.replace("as300p", "as310p")
        )),
        "epcl.csv:3: there is no device profile as310p-mds@BASE\n  did you mean \"as300p-mds@BASE\"?"
    );
    assert_eq!(
        fault("dmc,report,date,decison,approved_by\n"),
        "epcl.csv:1: unknown column \"decison\", expected one of: dmc, report, date, decision, approved_by\n  did you mean \"decision\"?"
    );
    assert_eq!(
        fault("dmc,report,date,decision\n"),
        "epcl.csv:1: there is no column \"approved_by\""
    );
    assert!(
        fault(&format!("{head}\n{DMC},22,01/11/2021,approved,x\n")).starts_with("epcl.csv:2: date takes a day such as")
    );
    assert!(fault(&format!("{head}\n{DMC},22,2021-11-01,aproved,x\n")).ends_with("did you mean \"approved\"?"));
}

#[test]
fn firmware_must_be_stable_before_go_live() {
    let folder = tempfile::tempdir().unwrap();
    let firmware = "[[firmware]]\nid = \"LAB-NEW\"\nmodel = \"as300p\"\nfrom = \"BASE\"\nduis = \"LAB-NEW\"\nstable_from = \"2019-03-01\"\n\
        text = \"t\"\nsource = \"mine\"\nconfidence = \"invented\"\nidentifier = { source = \"mine\", confidence = \"invented\" }\n";
    std::fs::write(folder.path().join("new.toml"), firmware).unwrap();
    let catalogue = Catalogue::load(&[folder.path().to_owned()]).unwrap();
    let profile = catalogue.find("as300p@LAB-NEW").unwrap();
    assert!(stable(profile, "2019-07-01T00:00:00Z".parse().unwrap()).is_err());
    assert_eq!(stable(profile, "2019-09-30T00:00:00Z".parse().unwrap()), Ok(()));

    // An entry is held against that, whether it names profiles or models; one that refuses promises nothing.
    let model = &profile.model;
    let by_models = |day: &str, decision: &str| {
        format!(
            "epcl_id,comms_provider,esme_maker,esme_model,esme_fw,first_added,report,decision,approved_by\n\
             E1,vodafone,{},{},{},{day},1,{decision},LAB\n",
            model.manufacturer, model.model, model.firmware
        )
    };
    let by_profiles = |day: &str| {
        format!("dmc,report,date,decision,approved_by\nvodafone/am110r@BASE/as300p@LAB-NEW,1,{day},approved,LAB\n")
    };
    for text in [by_models("2019-07-01", "approved"), by_profiles("2019-07-01")] {
        let fault = read_epcl(Some(&catalogue), "epcl.csv", &text).unwrap_err().to_string();
        assert!(
            fault.starts_with("epcl.csv:2: as300p@LAB-NEW is stable from 2019-03-01"),
            "{fault}"
        );
        assert!(fault.contains("let the entry begin later"), "{fault}");
    }
    for text in [
        by_models("2019-09-30", "approved"),
        by_models("2019-07-01", "refused"),
        by_profiles("2019-09-30"),
    ] {
        assert_eq!(read_epcl(Some(&catalogue), "epcl.csv", &text).unwrap().len(), 1);
    }
}

#[test]
fn combinations_are_chosen_by_cover() {
    let text = format!(
        "dmc,count\n{DMC},600\n{OTHER},250\nvodafone/itron-hub@BASE/itron-esme@BASE,100\nvodafone/aclara-hub@BASE/sgm1300@BASE,50\n"
    );
    let dpl = read_dpl(&catalogue(), "dpl.csv", &text).unwrap();
    let chosen = |cover| {
        select(&dpl, cover)
            .into_iter()
            .map(|(entry, _)| entry.count)
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(80), [600, 250]);
    assert_eq!(chosen(60), [600]);
    assert_eq!(chosen(100).len(), 4);
    assert_eq!(chosen(0), [0u64; 0]);
}

#[test]
fn a_dpl_is_read_whole_or_not_at_all() {
    let fault = |text: &str| read_dpl(&catalogue(), "dpl.csv", text).unwrap_err().to_string();
    assert_eq!(
        fault("dmc,number\n"),
        "dpl.csv:1: unknown column \"number\", expected one of: dmc, count"
    );
    assert_eq!(fault("dmc\n"), "dpl.csv:1: there is no column \"count\"");
    assert!(fault("dmc,count\n").contains("without any installation"));
    let unknown = fault(&format!("dmc,count\n{DMC},5\nvodafone/am110r@BASE/as300p@BSE,7\n"));
    assert_eq!(
        unknown,
        "dpl.csv:3: there is no device profile as300p@BSE\n  did you mean \"as300p@BASE\"?"
    );
    assert!(fault("dmc,count\nvodafone/as300p@BASE/am110r@BASE,7\n").contains("stands where a CHF should stand"));
    assert!(fault(&format!("dmc,count\n{DMC},many\n")).starts_with("dpl.csv:2: count: "));
    assert!(fault(&format!("dmc,count\n{DMC}\n")).starts_with("dpl.csv:2: not a table"));
}

#[test]
fn a_cpl_is_read_whole_or_not_at_all() {
    let hash = "ab".repeat(32);
    let catalogue = catalogue();
    let cpl = read_cpl(
        Some(&catalogue),
        "cpl.csv",
        &format!("profile,image_hash,status\nas300p@BASE,{hash},current\npipit500,,removed\n"),
    );
    assert_eq!(
        cpl.unwrap()
            .iter()
            .filter(|entry| entry.status != CplStatus::Active)
            .count(),
        1
    );
    let fault = |text: &str| read_cpl(Some(&catalogue), "cpl.csv", text).unwrap_err().to_string();
    assert!(fault("profile,image_hash\nas300p@BASE,abc\n").contains("64 hexadecimal digits"));
    assert!(fault("profile,status\nas300p@BASE,gone\n").starts_with("cpl.csv:2: unknown status \"gone\""));
}

#[test]
fn an_annex_makes_tracked_entries() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "[[firmware]]\nid = \"LAB-CL\"\nmodel = \"as300p\"\nfrom = \"BASE\"\nduis = \"LAB-CL\"\ntext = \"t\"\nsource = \"mine\"\n\
        confidence = \"invented\"\nidentifier = { source = \"mine\", confidence = \"invented\" }\n[[firmware.rule]]\nid = \"MINE\"\nside = \"device\"\n\
        text = \"t\"\nsource = \"mine\"\nconfidence = \"invented\"\nclause = \"17.3\"\nset.meter.daily_log_entries = 3\n";
    std::fs::write(folder.path().join("mine.toml"), rule).unwrap();
    let catalogue = Catalogue::load(&[folder.path().to_owned()]).unwrap();
    let text = "Clause,Device Model,SRV,Text\n17.3,AS300P,4.6.1,\"a, text\"\n17.4,AS300P,4.8.1,other\n";
    let clauses = read_annex(&catalogue, "annex.csv", text).unwrap();
    assert_eq!(clauses.len(), 2);
    assert_eq!(
        (clauses[0].rules.as_slice(), clauses[0].request.as_str()),
        (["MINE".to_owned()].as_slice(), "4.6.1")
    );
    assert!(clauses[1].rules.is_empty());
    let fault = |text: &str| read_annex(&catalogue, "annex.csv", text).unwrap_err().to_string();
    assert!(fault("Text\nx\n").contains("no column for the clause"));
    assert_eq!(
        fault("Clause\n1\n1\n"),
        "annex.csv:3: clause 1 stands already in line 2"
    );
}

#[test]
fn lists_by_models_need_no_catalogue() {
    let text = "# ours\nepcl_id,comms_provider,esme_maker,esme_model,esme_fw,ch_maker,ch_model,ch_fw,first_added,removed,report,decision,approved_by\n\
        E1,vodafone,Example,M1,1,Example,H1,1,2019-05-01,,R1,approved,board\n\
        E2,,Example,M1,1,Example,H1,1,2020-05-01,2021-01-01,R2,refused,board\n";
    let epcl = read_epcl(None, "epcl.csv", text).unwrap();
    let model = |model: &str| DeviceModel {
        manufacturer: "Example".into(),
        model: model.into(),
        hardware: "other".into(),
        firmware: "1".into(),
    };
    let mut models = BTreeMap::from([(DeviceKind::Esme, model("M1")), (DeviceKind::Chf, model("H1"))]);
    let [vodafone, telefonica] = ["vodafone", "telefonica"].map(|word| word.parse().unwrap());
    let exactly = |provider, models: &BTreeMap<_, _>| {
        epcl.iter()
            .map(|entry| entry.is_exactly(provider, models))
            .collect::<Vec<_>>()
    };
    assert_eq!(exactly(vodafone, &models), [true, true]);
    assert_eq!(exactly(telefonica, &models), [false, true]);
    models.insert(DeviceKind::Gsme, model("G1"));
    assert_eq!(exactly(vodafone, &models), [false, false], "gas is not part of it");
    assert!(epcl[0].is_within(&models));
    let in_force = |at: &str| epcl.iter().filter(|entry| entry.in_force(at.parse().unwrap())).count();
    assert_eq!(
        [
            "2019-04-30T22:59:59Z",
            "2019-04-30T23:00:00Z",
            "2020-05-01T00:00:00Z",
            "2021-01-01T00:00:00Z"
        ]
        .map(in_force),
        [0, 1, 2, 1],
        "days begin at midnight in the UK"
    );
    let fault = |from: &str, to: &str| {
        read_epcl(None, "epcl.csv", &text.replace(from, to))
            .unwrap_err()
            .to_string()
    };
    assert!(fault("refused", "refusd").starts_with("epcl.csv:4: unknown decision"));
    assert!(fault("2019-05-01", "").starts_with("epcl.csv:3: effective or first_added"));
    assert!(fault("vodafone", "vodaphone").starts_with("epcl.csv:3: comms_provider"));
    assert!(
        fault("esme_fw", "esme_firmware").contains("did you mean \"esme_fw\""),
        "{}",
        fault("esme_fw", "esme_firmware")
    );
    let cpl = read_cpl(
        None,
        "cpl.csv",
        "device_type,maker,model,fw,status\nESME,Example,M1,1,Withdrawn\n",
    )
    .unwrap();
    assert_eq!(
        (cpl[0].status, &cpl[0].model.model),
        (CplStatus::Withdrawn, &"M1".to_owned())
    );
}
