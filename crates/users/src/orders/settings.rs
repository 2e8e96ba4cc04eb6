//! Requests that set one thing of a meter, reset counters, or show something to the customer.

use domain::operation::{AlertBehaviour, BillingCalendar, BillingPeriod, Counter, GasFlow, LoadLimit, VoltageSettings};
use domain::{Eui64, SimInstant, Srv};
use duis::Element;

use super::forms::{Fuel, time};
use crate::Order;

/// 3.1 Display Message: 1 to 116 printable characters.
#[must_use]
pub fn display_message(device: Eui64, message: &str) -> Order {
    let body = Element::sr("DisplayMessage").with_leaf("SupplierMessage", message);
    Order::to_device(device, Srv::new(3, 1, 0), body)
}

/// 3.2 Restrict Access For Change Of Tenancy.
#[must_use]
pub fn restrict_access(device: Eui64, before: SimInstant) -> Order {
    let body = Element::sr("RestrictAccessForChangeOfTenancy").with_leaf("RestrictionDateTime", before.to_string());
    Order::to_device(device, Srv::new(3, 2, 0), body)
}

/// 3.3 Clear Event Log; `auxiliary` clears that of the load switches instead. The gas form names no log.
#[must_use]
pub fn clear_event_log(device: Eui64, fuel: Fuel, auxiliary: bool) -> Order {
    let log = (fuel == Fuel::Electricity).then_some(if auxiliary { "ALCS" } else { "ESME" });
    let body = Element::sr("ClearEventLog");
    let body = body.with_optional(log.map(|log| Element::sr("ESMEEventLogType").with_text(log)));
    Order::to_device(device, Srv::new(3, 3, 0), body)
}

/// 3.4 Update Supplier Name.
#[must_use]
pub fn update_supplier_name(device: Eui64, name: &str, telephone: &str) -> Order {
    let body = Element::sr("UpdateSupplierName")
        .with_leaf("SupplierName", name)
        .with_leaf("SupplierTelephoneNumber", telephone);
    Order::to_device(device, Srv::new(3, 4, 0), body)
}

/// 3.5 Disable Privacy PIN.
#[must_use]
pub fn disable_privacy_pin(device: Eui64) -> Order {
    Order::to_device(device, Srv::new(3, 5, 0), Element::sr("DisablePrivacyPIN"))
}

/// 6.4.1 Update Device Configuration (Load Limiting General Settings).
#[must_use]
pub fn set_load_limit(device: Eui64, limit: &LoadLimit) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationLoadLimitingGeneralSettings")
        .with_leaf("LoadLimitPeriod", limit.period_s.to_string())
        .with_leaf("LoadLimitPowerThreshold", limit.threshold_w.to_string())
        .with_leaf("LoadLimitRestorationPeriod", limit.restoration_s.to_string())
        .with_leaf(
            "LoadLimitSupplyState",
            if limit.disables { "Disable" } else { "Unchanged" },
        );
    Order::to_device(device, Srv::new(6, 4, 1), body)
}

/// 6.4.2 Update Device Configuration (Load Limiting Counter Reset).
#[must_use]
pub fn reset_load_limit_counter(device: Eui64) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationLoadLimitingCounterReset");
    Order::to_device(device, Srv::new(6, 4, 2), body)
}

/// 6.5 Update Device Configuration (Voltage). The request has whole volts: tenths are left out.
#[must_use]
pub fn set_voltage(device: Eui64, voltage: &VoltageSettings) -> Order {
    let names = [
        (
            "RMSExtremeOverVoltageMeasurementPeriod",
            "RMSExtremeOverVoltageThreshold",
        ),
        (
            "RMSExtremeUnderVoltageMeasurementPeriod",
            "RMSExtremeUnderVoltageThreshold",
        ),
        ("RMSVoltageSagMeasurementPeriod", "RMSVoltageSagThreshold"),
        ("RMSVoltageSwellMeasurementPeriod", "RMSVoltageSwellThreshold"),
    ];
    let extremes = names.into_iter().zip(voltage.extremes).fold(
        Element::sr("RMSVoltageSettings"),
        |form, ((period_name, threshold_name), (period, threshold))| {
            form.with_leaf(period_name, period.to_string())
                .with_leaf(threshold_name, (threshold / 10).to_string())
        },
    );
    let average = |name: &'static str, (over, under, period): (u32, u32, u32)| {
        Element::sr(name)
            .with_leaf("AverageRMSOverVoltageThreshold", (over / 10).to_string())
            .with_leaf("AverageRMSUnderVoltageThreshold", (under / 10).to_string())
            .with_leaf("AverageRMSVoltageMeasurementPeriod", period.to_string())
    };
    let averages: Vec<Element> = match voltage.averages.as_slice() {
        [single] => vec![average("SinglePhaseVoltageSettings", *single)],
        phases => (1..)
            .zip(phases)
            .map(|(phase, settings): (u8, _)| {
                Element::sr("PolyPhaseVoltageSettings")
                    .with_leaf("Phase", phase.to_string())
                    .with(average("PhaseVoltageSettings", *settings))
            })
            .collect(),
    };
    let keep = voltage.keep_counters.then(|| Element::sr("RMSVoltageCountersNotReset"));
    let body = Element::sr("UpdateDeviceConfigurationVoltage")
        .with(extremes)
        .with_all(averages)
        .with_optional(keep);
    Order::to_device(device, Srv::new(6, 5, 0), body)
}

