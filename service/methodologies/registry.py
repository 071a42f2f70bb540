"""Every published methodology version. To publish one, add its line here."""

from service.methodologies import (
    bus,
    electric_vehicle,
    household_electricity,
    household_pv,
    metro,
    orders,
    paperless,
    recycling,
    shared_cycles,
    uncertified,
)
from service.methodologies.methodology import Methodology

METHODOLOGIES: tuple[Methodology, ...] = (
    metro.METRO_RIDE_V1,
    metro.METRO_TRIP_V1,
    bus.BUS_RIDE_V1,
    shared_cycles.SHARED_BIKE_RIDE_V1,
    shared_cycles.SHARED_EBIKE_RIDE_V1,
    electric_vehicle.EV_DRIVE_V1,
    electric_vehicle.EV_RIDE_V1,
    household_electricity.HOUSEHOLD_ELECTRICITY_V1,
    household_electricity.HOUSEHOLD_DEMAND_RESPONSE_V1,
    household_pv.HOUSEHOLD_PV_V1,
    household_pv.HOUSEHOLD_PV_GRID_V1,
    recycling.WASTE_RECYCLING_V1,
    orders.NO_CUTLERY_ORDER_V1,
    orders.HOTEL_NO_DISPOSABLES_V1,
    paperless.E_INVOICE_V1,
    paperless.E_STATEMENT_V1,
    paperless.E_BILL_V1,
    paperless.ONLINE_TICKET_V1,
    paperless.ONLINE_TRAIN_TICKET_V1,
    paperless.CLINIC_BOOKING_V1,
    *uncertified.UNCERTIFIED,
)
"""In order of preference: of two that cover the same behavior, place and day the first applies."""
