"""Groups of commands below `sluice`, for those who look after a gateway."""
