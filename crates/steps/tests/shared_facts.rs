//! The service request table against the published facts in the shared folder, read by path and never copied.

use std::path::PathBuf;

use domain::UserRole;
use steps::table::{Applicability, DatedBy, Mode, State};
use steps::{Failure, Target, permits, plan};

/// The shared folder: `$S1LAB_SHARED`, else beside the workspace; `None`, with a message, where it is absent.
fn shared() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let path = PathBuf::from(std::env::var("S1LAB_SHARED").unwrap_or_else(|_| default.into()));
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no shared folder at {}", path.display());
    None
}

#[test]
fn the_table_agrees_with_the_published_matrix() {
    let Some(shared) = shared() else { return };
    let text = std::fs::read_to_string(shared.join("domain/duis/srv.tsv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let mut compared = 0;
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name: &str| cells[header.iter().position(|column| *column == name).unwrap()];
        let row = steps::table().row(cell("srv").parse().unwrap()).unwrap();
        let srv = row.srv;
        assert_eq!(srv.reference().to_string(), cell("service_reference"), "{srv}");
        assert_eq!(row.name, cell("name"));
        assert_eq!(row.critical, cell("critical") == "Yes", "{srv}");
        assert_eq!(row.mode == Mode::DccOnly, cell("non_device") == "Yes", "{srv}");
        assert_eq!(row.schedulable, cell("dcc_scheduled") == "Yes", "{srv}");
        let dated_by = match cell("future_dated_by") {
            "No" => DatedBy::Nobody,
            "DSP" => DatedBy::Dcc,
            "Device" => DatedBy::Device,
            _ => DatedBy::DccAndDevice,
        };
        assert_eq!(row.dated_by, dated_by, "{srv}");
        let roles = cell("roles").split(',').filter(|role| !role.is_empty());
        // The commissioning party is no role of the matrix: what it may send is the lab's own table.
        let known = row
            .roles
            .iter()
            .copied()
            .filter(|role| *role != UserRole::CommissioningParty);
        assert_eq!(
            known.collect::<Vec<_>>(),
            roles.map(|role| role.parse::<UserRole>().unwrap()).collect::<Vec<_>>(),
            "{srv}"
        );
        assert_eq!(row.body, cell("body_element"), "{srv}");
        assert_eq!(
            row.payload.unwrap_or("(none)"),
            if cell("response_payload").is_empty() {
                "(none)"
            } else {
                cell("response_payload")
            },
            "{srv}"
        );
        compared += 1;
    }
    assert_eq!(compared, steps::table().rows().count());
}

#[test]
fn every_template_finds_its_row_and_those_of_this_lab_their_plan() {
    let Some(shared) = shared() else { return };
    let catalogue = dmc::Catalogue::builtin().unwrap();
    let mut templates: Vec<PathBuf> = std::fs::read_dir(shared.join("domain/duis/templates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    templates.sort();
    let mut planned = 0;
    for path in &templates {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let request = match duis::read_request(&std::fs::read(path).unwrap()) {
            Ok(request) => request,
            Err(error) => panic!("{name}: {error}"),
        };
        let row = steps::table().row(request.srv).unwrap();
        assert_eq!(row.body, request.body.name, "{name}");
        if row.state != State::EndToEnd {
            continue;
        }
        let by_model = row.smets1 == Applicability::ByModel;
        let profiles = catalogue
            .profiles()
            .filter(|profile| profile.id.firmware == "BASE" || by_model);
        let mut fits = 0;
        for profile in profiles.filter(|profile| row.applies_to(profile.kind).is_ok()) {
            let target = Target {
                device: request.id.target,
                kind: profile.kind,
                hub: request.id.target,
                profile,
                asked_by: steps::AskedBy::Supplier,
            };
            if steps::credentials::concerns(request.srv) {
                // No device is asked; of a load controller a SMETS1 device knows nothing.
                let steps = plan(&request, &target).map(|plan| plan.steps.len());
                let controller = name.contains("LoadController");
                assert_eq!(
                    steps.map_err(|refused| refused.failure),
                    if controller { Err(Failure::NotSmets1) } else { Ok(0) }
                );
                fits += 1;
                continue;
            }
            let plan = match plan(&request, &target) {
                Ok(plan) => plan,
                Err(refused) if refused.failure == Failure::LogNotForType => continue,
                Err(refused) if by_model && refused.failure == Failure::NotApplicable => continue,
                // The form is for the other fuel, as the use case in the file's name says.
                Err(refused) => {
                    let other = if profile.kind.is_gas() { "ECS" } else { "GCS" };
                    let lacks_it = refused.text.contains(" has no ");
                    assert!(
                        refused.failure == Failure::NotApplicable && (name.starts_with(other) || lacks_it),
                        "{name} on {}: {refused}",
                        profile.id
                    );
                    continue;
                }
            };
            assert!(!plan.steps.is_empty(), "{name}");
            for step in &plan.steps {
                assert_eq!(
                    permits(&request, step.device, step.kind, &step.operation),
                    Ok(()),
                    "{name}"
                );
            }
            fits += 1;
        }
        assert!(fits > 0, "{name} fits no device");
        planned += 1;
    }
    assert!(planned >= 100, "{planned} of {}", templates.len());
}
