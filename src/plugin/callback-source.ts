/** What tells us how a playbook goes: a callback plugin of Ansible, which writes a line of JSON for each thing that happens. */

export const CALLBACK_NAME = "p2prc_events";

/** Its output and the log stay Ansible's own: it only adds to them. */
export const CALLBACK_SOURCE = String.raw`
from __future__ import annotations

import json
import os

from ansible.playbook.handler import Handler
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: p2prc_events
    type: notification
    short_description: tells P2PRC how a playbook goes
    description: Writes a line of JSON for each event to the file descriptor in P2PRC_EVENTS_FD.
"""

TAIL = 4000


def standing(task):
    """What brings it in while the playbook runs, or the task itself: a playbook begins only at what stands in it."""
    found, parent = task, task._parent
    while parent is not None:
        if isinstance(parent, TaskInclude) and not parent.statically_loaded:
            found = parent
        parent = parent._parent
    return found


def written(task):
    """Its name as the playbook has it, which is what Ansible begins at; what it calls itself has been filled in."""
    source = getattr(task, "_ds", None)
    name = source.get("name") if isinstance(source, dict) else None
    return str(name) if name and "{{" in str(name) else task.get_name().strip()


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "p2prc_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        fd = int(os.environ["P2PRC_EVENTS_FD"])
        os.set_inheritable(fd, False)
        self._events = os.fdopen(fd, "w", encoding="utf-8", errors="replace")
        self._count = 0
        self._numbers = {}

    def _tell(self, kind, **facts):
        self._events.write(json.dumps({"kind": kind, **facts}) + "\n")
        self._events.flush()

    def _result(self, kind, result):
        found = result._result
        words = []
        if not getattr(result._task, "no_log", False) and "censored" not in found:
            for key in ("msg", "module_stderr", "stderr", "module_stdout", "stdout", "reason"):
                text = found.get(key)
                if isinstance(text, str) and text.strip() and text.strip() not in words:
                    words.append(text.strip()[-TAIL:])
        rc = found.get("rc")
        self._tell(
            kind,
            host=result._host.get_name(),
            task=self._numbers.get(result._task._uuid, self._count),
            changed=found.get("changed") is True,
            code=rc if isinstance(rc, int) else None,
            words="\n".join(words)[-TAIL:] if kind in ("failed", "unreachable") else "",
        )

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._count += 1
        self._numbers[task._uuid] = self._count
        # A handler is called by tasks alone.
        start = "" if isinstance(task, Handler) else written(standing(task))
        self._tell("task", task=self._count, name=task.get_name().strip(), start=start)

    v2_playbook_on_handler_task_start = lambda self, task: self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_start(self, host, task):
        self._tell("started", host=host.get_name(), task=self._numbers.get(task._uuid, self._count))

    def v2_runner_on_ok(self, result):
        self._result("ok", result)

    def v2_runner_on_skipped(self, result):
        self._result("skipped", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        self._result("unreachable", result)

    def v2_on_file_diff(self, result):
        found = result._result.get("diff")
        if found and not getattr(result._task, "no_log", False):
            self._tell("diff", host=result._host.get_name(), words=self._get_diff(found)[-TAIL:])

    def v2_playbook_on_stats(self, stats):
        for host in stats.processed:
            summary = stats.summarize(host)
            done = summary["failures"] == 0 and summary["unreachable"] == 0
            self._tell("host", host=host, done=done, changed=summary["changed"])
`;
