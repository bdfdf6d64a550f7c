# Everything that a node of a WireGuard mesh needs: packages, modules, interfaces.
include:
  - wireguard.packages
  - wireguard.modules
  - wireguard.networks
