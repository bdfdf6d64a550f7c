"""
What the master does with its minions: jobs, events, ssh, and tables for people.

Decisions are made in the rooms below; nothing here touches a device.
"""
