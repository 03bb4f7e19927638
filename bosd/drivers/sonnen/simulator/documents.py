"""The documents a battery answers, as its API's page and published answers have them (docs/sonnen.md names the sources)."""

from datetime import UTC, datetime

from bosd.drivers.sonnen.simulator.model import IDLE_W, MODULE_V, UNUSED, Model

Document = dict[str, object]

_NO_SENSOR_C = -273.15
_LIMIT_A = 39.97
"""Of the published answer, on either side."""
_LINE_V = 230.0


def stamp(utc_s: float) -> str:
    """Return the battery's time stamp; this one's local time is UTC."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def status(model: Model, utc_s: float) -> Document:
    """Return `/api/v2/status`."""
    power_w = _shown_w(model)
    house_w, sun_w = round(model.consumption_w), round(model.production_w)
    feed_w = sun_w - house_w + power_w if model.on_grid else 0
    charging, discharging = power_w < -10, power_w > 10
    apparent_va = abs(power_w)
    return {
        "Apparent_output": apparent_va,
        "BackupBuffer": str(model.options.reserve),
        "BatteryCharging": charging,
        "BatteryDischarging": discharging,
        "Consumption_Avg": house_w,
        "Consumption_W": house_w,
        "Fac": 50.0,
        "FlowConsumptionBattery": discharging and house_w > 0,
        "FlowConsumptionGrid": feed_w < 0,
        "FlowConsumptionProduction": sun_w > 0,
        "FlowGridBattery": charging and feed_w < 0,
        "FlowProductionBattery": charging and sun_w > 0,
        "FlowProductionGrid": feed_w > 0 and sun_w > 0,
        "GridFeedIn_W": feed_w,
        "IsSystemInstalled": 1,
        "OperatingMode": model.mode,
        "Pac_total_W": power_w,
        "Production_W": sun_w,
        "RSOC": round(100 * _full(model)),
        "RemainingCapacity_Wh": round(_full(model) * model.options.capacity_wh * model.options.series),
        "Sac1": apparent_va,
        "Sac2": None,
        "Sac3": None,
        "SystemStatus": "OnGrid" if model.on_grid else "OffGrid",
        "Timestamp": stamp(utc_s),
        "USOC": round(100 * model.soc),
        "Uac": _LINE_V if model.on_grid else 0.0,
        "Ubat": round(model.voltage_v),
        "dischargeNotAllowed": model.soc <= 0.0,
        "generator_autostart": False,
    }


def latest(model: Model, utc_s: float) -> Document:
    """Return `/api/v2/latestdata`."""
    now = status(model, utc_s)
    same = ("Consumption_W", "GridFeedIn_W", "Pac_total_W", "Production_W", "RSOC", "Timestamp", "USOC")
    return {
        **{key: now[key] for key in same},
        "FullChargeCapacity": model.options.capacity_wh,
        "SetPoint_W": round(model.wanted_w),
        "UTC_Offet": 0,
        "ic_status": {
            "MISC Status Bits": {
                "Discharge not allowed": now["dischargeNotAllowed"],
                "Min User SOC": model.soc <= 0.0,
                "Setpoint Timeout": False,
            },
            "nrbatterymodules": model.options.series,
            "secondssincefullcharge": 3720,
            "statebms": "ready",
            "statecorecontrolmodule": "ongrid" if model.on_grid else "offgrid",
            "stateinverter": "running",
        },
    }


def battery(model: Model) -> Document:
    """Return `/api/v2/battery`: capacities in Ah at one module's voltage, with all modules as if in parallel."""
    full_ah = model.options.capacity_wh / MODULE_V
    unused_ah = UNUSED * full_ah
    usable_ah = model.soc * (full_ah - unused_ah)
    module_v = round(model.voltage_v / model.options.series, 2)
    return {
        "balancechargerequest": 0.0,
        "chargecurrentlimit": _LIMIT_A,
        "cyclecount": float(30 + int(model.discharged_wh / model.options.capacity_wh)),
        "dischargecurrentlimit": _LIMIT_A,
        "fullchargecapacity": round(full_ah, 3),
        "fullchargecapacitywh": model.options.capacity_wh,
        "maximumcelltemperature": model.temperature_c + 0.5,
        "maximumcellvoltage": round(model.cell_v, 3),
        "maximumcellvoltagenum": 0.0,
        "maximummodulecurrent": 0.0,
        "maximummoduledcvoltage": module_v,
        "maximummoduletemperature": _NO_SENSOR_C,
        "minimumcelltemperature": model.temperature_c - 0.5,
        "minimumcellvoltage": round(model.cell_v, 3),
        "minimumcellvoltagenum": 0.0,
        "minimummodulecurrent": 0.0,
        "minimummoduledcvoltage": module_v,
        "minimummoduletemperature": _NO_SENSOR_C,
        "nominalmoduledcvoltage": MODULE_V,
        "relativestateofcharge": float(round(100 * _full(model))),
        "remainingcapacity": round(unused_ah + usable_ah, 4),
        "systemalarm": 0.0,
        "systemcurrent": 0.0,
        "systemdcvoltage": round(model.voltage_v, 1),
        "systemstatus": 49.0,
        "systemtime": 0.0,
        "systemwarning": 0.0,
        "usableremainingcapacity": round(usable_ah, 4),
    }


def configurations(model: Model) -> Document:
    """Return `/api/v2/configurations`, as far as the mode and the system's size are concerned."""
    return {
        "CM_MarketingModuleCapacity": round(model.options.capacity_wh / model.options.series),
        "CN_CascadingRole": "none",
        "DE_Software": "1.14.5",
        "DepthOfDischargeLimit": round(100 * (1.0 - UNUSED)),
        "EM_OperatingMode": model.mode,
        "EM_Prognosis_Charging": 0,
        "EM_ToU_Schedule": "[]",
        "EM_USOC": model.options.reserve,
        "IC_BatteryModules": model.options.series,
        "IC_InverterMaxPower_w": round(model.options.inverter_w),
    }


def _shown_w(model: Model) -> int:
    return round(model.power_w) if abs(model.power_w) > IDLE_W else -round(IDLE_W)


def _full(model: Model) -> float:
    """Return the state of charge with the unused part, 0..1."""
    return UNUSED + model.soc * (1.0 - UNUSED)
