"""Faults on purpose: a declared matrix, and whole sessions in which each of them happens."""
