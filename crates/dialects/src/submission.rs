//! An operation with its approval, and what a device makes of it at once, in octets of ours: for whatever has no form in a
//! family's own words.

use domain::operation::octets;
use domain::{Approval, Execution, Operation};

/// 0, or 1 and an approval; then an operation.
pub(crate) fn submission(operation: &Operation, approval: Option<&Approval>) -> Vec<u8> {
    let mut out = vec![u8::from(approval.is_some())];
    if let Some(approval) = approval {
        out.extend_from_slice(&approval.to_bytes());
    }
    out.extend_from_slice(&octets::of_operation(operation));
    out
}

/// The operation and approval of octets that are exactly one submission.
pub(crate) fn split_submission(submitted: &[u8]) -> Option<(Operation, Option<Approval>)> {
    let (approval, rest) = match submitted.split_first()? {
        (0, rest) => (None, rest),
        (1, rest) => {
            let (approval, rest) = rest.split_at_checked(domain::approval::APPROVAL_LEN)?;
            (Some(Approval::from_bytes(approval)?), rest)
        }
        _ => return None,
    };
    Some((octets::operation(rest).ok()?, approval))
}

/// 0 and an outcome, or 1 and the ticket of an operation that is held.
pub(crate) fn reply(execution: &Execution) -> Vec<u8> {
    match execution {
        Execution::Finished(outcome) => [&[0], octets::of_outcome(outcome).as_slice()].concat(),
        Execution::Queued(ticket) => [&[1], ticket.to_be_bytes().as_slice()].concat(),
    }
}

/// What octets that are exactly one [`reply`] say.
pub(crate) fn split_reply(replied: &[u8]) -> Option<Execution> {
    match replied.split_first()? {
        (0, outcome) => octets::outcome(outcome).ok().map(Execution::Finished),
        (1, ticket) => Some(Execution::Queued(u32::from_be_bytes(ticket.try_into().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Answer, DataItem, Eui64, Refusal, RequestId, SimInstant};

    #[test]
    fn submissions_and_replies_read_as_they_write() {
        let approval = Approval {
            request: RequestId {
                originator: Eui64(1),
                target: Eui64(2),
                counter: 3,
            },
            counter: 4,
            expires_at: SimInstant(5),
            mac: [6; 16],
            follows: true,
        };
        for operation in [Operation::DisableSupply, Operation::Read(DataItem::TimeDebt(2))] {
            for approval in [None, Some(approval.clone())] {
                let octets = submission(&operation, approval.as_ref());
                assert_eq!(split_submission(&octets), Some((operation.clone(), approval)));
                assert!((0..octets.len()).all(|end| split_submission(&octets[..end]).is_none()));
            }
        }
        for execution in [
            Execution::Queued(7),
            Execution::Finished(Ok(Answer::Done)),
            Execution::Finished(Err(Refusal::Busy)),
        ] {
            assert_eq!(split_reply(&reply(&execution)), Some(execution));
        }
        assert_eq!(split_reply(&[2]), None);
    }
}
