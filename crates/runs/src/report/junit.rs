//! JUnit XML: one suite per device, one case per cell, one suite for the checks.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::verdict::{RunResult, Verdict};

/// The result as JUnit XML. Times are those of the lab's calendar.
///
/// # Errors
/// When a text holds what XML cannot.
pub fn junit(result: &RunResult) -> Result<String, SerializeError> {
    let mut report = Report::new(format!("s1lab {}", result.pack));
    for (device, kind, profile) in result.devices() {
        let mut suite = TestSuite::new(format!("{kind} {device} {profile}"));
        for cell in result.cells.iter().filter(|cell| cell.device == device) {
            let status = if cell.verdict == Verdict::Passed {
                TestCaseStatus::success()
            } else {
                failure(
                    cell.failed_hop.as_deref(),
                    &format!("expected {}; observed {}", cell.expected, cell.observed),
                )
            };
            let mut case = TestCase::new(format!("{:03} {}", cell.position, cell.srv), status);
            case.set_classname(format!("{kind}.{profile}"));
            case.set_time(Duration::from_millis(cell.took_ms));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let mut suite = TestSuite::new("checks");
    for check in &result.checks {
        let status = if check.verdict == Verdict::Passed {
            TestCaseStatus::success()
        } else {
            failure(None, &check.detail)
        };
        suite.add_test_case(TestCase::new(check.name.clone(), status));
    }
    report.add_test_suite(suite);
    report.to_string()
}

fn failure(kind: Option<&str>, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    if let Some(kind) = kind {
        status.set_type(kind);
    }
    status
}
