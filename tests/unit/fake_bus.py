"""The fake beside ``control.salt_bus.SaltBus``: minions that answer at once. It keeps ``bus_contract.CONTRACT``."""

import collections
import copy

import salt.utils.args

PAUSE = ("", None)


class FakeBus:
    """
    ``answer(node, function, arguments, keywords)`` gives what the function returns on the node, None where it has no
    such function; without it, nodes know ``test.arg`` alone. ``jobs``: (function, nodes, arguments) of all that was
    published. Those that are ``off`` do what they are asked, and nobody hears of it.

    No time passes while something comes. Where nothing does, or there is a pause, whoever listens has waited in vain.
    """

    def __init__(self, minions, answer=None):
        self.minions = set(minions)
        self.off = set()
        self.jobs = []
        self._answer = answer
        self._events = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def publish(self, nodes, function, arguments):
        nodes = sorted(self.minions.intersection(nodes))
        if not nodes:
            return None
        self.jobs.append((function, nodes, arguments))
        jid = str(len(self.jobs))
        words, keywords = split(arguments)
        returns = [(node, self._return(node, function, words, keywords)) for node in nodes]
        for node, data in returns:
            if node not in self.off:
                self.fire_return(jid, node, data)
        return jid

    def fire_return(self, jid, node, data):
        """The event of a job's return."""
        self.fire(f"salt/job/{jid}/ret/{node}", {"id": node, "retcode": 0, **data})

    def _return(self, node, function, words, keywords):
        if function == "test.arg":
            return {"success": True, "return": {"args": words, "kwargs": keywords}}
        answer = self._answer(node, function, words, keywords) if self._answer else None
        if answer is None:
            return {"success": False, "return": f"'{function}' is not available."}
        return {"success": True, "return": answer}

    def fire(self, tag, data):
        """An event of anybody's."""
        self._events.append((tag, data))

    def pause(self):
        """What is fired from here on is for whoever listens next."""
        self._events.append(PAUSE)

    def events(self, seconds):
        while self._events and self._events[0] is PAUSE:
            self._events.popleft()
        while self._events:
            event = self._events.popleft()
            if event is PAUSE:
                return
            yield event


def split(arguments):
    """Positional and keyword arguments, as a minion takes them out of a job's."""
    words, keywords = [], {}
    for each in salt.utils.args.parse_input(copy.deepcopy(arguments), condition=True):
        if isinstance(each, dict) and each.get("__kwarg__"):
            keywords.update({name: value for name, value in each.items() if name != "__kwarg__"})
        else:
            words.append(each)
    return words, keywords
