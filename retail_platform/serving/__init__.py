"""How the tables reach those who ask: for now the DuckDB warehouse; no computing of tables here."""
