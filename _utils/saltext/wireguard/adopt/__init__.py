"""What nodes and files say of tunnels that are there already: joined into networks, and proposed as a mesh file."""
