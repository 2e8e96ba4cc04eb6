//! Which of the message codes of a service request goes into the header of an answer: several use cases share one
//! request, and what the request asks for says which it is.

use domain::DeviceKind;
use duis::Request;

use crate::table::Row;

/// The code of the use case that this request stands for, where one is known.
pub(crate) fn message_code(row: &Row, request: &Request, kind: DeviceKind) -> Option<u16> {
    let codes = row.message_codes(kind);
    let body = &request.body;
    let place = match body.name {
        "UpdateMeterBalance" => {
            let (mode, change) = match body.child("CreditMode") {
                Some(change) => (2, change),
                None => (0, body.child("PrepaymentMode")?),
            };
            let reset = usize::from(change.child("ResetMeterBalance").is_some());
            // Only gas tells the modes apart.
            let mode = if codes.len() > 2 { mode } else { 0 };
            mode + reset
        }
        "UpdatePaymentMode" => usize::from(body.child("Prepayment").is_some()),
        // Security logs have the second code; of the others of a meter only the first is known.
        "ReadEventOrSecurityLog" => {
            let log = body.child_text("LogToRead").unwrap_or_default().trim();
            usize::from(matches!(log, "Security" | "GSMESecurity"))
        }
        _ => 0,
    };
    codes.get(place).or(codes.first()).copied()
}
