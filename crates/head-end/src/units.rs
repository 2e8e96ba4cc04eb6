//! In which unit a gas meter states what was used. Not every face says it with a number; its operator knows it of the model.

use dmc::{DeviceProfile, GasUnit};
use domain::operation::{Answer, Outcome, Quantity, Unit, Value};

/// An outcome of the gas meter of this profile, or of the proxy in front of it, with what it says of volumes in the unit
/// that the meter means. No number changes.
pub(crate) fn as_stated(meter: &DeviceProfile, outcome: Outcome) -> Outcome {
    if meter.meter.values.gas_unit == GasUnit::Litre {
        return outcome;
    }
    outcome.map(|mut answer| {
        match &mut answer {
            Answer::Value(Value::Quantity(quantity) | Value::Stamped(quantity, _)) => mean_energy(quantity),
            Answer::Value(Value::Table(table)) => table.iter_mut().for_each(|(_, quantity)| mean_energy(quantity)),
            Answer::Log(rows) => {
                let values = rows.iter_mut().flat_map(|row| &mut row.values);
                values.for_each(|(_, quantity)| mean_energy(quantity));
            }
            _ => {}
        }
        answer
    })
}

fn mean_energy(quantity: &mut Quantity) {
    if quantity.unit == Unit::Litre {
        quantity.unit = Unit::WattHour;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmc::Catalogue;

    #[test]
    fn what_a_meter_states_in_energy_is_not_taken_for_a_volume() {
        let catalogue = Catalogue::builtin().expect("the built-in profiles");
        let litres = |value| Ok(Answer::Value(Value::Quantity(Quantity::new(value, Unit::Litre))));
        let heard = |profile: &str| as_stated(catalogue.find(profile).expect("a profile"), litres(5));
        let energy = Ok(Answer::Value(Value::Quantity(Quantity::new(5, Unit::WattHour))));
        assert_eq!(heard("g4szv@LAB-F001"), energy);
        assert_eq!(heard("g4szv@BASE"), litres(5));
    }
}
