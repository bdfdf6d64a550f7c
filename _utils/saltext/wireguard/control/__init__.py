"""
The master's work with its minions: jobs, events, ssh, and tables for people.

Decisions are made in other rooms, and nothing here touches a device.
"""
