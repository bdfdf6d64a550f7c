"""
A view compared with a device: the operations that make the device equal to it, and the objections to these.

Pure: ``node`` runs the commands and reads the devices.
"""
