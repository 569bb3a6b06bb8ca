"""The programs that run in the pods of KAITO Workspaces; ../../README.md is their contract."""