/// 6.6 Update Device Configuration (Gas Conversion): thousandths of MJ per cubic metre, of which the request has tenths,
/// and hundred-thousandths.
#[must_use]
pub fn set_gas_conversion(device: Eui64, calorific_milli: u64, factor: u64) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationGasConversion")
        .with_leaf(
            "CalorificValue",
            format!("{}.{}", calorific_milli / 1_000, calorific_milli % 1_000 / 100),
        )
        .with_leaf(
            "ConversionFactor",
            format!("{}.{:05}", factor / 100_000, factor % 100_000),
        );
    Order::to_device(device, Srv::new(6, 6, 0), body)
}

/// 6.7 Update Device Configuration (Gas Flow).
#[must_use]
pub fn set_gas_flow(device: Eui64, flow: &GasFlow) -> Order {
    let locked = |locks| if locks { "Locked" } else { "Unchanged" };
    let rate = flow.uncontrolled_flow_milli;
    let body = Element::sr("UpdateDeviceConfigurationGasFlow")
        .with_leaf(
            "UncontrolledGasFlowRateDecimal",
            format!("{}.{:03}0", rate / 1_000, rate % 1_000),
        )
        .with_leaf("SupplyDepletionState", locked(flow.depletion_locks))
        .with_leaf("SupplyTamperState", locked(flow.tamper_locks))
        .with_leaf("StabilisationPeriod", flow.stabilisation.to_string())
        .with_leaf("MeasurementPeriod", flow.measurement.to_string());
    Order::to_device(device, Srv::new(6, 7, 0), body)
}

/// 6.8 Update Device Configuration (Billing Calendar). The gas form counts its periods from `calendar.start`.
#[must_use]
pub fn set_billing_calendar(device: Eui64, fuel: Fuel, calendar: &BillingCalendar) -> Order {
    let monthly = |name: &'static str, day: u8, month: u8| {
        Element::sr(name)
            .with_leaf("DayOfMonth", day.to_string())
            .with_leaf("BillingPeriodStartMonth", month.to_string())
    };
    let (word, choice) = match calendar.period {
        BillingPeriod::Daily => ("Daily", Element::sr("Daily")),
        BillingPeriod::Weekly(day) => ("Weekly", Element::sr("Weekly").with_text(day.to_string())),
        BillingPeriod::Monthly(day) => ("Monthly", Element::sr("Monthly").with_text(day.to_string())),
        BillingPeriod::Quarterly(day, month) => ("Quarterly", monthly("Quarterly", day, month)),
        BillingPeriod::SixMonthly(day, month) => ("SixMonthly", monthly("SixMonthly", day, month)),
        BillingPeriod::Yearly(day, month) => ("Yearly", monthly("Yearly", day, month)),
    };
    let form = match fuel {
        Fuel::Electricity => Element::sr("ElectricityBillingCalendar")
            .with_leaf("BillingTime", time(calendar.minute))
            .with(choice),
        Fuel::Gas => Element::sr("GasBillingCalendar")
            .with_leaf("BillingPeriodStart", calendar.start.unwrap_or_default().to_string())
            .with_leaf("Periodicity", word),
    };
    let body = Element::sr("UpdateDeviceConfigurationBillingCalendar").with(form);
    Order::to_device(device, Srv::new(6, 8, 0), body)
}

/// 6.12 Update Device Configuration (Instantaneous Power Threshold), W.
#[must_use]
pub fn set_power_thresholds(device: Eui64, low_medium_w: u32, medium_high_w: u32) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationInstantaneousPowerThreshold")
        .with_leaf("LowMediumPowerThreshold", low_medium_w.to_string())
        .with_leaf("MediumHighPowerThreshold", medium_high_w.to_string());
    Order::to_device(device, Srv::new(6, 12, 0), body)
}

/// 6.18.1 Set Maximum Demand Configurable Time Period, in minutes of the day.
#[must_use]
pub fn set_demand_period(device: Eui64, from: u16, to: u16) -> Order {
    let schedule = Element::sr("MaximumDemandTimePeriodSchedule")
        .with_leaf("StartTime", time(from))
        .with_leaf("EndTime", time(to));
    let body = Element::sr("SetMaximumDemandConfigurableTimePeriod").with(schedule);
    Order::to_device(device, Srv::new(6, 18, 1), body)
}

/// 6.18.2 Reset Maximum Demand Registers; other counters than those of demand are left out.
#[must_use]
pub fn reset_maximum_demand(device: Eui64, counters: &[Counter]) -> Order {
    let known = [
        (Counter::MaximumDemandImport, "MaxDemandActivePowerImportValue"),
        (Counter::MaximumDemandExport, "MaxDemandActivePowerExportValue"),
        (
            Counter::MaximumDemandImportInPeriod,
            "MaxDemandConfigTimeActivePowerImportValue",
        ),
    ];
    let asked = known.into_iter().filter(|(counter, _)| counters.contains(counter));
    let body = Element::sr("ResetMaximumDemandRegisters").with_all(asked.map(|(_, name)| Element::sr(name)));
    Order::to_device(device, Srv::new(6, 18, 2), body)
}

