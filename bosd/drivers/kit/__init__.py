"""The conformance kit: tries a driver on a simulated device in virtual time and says what held (`bosd driver test NAME`)."""
