//! Standard methods as operations. A head end of ours carries what is not plain reading, switching or firmware in the submission of
//! [`super::objects::CLASS_LAB_QUEUE`], whose outcome says more than a result code can; these are for any other client.

use cosem::{AccessResult, Data, Method};
use domain::operation::{Counter, Token};
use domain::{DeviceKind, LogKind, Operation};

use super::device::octets;
use super::objects::*;

/// The operation that a method stands for.
///
/// # Errors
/// [`AccessResult::ObjectUndefined`] for none of these; otherwise what is wrong with the parameter.
pub(super) fn operation(
    slot: DeviceKind,
    method: &Method,
    parameter: Option<&Data>,
) -> Result<Operation, AccessResult> {
    let number = || parameter.and_then(Data::as_i64).ok_or(AccessResult::TypeUnmatched);
    let esme = slot == DeviceKind::Esme;
    Ok(match (method.class, method.object, method.index) {
        (CLASS_SCRIPTS, SUPPLY_SCRIPTS, 1) if esme => match u16::try_from(number()?) {
            Ok(SCRIPT_DISABLE) => Operation::DisableSupply,
            Ok(SCRIPT_ENABLE) => Operation::EnableSupply,
            Ok(SCRIPT_ARM) => Operation::ArmSupply,
            _ => return Err(AccessResult::ScopeViolated),
        },
        (CLASS_SCRIPTS, BLOCK_SCRIPTS, 1) => match number()? {
            1 => Operation::ResetCounters(vec![Counter::TariffBlocks]),
            _ => return Err(AccessResult::ScopeViolated),
        },
        (CLASS_DISCONNECT, DISCONNECT, 1) => Operation::DisableSupply,
        // Gas is never restored from afar: its reconnection is an arming.
        (CLASS_DISCONNECT, DISCONNECT, 2) if slot.is_gas() => Operation::ArmSupply,
        (CLASS_DISCONNECT, DISCONNECT, 2) => Operation::EnableSupply,
        (CLASS_DISCONNECT, object, index @ (1 | 2)) if esme => {
            let place = item_at(
                slot,
                &cosem::Attribute {
                    class: CLASS_DISCONNECT,
                    object,
                    index: 2,
                },
            );
            match place.map(|place| place.item) {
                Some(domain::DataItem::AuxiliaryLoadSwitch(switch)) => {
                    let on = index == 2;
                    // The standard method has no duration: a positive number is ours.
                    let minutes = parameter.and_then(Data::as_i64).unwrap_or(0);
                    let minutes = u16::try_from(minutes).map_err(|_| AccessResult::ScopeViolated)?;
                    Operation::SwitchAuxiliaryLoad { switch, on, minutes }
                }
                _ => return Err(AccessResult::ObjectUndefined),
            }
        }
        (CLASS_CREDIT, METER_BALANCE, 1) => Operation::AdjustBalance(number()?),
        (CLASS_CREDIT, METER_BALANCE, 2) => Operation::ResetBalance,
        (CLASS_CREDIT, EMERGENCY_CREDIT, 3) => Operation::ActivateEmergencyCredit,
        (CLASS_TOKEN_GATEWAY, TOKEN_GATEWAY, 1) => {
            let digits = std::str::from_utf8(octets(parameter)?).map_err(|_| AccessResult::TypeUnmatched)?;
            Operation::EnterToken(Token(digits.to_owned()))
        }
        (CLASS_REGISTER, LOAD_LIMIT_COUNTER, 1) if esme => Operation::ResetCounters(vec![Counter::LoadLimit]),
        (CLASS_PROFILE, object, 1) => match log_at(slot, object) {
            Some(log @ LogKind::Event) => Operation::ClearLog(log),
            Some(_) => return Err(AccessResult::ReadWriteDenied),
            None => return Err(AccessResult::ObjectUndefined),
        },
        _ => return Err(AccessResult::ObjectUndefined),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosem::Obis;

    fn of(class: u16, object: Obis, index: i8, parameter: Option<Data>) -> Result<Operation, AccessResult> {
        let method = Method { class, object, index };
        operation(DeviceKind::Esme, &method, parameter.as_ref())
    }

    #[test]
    fn methods_stand_for_operations() {
        let token = Data::OctetString(b"12345678901234567890".to_vec());
        let entered = Operation::EnterToken(Token("12345678901234567890".into()));
        assert_eq!(of(115, Obis::new(0, 0, 19, 40, 0, 255), 1, Some(token)), Ok(entered));
        assert_eq!(
            of(112, Obis::new(0, 0, 19, 10, 1, 255), 3, None),
            Ok(Operation::ActivateEmergencyCredit)
        );
        assert_eq!(
            of(70, Obis::new(0, 3, 96, 3, 10, 255), 2, None),
            Ok(Operation::SwitchAuxiliaryLoad {
                switch: 3,
                on: true,
                minutes: 0
            })
        );
        assert_eq!(
            of(7, Obis::new(0, 0, 99, 98, 0, 255), 1, None),
            Ok(Operation::ClearLog(LogKind::Event))
        );
        assert_eq!(
            of(7, Obis::new(0, 0, 99, 98, 1, 255), 1, None),
            Err(AccessResult::ReadWriteDenied),
            "the security log stays"
        );
        assert_eq!(
            of(70, Obis::new(0, 6, 96, 3, 10, 255), 2, None),
            Err(AccessResult::ObjectUndefined)
        );
        assert_eq!(
            of(115, Obis::new(0, 0, 19, 40, 0, 255), 1, None),
            Err(AccessResult::TypeUnmatched)
        );
    }
}
