//! Requests that only read a device.

use domain::{Eui64, SimInstant, Srv};
use duis::Element;

use crate::Order;

/// From and to of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// First instant.
    pub from: SimInstant,
    /// Last instant.
    pub to: SimInstant,
}

impl Period {
    fn element(self) -> Element {
        Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", self.from.to_string())
            .with_leaf("EndDateTime", self.to.to_string())
    }
}

/// Makes a function per request without arguments.
macro_rules! reads {
    ($($(#[$doc:meta])+ $name:ident = ($group:literal, $service:literal, $variant:literal) $body:literal;)+) => {
        $($(#[$doc])+
        #[must_use]
        pub fn $name(device: Eui64) -> Order {
            Order::to_device(device, Srv::new($group, $service, $variant), Element::sr($body))
        })+
    };
}

/// Makes a function per request about a period of a log.
macro_rules! logs {
    ($($(#[$doc:meta])+ $name:ident = ($group:literal, $service:literal, $variant:literal) $body:literal;)+) => {
        $($(#[$doc])+
        #[must_use]
        pub fn $name(device: Eui64, period: Period) -> Order {
            let body = Element::sr($body).with(period.element());
            Order::to_device(device, Srv::new($group, $service, $variant), body)
        })+
    };
}

reads! {
    /// 4.1.1 Read Instantaneous Import Registers.
    read_import_registers = (4, 1, 1) "ReadInstantaneousImportRegisters";
    /// 4.1.2 Read Instantaneous Import TOU Matrices.
    read_tou_matrices = (4, 1, 2) "ReadInstantaneousImportTOUMatrices";
    /// 4.1.3 Read Instantaneous Import TOU With Blocks Matrices.
    read_block_matrices = (4, 1, 3) "ReadInstantaneousImportTOUWithBlocksMatrices";
    /// 4.1.4 Read Instantaneous Import Block Counters.
    read_block_counters = (4, 1, 4) "ReadInstantaneousImportBlockCounters";
    /// 4.2 Read Instantaneous Export Registers.
    read_export_registers = (4, 2, 0) "ReadInstantaneousExportRegisters";
    /// 4.3 Read Instantaneous Prepay Values.
    read_prepay_values = (4, 3, 0) "ReadInstantaneousPrepayValues";
    /// 4.11.1 Read Tariff (Primary Element).
    read_tariff = (4, 11, 1) "ReadTariffPrimaryElement";
    /// 4.11.2 Read Tariff (Secondary Element).
    read_secondary_tariff = (4, 11, 2) "ReadTariffSecondaryElement";
    /// 4.12.1 Read Maximum Demand Import Registers.
    read_import_demand = (4, 12, 1) "ReadMaximumDemandImportRegisters";
    /// 4.12.2 Read Maximum Demand Export Registers.
    read_export_demand = (4, 12, 2) "ReadMaximumDemandExportRegisters";
    /// 4.13 Read Prepayment Configuration.
    read_prepayment_configuration = (4, 13, 0) "ReadPrepaymentConfiguration";
    /// 4.15 Read Load Limit Data.
    read_load_limit = (4, 15, 0) "ReadLoadLimitData";
    /// 4.16 Read Active Power Import.
    read_active_power = (4, 16, 0) "ReadActivePowerImport";
    /// 4.18 Read Meter Balance.
    read_meter_balance = (4, 18, 0) "ReadMeterBalance";
    /// 6.2.1 Read Device Configuration (Voltage).
    read_voltage_settings = (6, 2, 1) "ReadDeviceConfigurationVoltage";
    /// 6.2.2 Read Device Configuration (Randomisation).
    read_randomisation = (6, 2, 2) "ReadDeviceConfigurationRandomisation";
    /// 6.2.3 Read Device Configuration (Billing Calendar).
    read_billing_calendar = (6, 2, 3) "ReadDeviceConfigurationBillingCalendar";
    /// 6.2.4 Read Device Configuration (Identity Exc MPxN).
    read_identity = (6, 2, 4) "ReadDeviceConfigurationIdentityExcMPxN";
    /// 6.2.5 Read Device Configuration (Instantaneous Power Thresholds).
    read_power_thresholds = (6, 2, 5) "ReadDeviceConfigurationInstantaneousPowerThresholds";
    /// 6.2.7 Read Device Configuration (MPxN).
    read_metering_points = (6, 2, 7) "ReadDeviceConfigurationMPxN";
    /// 6.2.8 Read Device Configuration (Gas).
    read_gas_settings = (6, 2, 8) "ReadDeviceConfigurationGas";
    /// 6.2.9 Read Device Configuration (Payment Mode).
    read_payment_mode = (6, 2, 9) "ReadDeviceConfigurationPaymentMode";
    /// 6.2.10 Read Device Configuration (Event and Alert Behaviours).
    read_alert_behaviour = (6, 2, 10) "ReadDeviceConfigurationEventAndAlertBehaviours";
    /// 7.4 Read Supply Status.
    read_supply_status = (7, 4, 0) "ReadSupplyStatus";
    /// 7.7 Read Auxiliary Load Switch Data.
    read_auxiliary_loads = (7, 7, 0) "ReadALCSData";
    /// 8.9 Read Device Log.
    read_device_log = (8, 9, 0) "ReadDeviceLog";
    /// 11.2 Read Firmware Version.
    read_firmware_version = (11, 2, 0) "ReadFirmwareVersion";
}

logs! {
    /// 4.4.2 Retrieve Change Of Mode / Tariff Triggered Billing Data Log.
    read_change_log = (4, 4, 2) "RetrieveCoMOrTariffTriggeredBillingDataLog";
    /// 4.4.3 Retrieve Billing Calendar Triggered Billing Data Log.
    read_billing_log = (4, 4, 3) "RetrieveBillingCalendarTriggeredBillingDataLog";
    /// 4.4.4 Retrieve Billing Data Log (Payment Based Debt Payments).
    read_debt_payments = (4, 4, 4) "RetrieveBillingDataLogDebtPayments";
    /// 4.4.5 Retrieve Billing Data Log (Prepayment Credits).
    read_credits = (4, 4, 5) "RetrieveBillingDataLogPrepaymentCredits";
    /// 4.6.1 Retrieve Import Daily Read Log.
    read_daily_log = (4, 6, 1) "RetrieveImportDailyReadLog";
    /// 4.6.2 Retrieve Export Daily Read Log.
    read_export_daily_log = (4, 6, 2) "RetrieveExportDailyReadLog";
    /// 4.8.1 Read Active Import Profile Data.
    read_import_profile = (4, 8, 1) "ReadActiveImportProfileData";
    /// 4.8.2 Read Reactive Import Profile Data.
    read_reactive_profile = (4, 8, 2) "ReadReactiveImportProfileData";
    /// 4.8.3 Read Export Profile Data.
    read_export_profile = (4, 8, 3) "ReadExportProfileData";
    /// 4.10 Read Network Data.
    read_network_data = (4, 10, 0) "ReadNetworkData";
    /// 4.14 Read Prepayment Daily Read Log.
    read_prepayment_daily_log = (4, 14, 0) "ReadPrepaymentDailyReadLog";
    /// 4.17 Retrieve Daily Consumption Log.
    read_daily_consumption = (4, 17, 0) "RetrieveDailyConsumptionLog";
}

/// What 6.13 can read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EventLog {
    /// Switchings of auxiliary loads (ESME).
    AuxiliaryLoad,
    /// Events of the device itself.
    Event,
    /// Events of the gas meter, as its proxy keeps them (GPF).
    GasMeterEvent,
    /// Security events of the gas meter, as its proxy keeps them (GPF).
    GasMeterSecurity,
    /// Power events (ESME).
    PowerEvent,
    /// Security events of the device itself.
    Security,
}

impl EventLog {
    fn word(self) -> &'static str {
        match self {
            Self::AuxiliaryLoad => "ALCSEvent",
            Self::Event => "Event",
            Self::GasMeterEvent => "GSMEEvent",
            Self::GasMeterSecurity => "GSMESecurity",
            Self::PowerEvent => "PowerEvent",
            Self::Security => "Security",
        }
    }
}

/// 6.13 Read Event Or Security Log.
#[must_use]
pub fn read_event_log(device: Eui64, period: Period, log: EventLog) -> Order {
    let body = Element::sr("ReadEventOrSecurityLog")
        .with(period.element())
        .with_leaf("LogToRead", log.word());
    Order::to_device(device, Srv::new(6, 13, 0), body)
}
