"""Treaty parameter sets."""