/// 6.20.1 Set Device Configuration (Import MPxN); only electricity has a second one.
#[must_use]
pub fn set_import_mpxn(device: Eui64, fuel: Fuel, point: &str, second: Option<&str>) -> Order {
    let form = match fuel {
        Fuel::Electricity => Element::sr("ImportMPANs")
            .with_leaf("ImportMPAN", point)
            .with_optional(second.map(|second| Element::sr("SecondaryImportMPAN").with_text(second))),
        Fuel::Gas => Element::sr("ImportMPRN").with_text(point),
    };
    let body = Element::sr("SetDeviceConfigurationImportMPxN").with(form);
    Order::to_device(device, Srv::new(6, 20, 1), body)
}

/// 6.20.2 Set Device Configuration (Export MPAN).
#[must_use]
pub fn set_export_mpan(device: Eui64, point: &str) -> Order {
    let body = Element::sr("SetDeviceConfigurationExportMPAN").with_leaf("ExportMPAN", point);
    Order::to_device(device, Srv::new(6, 20, 2), body)
}

/// 6.22 Configure Alert Behaviour, for alerts over the WAN of a supplier. Codes beyond those of a supplier's list are
/// left out.
#[must_use]
pub fn configure_alerts(device: Eui64, fuel: Fuel, behaviour: &AlertBehaviour) -> Order {
    let codes = behaviour.wan.iter().filter_map(|(code, on)| {
        let (_, name) = SUPPLIER_CODES.iter().find(|(known, _)| known == code)?;
        Some(Element::sr(name).with_text(if *on { "Enable" } else { "Disable" }))
    });
    let form = match fuel {
        Fuel::Electricity => {
            Element::sr("ElectricitySupplierAlerts").with(Element::sr("SupplierESMECommon").with_all(codes))
        }
        Fuel::Gas => Element::sr("GasSupplierAlerts").with_all(codes),
    };
    Order::to_device(
        device,
        Srv::new(6, 22, 0),
        Element::sr("ConfigureAlertBehaviour").with(form),
    )
}

/// Codes that both fuels' suppliers may switch and meters of ours raise, in the order of the schema.
const SUPPLIER_CODES: [(u16, &str); 10] = [
    (0x810D, "x810D"),
    (0x810E, "x810E"),
    (0x8119, "x8119"),
    (0x8145, "x8145"),
    (0x81A7, "x81A7"),
    (0x81A8, "x81A8"),
    (0x81A9, "x81A9"),
    (0x81AA, "x81AA"),
    (0x81AB, "x81AB"),
    (0x81C5, "x81C5"),
];

/// 6.25 Set Electricity Supply Tamper State.
#[must_use]
pub fn set_tamper_state(device: Eui64, locks: bool) -> Order {
    let state = if locks { "Locked" } else { "Unchanged" };
    let body = Element::sr("SetElectricitySupplyTamperState").with_leaf("SupplyTamperState", state);
    Order::to_device(device, Srv::new(6, 25, 0), body)
}

/// 6.26 Update Device Configuration (daily resetting of Tariff Block Counter Matrix).
#[must_use]
pub fn set_daily_block_reset(device: Eui64, daily: bool) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationDailyResettingOfTariffBlockCounterMatrix")
        .with_leaf("DailyTariffBlockCounterMatrixReset", daily.to_string());
    Order::to_device(device, Srv::new(6, 26, 0), body)
}

/// 6.27 Update Device Configuration (RMS Voltage Counter Reset).
#[must_use]
pub fn reset_voltage_counters(device: Eui64) -> Order {
    let body = Element::sr("UpdateDeviceConfigurationRMSVoltageCounterReset");
    Order::to_device(device, Srv::new(6, 27, 0), body)
}

/// 7.5 Activate or 7.6 Deactivate Auxiliary Load `switch` (1 to 5), for so many minutes.
#[must_use]
pub fn switch_auxiliary_load(device: Eui64, switch: u8, on: bool, minutes: u16) -> Order {
    let (srv, service, form) = if on {
        (Srv::new(7, 5, 0), "ActivateAuxiliaryLoad", "ActivateALCSHCALCS")
    } else {
        (Srv::new(7, 6, 0), "DeactivateAuxiliaryLoad", "DeactivateALCSHCALCS")
    };
    let form = Element::sr(form)
        .with_attribute("index", switch.to_string())
        .with_leaf("Duration", minutes.to_string());
    Order::to_device(device, srv, Element::sr(service).with(form))
}

/// 9.1 Request Customer Identification Number.
#[must_use]
pub fn request_customer_identification(device: Eui64) -> Order {
    Order::to_device(
        device,
        Srv::new(9, 1, 0),
        Element::sr("RequestCustomerIdentificationNumber"),
    )
}
