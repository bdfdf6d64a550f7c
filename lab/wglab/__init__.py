"""The lab: real Salt daemons and real WireGuard, one set of namespaces a host, nothing but the standard library."""
