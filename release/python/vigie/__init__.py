"""Clients of the services of Vigie, generated of its protocol files: vigie.matching.v1, vigie.model.v1, vigie.bank.v1."""
