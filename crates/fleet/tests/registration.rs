//! Registration data of an estate as CSV.

use fleet::Estate;

#[test]
fn registration_data_carries_smso_version_and_type() {
    let estate = Estate::builtin("sit").unwrap();
    let catalogue = dmc::Catalogue::builtin().unwrap();
    let csv = fleet::registration_csv(&estate, &catalogue);
    let mut lines = csv.lines();
    assert_eq!(lines.next().unwrap(), "mpxn,fuel,smso,smets_version,meter_type");
    assert_eq!(lines.next().unwrap(), "9901000000008,electricity,CGI IE,S1,S1");
    let gas: Vec<&str> = csv.lines().filter(|line| line.contains(",gas,")).collect();
    assert!(!gas.is_empty() && gas.iter().all(|line| line.ends_with(",S1,S1")));
    let points = csv.lines().count() - 1;
    assert_eq!(
        points,
        estate
            .devices()
            .filter(|device| matches!(device.kind, domain::DeviceKind::Esme | domain::DeviceKind::Gsme))
            .count()
    );
}
