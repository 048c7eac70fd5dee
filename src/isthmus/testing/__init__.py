"""Contract suites for metrics, aligners, formats and tasks."""
